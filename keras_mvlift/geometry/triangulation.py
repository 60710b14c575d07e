"""Points from rays: triangulation, and the root position that explains a pose.

Both are the same linear least-squares problem. A point `offset + x`, moved into a view by a rigid
map (A, b), must lie on its ray (u, v, 1), which gives two rows in the unknown x:

    (A_c - ray_c A_z) · x = -(p_c - ray_c p_z),   p = A offset + b,   c = x, y.

Of NumPy arrays all functions make NumPy arrays, of tensors tensors. They raise a ValueError if a
trailing dimension is not the one stated.
"""

import itertools
from typing import NamedTuple

import numpy as np

from keras_mvlift.geometry import arrays, cameras

# Damping of the normal equations, relative to their trace: enough to keep a degenerate solve
# finite, far too little to move a well-posed one.
_DAMPING = 1e-7


def normal_equations(
    rays: arrays.Array, weights: arrays.Array, rotation: arrays.Array, points: arrays.Array
) -> tuple[arrays.Array, arrays.Array]:
    """Builds, per joint and view, the normal equations of the shift that puts points on rays.

    Args:
        rays: `[..., J, 2]`, rays of the joints in a view.
        weights: `[..., J]`, weight of each joint's rows; zero leaves the joint out.
        rotation: `[..., 3, 3]`, from the frame of the unknown shift to the view's.
        points: `[..., J, 3]`, meters, the points before the shift, in the view's frame.

    Returns:
        `[..., J, 3, 3]` and `[..., J, 3]`, to be summed over whatever shares one shift.
    """
    xp, rays, weights, rotation, points = arrays.convert(rays, weights, rotation, points)
    rows = (
        rotation[..., np.newaxis, :2, :] - rays[..., np.newaxis] * rotation[..., np.newaxis, 2:, :]
    )
    residual = points[..., :2] - rays * points[..., 2:]
    weighted = xp.square(weights)[..., np.newaxis, np.newaxis] * rows
    left = arrays.transposed_times(rows, weighted)
    return left, -arrays.transposed_times(weighted, residual[..., np.newaxis])[..., 0]


def solve(left: arrays.Array, right: arrays.Array) -> arrays.Array:
    """Solves summed normal equations, `[..., 3, 3]` and `[..., 3]`, with a trace of damping."""
    xp = arrays.namespace(left, right)
    trace = left[..., 0, 0] + left[..., 1, 1] + left[..., 2, 2]
    # The constant keeps the matrix regular where every weight is zero.
    damping = (_DAMPING * trace + 1e-9)[..., np.newaxis, np.newaxis]
    # By cross products of the columns: on many small matrices TensorFlow's solver is slow.
    first, second, third = arrays.unstack(left + damping * xp.eye(3, dtype=left.dtype))
    pairs = ((second, third), (third, first), (first, second))
    normals = xp.stack([cameras.cross(*pair) for pair in pairs], axis=-2)
    determinant = xp.sum(first * normals[..., 0, :], axis=-1, keepdims=True)
    return arrays.matvec(normals, right) / determinant


