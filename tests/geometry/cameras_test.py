import hypothesis
import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.geometry import cameras
from tests import random_scenes

BATCHES = [(), (1,), (2, 3), (0,)]
INTRINSICS = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
seeds = hypothesis.strategies.integers(0, 2**32 - 1)
few_examples = hypothesis.settings(max_examples=15, deadline=None)


def by_hand():
    """A camera at (1, 2, 3) that looks along the world's x, with the world's z up."""
    rotation = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    return cameras.from_center(INTRINSICS, rotation, np.array([1.0, 2.0, 3.0]))


def test_project_golden():
    # 1 m right and 2 m down at 4 m: 320 + 500 / 4 and 240 + 2 * 500 / 4.
    points = np.array([[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(cameras.project(points, INTRINSICS), [[445, 490]])


def test_rays_golden():
    # The pixel of the golden projection: (445 - 320) / 500 and (490 - 240) / 500.
    np.testing.assert_allclose(cameras.rays([[445.0, 490.0]], INTRINSICS), [[0.25, 0.5]])


def test_camera_from_world_golden():
    # 4 m ahead along x, 1 m to the left along y, 2 m up: (-1, -2, 4) with y down.
    moved = cameras.camera_from_world(np.array([[5.0, 3.0, 5.0]]), by_hand())
    np.testing.assert_allclose(moved, [[-1, -2, 4]])


def test_from_opencv_golden():
    # A quarter turn about z, x to y: x_camera = (-y, x, z) + (5, 6, 7) is 0 at x = -6, y = 5.
    rotation = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    camera = cameras.from_opencv(INTRINSICS, rotation, np.array([5.0, 6.0, 7.0]))
    np.testing.assert_allclose(camera.center, [-6, 5, -7])
    np.testing.assert_allclose(cameras.translation(camera), [5, 6, 7])


def test_look_at_golden():
    # From 4 m down the y axis to the origin: forward is y, right is x, down is -z.
    camera = cameras.look_at(
        INTRINSICS, np.array([0.0, -4.0, 0.0]), np.zeros(3), np.array([0.0, 0.0, 1.0])
    )
    np.testing.assert_allclose(camera.rotation, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    np.testing.assert_allclose(camera.center, [0, -4, 0])


def test_the_target_of_look_at_is_on_the_principal_point_and_up_is_up():
    rng = np.random.default_rng(0)
    center, target = random_scenes.points(rng, 20) * 5, random_scenes.points(rng, 20)
    camera = cameras.look_at(np.tile(INTRINSICS, (20, 1, 1)), center, target, [0.0, 0.0, 1.0])
    aim = np.stack([target, target + np.array([0.0, 0.0, 0.1])], axis=1)
    points = cameras.camera_from_world(aim, camera)
    keypoints_2d = cameras.project(points, camera.intrinsics).numpy()
    np.testing.assert_allclose(keypoints_2d[:, 0], np.tile([320, 240], (20, 1)), atol=1e-6)
    np.testing.assert_allclose(keypoints_2d[:, 1, 0], 320, atol=1e-6)
    assert (keypoints_2d[:, 1, 1] < 240).all()
    np.testing.assert_allclose(np.linalg.det(camera.rotation), 1.0)
    np.testing.assert_allclose(camera.center, center)


def test_center_is_the_camera_frame_origin():
    camera = random_scenes.camera(np.random.default_rng(0), 5)
    moved = cameras.camera_from_world(camera.center[:, np.newaxis], camera)
    np.testing.assert_allclose(moved, np.zeros((5, 1, 3)), atol=1e-12)


@few_examples
@hypothesis.given(seed=seeds)
def test_world_and_camera_frames_are_inverse(seed):
    rng = np.random.default_rng(seed)
    camera, points = random_scenes.camera(rng, 4), random_scenes.points(rng, 4, 6)
    moved = cameras.camera_from_world(points, camera)
    np.testing.assert_allclose(cameras.world_from_camera(moved, camera), points, atol=1e-12)


@few_examples
@hypothesis.given(seed=seeds)
def test_rays_are_the_projections_before_the_lens(seed):
    rng = np.random.default_rng(seed)
    camera, points = random_scenes.camera(rng, 4), random_scenes.points(rng, 4, 6)
    points += np.array([0.0, 0.0, 3.0])
    rays = cameras.rays(cameras.project(points, camera.intrinsics), camera.intrinsics)
    np.testing.assert_allclose(rays, points[..., :2] / points[..., 2:], atol=1e-12)


@few_examples
@hypothesis.given(seed=seeds, scale=hypothesis.strategies.floats(0.5, 20.0))
def test_projection_forgets_the_scale_of_the_scene(seed, scale):
    rng = np.random.default_rng(seed)
    intrinsics = random_scenes.intrinsics(rng)
    points = random_scenes.points(rng, 6) + np.array([0.0, 0.0, 2.0])
    np.testing.assert_allclose(
        cameras.project(scale * points, intrinsics), cameras.project(points, intrinsics)
    )


def test_meeting_point_golden():
    # One axis is the line y = 1, z = 2 along x, the other x = 3, y = 1 along z.
    up, origin = [0.0, 1.0, 0.0], np.array([[-4.0, 1.0, 2.0], [3.0, 1.0, -5.0]])
    aim = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, 0.0]])
    camera = cameras.look_at(np.stack([INTRINSICS] * 2), origin, aim, up)
    np.testing.assert_allclose(cameras.meeting_point(camera), [3, 1, 2], atol=1e-4)


def test_axes_meet_where_all_of_them_aim():
    rng = np.random.default_rng(0)
    aim, center = random_scenes.points(rng, 7, 1), 4 * random_scenes.points(rng, 7, 5)
    intrinsics = random_scenes.intrinsics(rng, 7, 5)
    camera = cameras.look_at(intrinsics, center, np.tile(aim, (1, 5, 1)), [0.0, 0.0, 1.0])
    np.testing.assert_allclose(cameras.meeting_point(camera), aim[:, 0], atol=1e-4)


def test_parallel_axes_meet_beside_the_centers():
    center = np.array([[-1.0, 0.0, 2.0], [1.0, 0.0, 2.0]])
    camera = cameras.Camera(np.stack([INTRINSICS] * 2), np.stack([np.eye(3)] * 2), center)
    np.testing.assert_allclose(cameras.meeting_point(camera), [0, 0, 2], atol=1e-4)


@pytest.mark.parametrize("depth", [0.0, 1e-9, cameras.MIN_DEPTH, -1.0, -1e6])
def test_projection_has_finite_gradients_at_and_behind_the_camera(depth):
    points = tf.constant([[0.3, -0.2, depth]])
    with tf.GradientTape() as tape:
        tape.watch(points)
        keypoints_2d = cameras.project(points, INTRINSICS)
    assert np.isfinite(keypoints_2d).all()
    assert np.isfinite(tape.gradient(keypoints_2d, points)).all()


def test_behind_the_camera_projection_continues_along_the_tangent_of_the_depth():
    # 1 / z is 10 at 0.1 m, with a slope of -100: 20 at the camera, 70 at half a meter behind it.
    for depth, inverse in ((0.1, 10.0), (0.0, 20.0), (-0.5, 70.0)):
        keypoints_2d = cameras.project(np.array([[0.3, -0.2, depth]]), INTRINSICS)
        expected = [[320 + 500 * 0.3 * inverse, 240 - 500 * 0.2 * inverse]]
        np.testing.assert_allclose(keypoints_2d, expected)


@pytest.mark.parametrize("depth", [2.0, 0.1001, 0.0999, 0.05, 0.0, -0.3, -4.0])
def test_gradients_of_projection_are_the_slopes_on_both_sides_of_the_least_depth(depth):
    point, step = np.array([[0.3, -0.2, depth]]), 1e-6
    expected = np.stack(
        [
            (
                cameras.project(point + shift, INTRINSICS)
                - cameras.project(point - shift, INTRINSICS)
            )
            / (2 * step)
            for shift in step * np.eye(3)
        ],
        axis=-1,
    )[0]
    points = tf.constant(point)
    with tf.GradientTape() as tape:
        tape.watch(points)
        keypoints_2d = cameras.project(points, INTRINSICS)
    jacobian = tape.jacobian(keypoints_2d, points)[0, :, 0]
    np.testing.assert_allclose(jacobian, expected, rtol=1e-6, atol=1e-4)


def test_an_error_pushes_a_point_out_from_behind_the_camera():
    points = tf.constant([[0.3, -0.2, -1.0]])
    with tf.GradientTape() as tape:
        tape.watch(points)
        error = tf.norm(cameras.project(points, INTRINSICS) - [[330.0, 230.0]])
    assert tape.gradient(error, points)[0, 2] < -100


@pytest.mark.parametrize("batch", BATCHES)
def test_any_batch_shape_is_a_loop_over_single_cameras(batch):
    rng = np.random.default_rng(1)
    camera, points = random_scenes.camera(rng, *batch), random_scenes.points(rng, *batch, 4)
    moved = cameras.camera_from_world(points, camera).numpy()
    keypoints_2d = cameras.project(moved, camera.intrinsics).numpy()
    assert (moved.shape, keypoints_2d.shape) == ((*batch, 4, 3), (*batch, 4, 2))
    assert cameras.world_from_camera(points, camera).shape == (*batch, 4, 3)
    assert cameras.rays(keypoints_2d, camera.intrinsics).shape == (*batch, 4, 2)
    for index in np.ndindex(batch):
        single = random_scenes.one(camera, index)
        expected = random_scenes.move(points[index], single)
        np.testing.assert_allclose(moved[index], expected, atol=1e-12)
        expected = random_scenes.project(expected, single)
        np.testing.assert_allclose(keypoints_2d[index], expected, atol=1e-9)


@pytest.mark.parametrize("batch", BATCHES)
def test_constructors_take_any_batch_shape(batch):
    rng = np.random.default_rng(2)
    intrinsics = random_scenes.intrinsics(rng, *batch)
    rotation, translation = random_scenes.opencv_extrinsics(rng, *batch)
    target = random_scenes.points(rng, *batch)
    made = [
        cameras.from_center(intrinsics, rotation, translation),
        cameras.from_opencv(intrinsics, rotation, translation),
        cameras.look_at(intrinsics, target + 3, target, [0.0, 0.0, 1.0]),
    ]
    for camera in made:
        shapes = [value.shape for value in camera]
        assert shapes == [(*batch, 3, 3), (*batch, 3, 3), (*batch, 3)]


def test_one_camera_sees_many_frames():
    camera, points = by_hand(), random_scenes.points(np.random.default_rng(3), 3, 3)
    moved = cameras.camera_from_world(points, camera)
    for frame in range(3):
        np.testing.assert_allclose(moved[frame], cameras.camera_from_world(points[frame], camera))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cameras.project(np.zeros((5, 2)), np.eye(3)), r"project.*dimension -1.*size 3"),
        (lambda: cameras.project(np.zeros((5, 4)), np.eye(3)), r"project.*dimension -1.*size 3"),
        (lambda: cameras.project(np.zeros((5, 3)), np.eye(4)), r"project.*\(4, 4\)"),
        (lambda: cameras.project(np.zeros(3), np.eye(3)), r"project.*rank"),
        (lambda: cameras.rays(np.zeros((5, 3)), np.eye(3)), r"rays.*\(5, 3\)"),
        (lambda: cameras.rays(np.zeros((5, 2)), np.eye(2)), r"rays.*\(2, 2\)"),
        (lambda: cameras.from_center(INTRINSICS, np.eye(3), np.zeros(4)), r"Camera.*\(4,\)"),
        (lambda: cameras.from_opencv(INTRINSICS, np.eye(3), np.zeros(4)), r"from_opencv.*\(4,\)"),
        (lambda: cameras.from_opencv(INTRINSICS, np.eye(2), np.zeros(3)), r"from_opencv.*\(2, 2\)"),
        (lambda: cameras.camera_from_world(np.zeros((5, 1)), by_hand()), r"camera_from.*\(5, 1\)"),
        (lambda: cameras.world_from_camera(np.zeros((5, 2)), by_hand()), r"`points`.*\(5, 2\)"),
    ],
)
def test_other_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
