import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial import transform

from keras_mvlift.geometry import procrustes
from tests import random_scenes

BATCHES = [(), (1,), (2, 3), (0,)]
seeds = hypothesis.strategies.integers(0, 2**32 - 1)
few_examples = hypothesis.settings(max_examples=15, deadline=None)


@random_scenes.ARRAYS
def test_align_golden(array):
    # The target is the pose turned by a quarter about z, doubled, and moved by (1, 2, 3).
    pose = array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    target = np.array([[1.0, 2.0, 3.0], [1.0, 4.0, 3.0], [-3.0, 2.0, 3.0], [1.0, 2.0, 9.0]])
    np.testing.assert_allclose(procrustes.align(pose, target), target, atol=1e-12)


def test_align_golden_of_poses_that_are_not_similar():
    # A square of half diagonal 1; of the pose one diagonal is 2 long, the other 4. Nothing is to
    # be turned; the scale is (1 + 1 + 2 + 2) / (1 + 1 + 4 + 4) = 0.6.
    target = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    pose = target * [1, 2, 1]
    np.testing.assert_allclose(procrustes.align(pose, target), 0.6 * pose, atol=1e-12)


def test_joints_without_weight_pull_at_nothing():
    rng = np.random.default_rng(0)
    pose, target = random_scenes.points(rng, 9), random_scenes.points(rng, 9)
    weights = np.repeat([1.0, 0.0], [6, 3])
    alone = procrustes.align(pose[:6], target[:6])
    np.testing.assert_allclose(procrustes.align(pose, target, weights)[:6], alone, atol=1e-12)


@random_scenes.ARRAYS
def test_align_scale_golden(array):
    # (2 * 1 + 2 * 1 + 0) / (4 + 4 + 4) = 1/3 of the pose.
    pose = array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    target = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [5.0, 0.0, 0.0]])
    np.testing.assert_allclose(procrustes.align_scale(pose, target), pose / 3)


@few_examples
@hypothesis.given(seed=seeds, scale=hypothesis.strategies.floats(0.1, 10.0))
def test_a_pose_comes_back_from_any_similarity(seed, scale):
    rng = np.random.default_rng(seed)
    pose = random_scenes.points(rng, 17)
    moved = scale * pose @ random_scenes.rotation(rng) + 5 * random_scenes.points(rng)
    np.testing.assert_allclose(procrustes.align(moved, pose), pose, atol=1e-9)


@few_examples
@hypothesis.given(seed=seeds)
def test_no_small_similarity_brings_the_pose_nearer(seed):
    rng = np.random.default_rng(seed)
    pose, target = random_scenes.points(rng, 6), random_scenes.points(rng, 6)
    aligned = procrustes.align(pose, target)
    best = np.square(aligned - target).sum()
    for _ in range(5):
        axis = 1e-3 * rng.normal(size=3)
        nudged = (1 + 1e-3 * rng.normal()) * (aligned + np.cross(axis, aligned))
        nudged += 1e-3 * rng.normal(size=3)
        assert np.square(nudged - target).sum() > best - 1e-12


def test_a_mirrored_pose_is_turned_but_not_mirrored():
    rng = np.random.default_rng(0)
    pose = random_scenes.points(rng, 20, 17)
    mirrored = pose * [-1, 1, 1]
    aligned = procrustes.align(mirrored, pose)
    assert np.linalg.norm(aligned - pose, axis=-1).mean(axis=-1).min() > 0.1
    # Three bones of the aligned pose keep the handedness of the mirrored one.
    handedness = [np.sign(np.linalg.det(x[:, 1:4] - x[:, :1])) for x in (aligned, mirrored)]
    np.testing.assert_array_equal(*handedness)


def test_align_scale_neither_moves_nor_turns():
    rng = np.random.default_rng(0)
    pose, target = random_scenes.points(rng, 17), random_scenes.points(rng, 17)
    scaled = procrustes.align_scale(pose, target)
    np.testing.assert_allclose(scaled / pose, (scaled / pose)[0, 0])


@random_scenes.ARRAYS
@pytest.mark.parametrize("align", [procrustes.align, procrustes.align_scale])
@pytest.mark.parametrize("batch", BATCHES)
def test_any_batch_shape_is_a_loop_over_single_poses(align, batch, array):
    rng = np.random.default_rng(0)
    pose, target = random_scenes.points(rng, *batch, 5), random_scenes.points(rng, *batch, 5)
    aligned = align(array(pose), target)
    assert aligned.shape == (*batch, 5, 3)
    for index in np.ndindex(batch):
        np.testing.assert_allclose(aligned[index], align(pose[index], target[index]), atol=1e-12)


@pytest.mark.parametrize("align", [procrustes.align, procrustes.align_scale])
@random_scenes.ARRAYS
def test_a_collapsed_pose_stays_finite(align, array):
    target = random_scenes.points(np.random.default_rng(0), 5)
    with np.errstate(all="raise"):
        assert np.isfinite(align(array(np.zeros((5, 3))), target)).all()


@few_examples
@hypothesis.given(seed=seeds)
def test_scipy_finds_the_same_rotation(seed):
    rng = np.random.default_rng(seed)
    source, target = random_scenes.points(rng, 2, 6)
    expected, _ = transform.Rotation.align_vectors(target, source)
    for array in (np.asarray, tf.constant):
        rotation, agreement = procrustes.kabsch(array(target.T @ source))
        np.testing.assert_allclose(rotation, expected.as_matrix(), atol=1e-9)
        np.testing.assert_allclose(agreement, np.sum(target * expected.apply(source)))


@pytest.mark.parametrize("shapes", [((5, 3), (4, 3)), ((5, 2), (5, 2)), ((3,), (3,))])
def test_poses_of_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match=r"`(pose|target)` must have shape"):
        procrustes.align(*(np.zeros(shape) for shape in shapes))