def solve_root_position(
    root_relative_pose: arrays.Array,
    rays: arrays.Array,
    weights: arrays.Array,
    rotation: arrays.Array,
    center: arrays.Array,
) -> arrays.Array:
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
    """
    xp, pose, rays, weights, rotation, center = arrays.convert(
        root_relative_pose, rays, weights, rotation, center
    )
    arrays.check_shapes(
        root_relative_pose=(pose, "J 3"),
        rays=(rays, "V J 2"),
        weights=(weights, "V J"),
        rotation=(rotation, "V 3 3"),
        center=(center, "V 3"),
    )
    pose = pose[..., np.newaxis, :, :] - center[..., np.newaxis, :]
    points = arrays.times_transposed(pose, rotation)
    # All joints of a view share the shift. Of a joint on the ray (u, v) that misses it by e, the
    # normal equations are Rᵀ N R and -Rᵀ (e, -(u, v) · e), with N made of 1, u, v and u² + v²: the
    # joints are summed first, and only sums are turned.
    (x, y, z), (u, v) = arrays.unstack(points), arrays.unstack(rays)
    squared = xp.square(weights)
    missed_x, missed_y = squared * (x - u * z), squared * (y - v * z)
    missed = (missed_x, missed_y, -(u * missed_x + v * missed_y))
    right = xp.stack([xp.sum(each, axis=-1) for each in missed], axis=-1)
    left = _ray_moments(squared, u, v)
    left = arrays.transposed_times(rotation, left @ rotation)
    right = arrays.transposed_times(rotation, right[..., np.newaxis])[..., 0]
    return solve(xp.sum(left, axis=-3), -xp.sum(right, axis=-2))


def _ray_moments(squared: arrays.Array, u: arrays.Array, v: arrays.Array) -> arrays.Array:
    """Sums `w² N` over joints, `[..., 3, 3]`: `N = [[1, 0, -u], [0, 1, -v], [-u, -v, u² + v²]]`."""
    xp = arrays.namespace(squared)
    factors = (xp.ones_like(u), -u, -v, u * u + v * v)
    one, of_u, of_v, of_both = (xp.sum(squared * factor, axis=-1) for factor in factors)
    zero = xp.zeros_like(one)
    rows = [[one, zero, of_u], [zero, one, of_v], [of_u, of_v, of_both]]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


MIN_ROOT_JOINTS = 4
"""Fewer joints tell less of how far away a person is than the root network does (measured)."""

# Of rays, as a root mean square: a person some hundred meters away, or all joints at one place.
_LEAST_SPREAD = 1e-3
# Meters off its ray from which a joint counts for less than half: some way beyond what lifted poses
# miss by (10 to 30 mm), and short of what a detector's blunder does.
_LARGE_MISS = 0.05
# Of what is divided by: no sum of squares of anything seen.
_TINY = 1e-30


def root_in_view(
    root_relative_pose: arrays.Array,
    rays: arrays.Array,
    weights: arrays.Array,
    predicted: arrays.Array,
) -> arrays.Array:
    """Finds the root position that puts a pose on the rays of the view that it is lifted from.

    The least squares of `solve_root_position` with that view alone, spelled out in deviations
    from weighted means, which single precision bears: with `e = (x, y) - ray z` of the pose,

        depth = Σ w² Δray · Δe / Σ w² |Δray|²,    (x, y)_root = depth mean(ray) - mean(e).

    It is solved twice: of a joint that lies m meters off its ray the second time w² is divided by
    `1 + (m / 0.05)²`, so that a wrong joint does not move the person.

    Args:
        root_relative_pose: `[..., J, 3]`, meters, root at 0, camera axes.
        rays: `[..., J, 2]`, rays of the joints in the view.
        weights: `[..., J]`, zero for a joint that was not seen.
        predicted: `[..., 3]`, meters, camera frame: the root network's, which stays where the rays
            do not tell: of less than `MIN_ROOT_JOINTS` joints, of joints at one place, or where a
            joint would lie nearer than `cameras.MIN_DEPTH` or behind the camera.

    Returns:
        `[..., 3]`, meters, camera frame.
    """
    xp, pose, rays, weights, predicted = arrays.convert(
        root_relative_pose, rays, weights, predicted
    )
    arrays.check_shapes(
        root_relative_pose=(pose, "J 3"),
        rays=(rays, "J 2"),
        weights=(weights, "J"),
        predicted=(predicted, "3"),
    )
    squared = xp.square(weights)[..., np.newaxis]
    missed = pose[..., :2] - rays * pose[..., 2:]
    both = xp.concatenate([rays, missed], axis=-1)
    found, _ = _in_view(both, squared)
    off = xp.square(missed + found[..., np.newaxis, :2] - rays * found[..., np.newaxis, 2:])
    far = xp.sum(off, axis=-1, keepdims=True) / _LARGE_MISS**2
    found, spread = _in_view(both, squared / (1.0 + far))
    is_told = xp.sum(arrays.cast(weights > 0, pose.dtype), axis=-1) >= MIN_ROOT_JOINTS
    is_told = is_told[..., np.newaxis] & (spread >= _LEAST_SPREAD**2)
    is_behind = xp.any(pose[..., 2] + found[..., 2:] < cameras.MIN_DEPTH, axis=-1, keepdims=True)
    return xp.where(is_told & ~is_behind, found, predicted)


def _in_view(both: arrays.Array, squared: arrays.Array) -> tuple[arrays.Array, arrays.Array]:
    """Returns the root `[..., 3]` and the rays' spread `[..., 1]` of rays and `e` `[..., J, 4]`."""
    xp = arrays.namespace(both)
    share = squared / xp.maximum(xp.sum(squared, axis=-2, keepdims=True), _TINY)
    mean = arrays.transposed_times(share, both)
    off = both - mean
    moments = arrays.transposed_times(share * off[..., :2], off)
    spread, along = (
        moments[..., 0, column, np.newaxis] + moments[..., 1, column + 1, np.newaxis]
        for column in (0, 2)
    )
    depth = along / xp.maximum(spread, _TINY)
    aside = depth * mean[..., 0, :2] - mean[..., 0, 2:]
    return xp.concatenate([aside, depth], axis=-1), spread


