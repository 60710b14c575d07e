import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines, pose_error

FUNCTIONS = (pose_error.mpjpe, pose_error.n_mpjpe, pose_error.p_mpjpe)
METRICS = (pose_error.MPJPE, pose_error.NMPJPE, pose_error.PMPJPE)
# A root at (1, 1, 1) and joints one meter from it along each axis.
CORNER = np.array([[1, 1, 1], [2, 1, 1], [1, 2, 1], [1, 1, 2]], np.float32)
# A quarter turn about z: x becomes y, y becomes -x.
QUARTER_TURN = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)


@pytest.fixture
def poses():
    random = np.random.default_rng(0)
    pose_true = random.normal(scale=0.3, size=(64, 17, 3)).astype(np.float32)
    noise = random.normal(scale=0.08, size=pose_true.shape).astype(np.float32)
    return pose_true, 1.1 * pose_true + noise


def off_by(*errors_mm):
    """Poses of a root and joints that are off by so much along x."""
    pose_true = np.zeros((1 + len(errors_mm), 3), np.float32)
    pose_pred = pose_true.copy()
    pose_pred[1:, 0] = np.array(errors_mm) / 1000
    return pose_true, pose_pred


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


def random_poses(num_poses):
    random = np.random.default_rng(0)
    pose_true = random.normal(scale=0.3, size=(num_poses, 17, 3)).astype(np.float32)
    return pose_true, pose_true + random.normal(scale=0.1, size=pose_true.shape)


def test_joint_errors_are_distances_after_the_roots_are_aligned():
    # Moved by (5, 5, 5) as a whole, and joint 1 then by (0.3, 0.4, 0): the 3-4-5 triangle.
    pose_pred = CORNER + 5
    pose_pred[1] += [0.3, 0.4, 0]
    errors = pose_error.joint_errors(CORNER, pose_pred)
    np.testing.assert_allclose(errors, [0, 0.5, 0, 0], atol=1e-6)


def test_mpjpe_golden():
    # The root counts with its 0: (0 + 0.5 + 0 + 0.1) / 4.
    pose_pred = CORNER.copy()
    pose_pred[1] += [0.3, 0.4, 0]
    pose_pred[3] += [0, 0, 0.1]
    np.testing.assert_allclose(pose_error.mpjpe(CORNER, pose_pred), 0.15, rtol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_joints_that_the_true_pose_lacks_do_not_count(function, poses):
    pose_true, pose_pred = poses
    lacking = pose_true.copy()
    lacking[:, 12:] = np.nan
    expected = function(pose_true[:, :12], pose_pred[:, :12])
    np.testing.assert_allclose(function(lacking, pose_pred), expected, rtol=1e-4)
    pose_pred[0, 5] = np.nan
    assert np.isnan(function(lacking, pose_pred)).tolist() == [True] + [False] * 63


def test_n_mpjpe_golden():
    # About the root the joints are x, y, z of length 1; predicted are 2x, 2y and 0. The scale
    # s = (2 + 2) / (4 + 4) = 1/2 makes x and y right and leaves z off by 1: 1 / 4 joints.
    pose_pred = CORNER[0] + np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(pose_error.n_mpjpe(CORNER, pose_pred), 0.25, rtol=1e-6)


def test_n_mpjpe_does_not_forgive_a_rotation():
    # About the root, x, y and z are predicted as y, -x and z: s = (0 + 0 + 1) / 3 = 1/3. Off are
    # x and y by |(1, -1/3)| = sqrt(10) / 3 each and z by 2/3: (2 sqrt(10) + 2) / 3 / 4.
    turned = CORNER @ QUARTER_TURN.T
    expected = (2 * np.sqrt(10) + 2) / 12
    np.testing.assert_allclose(pose_error.n_mpjpe(CORNER, turned), expected, rtol=1e-6)


def test_p_mpjpe_golden():
    # Four corners of a square of half diagonal 1; one diagonal is predicted 2 long, the other 4.
    # Nothing is to be turned or moved; s = (1 + 1 + 2 + 2) / (1 + 1 + 4 + 4) = 0.6 leaves the
    # diagonals' ends off by 0.4 and 0.2: 0.3 on average.
    square = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32)
    pose_pred = square * [1, 2, 1]
    np.testing.assert_allclose(pose_error.p_mpjpe(square, pose_pred), 0.3, rtol=1e-6)


