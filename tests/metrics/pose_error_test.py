import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.metrics import pose_error

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


def test_p_mpjpe_is_invariant_to_similarities(poses):
    pose_true, pose_pred = poses
    moved = 3 * pose_pred @ QUARTER_TURN.T + [1, -2, 4]
    np.testing.assert_allclose(
        pose_error.p_mpjpe(pose_true, moved), pose_error.p_mpjpe(pose_true, pose_pred), rtol=1e-4
    )


def test_n_mpjpe_is_invariant_to_scale_and_translation(poses):
    pose_true, pose_pred = poses
    moved = 3 * pose_pred + np.array([1, -2, 4], np.float32)
    np.testing.assert_allclose(
        pose_error.n_mpjpe(pose_true, moved), pose_error.n_mpjpe(pose_true, pose_pred), rtol=1e-4
    )


def test_mpjpe_is_invariant_to_translation_alone(poses):
    pose_true, pose_pred = poses
    before = pose_error.mpjpe(pose_true, pose_pred)
    np.testing.assert_allclose(pose_error.mpjpe(pose_true, pose_pred + 4), before, rtol=1e-4)
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


@pytest.mark.parametrize("function", FUNCTIONS)
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


def test_metrics_are_named_by_what_and_unit():
    names = [metric_class().name for metric_class in METRICS]
    assert names == ["mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm"]


@pytest.mark.parametrize("metric_class", METRICS)
def test_metrics_survive_their_config(metric_class):
    config = keras.saving.serialize_keras_object(metric_class(name="error"))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is metric_class
    assert again.name == "error"


def test_metrics_run_in_a_compiled_fit(poses):
    inputs = keras.Input([17, 3])
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    model.compile(loss="mse", metrics=[metric_class() for metric_class in METRICS])
    history = model.fit(poses[1], poses[0], batch_size=32, verbose=0).history
    assert {"mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm"} < set(history)
    assert np.isfinite([values[-1] for values in history.values()]).all()
