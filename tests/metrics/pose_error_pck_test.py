import keras
import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.metrics import pose_error


def off_by(*errors_mm):
    """Poses of a root and joints that are off by so much along x."""
    pose_true = np.zeros((1 + len(errors_mm), 3), np.float32)
    pose_pred = pose_true.copy()
    pose_pred[1:, 0] = np.array(errors_mm) / 1000
    return pose_true, pose_pred


def test_pck_golden():
    # The root, 149 and 10 mm are nearer than 150 mm, 151 mm is not: 3 of 4.
    np.testing.assert_allclose(pose_error.pck(*off_by(149, 10, 151)), 0.75)


def test_joints_that_the_true_pose_lacks_do_not_count():
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
def test_any_batch_shape(function, batch):
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


@pytest.mark.parametrize("function", [pose_error.pck, pose_error.pck_auc])
def test_poses_of_other_shapes_are_refused(function):
    with pytest.raises(ValueError, match="`pose_true` and `pose_pred` must have the same shape"):
        function(np.zeros((2, 17, 3)), np.zeros((17, 3)))


def test_metrics_report_shares_times_a_hundred():
    # As in the goldens above: 1 of 2 joints; (30 + 0) / 2 of 31 thresholds.
    for metric, expected in ((pose_error.PCK(), 50), (pose_error.AUC3D(), 1500 / 31)):
        metric.update_state(*(pose[np.newaxis] for pose in off_by(151)))
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)


def test_metrics_are_named_by_their_threshold():
    names = [pose_error.PCK().name, pose_error.PCK(threshold_mm=100).name, pose_error.AUC3D().name]
    assert names == ["pck_150", "pck_100", "auc"]


# 49 mm is nearer than 21 of the 31 thresholds: 50, 55, ..., 150.
@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (pose_error.PCK(threshold_mm=50, joints=(1,)), 100),
        (pose_error.PCK(threshold_mm=48, joints=(1,)), 0),
        (pose_error.AUC3D(joints=(1,), name="area"), 2100 / 31),
    ],
)
def test_metrics_survive_their_config(metric, expected):
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    again.update_state(*(pose[np.newaxis] for pose in off_by(49, 200)))
    np.testing.assert_allclose(again.result(), expected, rtol=1e-6)


def test_metrics_run_in_a_compiled_fit():
    poses = np.random.default_rng(0).normal(scale=0.2, size=(8, 17, 3))
    inputs = keras.Input([17, 3])
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    model.compile(
        loss="mse", metrics=[pose_error.PCK(joints=pose_error.OFFICIAL_JOINTS), pose_error.AUC3D()]
    )
    history = model.fit(poses, poses, verbose=0).history
    assert 0 < history["auc"][-1] < 100
    assert 0 < history["pck_150"][-1] < 100