def triangulate(
    keypoints_2d: arrays.Array,
    weights: arrays.Array,
    camera: cameras.Camera,
    num_reweightings: int = 2,
) -> tuple[arrays.Array, arrays.Array]:
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

    References:
        Hartley and Zisserman, Multiple View Geometry, 2nd ed., section 12.2.
    """
    xp, keypoints_2d, weights, *fields = arrays.convert(keypoints_2d, weights, *camera)
    arrays.check_shapes(keypoints_2d=(keypoints_2d, "V J 2"), weights=(weights, "V J"))
    camera = cameras.Camera(*fields)
    rays = cameras.rays(keypoints_2d, camera.intrinsics)
    origin = cameras.translation(camera)[..., np.newaxis, :] + xp.zeros_like(rays[..., :1])
    row_weights = weights
    points = xp.zeros_like(origin[..., 0, :, :])
    for _ in range(num_reweightings + 1):
        points = _shift(*normal_equations(rays, row_weights, camera.rotation, origin))
        in_views = arrays.times_transposed(points[..., np.newaxis, :, :], camera.rotation)
        row_weights = weights / xp.maximum((in_views + origin)[..., 2], cameras.MIN_DEPTH)
    is_seen = _is_seen(weights)
    return xp.where(is_seen[..., np.newaxis], points, xp.zeros_like(points)), is_seen


# Points from rays of which some are wrong.
#
# Least squares follow one gross detection among four wherever it goes. Here each joint starts from
# the best of several hypotheses (what all views say together, and what every two of them say), and
# is then refined by least squares whose weights fall with the reprojection error.

# No detector is surer than this in x and y; errors that are all smaller are all the same.
MIN_DEVIATION_PX = 0.25


# Geman and McClure's kernel forgets an error that is far too large. Its scale, in standard
# deviations of the errors' x and y, is our choice: as low as costs little accuracy where all errors
# are Gaussian.
_SCALE_DEVIATIONS = 4.0
_NUM_REWEIGHTINGS = 8


def robust_loss(ratio: arrays.Array) -> arrays.Array:
    """Computes the kernel's loss in units of `scale²` of squared errors `(error / scale)²`."""
    return ratio / (1.0 + ratio)


def robust_weight(ratio: arrays.Array) -> arrays.Array:
    """Computes the slope of `robust_loss`: the weight that a squared error has, 1 at 0."""
    return (1.0 / (1.0 + ratio)) ** 2


class RobustPoints(NamedTuple):
    """What `triangulate_robustly` finds."""

    points: arrays.Array  # [..., J, 3], meters, world frame; at the origin where not seen.
    is_seen: arrays.Array  # [..., J], whether two or more views saw the joint.
    # [..., V, J], pixels, from the point's image to the keypoint; 0 where a view's weight is 0 or
    # the joint is not seen.
    residual: arrays.Array
    # [..., V, J], what the kernel left of each view's weight, in [0, 1]: about 1 where the view
    # agrees with the point, 0 where its weight was 0 or the joint is not seen.
    trust: arrays.Array


