"""Pinhole cameras: what they are, how they move points, what they see.

The extrinsics are those of the paper and of Human3.6M: `x_camera = rotation (x_world - center)`,
with `center` the camera's position in the world. OpenCV's `t` is not that; `from_opencv`
converts it. Cameras look along +z, x points right and y down in the image.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_mvlift.geometry import graphics

# Projection divides by the depth. Below this depth 1 / z is continued by its tangent, which keeps
# values and gradients finite; nothing is seen ten centimeters from a lens.
MIN_DEPTH = 0.1


class Camera(NamedTuple):
    """A calibrated camera without lens distortion, or a batch of them.

    Attributes:
        intrinsics: `[..., 3, 3]`, pixels, last row `[0, 0, 1]`.
        rotation: `[..., 3, 3]`, camera from world.
        center: `[..., 3]`, meters, world frame.
    """

    intrinsics: tf.Tensor
    rotation: tf.Tensor
    center: tf.Tensor


def from_center(intrinsics: tf.Tensor, rotation: tf.Tensor, center: tf.Tensor) -> Camera:
    """Makes a camera from its position: `x_camera = rotation (x_world - center)`.

    Args:
        intrinsics: `[..., 3, 3]`, pixels.
        rotation: `[..., 3, 3]`, camera from world.
        center: `[..., 3]`, meters, world frame.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.
    """
    camera = Camera(*(tf.convert_to_tensor(value) for value in (intrinsics, rotation, center)))
    tf.debugging.assert_shapes(
        [
            (camera.intrinsics, (..., 3, 3)),
            (camera.rotation, (..., 3, 3)),
            (camera.center, (..., 3)),
        ],
        message="cameras.Camera",
    )
    return camera


def from_opencv(intrinsics: tf.Tensor, rotation: tf.Tensor, translation: tf.Tensor) -> Camera:
    """Makes a camera from OpenCV's extrinsics: `x_camera = rotation x_world + translation`.

    Args:
        intrinsics: `[..., 3, 3]`, pixels.
        rotation: `[..., 3, 3]`, camera from world.
        translation: `[..., 3]`, meters, camera frame.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.
    """
    rotation = tf.convert_to_tensor(rotation)
    translation = tf.convert_to_tensor(translation, dtype=rotation.dtype)
    tf.debugging.assert_shapes(
        [(rotation, (..., 3, 3)), (translation, (..., 3))], message="cameras.from_opencv"
    )
    center = -tf.linalg.matvec(inverse(rotation), translation)
    return from_center(intrinsics, rotation, center)


def look_at(intrinsics: tf.Tensor, center: tf.Tensor, target: tf.Tensor, up: tf.Tensor) -> Camera:
    """Makes a camera at `center` whose optical axis passes through `target`.

    Args:
        intrinsics: `[..., 3, 3]`, pixels.
        center: `[..., 3]`, meters, world frame.
        target: `[..., 3]`, meters, world frame, away from `center`.
        up: `[..., 3]`, the world direction that is up in the image; not along the optical axis.
    """
    center = tf.convert_to_tensor(center)
    target, up = (tf.convert_to_tensor(value, dtype=center.dtype) for value in (target, up))
    forward = tf.linalg.normalize(target - center, axis=-1)[0]
    right = tf.linalg.normalize(cross(forward, up + tf.zeros_like(forward)), axis=-1)[0]
    down = cross(forward, right)
    return from_center(intrinsics, tf.stack([right, down, forward], axis=-2), center)


def cross(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns cross products, `[..., 3]`, by multiplications.

    `tf.linalg.cross` is several times slower, and neither ONNX nor TFLite has it.
    """
    ax, ay, az = tf.unstack(first, axis=-1)
    bx, by, bz = tf.unstack(second, axis=-1)
    return tf.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def translation(camera: Camera) -> tf.Tensor:
    """Returns OpenCV's `t`, `[..., 3]`, meters, camera frame."""
    return -tf.linalg.matvec(camera.rotation, camera.center)


def camera_from_world(points_world: tf.Tensor, camera: Camera) -> tf.Tensor:
    """Moves points `[..., J, 3]`, meters, from the world to the camera frame."""
    # Before the subtraction, which would broadcast a single coordinate.
    tf.debugging.assert_shapes([(points_world, (..., "J", 3))], message="camera_from_world")
    return rotate(points_world - camera.center[..., tf.newaxis, :], camera.rotation)


def world_from_camera(points_camera: tf.Tensor, camera: Camera) -> tf.Tensor:
    """Moves points `[..., J, 3]`, meters, from the camera to the world frame."""
    rotated = rotate(points_camera, inverse(camera.rotation))
    return rotated + camera.center[..., tf.newaxis, :]


