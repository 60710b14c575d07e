"""Pinhole cameras: what they are, how they move points, what they see.

The extrinsics are those of the paper and of Human3.6M: `x_camera = rotation (x_world - center)`,
with `center` the camera's position in the world. OpenCV's `t` is not that; `from_opencv`
converts it. Cameras look along +z, x points right and y down in the image.

Of NumPy arrays all functions make NumPy arrays, of tensors tensors, for which tensorflow_graphics
projects and rotates where it is installed. They raise a ValueError if a trailing dimension is not
the one stated.
"""

import functools
import importlib.util
import inspect
import sys
import types
from typing import NamedTuple

import numpy as np

from keras_mvlift.geometry import arrays

# Projection divides by the depth. Below this depth 1 / z is continued by its tangent, which keeps
# values and gradients finite; nothing is seen ten centimeters from a lens.
MIN_DEPTH = 0.1


class Camera(NamedTuple):
    """A calibrated camera without lens distortion, or a batch of them."""

    intrinsics: arrays.Array  # [..., 3, 3], pixels, last row [0, 0, 1].
    rotation: arrays.Array  # [..., 3, 3], camera from world.
    center: arrays.Array  # [..., 3], meters, world frame.


def from_opencv(
    intrinsics: arrays.Array, rotation: arrays.Array, translation: arrays.Array
) -> Camera:
    """Makes a camera from OpenCV's extrinsics: `x_camera = rotation x_world + translation`.

    The translation is `[..., 3]`, meters, camera frame; the others are as of `Camera`.
    """
    _, rotation, translation, intrinsics = arrays.convert(rotation, translation, intrinsics)
    arrays.check_shapes(
        intrinsics=(intrinsics, "3 3"), rotation=(rotation, "3 3"), translation=(translation, "3")
    )
    return Camera(intrinsics, rotation, -arrays.matvec(inverse(rotation), translation))


def translation(camera: Camera) -> arrays.Array:
    """Returns OpenCV's `t`, `[..., 3]`, meters, camera frame."""
    return -arrays.matvec(camera.rotation, camera.center)


def look_at(
    intrinsics: arrays.Array, center: arrays.Array, target: arrays.Array, up: arrays.Array
) -> Camera:
    """Makes a camera at `center` whose optical axis passes through `target`.

    Args:
        intrinsics: `[..., 3, 3]`, pixels.
        center: `[..., 3]`, meters, world frame.
        target: `[..., 3]`, meters, world frame, away from `center`.
        up: `[..., 3]`, the world direction that is up in the image; not along the optical axis.
    """
    xp, center, target, up, intrinsics = arrays.convert(center, target, up, intrinsics)
    forward = target - center
    forward = forward / xp.linalg.norm(forward, axis=-1, keepdims=True)
    right = cross(forward, up + xp.zeros_like(forward))
    right = right / xp.linalg.norm(right, axis=-1, keepdims=True)
    down = cross(forward, right)
    return Camera(intrinsics, xp.stack([right, down, forward], axis=-2), center)


def expand(camera: Camera, axis: int) -> Camera:
    """Adds an axis of size one to cameras, at a place among their leading axes.

    Of fields `[..., V, ...]`, -1 makes `[..., V, 1, ...]`, so that a rig sees clips `[V, T, J, 3]`;
    -2 makes `[..., 1, V, ...]`.
    """
    add = arrays.namespace(*camera).expand_dims
    intrinsics, rotation = (add(matrix, axis - 2) for matrix in camera[:2])
    return Camera(intrinsics, rotation, add(camera.center, axis - 1))


def turn_world(camera: Camera, turn: arrays.Array) -> Camera:
    """Returns cameras, fields `[..., ...]`, in a world that is turned by `turn`, `[3, 3]`."""
    turned = arrays.times_transposed(camera.rotation, turn)
    center = rotate(camera.center[..., np.newaxis, :], turn)[..., 0, :]
    return Camera(camera.intrinsics, turned, center)


def camera_from_world(points_world: arrays.Array, camera: Camera) -> arrays.Array:
    """Moves points `[..., J, 3]`, meters, from the world to the camera frame."""
    # Before the subtraction, which would broadcast a single coordinate.
    _, points_world, center, rotation = arrays.convert(points_world, camera.center, camera.rotation)
    arrays.check_shapes(points_world=(points_world, "J 3"))
    return rotate(points_world - center[..., np.newaxis, :], rotation)


def world_from_camera(points_camera: arrays.Array, camera: Camera) -> arrays.Array:
    """Moves points `[..., J, 3]`, meters, from the camera to the world frame."""
    rotated = rotate(points_camera, inverse(camera.rotation))
    return rotated + camera.center[..., np.newaxis, :]


