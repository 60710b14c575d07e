import cv2
import hypothesis
import numpy as np
import pytest

from keras_mvlift.geometry import cameras, epipolar
from tests import random_scenes

BATCHES = [(), (1,), (2, 3), (0,)]
seeds = hypothesis.strategies.integers(0, 2**32 - 1)
few_examples = hypothesis.settings(max_examples=20, deadline=None)

# One meter to the right of the source, looking the same way: E = [t]x with t = (-1, 0, 0).
RIGHTWARDS = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def two_views(rng, *batch, num_points=20):
    """Two random cameras, their keypoints `[*batch, N, 2]` and rays, of points in front of both."""
    camera = random_scenes.camera(rng, *batch, 2)
    points = random_scenes.points(rng, *batch, num_points)
    keypoints_2d = np.zeros((*batch, 2, num_points, 2))
    for index in np.ndindex(*batch, 2):
        single = random_scenes.one(camera, index)
        in_view = random_scenes.move(points[index[:-1]], single)
        keypoints_2d[index] = random_scenes.project(in_view, single)
    rays = cameras.rays(keypoints_2d, camera.intrinsics)
    pair = [cameras.Camera(*(np.take(v, i, len(batch)) for v in camera)) for i in (0, 1)]
    return pair, np.moveaxis(keypoints_2d, len(batch), 0), np.moveaxis(rays, len(batch), 0)


def test_essential_golden():
    np.testing.assert_array_equal(
        epipolar.essential_from_relative(np.eye(3), np.array([1.0, 0.0, 0.0])), RIGHTWARDS
    )


def test_distances_golden():
    # Rows 7 and 10 are 3 px apart: 3 px off each line; shared, each moves 1.5 px, root of
    # 2 * 1.5^2 in all. x'Fx is v' - v = 3.
    points = np.array([[5.0, 7.0]]), np.array([[4.0, 10.0]])
    np.testing.assert_allclose(epipolar.line_distances(RIGHTWARDS, *points), [[3.0], [3.0]])
    np.testing.assert_allclose(epipolar.symmetric_distance(RIGHTWARDS, *points), [3.0])
    np.testing.assert_allclose(epipolar.sampson_distance(RIGHTWARDS, *points), [3 / np.sqrt(2)])


def test_a_distance_from_a_line_golden():
    # In the target the line of (0, 0) is 3u' + 4v' + 10 = 0, 2 px from the origin; in the source
    # that of (0, 0) is 10 = 0, which is nowhere.
    fundamental = np.array([[0.0, 0.0, 3.0], [0.0, 0.0, 4.0], [0.0, 0.0, 10.0]])
    origin = np.zeros((1, 2))
    np.testing.assert_allclose(epipolar.line_distances(fundamental, origin, origin), [[0], [2]])


@few_examples
@hypothesis.given(seed=seeds)
def test_points_seen_by_two_cameras_lie_on_their_lines(seed):
    (source, target), points, _ = two_views(np.random.default_rng(seed))
    fundamental = epipolar.fundamental_from_cameras(source, target)
    for distance in (epipolar.sampson_distance, epipolar.symmetric_distance):
        np.testing.assert_allclose(distance(fundamental, *points), 0.0, atol=1e-6)


@few_examples
@hypothesis.given(seed=seeds)
def test_opencv_draws_the_same_lines_and_distances(seed):
    rng = np.random.default_rng(seed)
    (source, target), points, _ = two_views(rng, num_points=5)
    points = points + rng.normal(0.0, 5.0, points.shape)
    fundamental = epipolar.fundamental_from_cameras(source, target)
    homogeneous = epipolar.homogeneous(points)
    for image, distance in enumerate(epipolar.line_distances(fundamental, *points)):
        other = points[1 - image].reshape(-1, 1, 2)
        lines = cv2.computeCorrespondEpilines(other, 2 - image, fundamental)[:, 0]
        theirs = np.sum(lines * homogeneous[image], axis=-1)
        np.testing.assert_allclose(distance, theirs, rtol=1e-6, atol=1e-6)
    squared = [cv2.sampsonDistance(*pair, fundamental) for pair in zip(*homogeneous, strict=True)]
    ours = epipolar.sampson_distance(fundamental, *points)
    np.testing.assert_allclose(np.square(ours), squared, rtol=1e-6, atol=1e-9)


@few_examples
@hypothesis.given(seed=seeds)
def test_fundamental_and_essential_are_each_others_inverse(seed):
    (source, target), _, _ = two_views(np.random.default_rng(seed))
    fundamental = epipolar.fundamental_from_cameras(source, target)
    back = epipolar.essential_from_fundamental(fundamental, source.intrinsics, target.intrinsics)
    essential = epipolar.essential_from_cameras(source, target)
    np.testing.assert_allclose(back, essential, atol=1e-12)


