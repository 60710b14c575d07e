import inspect
import sys

import cv2
import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial import transform

from keras_mvlift.geometry import cameras
from tests import forks, random_scenes

BATCHES = [(), (1,), (2, 3), (0,)]
INTRINSICS = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
seeds = hypothesis.strategies.integers(0, 2**32 - 1)
few_examples = hypothesis.settings(max_examples=15, deadline=None)


def by_hand(array=np.asarray):
    """A camera at (1, 2, 3) that looks along the world's x, with the world's z up."""
    rotation = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    return cameras.Camera(*map(array, (INTRINSICS, rotation, np.array([1.0, 2.0, 3.0]))))


@random_scenes.ARRAYS
def test_project_golden(array):
    # 1 m right and 2 m down at 4 m: 320 + 500 / 4 and 240 + 2 * 500 / 4.
    points = array([[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(cameras.project(points, INTRINSICS), [[445, 490]])


@pytest.mark.parametrize("batch", BATCHES)
def test_without_tensorflow_graphics_tensors_are_projected_and_rotated_alike(batch, monkeypatch):
    rng = np.random.default_rng(5)
    points = rng.normal((0, 0, 1), size=(*batch, 4, 3))
    rotation = transform.Rotation.random(random_state=5).as_matrix() + np.zeros((*batch, 1, 1))
    scene = (points, INTRINSICS), (points, rotation)
    called = [cameras.project, cameras.rotate]
    expected = [call(*map(tf.constant, given)) for call, given in zip(called, scene, strict=True)]
    monkeypatch.setattr(cameras, "_graphics", lambda: None)
    for call, given, there in zip(called, scene, expected, strict=True):
        np.testing.assert_allclose(call(*map(tf.constant, given)), there, rtol=1e-12, atol=1e-12)


@random_scenes.ARRAYS
def test_rays_golden(array):
    # The pixel of the golden projection: (445 - 320) / 500 and (490 - 240) / 500.
    np.testing.assert_allclose(cameras.rays(array([[445.0, 490.0]]), INTRINSICS), [[0.25, 0.5]])
    np.testing.assert_allclose(cameras.pixels(array([[0.25, 0.5]]), INTRINSICS), [[445, 490]])


@random_scenes.ARRAYS
def test_camera_from_world_golden(array):
    # 4 m ahead along x, 1 m to the left along y, 2 m up: (-1, -2, 4) with y down; right above
    # the image's middle by 2 / 4 and beside it by 1 / 4 of the focal length.
    point, camera = array([[5.0, 3.0, 5.0]]), by_hand(array)
    np.testing.assert_allclose(cameras.camera_from_world(point, camera), [[-1, -2, 4]])
    seen = cameras.project_from_world(point, camera)
    np.testing.assert_allclose(seen, [[320 - 125, 240 - 250]])


@random_scenes.ARRAYS
def test_from_opencv_golden(array):
    # A quarter turn about z, x to y: x_camera = (-y, x, z) + (5, 6, 7) is 0 at x = -6, y = 5.
    rotation = array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    camera = cameras.from_opencv(INTRINSICS, rotation, array([5.0, 6.0, 7.0]))
    np.testing.assert_allclose(camera.center, [-6, 5, -7])
    np.testing.assert_allclose(cameras.translation(camera), [5, 6, 7])


@few_examples
@hypothesis.given(seed=seeds)
def test_opencv_projects_and_turns_alike(seed):
    rng = np.random.default_rng(seed)
    vector, points = rng.uniform(-2.0, 2.0, 3), random_scenes.points(rng, 6)
    translation = np.array([0.2, -0.1, 4.0])
    camera = cameras.from_opencv(INTRINSICS, cameras.from_rotation_vector(vector), translation)
    theirs, _ = cv2.projectPoints(points, vector, translation, INTRINSICS, None)
    for array in (np.asarray, tf.constant):
        rig = cameras.Camera(*map(array, camera))
        seen = cameras.project_from_world(array(points), rig)
        np.testing.assert_allclose(seen, theirs[:, 0], rtol=1e-9)


@random_scenes.ARRAYS
def test_look_at_golden(array):
    # From 4 m down the y axis to the origin: forward is y, right is x, down is -z.
    camera = cameras.look_at(
        INTRINSICS, array([0.0, -4.0, 0.0]), np.zeros(3), np.array([0.0, 0.0, 1.0])
    )
    np.testing.assert_allclose(camera.rotation, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    np.testing.assert_allclose(camera.center, [0, -4, 0])


def test_the_target_of_look_at_is_on_the_principal_point_and_up_is_up():
    rng = np.random.default_rng(0)
    center, target = random_scenes.points(rng, 20) * 5, random_scenes.points(rng, 20)
    camera = cameras.look_at(np.tile(INTRINSICS, (20, 1, 1)), center, target, [0.0, 0.0, 1.0])
    aim = np.stack([target, target + np.array([0.0, 0.0, 0.1])], axis=1)
    points = cameras.camera_from_world(aim, camera)
    keypoints_2d = cameras.project(points, camera.intrinsics)
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
    point = np.array([[0.3, -0.2, depth]])
    ahead, behind = (
        [cameras.project(point + step, INTRINSICS) for step in size * np.eye(3)]
        for size in (1e-6, -1e-6)
    )
    expected = np.subtract(ahead, behind)[:, 0].T / 2e-6
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


@random_scenes.ARRAYS
@pytest.mark.parametrize("batch", BATCHES)
def test_any_batch_shape_is_a_loop_over_single_cameras(batch, array):
    rng = np.random.default_rng(1)
    camera, points = random_scenes.camera(rng, *batch), random_scenes.points(rng, *batch, 4)
    moved = cameras.camera_from_world(array(points), camera)
    keypoints_2d = cameras.project(moved, camera.intrinsics)
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
        cameras.from_opencv(intrinsics, rotation, translation),
        cameras.look_at(intrinsics, target + 3, target, [0.0, 0.0, 1.0]),
    ]
    for camera in made:
        shapes = [value.shape for value in camera]
        assert shapes == [(*batch, 3, 3), (*batch, 3, 3), (*batch, 3)]


@random_scenes.ARRAYS
def test_a_rig_sees_many_frames(array):
    rng = np.random.default_rng(3)
    rig, points = random_scenes.camera(rng, 2), random_scenes.points(rng, 3, 5)
    seen = cameras.expand(cameras.Camera(*map(array, rig)), -1)
    moved = cameras.camera_from_world(array(points), seen)
    assert moved.shape == (2, 3, 5, 3)
    for view, frame in np.ndindex(2, 3):
        expected = random_scenes.move(points[frame], random_scenes.one(rig, view))
        np.testing.assert_allclose(moved[view, frame], expected, atol=1e-12)
    assert [field.shape[:2] for field in cameras.expand(rig, -2)] == [(1, 2)] * 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cameras.project(np.zeros((5, 2)), np.eye(3)), r"`points_camera`.*\(5, 2\)"),
        (lambda: cameras.project(tf.zeros((5, 4)), np.eye(3)), r"`points_camera`.*\(5, 4\)"),
        (lambda: cameras.project(np.zeros((5, 3)), np.eye(4)), r"`intrinsics`.*\(4, 4\)"),
        (lambda: cameras.project(np.zeros(3), np.eye(3)), r"`points_camera`.*\(3,\)"),
        (lambda: cameras.rays(np.zeros((5, 3)), np.eye(3)), r"`keypoints_2d`.*\(5, 3\)"),
        (lambda: cameras.rays(tf.zeros((5, 2)), np.eye(2)), r"`intrinsics`.*\(2, 2\)"),
        (lambda: cameras.pixels(np.zeros((5, 3)), np.eye(3)), r"`rays`.*\(5, 3\)"),
        (lambda: cameras.from_opencv(INTRINSICS, np.eye(3), np.zeros(4)), r"`translation`.*\(4,\)"),
        (lambda: cameras.from_opencv(INTRINSICS, np.eye(2), np.zeros(3)), r"`rotation`.*\(2, 2\)"),
        (lambda: cameras.camera_from_world(np.zeros((5, 1)), by_hand()), r"`points_.*\(5, 1\)"),
        (lambda: cameras.world_from_camera(np.zeros((5, 2)), by_hand()), r"`points`.*\(5, 2\)"),
        (lambda: cameras.target_from_source(np.zeros((5, 1)), *2 * [by_hand()]), r"`points_source"),
        (lambda: cameras.rotate(np.zeros((5, 2)), np.eye(3)), r"`points`.*\(5, 2\)"),
        (lambda: cameras.rotate(np.zeros((5, 3)), np.zeros((3, 4))), r"`rotation`.*\(3, 4\)"),
    ],
)
def test_other_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Rotations.


