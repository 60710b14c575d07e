import hypothesis
import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.geometry import cameras, triangulation
from tests import random_scenes

NUM_JOINTS, NUM_INSTANTS = 17, 40
seeds = hypothesis.strategies.integers(0, 2**32 - 1)


def rig(*batch, num_views=4):
    """Cameras 5 m from the origin, 1.5 m up, evenly around it."""
    angle = 2 * np.pi * (np.arange(num_views) + 0.2) / num_views
    center = np.stack([5 * np.cos(angle), 5 * np.sin(angle), np.full(num_views, 1.5)], axis=-1)
    intrinsics = np.tile(np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]]), (num_views, 1, 1))
    camera = cameras.look_at(intrinsics, center, np.zeros((num_views, 3)), [0, 0, 1.0])
    return cameras.Camera(*(np.broadcast_to(field, (*batch, *field.shape)) for field in camera))


def scene(seed=0, num_views=4, noise_px=3.0):
    """Points `[T, J, 3]`, their rig `[T, V]` and keypoints with noise."""
    rng = np.random.default_rng(seed)
    points = random_scenes.points(rng, NUM_INSTANTS, NUM_JOINTS)
    camera = rig(NUM_INSTANTS, num_views=num_views)
    exact = cameras.project_from_world(points[:, np.newaxis], camera)
    return points, camera, exact + rng.normal(0.0, noise_px, exact.shape)


def with_gross_errors(keypoints_2d, size_px=100.0, seed=1):
    """Moves every joint in one view of its instant; gives which view, too, `[T, V, J]`."""
    rng = np.random.default_rng(seed)
    num_views = keypoints_2d.shape[1]
    wrong = rng.integers(num_views, size=(NUM_INSTANTS, 1, NUM_JOINTS))
    is_wrong = np.arange(num_views)[:, np.newaxis] == wrong
    angle = rng.uniform(0, 2 * np.pi, is_wrong.shape)
    shift = size_px * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return keypoints_2d + is_wrong[..., np.newaxis] * shift, is_wrong


def ones(keypoints_2d):
    return np.ones_like(keypoints_2d[..., 0])


def error(found, points):
    return np.linalg.norm(np.asarray(found) - points, axis=-1)


@random_scenes.ARRAYS
def test_exact_detections_give_the_points(array):
    points, camera, keypoints_2d = scene(noise_px=0.0)
    found = triangulation.triangulate_robustly(array(keypoints_2d), ones(keypoints_2d), camera)
    np.testing.assert_allclose(found.points, points, atol=1e-6)
    np.testing.assert_allclose(found.residual, 0.0, atol=1e-3)
    np.testing.assert_allclose(found.trust, 1.0, atol=1e-3)


def test_one_gross_detection_of_four_does_not_pull():
    points, camera, keypoints_2d = scene()
    clean, _ = triangulation.triangulate(keypoints_2d, ones(keypoints_2d), camera)
    spoiled, is_wrong = with_gross_errors(keypoints_2d)
    plain, _ = triangulation.triangulate(spoiled, ones(spoiled), camera)
    robust = triangulation.triangulate_robustly(spoiled, ones(spoiled), camera)
    assert error(plain, points).mean() > 8 * error(clean, points).mean()
    # Three views remain; they are worse than four by a third.
    assert error(robust.points, points).mean() < 1.6 * error(clean, points).mean()
    trust = robust.trust
    assert trust[is_wrong].mean() < 0.05
    assert trust[~is_wrong].mean() > 0.7


def test_a_view_that_is_biased_pulls_less():
    points, camera, keypoints_2d = scene()
    keypoints_2d[:, 1, [3, 6, 13, 16]] += [20.0, 10.0]
    plain, _ = triangulation.triangulate(keypoints_2d, ones(keypoints_2d), camera)
    robust = triangulation.triangulate_robustly(keypoints_2d, ones(keypoints_2d), camera)
    biased = [3, 6, 13, 16]
    plain_error, robust_error = (error(x, points)[:, biased].mean() for x in (plain, robust.points))
    assert robust_error < 0.7 * plain_error


def test_gaussian_noise_alone_costs_little():
    points, camera, keypoints_2d = scene(noise_px=5.0)
    plain, _ = triangulation.triangulate(keypoints_2d, ones(keypoints_2d), camera)
    robust = triangulation.triangulate_robustly(keypoints_2d, ones(keypoints_2d), camera)
    assert error(robust.points, points).mean() < 1.06 * error(plain, points).mean()


def test_single_precision_is_as_good():
    _, camera, keypoints_2d = scene()
    spoiled, _ = with_gross_errors(keypoints_2d)
    double = triangulation.triangulate_robustly(spoiled, ones(spoiled), camera)
    single = triangulation.triangulate_robustly(
        spoiled.astype(np.float32), ones(spoiled).astype(np.float32), camera
    )
    assert single.points.dtype == np.float32
    difference = error(single.points, double.points)
    assert np.median(difference) < 1e-5
    assert np.mean(difference > 1e-3) < 0.01