def target_from_source(points_source: arrays.Array, source: Camera, target: Camera) -> arrays.Array:
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
    rotation, center = relative_extrinsics(source, target)
    _, points_source, center, rotation = arrays.convert(points_source, center, rotation)
    arrays.check_shapes(points_source=(points_source, "J 3"))
    return rotate(points_source - center[..., np.newaxis, :], rotation)


def relative_extrinsics(source: Camera, target: Camera) -> tuple[arrays.Array, arrays.Array]:
    """Returns rotation and center of `target` as seen from the frame of `source`: eq. (4).

    Returns:
        `R_1to2 = R_2 R_1ᵀ`, `[..., 3, 3]`, and `t_1to2 = R_1 (t_2 - t_1)`, `[..., 3]`, meters.
    """
    rotation = arrays.times_transposed(target.rotation, source.rotation)
    center = arrays.matvec(source.rotation, target.center - source.center)
    return rotation, center


def project(
    points_camera: arrays.Array, intrinsics: arrays.Array, least_depth: float = MIN_DEPTH
) -> arrays.Array:
    """Projects points in front of a camera onto its image: the paper's ρ.

    Args:
        points_camera: `[..., J, 3]`, meters, camera frame.
        intrinsics: `[..., 3, 3]`, pixels.
        least_depth: `z_0`, meters. For points nearer than that, or behind the camera, `1 / z` is
            continued linearly, `(2 - z / z_0) / z_0`: the farther behind, the larger their image,
            so that an error pushes them out.

    Returns:
        `[..., J, 2]`, pixels.

    References:
        Li et al., eq. (1); Hartley and Zisserman, Multiple View Geometry, 2nd ed., eq. (6.5).
    """
    xp, points_camera, intrinsics = arrays.convert(points_camera, intrinsics)
    arrays.check_shapes(points_camera=(points_camera, "J 3"), intrinsics=(intrinsics, "3 3"))
    least = xp.asarray(least_depth, dtype=points_camera.dtype)
    depth = xp.maximum(points_camera[..., 2:], least)
    stretch = 1.0 + (depth - points_camera[..., 2:]) / least
    aside = stretch * points_camera[..., :2]
    graphics = None if xp is np else _graphics()
    if graphics is None:
        return pixels(aside / depth, intrinsics)
    guarded = xp.concatenate([aside, depth], axis=-1)
    return graphics.perspective.project(guarded, *_lens(intrinsics))


def project_from_world(points_world: arrays.Array, camera: Camera) -> arrays.Array:
    """Projects points `[..., J, 3]`, meters, world frame, onto a camera's image, `[..., J, 2]`."""
    return project(camera_from_world(points_world, camera), camera.intrinsics)


def rays(keypoints_2d: arrays.Array, intrinsics: arrays.Array) -> arrays.Array:
    """Turns pixels `[..., J, 2]` into viewing rays: the image points of a camera with `K = I`.

    Returns:
        `[..., J, 2]`, x and y of the ray at depth one.
    """
    _, keypoints_2d, intrinsics = arrays.convert(keypoints_2d, intrinsics)
    arrays.check_shapes(keypoints_2d=(keypoints_2d, "J 2"), intrinsics=(intrinsics, "3 3"))
    focal, principal_point = _lens(intrinsics)
    return (keypoints_2d - principal_point) / focal


def pixels(rays: arrays.Array, intrinsics: arrays.Array) -> arrays.Array:
    """Turns viewing rays into pixels; the inverse of `rays`, same shapes, units and errors."""
    _, rays, intrinsics = arrays.convert(rays, intrinsics)
    arrays.check_shapes(rays=(rays, "J 2"), intrinsics=(intrinsics, "3 3"))
    focal, principal_point = _lens(intrinsics)
    return rays * focal + principal_point


def meeting_point(camera: Camera) -> arrays.Array:
    """Finds the point nearest to the optical axes of a rig, fields `[..., V, ...]`: least squares.

    Returns:
        `[..., 3]`, meters, world frame. With parallel axes, the point nearest to the centers.
    """
    xp, rotation, center = arrays.convert(camera.rotation, camera.center)
    axis = rotation[..., 2, :]
    identity = xp.eye(3, dtype=axis.dtype)
    across = identity - axis[..., :, np.newaxis] * axis[..., np.newaxis, :]
    # A whisper of damping picks the point nearest to the centers where the axes leave a choice.
    damped = across + xp.asarray(1e-6, dtype=axis.dtype) * identity
    right = xp.sum(arrays.matvec(damped, center), axis=-2)
    return xp.linalg.solve(xp.sum(damped, axis=-3), right[..., np.newaxis])[..., 0]


def _lens(intrinsics: arrays.Array) -> tuple[arrays.Array, arrays.Array]:
    """Returns focal lengths and principal points, `[..., 1, 2]`."""
    xp = arrays.namespace(intrinsics)
    focal = xp.stack([intrinsics[..., 0, 0], intrinsics[..., 1, 1]], axis=-1)
    return focal[..., np.newaxis, :], intrinsics[..., np.newaxis, :2, 2]