@random_scenes.ARRAYS
def test_rotate_golden(array):
    # A quarter turn about z: x becomes y, y becomes -x.
    quarter_turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rotated = cameras.rotate(array([[1.0, 0.0, 5.0], [0.0, 2.0, 6.0]]), quarter_turn)
    np.testing.assert_allclose(rotated, [[0, 1, 5], [-2, 0, 6]])


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        # Counter-clockwise, seen against the axis: y to z, z to x, x to y.
        ([1.0, 0.0, 0.0], [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
        ([0.0, 1.0, 0.0], [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
        ([0.0, 0.0, 1.0], [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    ],
)
def test_from_rotation_vector_golden(axis, expected):
    rotation = cameras.from_rotation_vector(np.pi / 2 * np.array(axis))
    np.testing.assert_allclose(rotation, expected, atol=1e-12)


@random_scenes.ARRAYS
@pytest.mark.parametrize("batch", BATCHES)
def test_any_batch_shape_is_a_loop_over_single_rotations(batch, array):
    rng = np.random.default_rng(0)
    rotation, points = random_scenes.rotation(rng, *batch), random_scenes.points(rng, *batch, 4)
    rotated = cameras.rotate(array(points), rotation)
    turn = cameras.from_rotation_vector(rotation[..., 0] * rng.uniform(size=(*batch, 1)))
    assert rotated.shape == (*batch, 4, 3)
    assert cameras.inverse(rotation).shape == (*batch, 3, 3)
    assert turn.shape == (*batch, 3, 3)
    for index in np.ndindex(batch):
        expected = [rotation[index] @ point for point in points[index]]
        np.testing.assert_allclose(rotated[index], expected, atol=1e-12)


@random_scenes.ARRAYS
def test_one_rotation_turns_many_sets_and_many_turn_one(array):
    rng = np.random.default_rng(0)
    rotation, points = random_scenes.rotation(rng, 3), random_scenes.points(rng, 3, 3)
    one_rotation = cameras.rotate(array(points), rotation[0])
    one_set = cameras.rotate(array(points[0]), rotation)
    for index in range(3):
        expected = points[index] @ rotation[0].T
        np.testing.assert_allclose(one_rotation[index], expected, atol=1e-12)
        np.testing.assert_allclose(one_set[index], points[0] @ rotation[index].T, atol=1e-12)


@random_scenes.ARRAYS
def test_as_many_rotations_as_joints_do_not_turn_joint_by_joint(array):
    rng = np.random.default_rng(0)
    rotation, points = random_scenes.rotation(rng, 4), random_scenes.points(rng, 4, 4)
    rotated = cameras.rotate(array(points), rotation)
    for example in range(4):
        expected = points[example] @ rotation[example].T
        np.testing.assert_allclose(rotated[example], expected, atol=1e-12)


def test_a_graph_of_unknown_batch_size_rotates_as_eager_code():
    signature = [tf.TensorSpec([None, 4, 3], tf.float64), tf.TensorSpec([None, 3, 3], tf.float64)]
    graph = tf.function(cameras.rotate, input_signature=signature)
    for batch in (4, 1, 0):
        rng = np.random.default_rng(0)
        rotation, points = random_scenes.rotation(rng, batch), random_scenes.points(rng, batch, 4)
        expected = cameras.rotate(points, rotation)
        np.testing.assert_allclose(graph(points, rotation), expected, atol=1e-12)


@random_scenes.ARRAYS
@pytest.mark.parametrize("angle", [0.0, 1e-5, 9e-4, 1.1e-3, 0.5, 3.0])
def test_a_rotation_vector_is_an_axis_times_an_angle(angle, array):
    axis = np.array([2.0, -1.0, 2.0]) / 3
    expected = transform.Rotation.from_rotvec(angle * axis).as_matrix()
    rotation = cameras.from_rotation_vector(array(angle * axis))
    np.testing.assert_allclose(rotation, expected, atol=1e-12)


@random_scenes.ARRAYS
def test_cross_products_and_their_matrices(array):
    first, second = random_scenes.points(np.random.default_rng(0), 2, 3, 4)
    expected = np.cross(first, second)
    np.testing.assert_allclose(cameras.cross(array(first), array(second)), expected)
    turned = cameras.cross_matrix(array(first)) @ second[..., np.newaxis]
    np.testing.assert_allclose(turned[..., 0], expected)


def test_rotations_are_told_from_reflections_and_from_what_stretches():
    rotation = random_scenes.rotation(np.random.default_rng(0), 4)
    rotation[1] *= -1.0
    rotation[2] *= 1.001
    rotation[3, 0, 0] = np.nan
    assert cameras.is_rotation(rotation).tolist() == [True, False, False, False]
    assert cameras.is_rotation(rotation, 1e-2).tolist() == [True, False, True, False]


def test_no_rotation_has_the_gradient_of_a_small_one():
    vector = tf.Variable(np.zeros(3))
    with tf.GradientTape() as tape:
        rotation = cameras.from_rotation_vector(vector)
    # A turn about z moves x towards y.
    by_vector = tape.jacobian(rotation, vector)[1, 0]
    np.testing.assert_allclose(by_vector, [0, 0, 1], atol=1e-12)


# The paper's τ, where extrinsics of another convention would go wrong without a word.


def from_center(rng, *batch):
    """A camera from its center, and OpenCV's rotation and translation of the same camera."""
    rotation, translation = random_scenes.opencv_extrinsics(rng, *batch)
    center = -np.einsum("...ji,...j->...i", rotation, translation)
    intrinsics = random_scenes.intrinsics(rng, *batch)
    return cameras.Camera(intrinsics, rotation, center), rotation, translation


def from_opencv(rng, *batch):
    rotation, translation = random_scenes.opencv_extrinsics(rng, *batch)
    intrinsics = random_scenes.intrinsics(rng, *batch)
    return cameras.from_opencv(intrinsics, rotation, translation), rotation, translation


def look_at(rng, *batch):
    center = 5.0 * random_scenes.points(rng, *batch)
    aim = random_scenes.points(rng, *batch)
    intrinsics = random_scenes.intrinsics(rng, *batch)
    camera = cameras.look_at(intrinsics, center, aim, [0.0, 0.0, 1.0])
    # Its rows are the camera's axes in the world: right, down, forward.
    forward = (aim - center) / np.linalg.norm(aim - center, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=-2)
    return camera, rotation, -np.einsum("...ij,...j->...i", rotation, center)


MAKERS = pytest.mark.parametrize("make", [from_center, from_opencv, look_at])


@MAKERS
@few_examples
@hypothesis.given(seed=seeds)
def test_it_is_the_way_through_the_world(make, seed):
    rng = np.random.default_rng(seed)
    source, target = make(rng)[0], make(rng)[0]
    points = random_scenes.points(rng, 6)
    through_world = cameras.camera_from_world(cameras.world_from_camera(points, source), target)
    moved = cameras.target_from_source(points, source, target)
    np.testing.assert_allclose(moved, through_world, atol=1e-12)


@MAKERS
@few_examples
@hypothesis.given(seed=seeds)
def test_it_is_opencvs_extrinsics_undone_and_applied(make, seed):
    rng = np.random.default_rng(seed)
    source, source_rotation, source_translation = make(rng)
    target, target_rotation, target_translation = make(rng)
    points = random_scenes.points(rng, 6)
    world = [source_rotation.T @ (point - source_translation) for point in points]
    expected = [target_rotation @ point + target_translation for point in world]
    moved = cameras.target_from_source(points, source, target)
    np.testing.assert_allclose(moved, expected, atol=1e-12)


@MAKERS
def test_there_and_back_is_home(make):
    rng = np.random.default_rng(0)
    source, target = make(rng, 5)[0], make(rng, 5)[0]
    points = random_scenes.points(rng, 5, 6)
    there = cameras.target_from_source(points, source, target)
    back = cameras.target_from_source(there, target, source)
    assert np.abs(there - points).max() > 1
    np.testing.assert_allclose(back, points, atol=1e-12)


def test_relative_extrinsics_golden():
    # The first camera stands at (1, 2, 3) and looks along x; the second stands at (4, 2, 4),
    # which is 3 m ahead and 1 m up: (0, -1, 3). It has the world's axes; their x is forward.
    axes = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    source = cameras.Camera(np.eye(3), axes, np.array([1.0, 2.0, 3.0]))
    target = cameras.Camera(np.eye(3), np.eye(3), np.array([4.0, 2.0, 4.0]))
    rotation, center = cameras.relative_extrinsics(source, target)
    np.testing.assert_allclose(center, [0, -1, 3])
    np.testing.assert_allclose(rotation, [[0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def test_relative_extrinsics_are_eq_4_as_printed():
    rng = np.random.default_rng(0)
    first, second = random_scenes.camera(rng), random_scenes.camera(rng)
    rotation, center = cameras.relative_extrinsics(first, second)
    np.testing.assert_allclose(rotation, second.rotation @ first.rotation.T)
    np.testing.assert_allclose(center, first.rotation @ (second.center - first.center))
    # There the target's frame begins.
    moved = cameras.target_from_source(center[np.newaxis], first, second)
    np.testing.assert_allclose(moved, np.zeros((1, 3)), atol=1e-12)


# As many examples as joints: rotations without an axis for joints would broadcast over them.
@random_scenes.ARRAYS
@pytest.mark.parametrize("batch", [(), (17,), (3,), (17, 17), (2, 17), (0,)])
def test_each_example_moves_by_its_own_cameras(batch, array):
    rng = np.random.default_rng(0)
    source, target = random_scenes.camera(rng, *batch), random_scenes.camera(rng, *batch)
    points = random_scenes.points(rng, *batch, 17)
    moved = cameras.target_from_source(array(points), source, target)
    assert moved.shape == (*batch, 17, 3)
    for index in np.ndindex(batch):
        here, there = random_scenes.one(source, index), random_scenes.one(target, index)
        world = points[index] @ here.rotation + here.center
        np.testing.assert_allclose(moved[index], random_scenes.move(world, there), atol=1e-12)


def test_a_graph_of_unknown_batch_size_moves_and_projects_as_eager_code():
    camera = cameras.Camera(*(tf.TensorSpec([None, *size]) for size in ([3, 3], [3, 3], [3])))

    def see(points, source, target):
        moved = cameras.target_from_source(points, source, target)
        world = cameras.world_from_camera(moved, target)
        again = cameras.camera_from_world(world, target)
        return cameras.project(again, target.intrinsics)

    graph = tf.function(see, input_signature=[tf.TensorSpec([None, 17, 3]), camera, camera])
    for batch in (17, 3, 0):
        rng = np.random.default_rng(batch)
        world, source = random_scenes.points(rng, batch, 17), random_scenes.camera(rng, batch)
        points = cameras.camera_from_world(world, source)
        arguments = (points, source, random_scenes.camera(rng, batch))
        single = tf.nest.map_structure(lambda value: tf.cast(value, tf.float32), arguments)
        np.testing.assert_allclose(graph(*single), see(*arguments), atol=0.05)
    assert graph.experimental_get_tracing_count() == 1


def import_afresh(told):
    """Notes how many sources are read while tensorflow_graphics is imported, and which modules.

    And how often the module of anything is searched for among all: each of its modules asks for
    its own once.
    """
    reads, searches = [], []
    find_source, find_module, stack = inspect.findsource, inspect.getmodule, inspect.stack
    inspect.findsource = lambda thing: reads.append(thing) or find_source(thing)
    inspect.getmodule = lambda *things: searches.append(things) or find_module(*things)
    before = {*sys.modules}
    cameras._graphics()
    assert inspect.stack is stack
    new = [name for name in {*sys.modules} - before if name.startswith("tensorflow_graphics")]
    told.write_text(f"{len(reads)} {0 < len(searches) <= len(new)}")


def test_tensors_are_projected_and_rotated_by_tensorflow_graphics():
    graphics = cameras._graphics()
    for module, path, name in (
        (graphics.perspective, "rendering.camera.perspective", "project"),
        (graphics.rotation_matrix_3d, "geometry.transformation.rotation_matrix_3d", "rotate"),
    ):
        assert module is sys.modules[f"tensorflow_graphics.{path}"]
        assert name in module.__all__


def test_importing_it_reads_no_source_lines_and_searches_no_module_of_other_frames(tmp_path):
    process = forks.start(import_afresh, tmp_path / "told")
    process.join()
    assert (tmp_path / "told").read_text() == "0 True"


def test_the_stack_of_two_is_the_own_frame_and_the_calling_one():
    def own():
        return cameras._own_and_calling_frame()

    first, calling = own()
    assert (first.function, first.code_context) == ("own", None)
    assert calling.function == "test_the_stack_of_two_is_the_own_frame_and_the_calling_one"


def test_the_stack_is_as_it_was_even_if_an_import_fails(monkeypatch):
    stack = inspect.stack
    monkeypatch.setitem(sys.modules, "tensorflow_graphics.rendering.camera", None)
    with pytest.raises(ImportError):
        cameras._graphics.__wrapped__()
    assert inspect.stack is stack