def test_p_mpjpe_does_not_forgive_a_reflection():
    mirrored = CORNER * np.array([-1, 1, 1], np.float32)
    assert pose_error.p_mpjpe(CORNER, mirrored) > 0.1


@pytest.mark.parametrize(
    ("function", "turn", "scale"),
    [
        (pose_error.mpjpe, np.eye(3), 1),
        (pose_error.n_mpjpe, np.eye(3), 3),
        (pose_error.p_mpjpe, QUARTER_TURN, 3),
    ],
)
def test_each_is_invariant_to_what_it_aligns(function, turn, scale, poses):
    pose_true, pose_pred = poses
    moved = scale * pose_pred @ turn.T + np.array([1, -2, 4], np.float32)
    before = function(pose_true, pose_pred)
    np.testing.assert_allclose(function(pose_true, moved), before, rtol=1e-4)


def test_mpjpe_does_not_forgive_a_scale(poses):
    pose_true, pose_pred = poses
    before = pose_error.mpjpe(pose_true, pose_pred)
    assert np.all(np.abs(pose_error.mpjpe(pose_true, 3 * pose_pred) - before) > 0.1)


def test_more_alignment_leaves_less_error_on_average(poses):
    # On average only: alignment minimizes squared distances, not distances.
    mpjpe, n_mpjpe, p_mpjpe = (np.mean(function(*poses)) for function in FUNCTIONS)
    assert p_mpjpe < n_mpjpe < mpjpe


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_perfect_pose_has_no_error(function, poses):
    np.testing.assert_allclose(function(poses[0], poses[0]), 0, atol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_any_batch_shape(function, batch, poses):
    pose_true, pose_pred = (pose[: int(np.prod(batch))].reshape(*batch, 17, 3) for pose in poses)
    errors = function(pose_true, pose_pred)
    assert errors.shape == batch
    np.testing.assert_allclose(np.ravel(errors)[0], function(poses[0][0], poses[1][0]), rtol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_collapsed_pose_has_a_finite_error(function):
    assert np.isfinite(function(CORNER, np.zeros_like(CORNER)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nan_stays_nan_and_with_its_pose(function, poses):
    pose_true, pose_pred = poses
    pose_pred[0, 5] = np.nan
    assert np.isnan(function(pose_true, pose_pred)).tolist() == [True] + [False] * 63


@pytest.mark.parametrize("pose_pred", [CORNER, CORNER + 1e-9, CORNER * 1.1])
def test_mpjpe_has_finite_gradients_at_a_perfect_pose(pose_pred):
    pose_pred = tf.constant(pose_pred)
    with tf.GradientTape() as tape:
        tape.watch(pose_pred)
        error = pose_error.mpjpe(CORNER, pose_pred)
    assert np.isfinite(tape.gradient(error, pose_pred)).all()


@pytest.mark.parametrize("function", [*FUNCTIONS, pose_error.pck, pose_error.pck_auc])
@pytest.mark.parametrize("shape", [(2, 16, 3), (2, 17, 2), (17, 3), (1, 17, 3), (2, 1, 17, 3)])
def test_poses_of_other_shapes_are_refused(function, shape):
    with pytest.raises(ValueError, match=r"`pose_true` and `pose_pred` must have the same shape"):
        function(np.zeros((2, 17, 3)), np.zeros(shape))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_poses_in_the_plane_are_refused(function):
    with pytest.raises(ValueError, match=r"Received: \(17, 2\) and \(17, 2\)"):
        function(np.zeros((17, 2)), np.zeros((17, 2)))


@pytest.mark.parametrize(("metric_class", "function"), list(zip(METRICS, FUNCTIONS, strict=True)))
def test_metrics_report_the_mean_in_millimeters(metric_class, function, poses):
    metric = metric_class()
    for part in (slice(0, 10), slice(10, 64)):
        metric.update_state(poses[0][part], poses[1][part])
    np.testing.assert_allclose(metric.result(), 1000 * np.mean(function(*poses)), rtol=1e-5)


def test_metrics_are_named_by_what_and_unit_or_threshold():
    made = [kind() for kind in (*METRICS, pose_error.PCK, pose_error.AUC3D)]
    names = ["mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm", "pck_150", "auc"]
    assert [metric.name for metric in made] == names
    assert pose_error.PCK(threshold_mm=100).name == "pck_100"


def test_metrics_run_in_a_compiled_fit(poses):
    inputs = keras.Input([17, 3])
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    shares = pose_error.PCK(joints=pose_error.OFFICIAL_JOINTS), pose_error.AUC3D()
    model.compile(loss="mse", metrics=[*(kind() for kind in METRICS), *shares])
    history = model.fit(poses[1], poses[0], batch_size=32, verbose=0).history
    assert {"mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm", "pck_150", "auc"} < set(history)
    assert np.isfinite([values[-1] for values in history.values()]).all()


def test_pck_golden():
    # The root, 149 and 10 mm are nearer than 150 mm, 151 mm is not: 3 of 4.
    np.testing.assert_allclose(pose_error.pck(*off_by(149, 10, 151)), 0.75)


def test_shares_leave_out_joints_that_the_true_pose_lacks():
    pose_true, pose_pred = off_by(10, 200, 300)
    pose_true[3] = np.nan
    np.testing.assert_allclose(pose_error.pck(pose_true, pose_pred), 2 / 3, rtol=1e-6)
    np.testing.assert_allclose(pose_error.pck(pose_true, pose_pred, joints=(1, 2, 3)), 1 / 2)
    expected = pose_error.pck_auc(pose_true[:3], pose_pred[:3])
    np.testing.assert_allclose(pose_error.pck_auc(pose_true, pose_pred), expected, rtol=1e-6)


def test_a_joint_at_the_threshold_is_not_found():
    # 125 mm is 1/8 m, which a float holds exactly.
    np.testing.assert_allclose(pose_error.pck(*off_by(125), threshold_mm=125), 0.5)
    np.testing.assert_allclose(pose_error.pck(*off_by(125), threshold_mm=125.01), 1)


def test_pck_counts_only_the_joints_asked_for():
    poses = off_by(10, 200, 300)
    np.testing.assert_allclose(pose_error.pck(*poses), 0.5)
    np.testing.assert_allclose(pose_error.pck(*poses, joints=(1, 2, 3)), 1 / 3, rtol=1e-6)


def test_pck_aligns_the_roots_even_if_the_root_does_not_count():
    pose_true, pose_pred = off_by(10, 200)
    np.testing.assert_allclose(pose_error.pck(pose_true, pose_pred + 5, joints=(1, 2)), 0.5)


def test_auc_golden():
    # Of the 31 thresholds, above 0 mm lie 30 and above 102 mm lie 105, 110, ..., 150: 10. Root
    # and joint on average: (30 + 10) / 2 / 31.
    np.testing.assert_allclose(pose_error.pck_auc(*off_by(102)), 20 / 31, rtol=1e-6)


def test_auc_is_the_mean_of_the_pck_curve():
    random = np.random.default_rng(0)
    pose_true = random.normal(scale=0.05, size=(5, 17, 3))
    pose_pred = random.normal(scale=0.05, size=(5, 17, 3))
    curve = [pose_error.pck(pose_true, pose_pred, threshold) for threshold in range(0, 151, 5)]
    assert len(curve) == 31
    np.testing.assert_allclose(
        pose_error.pck_auc(pose_true, pose_pred), np.mean(curve, 0), rtol=1e-5
    )


def test_a_perfect_pose_misses_only_the_threshold_of_zero():
    poses = off_by(0, 0)
    np.testing.assert_allclose(pose_error.pck(*poses), 1)
    np.testing.assert_allclose(pose_error.pck_auc(*poses), 30 / 31, rtol=1e-6)


def test_the_official_joints_are_fourteen_without_pelvis_spine_and_nose():
    assert len(pose_error.OFFICIAL_JOINTS) == 14
    left_out = set(range(17)) - set(pose_error.OFFICIAL_JOINTS)
    assert {skeletons.H36M_17.joints[joint] for joint in left_out} == {"pelvis", "spine", "nose"}


@pytest.mark.parametrize("function", [pose_error.pck, pose_error.pck_auc])
@pytest.mark.parametrize("batch", [(), (2,), (2, 0, 4)])
def test_shares_are_of_any_batch_shape(function, batch):
    assert function(np.zeros((*batch, 17, 3)), np.zeros((*batch, 17, 3))).shape == batch


@pytest.mark.parametrize("function", [pose_error.pck, pose_error.pck_auc])
def test_unknown_positions_are_not_found(function):
    pose_true, pose_pred = off_by(0, np.nan)
    assert function(pose_true, pose_pred, joints=[2]) == 0


@pytest.mark.parametrize("function", [pose_error.pck, pose_error.pck_auc])
@pytest.mark.parametrize("joints", [(), (3,), (-1,)])
def test_joints_that_are_not_there_are_refused(function, joints):
    with pytest.raises(ValueError, match="`joints` must be one or more indices below 3"):
        function(*off_by(0, 0), joints=joints)


def test_metrics_report_shares_times_a_hundred():
    # As in the goldens above: 1 of 2 joints; (30 + 0) / 2 of 31 thresholds.
    for metric, expected in ((pose_error.PCK(), 50), (pose_error.AUC3D(), 1500 / 31)):
        metric.update_state(*(pose[np.newaxis] for pose in off_by(151)))
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)


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


def test_figures_are_means_over_poses_actions_and_cameras(figures):
    assert mpjpe(figures["overall"]) == pytest.approx((10 + 20 + 60 + 50) / 4)
    per_action = {name: mpjpe(group) for name, group in figures["per_action"].items()}
    assert per_action == pytest.approx({"sitting": 50, "walking": (10 + 20 + 60) / 3})
    per_camera = {name: mpjpe(group) for name, group in figures["per_camera"].items()}
    assert per_camera == pytest.approx({"a": (10 + 50) / 2, "b": 20, "c": 60})
    # As papers have it: the 30 of three poses weigh as much as the 50 of one.
    assert mpjpe(figures["mean_over_actions"]) == pytest.approx((30 + 50) / 2)
    # Of 20, 30 and 60.
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


def test_summary_holds_the_papers_numbers_in_the_papers_units():
    poses = random_poses(20)
    expected = {
        "mpjpe_mm": 1000 * np.mean(pose_error.mpjpe(*poses)),
        "n_mpjpe_mm": 1000 * np.mean(pose_error.n_mpjpe(*poses)),
        "p_mpjpe_mm": 1000 * np.mean(pose_error.p_mpjpe(*poses)),
        "pck_150": 100 * np.mean(pose_error.pck(*poses)),
        "auc": 100 * np.mean(pose_error.pck_auc(*poses)),
    }
    result = pose_error.summary(*poses)
    assert list(result) == list(expected)
    assert all(type(value) is float for value in result.values())
    np.testing.assert_allclose(list(result.values()), list(expected.values()), rtol=1e-5)


def test_summary_golden():
    # Two joints, one off by 30 mm along the other's direction: MPJPE 15. The scale and the
    # similarity, having but one length to match, make it right. Root and joint are found
    # nearer than 150 mm; of 31 thresholds lie 30 above 0 mm and 24 above 30 mm (35, ..., 150).
    pose_true = np.array([[[0, 0, 0], [0, 0.5, 0]]])
    pose_pred = np.array([[[0, 0, 0], [0, 0.53, 0]]])
    expected = [15, 0, 0, 100, 100 * 27 / 31]
    result = list(pose_error.summary(pose_true, pose_pred).values())
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_batches_do_not_show_in_the_result(monkeypatch):
    poses = random_poses(20)
    whole = pose_error.summary(*poses)
    monkeypatch.setattr(pose_error, "_BATCH_SIZE", 7)
    assert pose_error.summary(*poses) == pytest.approx(whole)


def test_per_pose_has_a_number_for_each_pose():
    values = pose_error.per_pose(*random_poses(3))
    assert tuple(values) == pose_error.FIGURE_NAMES
    assert {value.shape.as_list()[0] for value in values.values()} == {3}


@pytest.mark.parametrize(("num_true", "num_pred"), [(0, 0), (2, 3)])
def test_a_mean_over_nothing_or_over_strangers_is_refused(num_true, num_pred):
    with pytest.raises(ValueError, match="must hold equally many poses, and at least one"):
        pose_error.summary(np.zeros((num_true, 17, 3)), np.zeros((num_pred, 17, 3)))