def triangulate_robustly(
    keypoints_2d: arrays.Array, weights: arrays.Array, camera: cameras.Camera
) -> RobustPoints:
    """Triangulates joints seen by two or more cameras, some of which may be wrong.

    Two views cannot outvote each other: what is robust needs three, and four to be sure. Errors
    count for little that are much larger than the median one of all joints of an instant.

    Args:
        keypoints_2d: `[..., V, J, 2]`, pixels.
        weights: `[..., V, J]`, for instance confidences; zero leaves a view's joint out.
        camera: The rig, fields `[..., V, ...]`.

    References:
        Geman and McClure, Statistical methods for tomographic image reconstruction, 1987;
        Rousseeuw, Least median of squares regression, 1984, for the start from minimal sets.
    """
    xp, keypoints_2d, weights, *fields = arrays.convert(keypoints_2d, weights, *camera)
    arrays.check_shapes(keypoints_2d=(keypoints_2d, "V J 2"), weights=(weights, "V J"))
    seen = _Seen(keypoints_2d, weights, cameras.Camera(*fields))

    def trust(errors: arrays.Array) -> arrays.Array:
        return robust_weight(xp.square(errors / _scale(errors, weights)))

    points = _start(seen)
    for _ in range(_NUM_REWEIGHTINGS):
        points += _shift(*seen.equations(points, weights * xp.sqrt(trust(seen.errors(points)))))
    residual, is_seen = seen.errors(points), _is_seen(weights)
    is_used, zero = (weights > 0) & is_seen[..., np.newaxis, :], xp.zeros_like(residual)
    return RobustPoints(
        xp.where(is_seen[..., np.newaxis], points, xp.zeros_like(points)),
        is_seen,
        xp.where(is_used, residual, zero),
        xp.where(is_used, trust(residual), zero),
    )


class _Seen(NamedTuple):
    """What the views `[..., V]` say of the joints."""

    keypoints_2d: arrays.Array
    weights: arrays.Array
    camera: cameras.Camera

    def errors(self, points: arrays.Array) -> arrays.Array:
        """Returns the distances `[..., V, J]`, pixels, of points `[..., J, 3]` to the keypoints."""
        projected = cameras.project_from_world(points[..., np.newaxis, :, :], self.camera)
        return arrays.namespace(projected).linalg.norm(projected - self.keypoints_2d, axis=-1)

    def equations(
        self, points: arrays.Array, weights: arrays.Array
    ) -> tuple[arrays.Array, arrays.Array]:
        """Returns the normal equations, `[..., V, J, 3, 3]`, of the points' shift.

        Of a shift, not of the points: what is rounded then is small, in single precision too.
        """
        in_views = cameras.camera_from_world(points[..., np.newaxis, :, :], self.camera)
        xp = arrays.namespace(in_views)
        depth = xp.maximum(in_views[..., 2], cameras.MIN_DEPTH)
        # The rows are in meters at the point; this makes them pixels.
        pixels = xp.sqrt(xp.linalg.det(self.camera.intrinsics))[..., np.newaxis] / depth
        rays = cameras.rays(self.keypoints_2d, self.camera.intrinsics)
        return normal_equations(rays, weights * pixels, self.camera.rotation, in_views)


def _start(seen: _Seen) -> arrays.Array:
    """Returns each joint's best hypothesis, `[..., J, 3]`."""
    hypotheses = _hypotheses(seen)
    # An axis for them, before that of the views.
    add = arrays.namespace(seen.weights).expand_dims
    keypoints_2d, weights = add(seen.keypoints_2d, -4), add(seen.weights, -3)
    each = _Seen(keypoints_2d, weights, cameras.expand(seen.camera, -2))
    errors = each.errors(hypotheses)
    # Before there is a scale, lengths choose, which need none.
    points = _best(hypotheses, each.weights * errors)
    scale = _scale(seen.errors(points), seen.weights)
    loss = robust_loss((errors / scale[..., np.newaxis, :, :]) ** 2)
    return _best(hypotheses, each.weights**2 * loss)


