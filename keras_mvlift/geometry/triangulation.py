"""Points from rays: triangulation, and the root position that explains a pose.

Both are the same linear least-squares problem. A point `offset + x`, moved into a view by a rigid
map (A, b), must lie on its ray (u, v, 1), which gives two rows in the unknown x:

    (A_c - ray_c A_z) · x = -(p_c - ray_c p_z),   p = A offset + b,   c = x, y.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

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
    """Returns rows of the unknown shift `[..., J, 2, 3]`, and what they miss by `[..., J, 2]`."""
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
    normals = tf.stack(
        [cameras.cross(second, third), cameras.cross(third, first), cameras.cross(first, second)],
        -2,
    )
    determinant = tf.reduce_sum(first * normals[..., 0, :], axis=-1, keepdims=True)
    return tf.linalg.matvec(normals, right) / determinant


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
    # All joints of a view share the shift. Of a joint on the ray (u, v) that misses it by e, the
    # normal equations are Rᵀ N R and -Rᵀ (e, -(u, v) · e), with N made of 1, u, v and u² + v²: the
    # joints are summed first, and only sums are turned.
    (x, y, z), (u, v) = tf.unstack(points, axis=-1), tf.unstack(rays, axis=-1)
    squared = tf.square(weights)
    missed = tf.stack([squared * (x - u * z), squared * (y - v * z)], axis=-3)
    across = tf.stack([u, v], axis=-3)
    along = -tf.reduce_sum(across * missed, axis=[-3, -1])
    right = tf.stack([*tf.unstack(tf.reduce_sum(missed, axis=-1), axis=-2), along], axis=-1)
    left = _ray_moments(squared, u, v)
    left = tf.linalg.matmul(rotation, tf.linalg.matmul(left, rotation), transpose_a=True)
    right = tf.linalg.matvec(rotation, right, transpose_a=True)
    return solve(tf.reduce_sum(left, axis=-3), -tf.reduce_sum(right, axis=-2))


def _ray_moments(squared: tf.Tensor, u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """Sums `w² N` over joints, `[..., 3, 3]`: `N = [[1, 0, -u], [0, 1, -v], [-u, -v, u² + v²]]`."""
    one, of_u, of_v, of_both = (
        tf.reduce_sum(squared * factor, axis=-1)
        for factor in (tf.ones_like(u), -u, -v, u * u + v * v)
    )
    zero = tf.zeros_like(one)
    rows = [[one, zero, of_u], [zero, one, of_v], [of_u, of_v, of_both]]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


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


# Points from rays of which some are wrong.
#
# Least squares follow one gross detection among four wherever it goes. Here each joint starts from
# the best of several hypotheses (what all views say together, and what every two of them say), and
# is then refined by least squares whose weights fall with the reprojection error.

# No detector is surer than this in x and y; errors that are all smaller are all the same.
MIN_DEVIATION_PX = 0.25


class Kernel(NamedTuple):
    """A loss of an error that grows more slowly than its square.

    Attributes:
        loss: From `(error / scale)²` to the loss in units of `scale²`, ascending from 0.
        weight: Its derivative: the weight that a squared error has, 1 at 0.
        width: The scale in standard deviations of the errors' x and y. Our choice: as low as costs
            little accuracy where all errors are Gaussian.
    """

    loss: Callable[[tf.Tensor], tf.Tensor]
    weight: Callable[[tf.Tensor], tf.Tensor]
    width: float


def _huber_loss(ratio: tf.Tensor) -> tf.Tensor:
    # The mask keeps the root's slope finite where the other branch is taken.
    far = tf.where(ratio > 1, ratio, tf.ones_like(ratio))
    return tf.where(ratio > 1, 2.0 * tf.sqrt(far) - 1.0, ratio)


KERNELS = {
    "geman_mcclure": Kernel(lambda x: x / (1.0 + x), lambda x: tf.square(1.0 / (1.0 + x)), 4.0),
    "cauchy": Kernel(tf.math.log1p, lambda x: 1.0 / (1.0 + x), 3.0),
    "huber": Kernel(_huber_loss, lambda x: tf.math.rsqrt(tf.maximum(x, tf.ones_like(x))), 2.0),
}
"""By name. Only the first forgets an error that is far too large; the last never does."""


class RobustPoints(NamedTuple):
    """What `triangulate_robustly` finds.

    Attributes:
        points: `[..., J, 3]`, meters, world frame; at the origin where not seen.
        is_seen: `[..., J]`, whether two or more views saw the joint.
        residual: `[..., V, J]`, pixels, from the point's image to the keypoint; 0 where a view's
            weight is 0 or the joint is not seen.
        trust: `[..., V, J]`, what the kernel left of each view's weight, in [0, 1]: about 1 where
            the view agrees with the point, 0 where its weight was 0 or the joint is not seen.
    """

    points: tf.Tensor
    is_seen: tf.Tensor
    residual: tf.Tensor
    trust: tf.Tensor


def triangulate_robustly(
    keypoints_2d: tf.Tensor,
    weights: tf.Tensor,
    camera: cameras.Camera,
    *,
    kernel: str = "geman_mcclure",
    scale_px: float = 0.0,
    num_reweightings: int = 8,
) -> RobustPoints:
    """Triangulates joints seen by two or more cameras, some of which may be wrong.

    Two views cannot outvote each other: what is robust needs three, and four to be sure.

    Args:
        keypoints_2d: `[..., V, J, 2]`, pixels.
        weights: `[..., V, J]`, for instance confidences; zero leaves a view's joint out.
        camera: The rig, fields `[..., V, ...]`.
        kernel: A name of `KERNELS`.
        scale_px: Errors much larger than this count for little; 0 to estimate it, one for all
            joints of an instant, from the median error.
        num_reweightings: How often to re-weight.

    Returns:
        The points, and how well they fit.

    Raises:
        ValueError: If a trailing dimension is not the one stated above, or there is no such kernel.

    References:
        Geman and McClure, Statistical methods for tomographic image reconstruction, 1987;
        Rousseeuw, Least median of squares regression, 1984, for the start from minimal sets.
    """
    shapes = [(keypoints_2d, (..., "V", "J", 2)), (weights, (..., "V", "J"))]
    tf.debugging.assert_shapes(shapes, message="robust_triangulation.triangulate")
    if kernel not in KERNELS:
        raise ValueError(f"`kernel` must be one of {', '.join(KERNELS)}. Received: {kernel!r}.")
    seen = _Seen.of(keypoints_2d, weights, camera)
    chosen = KERNELS[kernel]

    def trust(errors: tf.Tensor) -> tf.Tensor:
        return chosen.weight(tf.square(errors / _scale(errors, seen.weights, chosen, scale_px)))

    points = _start(seen, chosen, scale_px)
    for _ in range(num_reweightings):
        kept = tf.sqrt(trust(seen.errors(points)))
        points += _shift(*seen.equations(points, seen.weights * kept))
    residual = seen.errors(points)
    return _where_seen(seen.weights, points, residual, trust(residual))


class _Seen(NamedTuple):
    """What the views `[..., V]` say of the joints."""

    keypoints_2d: tf.Tensor
    weights: tf.Tensor
    camera: cameras.Camera

    @classmethod
    def of(cls, keypoints_2d: tf.Tensor, weights: tf.Tensor, camera: cameras.Camera) -> "_Seen":
        """Converts all to tensors of the keypoints' type."""
        keypoints_2d = tf.convert_to_tensor(keypoints_2d)
        fields = (tf.cast(field, keypoints_2d.dtype) for field in camera)
        return cls(keypoints_2d, tf.cast(weights, keypoints_2d.dtype), cameras.Camera(*fields))

    def for_hypotheses(self) -> "_Seen":
        """Adds an axis before that of the views."""
        intrinsics, rotation, center = self.camera
        camera = cameras.Camera(
            tf.expand_dims(intrinsics, -4), tf.expand_dims(rotation, -4), tf.expand_dims(center, -3)
        )
        return _Seen(
            tf.expand_dims(self.keypoints_2d, -4), tf.expand_dims(self.weights, -3), camera
        )

    def errors(self, points: tf.Tensor) -> tf.Tensor:
        """Returns the distances `[..., V, J]`, pixels, of points `[..., J, 3]` to the keypoints."""
        in_views = cameras.camera_from_world(points[..., tf.newaxis, :, :], self.camera)
        projected = cameras.project(in_views, self.camera.intrinsics)
        return tf.norm(projected - self.keypoints_2d, axis=-1)

    def equations(self, points: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the normal equations, `[..., V, J, 3, 3]`, of the points' shift.

        Of a shift, not of the points: what is rounded then is small, in single precision too.
        """
        in_views = cameras.camera_from_world(points[..., tf.newaxis, :, :], self.camera)
        depth = tf.maximum(in_views[..., 2], tf.cast(cameras.MIN_DEPTH, points.dtype))
        # The rows are in meters at the point; this makes them pixels.
        pixels = tf.sqrt(tf.linalg.det(self.camera.intrinsics))[..., tf.newaxis] / depth
        rays = cameras.rays(self.keypoints_2d, self.camera.intrinsics)
        return normal_equations(rays, weights * pixels, self.camera.rotation, in_views)


def _start(seen: _Seen, kernel: Kernel, scale_px: float) -> tf.Tensor:
    """Returns each joint's best hypothesis, `[..., J, 3]`."""
    hypotheses = _hypotheses(seen)
    each = seen.for_hypotheses()
    errors = each.errors(hypotheses)
    # Before there is a scale, lengths choose, which need none.
    points = _best(hypotheses, each.weights * errors)
    scale = _scale(seen.errors(points), seen.weights, kernel, scale_px)
    loss = kernel.loss(tf.square(errors / tf.expand_dims(scale, -3)))
    return _best(hypotheses, tf.square(each.weights) * loss)


def _hypotheses(seen: _Seen) -> tf.Tensor:
    """Returns what all views say, then what every two of them say, `[..., H, J, 3]`."""
    num_joints = seen.weights.shape[-1]
    start = cameras.meeting_point(seen.camera)[..., tf.newaxis, :]
    points = tf.repeat(start, num_joints, axis=-2)
    for _ in range(2):
        left, right = seen.equations(points, seen.weights)
        points += _shift(left, right)
    first, second = zip(*itertools.combinations(range(seen.weights.shape[-2]), 2), strict=True)

    def of_pairs(values: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(values, first, axis=axis), tf.gather(values, second, axis=axis)

    left, right = seen.equations(points, seen.weights)
    shift = solve(tf.add(*of_pairs(left, -4)), tf.add(*of_pairs(right, -3)))
    is_pair = tf.minimum(*of_pairs(seen.weights, -2)) > 0
    together = points[..., tf.newaxis, :, :]
    shift = tf.where(is_pair[..., tf.newaxis], shift, tf.zeros_like(shift))
    return tf.concat([together, together + shift], axis=-3)


def _best(hypotheses: tf.Tensor, cost: tf.Tensor) -> tf.Tensor:
    """Picks by the sum over views of the cost, `[..., H, V, J]`: `[..., J, 3]`."""
    index = tf.argmin(tf.reduce_sum(cost, axis=-2), axis=-2)
    by_joint = tf.einsum("...hjc->...jhc", hypotheses)
    return tf.gather(by_joint, index[..., tf.newaxis], axis=-2, batch_dims=-1)[..., 0, :]


def _shift(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    return solve(tf.reduce_sum(left, axis=-4), tf.reduce_sum(right, axis=-3))


def _scale(errors: tf.Tensor, weights: tf.Tensor, kernel: Kernel, scale_px: float) -> tf.Tensor:
    """Returns the kernel's scale, pixels, of an instant's errors `[..., V, J]`: `[..., 1, 1]`."""
    if scale_px:
        return tf.fill([1, 1], tf.cast(scale_px, errors.dtype))
    is_used = (weights > 0) & _is_seen(weights)[..., tf.newaxis, :]
    count = tf.math.count_nonzero(is_used, axis=[-2, -1])[..., tf.newaxis, tf.newaxis]
    median_error = median(errors, is_used)
    # Of the two numbers of each error, three per joint went into its point.
    num_fitted = 3 * tf.math.count_nonzero(_is_seen(weights), axis=-1)[..., tf.newaxis, tf.newaxis]
    total, free = (tf.cast(x, errors.dtype) for x in (2 * count, 2 * count - num_fitted))
    deviation = median_error / MEDIAN_LENGTH * tf.sqrt(total / tf.maximum(free, 1))
    return kernel.width * tf.maximum(deviation, tf.cast(MIN_DEVIATION_PX, errors.dtype))


def _is_seen(weights: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(weights > 0, axis=-2) >= 2


def _where_seen(
    weights: tf.Tensor, points: tf.Tensor, residual: tf.Tensor, trust: tf.Tensor
) -> RobustPoints:
    is_seen = _is_seen(weights)
    is_used = (weights > 0) & is_seen[..., tf.newaxis, :]
    zero = tf.zeros_like(residual)
    return RobustPoints(
        tf.where(is_seen[..., tf.newaxis], points, tf.zeros_like(points)),
        is_seen,
        tf.where(is_used, residual, zero),
        tf.where(is_used, trust, zero),
    )


# Medians of those errors of an instant that say something, and what they say of the noise.

MEDIAN_LENGTH = 1.1774
"""The median length of a vector of two standard normal numbers."""


def median(values: tf.Tensor, is_used: tf.Tensor) -> tf.Tensor:
    """Finds the lower median over views and joints.

    Args:
        values: `[..., V, J]`, any unit.
        is_used: `[..., V, J]`, which of them count.

    Returns:
        `[..., 1, 1]`; 0 where none counts.
    """
    count = tf.math.count_nonzero(is_used, axis=[-2, -1])
    # Those that are not used come last.
    flat = tf.where(is_used, values, tf.fill(tf.shape(values), values.dtype.max))
    flat = tf.reshape(flat, tf.concat([tf.shape(count), [-1]], axis=0))
    middle = tf.maximum(count - 1, 0)[..., tf.newaxis] // 2
    found = tf.gather(tf.sort(flat, axis=-1), middle, axis=-1, batch_dims=-1)
    found = tf.where(count[..., tf.newaxis] > 0, found, tf.zeros_like(found))
    return found[..., tf.newaxis]
