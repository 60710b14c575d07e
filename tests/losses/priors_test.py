import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.losses import priors

# A root with an arm on either side: bones root-left, left-hand, root-right, right-hand.
ARMS = skeletons.Skeleton(
    name="arms",
    joints=("root", "left", "left_hand", "right", "right_hand"),
    parents=(-1, 0, 1, 0, 3),
    left=(1, 2),
    right=(3, 4),
)
# Bones of 3, 5, 2 and 6 m.
POSE = np.array([[0, 0, 0], [3, 0, 0], [3, 3, 4], [0, -2, 0], [0, -2, 6]], np.float64)
LENGTHS = [3.0, 5.0, 2.0, 6.0]
BODY = np.random.default_rng(0).normal(0.0, 0.5, (6, 17, 3))


def gradient(loss, pose):
    pose = tf.constant(pose)
    with tf.GradientTape() as tape:
        tape.watch(pose)
        value = loss(pose)
    return tape.gradient(value, pose).numpy()


def turned(pose, angle=0.7):
    rotation = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    return pose @ np.array(rotation).T + np.array([1.0, -2.0, 3.0])


def mirrored(pose):
    sides = [*skeletons.H36M_17.left, *skeletons.H36M_17.right]
    others = [*skeletons.H36M_17.right, *skeletons.H36M_17.left]
    swapped = pose.copy()
    swapped[:, sides] = pose[:, others]
    return swapped


def test_bones_are_as_long_as_measured_by_hand():
    np.testing.assert_allclose(priors.bone_lengths(POSE, ARMS), LENGTHS)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (0,)])
def test_any_batch_shape_is_measured(shape):
    pose = np.broadcast_to(POSE, (*shape, 5, 3))
    assert priors.bone_lengths(pose, ARMS).shape == (*shape, 4)
    assert priors.symmetry(pose, ARMS).shape == shape
    assert priors.deviation(pose, np.ones((*shape, 4)), ARMS).shape == shape


def test_a_pose_of_other_joints_is_refused():
    with pytest.raises(ValueError, match=r"priors\.bone_lengths"):
        priors.bone_lengths(POSE)


def test_symmetry_is_the_sum_of_differences_by_hand():
    # |3 - 2| + |5 - 6|.
    np.testing.assert_allclose(priors.symmetry(POSE, ARMS), 2.0)


def test_of_a_body_six_bones_have_a_mirror_image():
    lengths = priors.bone_lengths(BODY).numpy()
    names = [skeletons.H36M_17.joints[child] for _, child in skeletons.H36M_17.bones]
    parts = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    left, right = (
        lengths[:, [names.index(f"{side}_{part}") for part in parts]] for side in ("left", "right")
    )
    np.testing.assert_allclose(priors.symmetry(BODY), np.abs(left - right).sum(axis=-1))


@pytest.mark.parametrize("move", [turned, mirrored])
def test_symmetry_does_not_change_with_frame_or_side(move):
    np.testing.assert_allclose(priors.symmetry(move(BODY)), priors.symmetry(BODY))


def test_variation_is_by_subject_and_by_hand():
    # Subject 7 at scales 1 and 3 lies a whole pose off its mean 2: 9 + 25 + 4 + 36 each.
    pose = np.stack([POSE, 5 * POSE, 3 * POSE])
    np.testing.assert_allclose(priors.variation(pose, [7, 2, 7], ARMS), [74.0, 0.0, 74.0])
    np.testing.assert_allclose(priors.variation(pose, ["b", "a", "b"], ARMS), [74.0, 0.0, 74.0])


def test_the_mean_variation_of_one_subject_is_the_sum_of_its_bones_variances():
    expected = priors.bone_lengths(BODY).numpy().var(axis=0).sum()
    np.testing.assert_allclose(np.mean(priors.variation(BODY, [0] * 6)), expected)


def test_variation_goes_down_with_the_gradient():
    def loss(pose):
        return tf.reduce_mean(priors.variation(pose, [0, 0, 0, 1, 1, 1]))

    assert float(loss(BODY - 0.1 * gradient(loss, BODY))) < 0.9 * float(loss(BODY))


def test_deviation_is_what_known_lengths_say_by_hand():
    # (3 - 1)² + (2 - 5)²; nothing is known of the second bone, the fourth is right.
    expected = [1.0, 0.0, 5.0, 6.0]
    np.testing.assert_allclose(priors.deviation(POSE, expected, ARMS), 13.0)


def test_deviation_teaches_the_pose_and_not_the_expectation():
    expected = tf.constant([1.0, 0.0, 5.0, 6.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(expected)
        loss = priors.deviation(tf.constant(POSE), expected, ARMS)
    assert tape.gradient(loss, expected) is None
    moved = gradient(lambda pose: priors.deviation(pose, expected, ARMS), POSE)
    # The first bone ends in a joint that the unknown second bone leaves alone: 2 (3 - 1) along x.
    np.testing.assert_allclose(moved[[1, 2]], [[4.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_running_means_start_at_a_batch_move_by_momentum_and_wait_for_the_absent():
    so_far = [[1.0, 1.0], [0.0, 0.0], [4.0, 4.0]]
    lengths = [[2.0, 3.0], [6.0, 8.0], [8.0, 10.0]]
    moved = priors.running_means(so_far, lengths, [0, 1, 1], momentum=0.9)
    # 0.9 + 0.2 and 0.9 + 0.3; means of 6 and 8, of 8 and 10; not in the batch.
    np.testing.assert_allclose(moved, [[1.1, 1.2], [7.0, 9.0], [4.0, 4.0]])


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_a_momentum_that_forgets_all_or_learns_nothing_is_refused(momentum):
    with pytest.raises(ValueError, match=rf"\[0, 1\).*{momentum}"):
        priors.running_means(np.ones((1, 2)), np.ones((1, 2)), [0], momentum)


@pytest.mark.parametrize(
    "loss",
    [
        priors.symmetry,
        lambda pose: priors.variation(pose, [0, 1, 0]),
        lambda pose: priors.deviation(pose, np.full((3, 16), 0.3)),
    ],
)
@pytest.mark.parametrize("size", [0.0, 1.0])
def test_gradients_are_finite_where_bones_have_no_length_or_all_the_same(loss, size):
    pose = size * np.repeat(np.arange(17.0), 3).reshape(17, 3) * np.ones((3, 1, 1))
    assert np.isfinite(gradient(loss, pose)).all()