def target_from_source(points_source: tf.Tensor, source: Camera, target: Camera) -> tf.Tensor:
    """Moves points from one camera's frame to another's: the paper's τ.

    Args:
        points_source: `[..., J, 3]`, meters, frame of `source`.
        source: The camera in whose frame the points are.
        target: The camera into whose frame they are moved.

    Returns:
        `[..., J, 3]`, meters, frame of `target`: `R_1to2 (points - t_1to2)`.

    References:
        Li et al., Geometry-driven Self-supervised Method for 3D Human Pose Estimation,
        eq. (3) and (4).
    """
    tf.debugging.assert_shapes([(points_source, (..., "J", 3))], message="target_from_source")
    rotation, center = relative_extrinsics(source, target)
    return rotate(points_source - center[..., tf.newaxis, :], rotation)


def relative_extrinsics(source: Camera, target: Camera) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns rotation and center of `target` as seen from the frame of `source`: eq. (4).

    Returns:
        `R_1to2 = R_2 R_1ᵀ`, `[..., 3, 3]`, and `t_1to2 = R_1 (t_2 - t_1)`, `[..., 3]`, meters.
    """
    rotation = tf.linalg.matmul(target.rotation, source.rotation, transpose_b=True)
    center = tf.linalg.matvec(source.rotation, target.center - source.center)
    return rotation, center


def project(
    points_camera: tf.Tensor, intrinsics: tf.Tensor, least_depth: float = MIN_DEPTH
) -> tf.Tensor:
    """Projects points in front of a camera onto its image: the paper's ρ.

    Args:
        points_camera: `[..., J, 3]`, meters, camera frame.
        intrinsics: `[..., 3, 3]`, pixels.
        least_depth: `z_0`, meters. For points nearer than that, or behind the camera, `1 / z` is
            continued linearly, `(2 - z / z_0) / z_0`: the farther behind, the larger their image,
            so that an error pushes them out.

    Returns:
        `[..., J, 2]`, pixels.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.

    References:
        Li et al., eq. (1); Hartley and Zisserman, Multiple View Geometry, 2nd ed., eq. (6.5).
    """
    points_camera = tf.convert_to_tensor(points_camera)
    intrinsics = tf.convert_to_tensor(intrinsics, dtype=points_camera.dtype)
    tf.debugging.assert_shapes(
        [(points_camera, (..., "J", 3)), (intrinsics, (..., 3, 3))], message="cameras.project"
    )
    least = tf.cast(least_depth, points_camera.dtype)
    depth = tf.maximum(points_camera[..., 2:], least)
    stretch = 1.0 + (depth - points_camera[..., 2:]) / least
    guarded = tf.concat([stretch * points_camera[..., :2], depth], axis=-1)
    focal, principal_point = (value[..., tf.newaxis, :] for value in _focal_and_center(intrinsics))
    return graphics.perspective.project(guarded, focal, principal_point)


def rays(keypoints_2d: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    """Turns pixels into viewing rays: the image points of a camera with `K = I`.

    Args:
        keypoints_2d: `[..., J, 2]`, pixels.
        intrinsics: `[..., 3, 3]`, pixels.

    Returns:
        `[..., J, 2]`, x and y of the ray at depth one.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.
    """
    keypoints_2d = tf.convert_to_tensor(keypoints_2d)
    intrinsics = tf.convert_to_tensor(intrinsics, dtype=keypoints_2d.dtype)
    tf.debugging.assert_shapes(
        [(keypoints_2d, (..., "J", 2)), (intrinsics, (..., 3, 3))], message="cameras.rays"
    )
    focal, principal_point = _focal_and_center(intrinsics)
    return (keypoints_2d - principal_point[..., tf.newaxis, :]) / focal[..., tf.newaxis, :]


def meeting_point(camera: Camera) -> tf.Tensor:
    """Finds the point nearest to the optical axes of a rig, in the least-squares sense.

    Args:
        camera: A rig of two or more cameras, fields `[..., V, ...]`.

    Returns:
        `[..., 3]`, meters, world frame. With parallel axes, the point nearest to the centers.
    """
    axis = camera.rotation[..., 2, :]
    identity = tf.eye(3, dtype=axis.dtype)
    across = identity - axis[..., :, tf.newaxis] * axis[..., tf.newaxis, :]
    # A whisper of damping picks the point nearest to the centers where the axes leave a choice.
    damped = across + tf.cast(1e-6, axis.dtype) * identity
    right = tf.reduce_sum(tf.linalg.matvec(damped, camera.center), axis=-2)
    return tf.linalg.solve(tf.reduce_sum(damped, axis=-3), right[..., tf.newaxis])[..., 0]


def _focal_and_center(intrinsics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    focal = tf.stack([intrinsics[..., 0, 0], intrinsics[..., 1, 1]], axis=-1)
    return focal, intrinsics[..., :2, 2]


# Rotations of points by matrices of any batch shape.

_SMALL_SQUARED_ANGLE = 1e-6


def rotate(points: tf.Tensor, rotation: tf.Tensor) -> tf.Tensor:
    """Rotates sets of points, one matrix per set.

    Args:
        points: `[..., J, 3]`, any unit.
        rotation: `[..., 3, 3]`, broadcastable to the leading axes of `points`.

    Returns:
        `[..., J, 3]`, `rotation @ point` for each point.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.
    """
    points = tf.convert_to_tensor(points)
    rotation = tf.convert_to_tensor(rotation, dtype=points.dtype)
    _check_trailing(points, rotation)
    # Without an axis for the joints, a batch of J matrices would silently broadcast over them.
    rotation = rotation[..., tf.newaxis, :, :]
    if points.shape.is_fully_defined() and rotation.shape.is_fully_defined():
        return graphics.rotation_matrix_3d.rotate(points, rotation)
    # tensorflow_graphics compares batch shapes statically and refuses unknown ones.
    return tf.linalg.matvec(rotation, points)


def from_axis_angle(axis: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Makes rotation matrices from axes and angles.

    Args:
        axis: `[..., 3]`, unit vectors.
        angle: `[...]`, radians, counter-clockwise seen against the axis.

    Returns:
        `[..., 3, 3]`.
    """
    axis = tf.convert_to_tensor(axis)
    angle = tf.convert_to_tensor(angle, dtype=axis.dtype)
    return graphics.rotation_matrix_3d.from_axis_angle(axis, angle[..., tf.newaxis])