# Rotations by matrices of any batch shape.

_SMALL_SQUARED_ANGLE = 1e-6
# Files hold rotations in single precision, or rounded.
_ROTATION_TOLERANCE = 1e-4


def rotate(points: arrays.Array, rotation: arrays.Array) -> arrays.Array:
    """Rotates sets of points `[..., J, 3]`, any unit, by one matrix `[..., 3, 3]` per set.

    Returns:
        `[..., J, 3]`, `rotation @ point` for each point.
    """
    xp, points, rotation = arrays.convert(points, rotation)
    arrays.check_shapes(points=(points, "J 3"), rotation=(rotation, "3 3"))
    if xp is np:
        return points @ inverse(rotation)
    # Without an axis for the joints, a batch of J matrices would silently broadcast over them.
    rotation = rotation[..., np.newaxis, :, :]
    is_known = points.shape.is_fully_defined() and rotation.shape.is_fully_defined()
    # tensorflow_graphics compares batch shapes statically and refuses unknown ones.
    graphics = _graphics() if is_known else None
    if graphics is not None:
        return graphics.rotation_matrix_3d.rotate(points, rotation)
    return arrays.matvec(rotation, points)


def inverse(rotation: arrays.Array) -> arrays.Array:
    """Inverts rotation matrices `[..., 3, 3]`, which transposes them."""
    return arrays.transpose(rotation)


def is_rotation(matrix: np.ndarray, tolerance: float = _ROTATION_TOLERANCE) -> np.ndarray:
    """Tells `[...]` which matrices `[..., 3, 3]` are rotations, and not reflections."""
    off = np.abs(arrays.times_transposed(matrix, matrix) - np.eye(3)).max(axis=(-2, -1))
    with np.errstate(invalid="ignore"):
        return (off <= tolerance) & (np.linalg.det(matrix) > 0)


def from_rotation_vector(vector: arrays.Array) -> arrays.Array:
    """Makes rotation matrices `[..., 3, 3]` from axes times radians `[..., 3]`: Rodrigues' formula.

    They turn counter-clockwise, seen against the axis. Gradients are finite at no rotation, too.
    """
    xp, vector = arrays.convert(vector)
    squared = xp.sum(xp.square(vector), axis=-1)[..., np.newaxis, np.newaxis]
    is_small = squared < _SMALL_SQUARED_ANGLE
    # The root's gradient at zero is infinite; there the first terms of the series are exact.
    angle = xp.sqrt(xp.where(is_small, xp.ones_like(squared), squared))
    first = xp.where(is_small, 1 - squared / 6, xp.sin(angle) / angle)
    second = xp.where(is_small, 0.5 - squared / 24, (1 - xp.cos(angle)) / xp.square(angle))
    matrix = cross_matrix(vector)
    return xp.eye(3, dtype=vector.dtype) + first * matrix + second * (matrix @ matrix)


def cross_matrix(vector: arrays.Array) -> arrays.Array:
    """Returns `[v]ₓ`, `[..., 3, 3]`, of vectors `[..., 3]`: `[v]ₓ w = v × w`."""
    xp = arrays.namespace(vector)
    x, y, z = arrays.unstack(vector)
    zero = xp.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def cross(first: arrays.Array, second: arrays.Array) -> arrays.Array:
    """Returns cross products, `[..., 3]`, by multiplications.

    `tf.linalg.cross` is several times slower, and neither ONNX nor TFLite has it.
    """
    xp = arrays.namespace(first, second)
    (ax, ay, az), (bx, by, bz) = arrays.unstack(first), arrays.unstack(second)
    return xp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


@functools.cache
def _graphics() -> types.SimpleNamespace | None:
    """Imports tensorflow_graphics, quickly, once there are tensors; None where it is not installed.

    It asks for tensorflow-addons, which ended with Python 3.11.

    Each of its modules lists its public names by `inspect.stack()`, and looks at the calling frame
    alone. For every other frame, too, `inspect` reads source lines and looks through all modules:
    5 to 20 seconds in all.
    """
    if not importlib.util.find_spec("tensorflow_graphics"):
        return None
    original = inspect.stack
    inspect.stack = _own_and_calling_frame
    try:
        from tensorflow_graphics.geometry.transformation import rotation_matrix_3d
        from tensorflow_graphics.rendering.camera import perspective
    finally:
        inspect.stack = original
    return types.SimpleNamespace(perspective=perspective, rotation_matrix_3d=rotation_matrix_3d)


def _own_and_calling_frame(context: int = 1) -> list[inspect.FrameInfo]:
    """Returns what `inspect.stack` begins with, without source lines."""
    own = sys._getframe(1)
    frames = [own, own.f_back] if own.f_back else [own]
    return [inspect.FrameInfo(frame, *inspect.getframeinfo(frame, context=0)) for frame in frames]
