"""Points from rays: triangulation, and the root position that explains a pose.

Both are the same linear least-squares problem. A point `offset + x`, moved into a view by a rigid
map (A, b), must lie on its ray (u, v, 1), which gives two rows in the unknown x:

    (A_c - ray_c A_z) · x = -(p_c - ray_c p_z),   p = A offset + b,   c = x, y.
"""

import tensorflow as tf

from keras_mvlift.geometry import cameras

# Damping of the normal equations, relative to their trace: enough to keep a degenerate solve
# finite, far too little to move a well-posed one.
_DAMPING = 1e-7


def normal_equations(
    rays: tf.Tensor, weights: tf.Tensor, rotation: tf.Tensor, points: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Builds, per joint and view, the normal equations of the shift that puts points on rays.

    Args:
        rays: `[..., J, 2]`, rays of the joints in a view.
        weights: `[..., J]`, weight of each joint's rows; zero leaves the joint out.
        rotation: `[..., 3, 3]`, from the frame of the unknown shift to the view's.
        points: `[..., J, 3]`, meters, the points before the shift, in the view's frame.

    Returns:
        `[..., J, 3, 3]` and `[..., J, 3]`, to be summed over whatever shares one shift.
    """
    rows, residual = _equations(rays, rotation, points)
    weighted = tf.square(weights)[..., tf.newaxis, tf.newaxis] * rows
    left = tf.linalg.matmul(rows, weighted, transpose_a=True)
    right = -tf.linalg.matvec(weighted, residual, transpose_a=True)
    return left, right


def _equations(
    rays: tf.Tensor, rotation: tf.Tensor, points: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives rows of the unknown shift `[..., J, 2, 3]`, and what they miss by `[..., J, 2]`."""
    rows = (
        rotation[..., tf.newaxis, :2, :] - rays[..., tf.newaxis] * rotation[..., tf.newaxis, 2:, :]
    )
    return rows, points[..., :2] - rays * points[..., 2:]


def solve(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Solves summed normal equations, `[..., 3, 3]` and `[..., 3]`, with a trace of damping."""
    trace = tf.linalg.trace(left)[..., tf.newaxis, tf.newaxis]
    identity = tf.eye(3, dtype=left.dtype)
    # The constant keeps the matrix regular where every weight is zero.
    damped = left + (_DAMPING * trace + 1e-9) * identity
    # By cross products of the columns: on many small matrices TensorFlow's solver is slow.
    first, second, third = tf.unstack(damped, axis=-1)
    normals = tf.stack([_cross(second, third), _cross(third, first), _cross(first, second)], -2)
    determinant = tf.reduce_sum(first * normals[..., 0, :], axis=-1, keepdims=True)
    return tf.linalg.matvec(normals, right) / determinant


def _cross(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Gives cross products, `[..., 3]`; `tf.linalg.cross` does so several times slower."""
    ax, ay, az = tf.unstack(first, axis=-1)
    bx, by, bz = tf.unstack(second, axis=-1)
    return tf.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def solve_root_position(
    root_relative_pose: tf.Tensor,
    rays: tf.Tensor,
    weights: tf.Tensor,
    rotation: tf.Tensor,
    center: tf.Tensor,
) -> tf.Tensor:
    """Finds the root position that puts a pose on its rays in all views of an instant.

    Minimizes the weighted algebraic reprojection error, in closed form and differentiably.

    Args:
        root_relative_pose: `[..., J, 3]`, meters, root at 0, axes of the camera it is lifted from.
        rays: `[..., V, J, 2]`, rays of the joints in each view.
        weights: `[..., V, J]`, zero for a joint that was not seen.
        rotation: `[..., V, 3, 3]`, view from the lifted camera; identity for that camera itself.
        center: `[..., V, 3]`, meters, each view's center in the lifted camera's frame.

    Returns:
        `[..., 3]`, meters, the root in the lifted camera's frame.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.
    """
    shapes = [
        (root_relative_pose, (..., "J", 3)),
        (rays, (..., "V", "J", 2)),
        (weights, (..., "V", "J")),
        (rotation, (..., "V", 3, 3)),
        (center, (..., "V", 3)),
    ]
    tf.debugging.assert_shapes(shapes, message="triangulation.solve_root_position")
    pose = root_relative_pose[..., tf.newaxis, :, :] - center[..., tf.newaxis, :]
    points = tf.linalg.matmul(pose, rotation, transpose_b=True)
    rows, residual = _equations(rays, rotation, points)
    weighted = tf.square(weights)[..., tf.newaxis, tf.newaxis] * rows
    # All rows of an instant share the shift: one product for each instant, not for each joint.
    batch = tf.shape(residual)[:-3]
    rows, weighted = (tf.reshape(x, tf.concat([batch, [-1, 3]], 0)) for x in (rows, weighted))
    residual = tf.reshape(residual, tf.concat([batch, [-1]], 0))
    left = tf.linalg.matmul(rows, weighted, transpose_a=True)
    return solve(left, -tf.linalg.matvec(weighted, residual, transpose_a=True))


def triangulate(
    keypoints_2d: tf.Tensor,
    weights: tf.Tensor,
    camera: cameras.Camera,
    num_reweightings: int = 2,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Triangulates joints seen by two or more cameras.

    The first solve minimizes the weighted algebraic error; each re-weighting divides the rows
    by the depth just found, which turns them into errors on the image at unit focal length.

    Args:
        keypoints_2d: `[..., V, J, 2]`, pixels.
        weights: `[..., V, J]`, for instance confidences; zero leaves a view's joint out.
        camera: The rig, fields `[..., V, ...]`.
        num_reweightings: How often to re-weight.

    Returns:
        `[..., J, 3]`, meters, world frame, and `[..., J]`, whether two or more views saw the
        joint. A joint that they did not see is at the origin and must not be used.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.

    References:
        Hartley and Zisserman, Multiple View Geometry, 2nd ed., section 12.2.
    """
    shapes = [(keypoints_2d, (..., "V", "J", 2)), (weights, (..., "V", "J"))]
    tf.debugging.assert_shapes(shapes, message="triangulation.triangulate")
    rays = cameras.rays(keypoints_2d, camera.intrinsics)
    origin = cameras.translation(camera)[..., tf.newaxis, :] + tf.zeros_like(rays[..., :1])
    row_weights = weights
    points = tf.zeros_like(origin[..., 0, :, :])
    for _ in range(num_reweightings + 1):
        left, right = normal_equations(rays, row_weights, camera.rotation, origin)
        points = solve(tf.reduce_sum(left, axis=-4), tf.reduce_sum(right, axis=-3))
        in_views = tf.linalg.matmul(
            points[..., tf.newaxis, :, :], camera.rotation, transpose_b=True
        )
        depth = (in_views + origin)[..., 2]
        row_weights = weights / tf.maximum(depth, cameras.MIN_DEPTH)
    is_seen = tf.math.count_nonzero(weights > 0, axis=-2) >= 2
    return tf.where(is_seen[..., tf.newaxis], points, tf.zeros_like(points)), is_seen
