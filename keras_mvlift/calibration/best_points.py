"""The points that fit best what given cameras saw, by the loss of the bundle adjustment."""

import numpy as np

from keras_mvlift.calibration import observations, projections
from keras_mvlift.geometry import cameras

_NUM_STEPS = 12
_NUM_SAFE_STEPS = 4
_FIRST_DAMPING = 1e-4
_LESS, _MORE = 0.2, 10.0
# Relative, of all points' loss.
_TOLERANCE = 1e-9


def fit(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations, scale: float
) -> np.ndarray:
    """Moves each point, by itself, to where its loss is least.

    First by re-weighted least squares, then by Newton's method, both damped as Levenberg and
    Marquardt do where a step makes it worse.

    Args:
        camera: The rig, fields `[V, ...]`, NumPy arrays.
        points: `[N, 3]`, meters, world frame, from which to start.
        seen: The rig's observations.
        scale: Of the loss, pixels.

    Returns:
        `[N, 3]`, meters, world frame.
    """
    damping = np.full(len(points), _FIRST_DAMPING)
    loss = _loss(projections.residuals(camera, points, seen, scale))
    for step in range(_NUM_STEPS):
        now = projections.linearize(camera, points, seen, scale)
        # Far off, the loss's curvature says too little; near by, its upper bound is slow.
        root = now.above_by_point if step < _NUM_SAFE_STEPS else now.curved_by_point
        matrix = np.einsum("vnki,vnkj->nij", root, root)
        gradient = np.einsum("vnki,vnk->ni", now.by_point, now.residuals)
        tried = points - solve(matrix, gradient, damping)
        loss_tried = _loss(projections.residuals(camera, tried, seen, scale))
        is_better = loss_tried <= loss
        gain = np.sum(loss[is_better] - loss_tried[is_better])
        points = np.where(is_better[:, np.newaxis], tried, points)
        loss = np.where(is_better, loss_tried, loss)
        damping = damping * np.where(is_better, _LESS, _MORE)
        if is_better.all() and gain <= _TOLERANCE * loss.sum():
            break
    return points


def solve(matrix: np.ndarray, right: np.ndarray, damping: np.ndarray | float) -> np.ndarray:
    """Solves `[N, 3, 3]` systems with their diagonals raised by a share of the trace.

    Args:
        matrix: `[N, 3, 3]`, symmetric.
        right: `[N, 3]` or `[N, 3, K]`.
        damping: `[N]` or one for all.

    Returns:
        As `right`.
    """
    # The constant keeps the matrix regular for a point that no view weighs.
    raised = np.trace(matrix, axis1=-2, axis2=-1) * damping + 1e-12
    matrix = matrix + raised[:, np.newaxis, np.newaxis] * np.eye(3)
    columns = right if right.ndim == 3 else right[..., np.newaxis]
    return np.linalg.solve(matrix, columns).reshape(right.shape)


def _loss(residuals: np.ndarray) -> np.ndarray:
    return np.sum(np.square(residuals), axis=(0, -1))