def from_rotation_vector(vector: tf.Tensor) -> tf.Tensor:
    """Makes rotation matrices from axes times angles, with finite gradients at no rotation too.

    Args:
        vector: `[..., 3]`, radians.

    Returns:
        `[..., 3, 3]`.
    """
    vector = tf.convert_to_tensor(vector)
    squared = tf.reduce_sum(tf.square(vector), axis=-1)[..., tf.newaxis, tf.newaxis]
    is_small = squared < _SMALL_SQUARED_ANGLE
    # The root's gradient at zero is infinite; there the first terms of the series are exact.
    angle = tf.sqrt(tf.where(is_small, tf.ones_like(squared), squared))
    first = tf.where(is_small, 1 - squared / 6, tf.sin(angle) / angle)
    second = tf.where(is_small, 0.5 - squared / 24, (1 - tf.cos(angle)) / tf.square(angle))
    x, y, z = tf.unstack(vector, axis=-1)
    zero = tf.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    cross = tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)
    return tf.eye(3, dtype=vector.dtype) + first * cross + second * tf.linalg.matmul(cross, cross)


def inverse(rotation: tf.Tensor) -> tf.Tensor:
    """Inverts rotation matrices `[..., 3, 3]`, which transposes them."""
    return tf.linalg.matrix_transpose(rotation)


def _check_trailing(points: tf.Tensor, rotation: tf.Tensor) -> None:
    if points.shape.rank is not None and (points.shape.rank < 2 or points.shape[-1] != 3):
        raise ValueError(f"`points` must have shape [..., J, 3]. Received: {points.shape}.")
    if rotation.shape.rank is not None and rotation.shape[-2:] != (3, 3):
        raise ValueError(f"`rotation` must have shape [..., 3, 3]. Received: {rotation.shape}.")


# Lens distortion: removed in the readers, met nowhere behind them.

_NUM_ITERATIONS = 20


def distort(rays: tf.Tensor, coefficients: tf.Tensor) -> tf.Tensor:
    """Applies OpenCV's five-parameter distortion to rays.

    Args:
        rays: `[..., J, 2]`, rays of an ideal camera.
        coefficients: `[..., 5]`, `(k1, k2, p1, p2, k3)`, no unit.

    Returns:
        `[..., J, 2]`, rays as the lens bends them.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.

    References:
        OpenCV, Camera Calibration and 3D Reconstruction, "Detailed Description".
    """
    rays = tf.convert_to_tensor(rays)
    radial, tangential = _distortion(rays, tf.convert_to_tensor(coefficients, rays.dtype))
    return rays * radial + tangential


def undistort(rays: tf.Tensor, coefficients: tf.Tensor) -> tf.Tensor:
    """Inverts `distort` by fixed-point iteration; same shapes, units and errors."""
    distorted = tf.convert_to_tensor(rays)
    coefficients = tf.convert_to_tensor(coefficients, distorted.dtype)
    rays = distorted
    for _ in range(_NUM_ITERATIONS):
        radial, tangential = _distortion(rays, coefficients)
        rays = (distorted - tangential) / radial
    return rays


def _distortion(rays: tf.Tensor, coefficients: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    shapes = [(rays, (..., "J", 2)), (coefficients, (..., 5))]
    tf.debugging.assert_shapes(shapes, message="distortion")
    k1, k2, p1, p2, k3 = tf.unstack(coefficients[..., tf.newaxis, :], axis=-1)
    x, y = tf.unstack(rays, axis=-1)
    squared = x * x + y * y
    radial = 1 + squared * (k1 + squared * (k2 + squared * k3))
    tangential = tf.stack(
        [
            2 * p1 * x * y + p2 * (squared + 2 * x * x),
            p1 * (squared + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    return radial[..., tf.newaxis], tangential