def test_residuals_are_distances_in_the_images():
    _, camera, keypoints_2d = scene()
    found = triangulation.triangulate_robustly(keypoints_2d, ones(keypoints_2d), camera)
    for view in range(4):
        single = random_scenes.one(camera, (5, view))
        projected = random_scenes.project(random_scenes.move(found.points[5], single), single)
        expected = np.linalg.norm(projected - keypoints_2d[5, view], axis=-1)
        np.testing.assert_allclose(found.residual[5, view], expected, atol=1e-6)


def test_what_fewer_than_two_cameras_saw_is_told_and_zero():
    points, camera, keypoints_2d = scene(noise_px=0.0)
    weights = ones(keypoints_2d)
    weights[:, :, 3] = 0.0
    weights[:, 1:, 5] = 0.0
    weights[:, 2:, 7] = 0.0
    found = triangulation.triangulate_robustly(keypoints_2d, weights, camera)
    assert np.flatnonzero(~found.is_seen[0]).tolist() == [3, 5]
    for field in (found.points, found.residual.swapaxes(1, 2)):
        np.testing.assert_array_equal(field[:, [3, 5]], np.zeros_like(field[:, [3, 5]]))
    np.testing.assert_array_equal(found.trust > 0, (weights > 0) & found.is_seen[:, np.newaxis])
    np.testing.assert_allclose(found.points[:, 7], points[:, 7], atol=1e-6)


def test_views_of_zero_weight_do_not_count():
    _, camera, keypoints_2d = scene()
    weights = ones(keypoints_2d)
    weights[:, 2] = 0.0
    expected = triangulation.triangulate_robustly(keypoints_2d, weights, camera)
    keypoints_2d[:, 2] = 0.0
    found = triangulation.triangulate_robustly(keypoints_2d, weights, camera)
    np.testing.assert_allclose(found.points, expected.points, atol=1e-9)


def test_confidence_decides_between_two_that_disagree():
    points, camera, keypoints_2d = scene(num_views=3, noise_px=1.0)
    keypoints_2d[:, 2] += [60.0, 60.0]
    weights = ones(keypoints_2d) * [[1.0], [1.0], [0.2]]
    robust = triangulation.triangulate_robustly(keypoints_2d, weights, camera)
    assert np.median(error(robust.points, points)) < 0.02


@pytest.mark.parametrize("batch", [(), (2, 2), (0,)])
def test_any_batch_is_a_loop_over_instants(batch):
    _, camera, keypoints_2d = scene()
    spoiled, _ = with_gross_errors(keypoints_2d)
    index = np.arange(np.prod(batch, dtype=int)).reshape(batch)
    some = cameras.Camera(*(field[index] for field in camera))
    found = triangulation.triangulate_robustly(spoiled[index], ones(spoiled)[index], some)
    assert (found.points.shape, found.trust.shape) == ((*batch, 17, 3), (*batch, 4, 17))
    for at in np.ndindex(batch):
        one = random_scenes.one(camera, index[at])
        expected = triangulation.triangulate_robustly(
            spoiled[index[at]], ones(spoiled)[index[at]], one
        )
        np.testing.assert_allclose(found.points[at], expected.points, atol=1e-7)


def test_the_kernels_weight_is_the_slope_of_its_loss():
    ratio = tf.constant([0.0, 0.3, 0.9, 1.5, 30.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(ratio)
        loss = triangulation.robust_loss(ratio)
    weight = triangulation.robust_weight(ratio)
    np.testing.assert_allclose(weight, tape.gradient(loss, ratio), rtol=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@random_scenes.ARRAYS
def test_the_median_is_the_lower_one_of_the_values_that_count(share, array):
    rng = np.random.default_rng(0)
    values = rng.uniform(1.0, 9.0, (5, 3, 17))
    is_used = rng.uniform(size=values.shape) < share
    is_used[:, 0, 0] = True
    found = triangulation.median(array(values), array(is_used))
    assert found.shape == (5, 1, 1)
    for row, result in enumerate(np.ravel(found)):
        counted = np.sort(values[row][is_used[row]])
        assert result == counted[(len(counted) - 1) // 2]


@random_scenes.ARRAYS
def test_where_no_value_counts_the_median_is_zero(array):
    found = triangulation.median(array(np.full([2, 4, 17], 7.0)), array(np.zeros([2, 4, 17], bool)))
    np.testing.assert_array_equal(found, np.zeros((2, 1, 1)))


def test_half_of_gaussian_vectors_are_shorter_than_their_median_length():
    vectors = np.random.default_rng(0).normal(size=(200_000, 2))
    is_shorter = np.linalg.norm(vectors, axis=-1) < triangulation.MEDIAN_LENGTH
    np.testing.assert_allclose(is_shorter.mean(), 0.5, atol=0.004)
