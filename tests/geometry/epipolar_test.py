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
    rays = cameras.rays(keypoints_2d, camera.intrinsics).numpy()
    pair = [cameras.Camera(*(np.take(v, i, len(batch)) for v in camera)) for i in (0, 1)]
    return pair, np.moveaxis(keypoints_2d, len(batch), 0), np.moveaxis(rays, len(batch), 0)


def relative(source, target):
    rotation, center = cameras.relative_extrinsics(source, target)
    return rotation.numpy(), center.numpy()


def test_essential_golden():
    np.testing.assert_array_equal(
        epipolar.essential_from_relative(np.eye(3), np.array([1.0, 0.0, 0.0])), RIGHTWARDS
    )


def test_a_step_to_the_right_keeps_points_on_their_rows():
    # (5, 7) comes to lie somewhere on the row 7: the line 0 u + 1 v - 7.
    np.testing.assert_allclose(epipolar.lines(RIGHTWARDS, [[5.0, 7.0]]), [[0, 1, -7]])


def test_distances_golden():
    # Rows 7 and 10 are 3 px apart: 3 px off each line; shared, each moves 1.5 px, root of
    # 2 * 1.5^2 in all. x'Fx is v' - v = 3.
    points = np.array([[5.0, 7.0]]), np.array([[4.0, 10.0]])
    np.testing.assert_allclose(epipolar.symmetric_distance(RIGHTWARDS, *points), [3.0])
    np.testing.assert_allclose(epipolar.sampson_distance(RIGHTWARDS, *points), [3 / np.sqrt(2)])


def test_a_distance_from_a_line_golden():
    # Source line of (0, 0): 3u' + 4v' + 10 = 0, which is 2 px from the origin.
    fundamental = np.array([[0.0, 0.0, 3.0], [0.0, 0.0, 4.0], [0.0, 0.0, 10.0]])
    np.testing.assert_allclose(epipolar.lines(fundamental, [[0.0, 0.0]]), [[0.6, 0.8, 2.0]])


@few_examples
@hypothesis.given(seed=seeds)
def test_points_seen_by_two_cameras_lie_on_their_lines(seed):
    (source, target), points, _ = two_views(np.random.default_rng(seed))
    fundamental = epipolar.fundamental_from_cameras(source, target)
    for distance in (epipolar.sampson_distance, epipolar.symmetric_distance):
        np.testing.assert_allclose(distance(fundamental, *points), 0.0, atol=1e-6)
    to_target = epipolar.lines(fundamental, points[0])
    on_line = np.sum(to_target * epipolar.homogeneous(points[1]), axis=-1)
    np.testing.assert_allclose(on_line, 0.0, atol=1e-6)


@few_examples
@hypothesis.given(seed=seeds)
def test_opencv_draws_the_same_lines_and_distances(seed):
    rng = np.random.default_rng(seed)
    (source, target), points, _ = two_views(rng, num_points=5)
    points = points + rng.normal(0.0, 5.0, points.shape)
    fundamental = epipolar.fundamental_from_cameras(source, target)
    theirs = cv2.computeCorrespondEpilines(points[0].reshape(-1, 1, 2), 1, fundamental)[:, 0]
    np.testing.assert_allclose(epipolar.lines(fundamental, points[0]), theirs, atol=1e-6)
    homogeneous = epipolar.homogeneous(points)
    squared = [cv2.sampsonDistance(*pair, fundamental) for pair in zip(*homogeneous, strict=True)]
    ours = epipolar.sampson_distance(fundamental, *points)
    np.testing.assert_allclose(np.square(ours), squared, rtol=1e-6, atol=1e-9)


@few_examples
@hypothesis.given(seed=seeds)
def test_fundamental_and_essential_are_each_others_inverse(seed):
    (source, target), _, _ = two_views(np.random.default_rng(seed))
    essential = epipolar.essential_from_relative(*relative(source, target))
    fundamental = epipolar.fundamental_from_essential(
        essential, source.intrinsics, target.intrinsics
    )
    np.testing.assert_allclose(fundamental, epipolar.fundamental_from_cameras(source, target))
    back = epipolar.essential_from_fundamental(fundamental, source.intrinsics, target.intrinsics)
    np.testing.assert_allclose(back, essential, atol=1e-12)


def test_decompose_golden():
    # Straight ahead, or turned by half a turn about the baseline; the baseline either way.
    rotation, center = epipolar.decompose(RIGHTWARDS)
    turns = {tuple(np.diag(matrix).round(9)) for matrix in rotation}
    assert turns == {(1.0, 1.0, 1.0), (1.0, -1.0, -1.0)}
    np.testing.assert_allclose(np.abs(center), [[1, 0, 0]] * 4, atol=1e-12)


