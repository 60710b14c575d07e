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

import numpy as np
from scipy import optimize
from scipy.spatial import transform

from keras_mvlift.calibration import best_points, observations, projections, reprojection
from keras_mvlift.geometry import cameras, epipolar

MIN_POINTS = 50
_PARAMETERS = 6
_NUM_ROUNDS = 3
_MAX_EVALUATIONS = 30
# The loss turns from squared to linear at so many times the median error.
_LOSS_OVER_MEDIAN = 1.5
_MIN_LOSS_SCALE_PX = 1e-3
# Of any loss the grossest errors still pull; behind the first round they are left out.
_GROSS_OVER_MEDIAN = 6.0
# Relative, of the loss and of the steps.
_TOLERANCE = 1e-6
# Rays that cross at less than this say too little about how far their point is, radians.
_MIN_ANGLE = np.radians(2.0)
# Of the points' equations, in shares of their trace; without it one ill-placed point is enough.
_DAMPING = 1e-12


def adjust(camera: cameras.Camera, seen: observations.Observations) -> cameras.Camera:
    """Refines the extrinsics of a rig.

    What is minimized is the distance in pixels between points and detections, times the
    detection's confidence, by a loss that grows linearly for gross errors.

    Args:
        camera: The rig as known so far, fields `[V, ...]`.
        seen: Its observations.

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
        if len(used.frame) < MIN_POINTS:
            rule = f"`seen` must hold {MIN_POINTS} points that the rig triangulates in front of it"
            raise ValueError(f"{rule}. Received: {len(used.frame)}.")
        problem = _Problem(camera, used)
        if problem.is_solved:
            break
        solution = optimize.least_squares(
            problem.residuals,
            np.zeros(_PARAMETERS * (len(camera.center) - 1)),
            jac=problem.jacobian,
            method="trf",
            x_scale="jac",
            ftol=_TOLERANCE,
            xtol=_TOLERANCE,
            max_nfev=_MAX_EVALUATIONS,
        )
        camera = problem.camera(solution.x)
        used = problem.without_gross_errors(solution.x)
    return camera


def is_usable(camera: cameras.Camera, seen: observations.Observations) -> np.ndarray:
    """Tells which points a rig triangulates in front of it, from rays that cross, `[N]`."""
    points = reprojection.triangulate(camera, seen)
    is_seen = seen.weights > 0
    ray = points - np.asarray(camera.center)[:, np.newaxis]
    depth = np.einsum("vi,vni->vn", np.asarray(camera.rotation)[:, 2], ray)
    in_front = ((depth > cameras.MIN_DEPTH) | ~is_seen).all(axis=0)
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    # Rays along one line, the same way or against each other, give no point.
    parallel = np.abs(np.einsum("vni,wni->vwn", ray, ray))
    is_pair = is_seen[:, np.newaxis] & is_seen
    straightest = np.where(is_pair, parallel, 1.0).min(axis=(0, 1))
    return in_front & (straightest < np.cos(_MIN_ANGLE))


class _Problem:
    """The residuals of a rig's observations as a function of how its cameras are moved."""

    def __init__(self, camera: cameras.Camera, seen: observations.Observations):
        self._start, self._seen = camera, seen
        median = np.nanmedian(reprojection.errors_px(camera, seen))
        self._scale = max(_LOSS_OVER_MEDIAN * median, _MIN_LOSS_SCALE_PX)
        # Of exact detections rounding is left, at which a solver would nibble for long.
        self.is_solved = median < _MIN_LOSS_SCALE_PX
        self._points_of, self._last_points = b"", reprojection.triangulate(camera, seen)

    def camera(self, moves: np.ndarray) -> cameras.Camera:
        """Turns and shifts all cameras but the first; `moves` are 6 numbers for each."""
        turn, shift = _per_camera(moves)
        turned = transform.Rotation.from_rotvec(turn).as_matrix() @ self._start.rotation
        return cameras.Camera(self._start.intrinsics, turned, self._start.center + shift)

    def without_gross_errors(self, moves: np.ndarray) -> observations.Observations:
        """Gives the observations that are not off by many times the median error."""
        points = self._points(moves, self.camera(moves))
        distance = reprojection.errors_px(self.camera(moves), self._seen, points)
        is_gross = distance > _GROSS_OVER_MEDIAN * np.nanmedian(distance)
        return self._seen._replace(weights=np.where(is_gross, 0.0, self._seen.weights))

    def residuals(self, moves: np.ndarray) -> np.ndarray:
        """Gives all residuals, with the points where they fit best."""
        camera = self.camera(moves)
        points = self._points(moves, camera)
        return projections.residuals(camera, points, self._seen, self._scale).ravel()

    def jacobian(self, moves: np.ndarray) -> np.ndarray:
        """Gives the residuals' derivatives by `moves`, less what the points can undo."""
        camera = self.camera(moves)
        points = self._points(moves, camera)
        now = projections.linearize(camera, points, self._seen, self._scale)
        by_camera = self._by_camera(now, moves)
        matrix = np.einsum("vnki,vnkj->nij", now.by_point, now.by_point)
        # [V, N, 3, P]: each point is pulled by each view's parameters.
        pulled = np.einsum("vnki,vnkp->nivp", now.by_point, by_camera)
        num_views, num_points = by_camera.shape[:2]
        pulled = pulled.reshape(num_points, 3, num_views * _PARAMETERS)
        followed = best_points.solve(matrix, pulled, _DAMPING)
        reduced = -np.einsum("vnki,nip->vnkp", now.by_point, followed)
        reduced = reduced.reshape(num_views, num_points, 2, num_views, _PARAMETERS)
        view = np.arange(num_views)
        reduced[view, :, :, view] += by_camera
        # The first camera does not move.
        return reduced[..., 1:, :].reshape(2 * num_views * num_points, -1)

    def _by_camera(self, now: projections.Linearized, moves: np.ndarray) -> np.ndarray:
        """Gives `[V, N, 2, 6]`, derivatives by the turn and the shift of the view's camera."""
        turn, _ = _per_camera(moves)
        by_turn = now.by_turn @ _left_jacobian(turn)[:, np.newaxis]
        return np.concatenate([by_turn, -now.by_point], axis=-1)

    def _points(self, moves: np.ndarray, camera: cameras.Camera) -> np.ndarray:
        # The solver asks for the Jacobian where it has just asked for the residuals, and for
        # residuals near where it has been.
        if self._points_of != moves.tobytes():
            found = best_points.fit(camera, self._last_points, self._seen, self._scale)
            self._points_of, self._last_points = moves.tobytes(), found
        return self._last_points


def _per_camera(moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives rotation vectors and shifts, `[V, 3]` each; none for the first camera."""
    padded = np.concatenate([np.zeros(_PARAMETERS), moves]).reshape(-1, _PARAMETERS)
    return padded[:, :3], padded[:, 3:]


def _left_jacobian(turn: np.ndarray) -> np.ndarray:
    """Gives `[V, 3, 3]`: by how much `exp(turn)` turns further when `turn` grows.

    References:
        Barfoot, State Estimation for Robotics, eq. (7.77).
    """
    angle = np.linalg.norm(turn, axis=-1)[:, np.newaxis, np.newaxis]
    safe = np.where(angle > 1e-6, angle, 1.0)
    first = np.where(angle > 1e-6, (1 - np.cos(safe)) / safe**2, 0.5)
    second = np.where(angle > 1e-6, (safe - np.sin(safe)) / safe**3, 1 / 6)
    cross = epipolar.cross_matrix(turn)
    return np.eye(3) + first * cross + second * cross @ cross
