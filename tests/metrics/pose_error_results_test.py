import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines, pose_error

ACTIONS = ("walking", "walking", "walking", "sitting")
CAMERAS = ("a", "b", "c", "a")
# One joint of 17 is off by so many millimeters, so that the MPJPE is a 17th of it.
OFF_BY_MM = 17 * np.array([10.0, 20.0, 60.0, 50.0])
GROUPS = ("overall", "per_action", "per_camera", "mean_over_actions", "median_over_cameras")


@pytest.fixture(scope="module")
def recorded():
    pose = np.random.default_rng(0).normal(0, 0.3, (4, 17, 3))
    camera = cameras.Camera(np.zeros((4, 3, 3)), np.zeros((4, 3, 3)), np.zeros((4, 3)))
    return baselines.TestViews(
        view=views.View(np.zeros((4, 17, 2)), np.ones((4, 17)), camera),
        reference_pose=pose - pose[:, :1],
        instant=np.arange(4),
        action=np.array(ACTIONS),
        camera=np.array(CAMERAS),
        clip=np.array(["clip"] * 4),
        frame=np.arange(4),
    )


@pytest.fixture(scope="module")
def figures(recorded):
    pose_pred = recorded.reference_pose.copy()
    pose_pred[:, 5, 1] += OFF_BY_MM / 1000
    return pose_error.figures_of_poses(recorded, pose_pred)


def mpjpe(figures):
    return figures["mpjpe_mm"]


def test_all_groups_hold_all_figures(figures):
    assert tuple(figures) == GROUPS
    covered = (*pose_error.FIGURE_NAMES, pose_error.COVERAGE)
    assert tuple(figures["overall"]) == covered
    for name in ("mean_over_actions", "median_over_cameras"):
        assert tuple(figures[name]) == pose_error.FIGURE_NAMES
    for name in ("per_action", "per_camera"):
        assert {tuple(group) for group in figures[name].values()} == {covered}


def test_joints_that_a_pose_lacks_are_left_out_and_told(recorded):
    # Of each pose a joint is 100 mm off; two lack another, one its root, which is to lack all.
    pose_pred = recorded.reference_pose.copy()
    pose_pred[:, 5, 1] += 0.1
    pose_pred[:2, 7] = np.nan
    pose_pred[2, 0] = np.nan
    found = pose_error.figures_of_poses(recorded, pose_pred)
    assert mpjpe(found["overall"]) == pytest.approx((100 / 16 + 100 / 16 + 100 / 17) / 3, rel=1e-4)
    assert found["overall"]["coverage"] == pytest.approx(100 * (16 + 16 + 17) / (4 * 17))
    assert found["per_camera"]["a"]["coverage"] == pytest.approx(100 * 33 / 34)
    # The third pose alone is of camera c.
    assert set(found["per_camera"]) == {"a", "b"}
    assert pose_error.figures_of_poses(recorded, np.full_like(pose_pred, np.nan)) == {}


def test_joints_that_the_reference_lacks_count_nowhere(recorded):
    pose_pred, reference = recorded.reference_pose.copy(), recorded.reference_pose.copy()
    pose_pred[:, 5, 1] += 0.1
    pose_pred[:, 9] += 5.0
    reference[:, 9] = np.nan
    found = pose_error.figures_of_poses(recorded._replace(reference_pose=reference), pose_pred)
    assert mpjpe(found["overall"]) == pytest.approx(100 / 16, rel=1e-4)
    assert found["overall"]["coverage"] == 100


def test_overall_is_the_mean_over_poses(figures):
    assert mpjpe(figures["overall"]) == pytest.approx((10 + 20 + 60 + 50) / 4)


def test_each_action_and_camera_has_the_mean_over_its_poses(figures):
    per_action = {name: mpjpe(group) for name, group in figures["per_action"].items()}
    assert per_action == pytest.approx({"sitting": 50, "walking": (10 + 20 + 60) / 3})
    per_camera = {name: mpjpe(group) for name, group in figures["per_camera"].items()}
    assert per_camera == pytest.approx({"a": (10 + 50) / 2, "b": 20, "c": 60})


def test_the_mean_over_actions_counts_each_action_once(figures):
    # As papers have it: the 30 of three poses weigh as much as the 50 of one.
    assert mpjpe(figures["mean_over_actions"]) == pytest.approx((30 + 50) / 2)


def test_the_median_over_cameras_is_that_of_their_means(figures):
    # 20, 30 and 60.
    assert mpjpe(figures["median_over_cameras"]) == pytest.approx(30)


def test_averages_are_taken_of_every_figure():
    def group(start):
        return {name: start + index for index, name in enumerate(pose_error.FIGURE_NAMES)}

    measured = {
        "overall": group(0.0),
        "per_action": {"one": group(1.0), "two": group(2.0), "three": group(6.0)},
        "per_camera": {"a": group(1.0), "b": group(9.0), "c": group(2.0)},
    }
    averaged = pose_error.with_averages(measured)
    assert averaged == measured | {
        "mean_over_actions": group(3.0),
        "median_over_cameras": group(2.0),
    }


def test_figures_are_numbers_and_names_that_go_to_json(figures):
    assert {type(name) for name in figures["per_action"]} == {str}
    values = [*figures["overall"].values(), *figures["mean_over_actions"].values()]
    assert {type(value) for value in values} == {float}


def test_figures_are_those_of_the_evaluation(recorded):
    # Which measures each pose, and takes the mean.
    pose_pred = tf.constant(recorded.reference_pose * [0.4, 0.5, 0.6])
    expected = pose_error.per_pose(tf.constant(recorded.reference_pose), pose_pred)
    overall = pose_error.figures_of_poses(recorded, pose_pred.numpy())["overall"]
    for name, value in expected.items():
        assert overall[name] == pytest.approx(float(np.mean(value)))
