"""Bundle adjustment: the places and attitudes of all cameras that explain all they saw.

The unknowns are rotation and center of every camera but the first, which stays, and the points.
Intrinsics are not touched: people are too soft a target for them. Each step of Levenberg and
Marquardt eliminates the points, which do not see each other (the Schur complement), so that a
hundred frames are a small dense problem of the cameras alone.

References:
    Triggs et al., Bundle Adjustment - A Modern Synthesis, 1999, sections 4.3 and 6.1.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg
from scipy.spatial import transform

from keras_mvlift import errors
from keras_mvlift.calibration import observations
from keras_mvlift.geometry import cameras

MIN_POINTS = 50
_PARAMETERS = 6
_NUM_ROUNDS = 3

# The loss turns from squared to linear at so many times the median error.
_LOSS_OVER_MEDIAN = 1.5
# Of exact detections rounding is left, at which a solver would nibble for long.
_MIN_ERROR_PX = 1e-6
# Of any loss the grossest errors still pull; behind the first round they are left out.
_GROSS_OVER_MEDIAN = 6.0
# Rays that cross at less than this say too little about how far their point is, radians.
_MIN_ANGLE = np.radians(2.0)
_MAX_STEPS = 50
_TOLERANCE = 1e-7  # Relative, of the loss.
_FIRST_DAMPING, _LESS, _MORE = 1e-4, 0.2, 10.0
# Images tell nothing of the scale: without it the equations would not tell it either.
_LEAST_DAMPING = 1e-9


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
    for _ in range(_NUM_ROUNDS):
        seen = seen.select(is_usable(camera, seen))
        rule = f"hold {MIN_POINTS} points that the rig triangulates in front of it"
        errors.require(len(seen.frame) >= MIN_POINTS, "seen", rule, len(seen.frame))
        points = observations.triangulate(camera, seen)
        median = np.nanmedian(observations.errors_px(camera, seen, points))
        if median < _MIN_ERROR_PX:
            break
        camera, points = minimize(camera, points, seen, _LOSS_OVER_MEDIAN * median)
        distance = observations.errors_px(camera, seen, points)
        is_gross = distance > _GROSS_OVER_MEDIAN * np.nanmedian(distance)
        seen = seen._replace(weights=np.where(is_gross, 0.0, seen.weights))
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


def minimize(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations, scale: float
) -> tuple[cameras.Camera, np.ndarray]:
    """Moves all cameras but the first, and points `[N, 3]`, meters, to where the loss is least."""
    damping = _FIRST_DAMPING
    least = loss(residuals(camera, points, seen), scale)
    for _ in range(_MAX_STEPS):
        move, shift = _step(linearize(camera, points, seen, scale), damping)
        turned = transform.Rotation.from_rotvec(move[:, :3]).as_matrix() @ camera.rotation
        tried = camera._replace(rotation=turned, center=camera.center + move[:, 3:])
        found = loss(residuals(tried, points + shift, seen), scale)
        # Worse, or no number at all.
        if not found <= least:
            damping *= _MORE
            continue
        gain, least = least - found, found
        camera, points = tried, points + shift
        damping = max(damping * _LESS, _LEAST_DAMPING)
        if gain <= _TOLERANCE * least or least < seen.weights.size * _MIN_ERROR_PX**2:
            break
    return camera, points


class Linearized(NamedTuple):
    """What a step of Gauss and Newton takes: residuals, and their derivatives.

    Products of the derivatives with each other are half the loss's second derivatives, those with
    the residuals half its first, both but for the bend of the projection.
    """

    residuals: np.ndarray  # [V, N, 2], pixels times confidence; 0 where not seen.
    by_camera: np.ndarray  # [V, N, 2, 6], by a turn behind the camera's rotation and by a shift.
    by_point: np.ndarray  # [V, N, 2, 3].


def _step(now: Linearized, damping: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns how cameras, `[V, 6]`, and points, `[N, 3]`, move."""
    by_camera = now.by_camera[1:]
    num_cameras, num_points = by_camera.shape[:2]
    damped = np.eye(_PARAMETERS) * damping + 1
    matrix = linalg.block_diag(*(damped * np.einsum("vnkp,vnkq->vpq", by_camera, by_camera)))
    gradient = np.einsum("vnkp,vnk->vp", by_camera, now.residuals[1:]).ravel()
    # Each point is pulled by each camera's parameters, and by its own residuals.
    pulled = np.einsum("vnki,vnkp->nivp", now.by_point[1:], by_camera)
    pulled = pulled.reshape(num_points, 3, num_cameras * _PARAMETERS)
    own = np.einsum("vnki,vnk->ni", now.by_point, now.residuals)[..., np.newaxis]
    by_point = np.einsum("vnki,vnkj->nij", now.by_point, now.by_point)
    by_point = (np.eye(3) * damping + 1) * by_point + 1e-12 * np.eye(3)
    followed = np.linalg.solve(by_point, np.concatenate([pulled, own], axis=-1))
    reduced = np.einsum("nip,niq->pq", pulled, followed)
    move = np.linalg.solve(matrix - reduced[:, :-1], reduced[:, -1] - gradient)
    shift = -(followed[..., :-1] @ move + followed[..., -1])
    return np.concatenate([np.zeros(_PARAMETERS), move]).reshape(-1, _PARAMETERS), shift