@few_examples
@hypothesis.given(seed=seeds, sign=hypothesis.strategies.sampled_from([-3.0, 1.0]))
def test_opencv_decomposes_into_the_same_four(seed, sign):
    (source, target), _, _ = two_views(np.random.default_rng(seed))
    essential = sign * epipolar.essential_from_relative(*relative(source, target))
    rotation, center = epipolar.decompose(essential)
    first, second, translation = cv2.decomposeEssentialMat(essential)
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)
    for theirs in (first, second):
        near = np.abs(rotation - theirs).max(axis=(-2, -1)) < 1e-6
        assert near.sum() == 2
        expected = np.abs(theirs.T @ translation[:, 0])
        np.testing.assert_allclose(np.abs(center[near]), [expected] * 2, atol=1e-6)
        np.testing.assert_allclose(center[near].sum(axis=0), 0.0, atol=1e-9)


@few_examples
@hypothesis.given(seed=seeds)
def test_cheirality_finds_the_true_camera(seed):
    (source, target), _, rays = two_views(np.random.default_rng(seed))
    rotation, center = relative(source, target)
    essential = epipolar.essential_from_relative(rotation, center)
    found_rotation, found_center, in_front = epipolar.cheirality(essential, *rays)
    np.testing.assert_allclose(found_rotation, rotation, atol=1e-6)
    np.testing.assert_allclose(found_center, center / np.linalg.norm(center), atol=1e-6)
    assert in_front == 1.0


def test_no_candidate_has_a_room_in_front_that_one_view_saw_mirrored():
    # Two cameras in opposite corners, and points on both sides of the line between them: of
    # points on one side alone a mirrored view may look like a true one.
    corners = np.array([[1.8, 5.0, 1.5], [-1.8, -5.0, 1.5]])
    rig = cameras.look_at(np.tile(np.eye(3), (2, 1, 1)), corners, np.zeros((2, 3)), [0, 0, 1.0])
    points = np.random.default_rng(0).uniform(-1.5, 1.5, (50, 3))
    in_views = cameras.camera_from_world(points, rig).numpy()
    rays = in_views[..., :2] / in_views[..., 2:]
    pair = [cameras.Camera(*(value.numpy()[i] for value in rig)) for i in (0, 1)]
    essential = epipolar.essential_from_relative(*relative(*pair))
    assert epipolar.cheirality(essential, *rays)[2] == 1.0
    mirrored = np.diag([-1.0, 1.0, 1.0]) @ essential
    seen = rays * [[[1, 1]], [[-1, 1]]]
    np.testing.assert_allclose(epipolar.sampson_distance(mirrored, *seen), 0.0, atol=1e-9)
    assert epipolar.cheirality(mirrored, *seen)[2] < 0.7


def test_depths_are_those_of_the_points():
    # (1/2, 1, 2) from the origin and from (1, 0, 0): 2 m ahead of both.
    found = epipolar.depths(np.eye(3), np.array([1.0, 0, 0]), [[0.25, 0.5]], [[-0.25, 0.5]])
    np.testing.assert_allclose(found, [[2.0], [2.0]])
    behind = epipolar.depths(np.eye(3), np.array([1.0, 0, 0]), [[-0.25, 0.5]], [[0.25, 0.5]])
    np.testing.assert_allclose(behind, [[-2.0], [-2.0]])


def test_an_epipole_has_no_line_and_no_distance():
    ahead = epipolar.essential_from_relative(np.eye(3), np.array([0.0, 0.0, 1.0]))
    epipole = np.zeros((1, 2))
    np.testing.assert_array_equal(epipolar.lines(ahead, epipole), [[0, 0, 0]])
    for distance in (epipolar.sampson_distance, epipolar.symmetric_distance):
        np.testing.assert_array_equal(distance(ahead, epipole, epipole), [0.0])


@pytest.mark.parametrize("batch", BATCHES)
def test_any_batch_is_a_loop(batch):
    pair, points, rays = two_views(np.random.default_rng(0), *batch)
    fundamental = epipolar.fundamental_from_cameras(*pair)
    essential = epipolar.essential_from_fundamental(fundamental, *(c.intrinsics for c in pair))
    distance = epipolar.symmetric_distance(fundamental, points[0], points[1] + 3.0)
    rotation, center, in_front = epipolar.cheirality(essential, *rays)
    assert rotation.shape == (*batch, 3, 3)
    assert in_front.shape == batch
    for index in np.ndindex(batch):
        single = epipolar.fundamental_from_cameras(*(random_scenes.one(c, index) for c in pair))
        expected = epipolar.symmetric_distance(single, points[0][index], points[1][index] + 3.0)
        np.testing.assert_allclose(distance[index], expected)
        chosen = epipolar.cheirality(essential[index], rays[0][index], rays[1][index])
        np.testing.assert_allclose(rotation[index], chosen[0], atol=1e-9)
        np.testing.assert_allclose(center[index], chosen[1], atol=1e-9)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"`fundamental` must have .*\(2, 3\)"):
        epipolar.lines(np.zeros((2, 3)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"Points must have .*\(5, 3\)"):
        epipolar.sampson_distance(np.eye(3), np.zeros((5, 3)), np.zeros((5, 2)))