def _hypotheses(seen: _Seen) -> arrays.Array:
    """Returns what all views say, then what every two of them say, `[..., H, J, 3]`."""
    num_joints = seen.weights.shape[-1]
    start = cameras.meeting_point(seen.camera)[..., np.newaxis, :]
    xp = arrays.namespace(start)
    points = xp.repeat(start, num_joints, axis=-2)
    for _ in range(2):
        points += _shift(*seen.equations(points, seen.weights))
    first, second = zip(*itertools.combinations(range(seen.weights.shape[-2]), 2), strict=True)

    def of_pairs(values: arrays.Array, axis: int) -> tuple[arrays.Array, arrays.Array]:
        return xp.take(values, first, axis=axis), xp.take(values, second, axis=axis)

    left, right = seen.equations(points, seen.weights)
    shift = solve(sum(of_pairs(left, -4)), sum(of_pairs(right, -3)))
    is_pair = xp.minimum(*of_pairs(seen.weights, -2)) > 0
    together = points[..., np.newaxis, :, :]
    shift = xp.where(is_pair[..., np.newaxis], shift, xp.zeros_like(shift))
    return xp.concatenate([together, together + shift], axis=-3)


def _best(hypotheses: arrays.Array, cost: arrays.Array) -> arrays.Array:
    """Picks by the sum over views of the cost, `[..., H, V, J]`: `[..., J, 3]`."""
    xp = arrays.namespace(cost)
    index = xp.argmin(xp.sum(cost, axis=-2), axis=-2)[..., np.newaxis, np.newaxis]
    by_joint = xp.einsum("...hjc->...jhc", hypotheses)
    return xp.take_along_axis(by_joint, index, axis=-2)[..., 0, :]


def _shift(left: arrays.Array, right: arrays.Array) -> arrays.Array:
    """Solves normal equations `[..., V, J, 3, 3]` for the shift that all views share."""
    xp = arrays.namespace(left)
    return solve(xp.sum(left, axis=-4), xp.sum(right, axis=-3))


def _scale(errors: arrays.Array, weights: arrays.Array) -> arrays.Array:
    """Returns the kernel's scale, pixels, of an instant's errors `[..., V, J]`: `[..., 1, 1]`."""
    xp = arrays.namespace(errors)
    is_seen = _is_seen(weights)
    is_used = (weights > 0) & is_seen[..., np.newaxis, :]
    count = xp.count_nonzero(is_used, axis=(-2, -1))[..., np.newaxis, np.newaxis]
    # Of the two numbers of each error, three per joint went into its point.
    num_fitted = 3 * xp.count_nonzero(is_seen, axis=-1)[..., np.newaxis, np.newaxis]
    total, free = (arrays.cast(x, errors.dtype) for x in (2 * count, 2 * count - num_fitted))
    deviation = median(errors, is_used) / MEDIAN_LENGTH * xp.sqrt(total / xp.maximum(free, 1.0))
    return _SCALE_DEVIATIONS * xp.maximum(deviation, MIN_DEVIATION_PX)


def _is_seen(weights: arrays.Array) -> arrays.Array:
    return arrays.namespace(weights).count_nonzero(weights > 0, axis=-2) >= 2


# Medians of those errors of an instant that say something, and what they say of the noise.

MEDIAN_LENGTH = 1.1774
"""The median length of a vector of two standard normal numbers."""


def median(values: arrays.Array, is_used: arrays.Array) -> arrays.Array:
    """Finds the lower median of values `[..., V, J]` that count: `[..., 1, 1]`; 0 where none do."""
    xp, values = arrays.convert(values)
    count = xp.count_nonzero(is_used, axis=(-2, -1))[..., np.newaxis]
    # Those that are not used come last.
    last = xp.asarray(np.inf, dtype=values.dtype)
    ordered = xp.sort(arrays.merge_last_axes(xp.where(is_used, values, last)), axis=-1)
    found = xp.take_along_axis(ordered, xp.maximum(count - 1, 0) // 2, axis=-1)
    return xp.where(count > 0, found, xp.zeros_like(found))[..., np.newaxis]