def residuals(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations
) -> np.ndarray:
    """Returns `[V, N, 2]`, pixels times confidence; 0 where not seen."""
    pixels = cameras.project_from_world(points, camera)
    return seen.weights[..., np.newaxis] * (pixels - seen.keypoints_2d)


def loss(residuals: np.ndarray, scale: float) -> float:
    """Sums the pseudo-Huber loss of residuals `[..., 2]`: `2 scale² (√(1 + |r|² / scale²) - 1)`.

    At `scale`, pixels, it turns from squared to linear. What is gross about a detection is its
    distance, not one of its two coordinates.

    References:
        Hartley and Zisserman, Multiple View Geometry, 2nd ed., appendix 6.8.
    """
    return float(np.sum(2 * scale**2 * (1 / _weight(residuals, scale) - 1)))


def _weight(residuals: np.ndarray, scale: float) -> np.ndarray:
    """Returns the weight `[...]` with which a squared residual has the loss's slope."""
    return 1 / np.sqrt(1 + np.sum(np.square(residuals), axis=-1) / scale**2)


def linearize(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations, scale: float
) -> Linearized:
    """Returns residuals and derivatives such that squares of them bend as the loss does.

    Across a residual half the loss's second derivative is its weight w, along it w³.
    """
    left = residuals(camera, points, seen)
    in_views = cameras.camera_from_world(points, camera)
    x, y, z = np.moveaxis(in_views, -1, 0)
    # Nearer than the least depth `project` goes on along the tangent of 1 / z.
    least = np.maximum(z, cameras.MIN_DEPTH)
    inverse, zero = 1 / least + (least - z) / least**2, np.zeros_like(z)
    rows = [[inverse, zero, -x / least**2], [zero, inverse, -y / least**2]]
    by_view = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    focal = np.diagonal(camera.intrinsics, axis1=-2, axis2=-1)[:, np.newaxis, :2, np.newaxis]
    weight = _weight(left, scale)[..., np.newaxis, np.newaxis]
    length = np.linalg.norm(left, axis=-1, keepdims=True)
    along = (left / np.maximum(length, np.finfo(float).tiny))[..., np.newaxis]
    root = np.sqrt(weight) * (np.eye(2) - (1 - weight) * along * np.swapaxes(along, -1, -2))
    by_view = root @ (seen.weights[..., np.newaxis, np.newaxis] * focal * by_view)
    by_point = by_view @ camera.rotation[:, np.newaxis]
    by_turn = -by_view @ cameras.cross_matrix(in_views)
    return Linearized(
        residuals=left / np.sqrt(weight[..., 0]),
        by_camera=np.concatenate([by_turn, -by_point], axis=-1),
        by_point=by_point,
    )