@few_examples
@hypothesis.given(seed=seeds)
def test_opencv_finds_the_camera_that_an_essential_matrix_is_of(seed):
    (source, target), _, rays = two_views(np.random.default_rng(seed))
    essential = epipolar.essential_from_cameras(source, target)
    _, rotation, translation, _ = cv2.recoverPose(essential, *rays, np.eye(3))
    expected, center = cameras.relative_extrinsics(source, target)
    np.testing.assert_allclose(rotation, expected, atol=1e-6)
    toward = -rotation.T @ translation[:, 0]
    np.testing.assert_allclose(toward, center / np.linalg.norm(center), atol=1e-6)


def test_depths_are_those_of_the_points():
    # (1/2, 1, 2) from the origin and from (1, 0, 0): 2 m ahead of both.
    rays = np.array([[0.25, 0.5]]), np.array([[-0.25, 0.5]])
    *found, sine = epipolar.depths(np.eye(3), np.array([1.0, 0, 0]), *rays)
    np.testing.assert_allclose(found, [[2.0], [2.0]])
    # Of rays of length √1.3125 whose product is 1 + 0.25 - 0.0625.
    np.testing.assert_allclose(sine, [np.sqrt(1 - (1.1875 / 1.3125) ** 2)])
    *behind, _ = epipolar.depths(np.eye(3), np.array([1.0, 0, 0]), *rays[::-1])
    np.testing.assert_allclose(behind, [[-2.0], [-2.0]])


def test_an_epipole_has_no_line_and_no_distance():
    ahead = epipolar.essential_from_relative(np.eye(3), np.array([0.0, 0.0, 1.0]))
    epipole = np.zeros((1, 2))
    for distance in (epipolar.sampson_distance, epipolar.symmetric_distance):
        np.testing.assert_array_equal(distance(ahead, epipole, epipole), [0.0])


@pytest.mark.parametrize("batch", BATCHES)
def test_any_batch_is_a_loop(batch):
    pair, points, rays = two_views(np.random.default_rng(0), *batch)
    fundamental = epipolar.fundamental_from_cameras(*pair)
    distance = epipolar.symmetric_distance(fundamental, points[0], points[1] + 3.0)
    rotation, center = cameras.relative_extrinsics(*pair)
    depths = epipolar.depths(rotation, center, *rays)
    conditioning = epipolar.conditioning(*points, np.ones((*batch, 20)))
    assert conditioning.shape == batch
    for index in np.ndindex(batch):
        single = epipolar.fundamental_from_cameras(*(random_scenes.one(c, index) for c in pair))
        expected = epipolar.symmetric_distance(single, points[0][index], points[1][index] + 3.0)
        np.testing.assert_allclose(distance[index], expected)
        expected = epipolar.depths(rotation[index], center[index], rays[0][index], rays[1][index])
        np.testing.assert_allclose([depth[index] for depth in depths], expected)
        alone = epipolar.conditioning(points[0][index], points[1][index], np.ones(20))
        np.testing.assert_allclose(conditioning[index], alone, rtol=1e-4)


def seen_with_noise(rng, flat=False):
    camera, points = random_scenes.camera(rng, 2), random_scenes.points(rng, 200)
    if flat:
        points[..., 2] = 0.3 * points[..., 0]
    exact = cameras.project_from_world(points, camera)
    return exact, exact + rng.normal(0.0, 2.0, exact.shape)


def test_points_of_a_plane_are_told_by_their_conditioning():
    rng, weights = np.random.default_rng(0), np.ones(200)
    _, noisy = seen_with_noise(rng)
    flat, noisy_flat = seen_with_noise(rng, flat=True)
    assert epipolar.conditioning(*noisy, weights) > 10.0
    assert 1.0 <= epipolar.conditioning(*noisy_flat, weights) < 1.5
    assert epipolar.conditioning(*flat, weights) == 1.0
    # Two points at once are two points, wherever pixels are counted from.
    twice = np.r_[np.arange(200), 0, 1, 2]
    doubled = np.r_[np.full(3, 2.0), np.ones(197)]
    expected = epipolar.conditioning(*(noisy[:, twice] + 1e5), np.ones(203))
    np.testing.assert_allclose(epipolar.conditioning(*noisy, doubled), expected, rtol=1e-3)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"`matrix` must have .*\(2, 3\)"):
        epipolar.sampson_distance(np.zeros((2, 3)), np.zeros((5, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"`target_points` must have .*N = 5.*\(4, 2\)"):
        epipolar.symmetric_distance(np.eye(3), np.zeros((5, 2)), np.zeros((4, 2)))
