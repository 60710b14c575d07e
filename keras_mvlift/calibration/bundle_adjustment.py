"""Bundle adjustment: the places and attitudes of all cameras that explain all they saw.

The unknowns are rotation and center of every camera but the first, which stays, and the points.
Intrinsics are not touched: people are too soft a target for them. Points follow from cameras:
each is put where it fits best, and what remains is a problem of the cameras alone, whose Jacobian
is that of the cameras less what the points can undo (variable projection; its Gauss-Newton matrix
is the Schur complement). So a hundred frames are a small dense problem.

References:
    Triggs et al., Bundle Adjustment - A Modern Synthesis, 1999, section 6.1.
    Golub and Pereyra, Separable nonlinear least squares, Inverse Problems 2003.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize
from scipy.spatial import transform

from keras_mvlift import errors
from keras_mvlift.calibration import observations
from keras_mvlift.geometry import cameras

MIN_POINTS = 50
_PARAMETERS = 6
_NUM_ROUNDS = 3

# The loss turns from squared to linear at so many times the median error.
_LOSS_OVER_MEDIAN = 1.5
_MIN_LOSS_SCALE_PX = 1e-3
# Of any loss the grossest errors still pull; behind the first round they are left out.
_GROSS_OVER_MEDIAN = 6.0
_OPTIONS = {"ftol": 1e-6, "xtol": 1e-6, "max_nfev": 30}  # Relative, of the loss and of the steps.
# Rays that cross at less than this say too little about how far their point is, radians.
_MIN_ANGLE = np.radians(2.0)
# Of the points' equations, in shares of their trace; without it one ill-placed point is enough.
_DAMPING = 1e-12


def adjust(camera: cameras.Camera, seen: observations.Observations) -> cameras.Camera:
    """Refines the extrinsics of a rig, fields `[V, ...]`.

    What is minimized is the distance in pixels between points and detections, times the
    detection's confidence, by a loss that grows linearly for gross errors.

    Returns:
        The rig, NumPy arrays. The first camera is as it was; the scale, of which images tell
        nothing, is free to drift and must be set anew by the caller.

    Raises:
        ValueError: If there are too few points to triangulate.
    """
    camera = cameras.Camera(*(np.asarray(value, np.float64) for value in camera))
    used = seen
    for _ in range(_NUM_ROUNDS):
        used = used.select(is_usable(camera, used))
        rule = f"hold {MIN_POINTS} points that the rig triangulates in front of it"
        errors.require(len(used.frame) >= MIN_POINTS, "seen", rule, len(used.frame))
        problem = _Problem(camera, used)
        if problem.is_solved:
            break
        start = np.zeros(_PARAMETERS * (len(camera.center) - 1))
        solution = optimize.least_squares(
            problem.residuals, start, problem.jacobian, x_scale="jac", **_OPTIONS
        )
        camera = problem.camera(solution.x)
        used = problem.without_gross_errors(solution.x)
    return camera


def is_usable(camera: cameras.Camera, seen: observations.Observations) -> np.ndarray:
    """Tells which points a rig triangulates in front of it, from rays that cross, `[N]`."""
    points = observations.triangulate(camera, seen)
    is_seen = seen.weights > 0
    depth = cameras.camera_from_world(points, camera)[..., 2]
    in_front = ((depth > cameras.MIN_DEPTH) | ~is_seen).all(axis=0)
    ray = points - np.asarray(camera.center)[:, np.newaxis]
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    # Rays along one line, the same way or against each other, give no point.
    parallel = np.abs(np.einsum("vni,wni->vwn", ray, ray))
    is_pair = is_seen[:, np.newaxis] & is_seen
    straightest = np.where(is_pair, parallel, 1.0).min(axis=(0, 1))
    return in_front & (straightest < np.cos(_MIN_ANGLE))


# Points seen by moved cameras, with the derivatives that a bundle adjustment needs.
#
# In NumPy: a solver calls it some thousand times on small arrays.


class Linearized(NamedTuple):
    """Shortened residuals of all observations, and their derivatives, `[V, N, 2, 3]`."""

    residuals: np.ndarray  # [V, N, 2], pixels times confidence.
    by_point: np.ndarray  # With respect to the points.
    by_turn: np.ndarray  # With respect to a rotation vector behind the camera's rotation.
    above_by_point: np.ndarray  # As `by_point`, of the weighted squares above the loss.
    # Whose square is half the loss's second derivative, less what comes from the bend of the
    # projection.
    curved_by_point: np.ndarray


class _Problem:
    """The residuals of a rig's observations as a function of how its cameras are moved."""

    def __init__(self, camera: cameras.Camera, seen: observations.Observations):
        self._start, self._seen = camera, seen
        median = np.nanmedian(observations.errors_px(camera, seen))
        self._scale = max(_LOSS_OVER_MEDIAN * median, _MIN_LOSS_SCALE_PX)
        # Of exact detections rounding is left, at which a solver would nibble for long.
        self.is_solved = median < _MIN_LOSS_SCALE_PX
        self._points_of, self._last_points = b"", observations.triangulate(camera, seen)

    def camera(self, moves: np.ndarray) -> cameras.Camera:
        """Turns and shifts all cameras but the first; `moves` are 6 numbers for each."""
        turn, shift = _per_camera(moves)
        turned = transform.Rotation.from_rotvec(turn).as_matrix() @ self._start.rotation
        return cameras.Camera(self._start.intrinsics, turned, self._start.center + shift)

    def without_gross_errors(self, moves: np.ndarray) -> observations.Observations:
        """Returns the observations that are not off by many times the median error."""
        points = self._points(moves, self.camera(moves))
        distance = observations.errors_px(self.camera(moves), self._seen, points)
        is_gross = distance > _GROSS_OVER_MEDIAN * np.nanmedian(distance)
        return self._seen._replace(weights=np.where(is_gross, 0.0, self._seen.weights))

    def residuals(self, moves: np.ndarray) -> np.ndarray:
        """Returns all residuals, with the points where they fit best."""
        camera = self.camera(moves)
        points = self._points(moves, camera)
        return view_residuals(camera, points, self._seen, self._scale).ravel()

    def jacobian(self, moves: np.ndarray) -> np.ndarray:
        """Returns the residuals' derivatives by `moves`, less what the points can undo."""
        camera = self.camera(moves)
        points = self._points(moves, camera)
        now = linearize(camera, points, self._seen, self._scale)
        by_camera = self._by_camera(now, moves)
        matrix = np.einsum("vnki,vnkj->nij", now.by_point, now.by_point)
        # [V, N, 3, P]: each point is pulled by each view's parameters.
        pulled = np.einsum("vnki,vnkp->nivp", now.by_point, by_camera)
        num_views, num_points = by_camera.shape[:2]
        pulled = pulled.reshape(num_points, 3, num_views * _PARAMETERS)
        followed = solve(matrix, pulled, _DAMPING)
        reduced = -np.einsum("vnki,nip->vnkp", now.by_point, followed)
        reduced = reduced.reshape(num_views, num_points, 2, num_views, _PARAMETERS)
        view = np.arange(num_views)
        reduced[view, :, :, view] += by_camera
        # The first camera does not move.
        return reduced[..., 1:, :].reshape(2 * num_views * num_points, -1)

    def _by_camera(self, now: Linearized, moves: np.ndarray) -> np.ndarray:
        """Returns `[V, N, 2, 6]`, derivatives by the turn and the shift of the view's camera."""
        turn, _ = _per_camera(moves)
        by_turn = now.by_turn @ _left_jacobian(turn)[:, np.newaxis]
        return np.concatenate([by_turn, -now.by_point], axis=-1)

    def _points(self, moves: np.ndarray, camera: cameras.Camera) -> np.ndarray:
        # The solver asks for the Jacobian where it has just asked for the residuals, and for
        # residuals near where it has been.
        if self._points_of != moves.tobytes():
            found = fit_points(camera, self._last_points, self._seen, self._scale)
            self._points_of, self._last_points = moves.tobytes(), found
        return self._last_points


def _per_camera(moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns rotation vectors and shifts, `[V, 3]` each; none for the first camera."""
    padded = np.concatenate([np.zeros(_PARAMETERS), moves]).reshape(-1, _PARAMETERS)
    return padded[:, :3], padded[:, 3:]


def _left_jacobian(turn: np.ndarray) -> np.ndarray:
    """Returns `[V, 3, 3]`: by how much `exp(turn)` turns further when `turn` grows.

    References:
        Barfoot, State Estimation for Robotics, eq. (7.77).
    """
    angle = np.linalg.norm(turn, axis=-1)[:, np.newaxis, np.newaxis]
    safe = np.where(angle > 1e-6, angle, 1.0)
    first = np.where(angle > 1e-6, (1 - np.cos(safe)) / safe**2, 0.5)
    second = np.where(angle > 1e-6, (safe - np.sin(safe)) / safe**3, 1 / 6)
    cross = cameras.cross_matrix(turn)
    return np.eye(3) + first * cross + second * cross @ cross


# The points that fit best what given cameras saw, by the loss of the bundle adjustment.

_NUM_STEPS = 12
_NUM_SAFE_STEPS = 4
_FIRST_DAMPING = 1e-4
_LESS, _MORE = 0.2, 10.0
_POINT_TOLERANCE = 1e-9  # Relative, of all points' loss.


def fit_points(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations, scale: float
) -> np.ndarray:
    """Moves each point, `[N, 3]`, meters, world frame, by itself to where its loss is least.

    First by re-weighted least squares, then by Newton's method, both damped as Levenberg and
    Marquardt do where a step makes it worse. `scale`, pixels, is that of the loss.
    """
    damping = np.full(len(points), _FIRST_DAMPING)
    loss = _loss(view_residuals(camera, points, seen, scale))
    for step in range(_NUM_STEPS):
        now = linearize(camera, points, seen, scale)
        # Far off, the loss's curvature says too little; near by, its upper bound is slow.
        root = now.above_by_point if step < _NUM_SAFE_STEPS else now.curved_by_point
        matrix = np.einsum("vnki,vnkj->nij", root, root)
        gradient = np.einsum("vnki,vnk->ni", now.by_point, now.residuals)
        tried = points - solve(matrix, gradient, damping)
        loss_tried = _loss(view_residuals(camera, tried, seen, scale))
        is_better = loss_tried <= loss
        gain = np.sum(loss[is_better] - loss_tried[is_better])
        points = np.where(is_better[:, np.newaxis], tried, points)
        loss = np.where(is_better, loss_tried, loss)
        damping = damping * np.where(is_better, _LESS, _MORE)
        if is_better.all() and gain <= _POINT_TOLERANCE * loss.sum():
            break
    return points


def solve(matrix: np.ndarray, right: np.ndarray, damping: np.ndarray | float) -> np.ndarray:
    """Solves `[N, 3, 3]` symmetric systems with their diagonals raised by a share of the trace.

    The right side is `[N, 3]` or `[N, 3, K]`, and so is what is returned.
    """
    # The constant keeps the matrix regular for a point that no view weighs.
    raised = np.trace(matrix, axis1=-2, axis2=-1) * damping + 1e-12
    matrix = matrix + raised[:, np.newaxis, np.newaxis] * np.eye(3)
    columns = right if right.ndim == 3 else right[..., np.newaxis]
    return np.linalg.solve(matrix, columns).reshape(right.shape)


def _loss(residuals: np.ndarray) -> np.ndarray:
    return np.sum(np.square(residuals), axis=(0, -1))


def view_residuals(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations, scale: float
) -> np.ndarray:
    """Returns shortened residuals, `[V, N, 2]`, pixels times confidence; 0 where not seen."""
    return shorten(_weighted(cameras.camera_from_world(points, camera), camera, seen), scale)


def linearize(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations, scale: float
) -> Linearized:
    """Returns the shortened residuals and their derivatives; arguments as of `view_residuals`."""
    in_views = cameras.camera_from_world(points, camera)
    weighted = _weighted(in_views, camera, seen)
    x, y, z = np.moveaxis(in_views, -1, 0)
    # Nearer than the least depth `project` goes on along the tangent of 1 / z.
    least = np.maximum(z, cameras.MIN_DEPTH)
    inverse, zero = 1 / least + (least - z) / least**2, np.zeros_like(z)
    rows = [[inverse, zero, -x / least**2], [zero, inverse, -y / least**2]]
    by_view = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    focal = np.diagonal(camera.intrinsics, axis1=-2, axis2=-1)[:, np.newaxis, :2, np.newaxis]
    by_view = seen.weights[..., np.newaxis, np.newaxis] * focal * by_view
    shortened = derivative(weighted, scale) @ by_view
    root_weight = np.sqrt(weight(weighted, scale))[..., np.newaxis, np.newaxis]
    rotation = camera.rotation[:, np.newaxis]
    return Linearized(
        residuals=shorten(weighted, scale),
        by_point=shortened @ rotation,
        by_turn=-shortened @ cameras.cross_matrix(in_views),
        above_by_point=root_weight * by_view @ rotation,
        curved_by_point=curvature_root(weighted, scale) @ by_view @ rotation,
    )


def _weighted(
    in_views: np.ndarray, camera: cameras.Camera, seen: observations.Observations
) -> np.ndarray:
    pixels = cameras.project(in_views, camera.intrinsics)
    return seen.weights[..., np.newaxis] * (pixels - seen.keypoints_2d)


# A loss that is quadratic near zero and linear far away, as residuals for a solver of squares.
#
# `scipy.optimize.least_squares` robustifies each number on its own; a detection is two numbers, and
# what is gross about it is its distance. So residual vectors are shortened such that half their
# square is the loss of their length.


def shorten(residuals: np.ndarray, scale: float) -> np.ndarray:
    """Shortens vectors `[..., 2]`, pixels: the square of each becomes its pseudo-Huber loss.

    That is `2 scale² (√(1 + |r|² / scale²) - 1)`, which at `scale`, pixels, turns from squared to
    linear.

    References:
        Hartley and Zisserman, Multiple View Geometry, 2nd ed., appendix 6.8.
    """
    return _factor(residuals, scale)[..., np.newaxis] * residuals


def derivative(residuals: np.ndarray, scale: float) -> np.ndarray:
    """Returns the derivative of `shorten`, `[..., 2, 2]`, with respect to the residuals."""
    factor = _factor(residuals, scale)
    root = 2 / np.square(factor) - 1
    slope = -1 / (2 * factor * root * np.square(root + 1))
    outer = residuals[..., :, np.newaxis] * residuals[..., np.newaxis, :]
    stretched = factor[..., np.newaxis, np.newaxis] * np.eye(2)
    return stretched + (2 * slope / scale**2)[..., np.newaxis, np.newaxis] * outer


def weight(residuals: np.ndarray, scale: float) -> np.ndarray:
    """Returns the weight `[...]` with which a squared residual has the loss's slope.

    Weighted squares lie above the loss and touch it where the weight was taken: who minimizes them
    again and again never goes up.
    """
    return 1 / np.sqrt(1 + np.sum(np.square(residuals), axis=-1) / scale**2)


def curvature_root(residuals: np.ndarray, scale: float) -> np.ndarray:
    """Returns `[..., 2, 2]`, the root of half the loss's second derivative, never negative.

    Across a residual that is the root of its weight w, along it that of w³.
    """
    root = np.sqrt(weight(residuals, scale))[..., np.newaxis, np.newaxis]
    squared = np.sum(np.square(residuals), axis=-1)[..., np.newaxis, np.newaxis]
    outer = residuals[..., :, np.newaxis] * residuals[..., np.newaxis, :]
    along = outer / np.maximum(squared, np.finfo(np.float64).tiny)
    return root * (np.eye(2) - (1 - np.square(root)) * along)


def _factor(residuals: np.ndarray, scale: float) -> np.ndarray:
    return np.sqrt(2 / (1 / weight(residuals, scale) + 1))
