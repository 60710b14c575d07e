"""Points seen by moved cameras, with the derivatives that a bundle adjustment needs.

In NumPy: a solver calls it some thousand times on small arrays.
"""

from typing import NamedTuple

import numpy as np

from keras_mvlift.calibration import observations, robust_loss
from keras_mvlift.geometry import cameras, epipolar


class Linearized(NamedTuple):
    """Residuals of all observations, shortened by the loss, and their derivatives.

    Attributes:
        residuals: `[V, N, 2]`, pixels times confidence.
        by_point: `[V, N, 2, 3]`, with respect to the points.
        by_turn: `[V, N, 2, 3]`, with respect to a rotation vector behind the camera's rotation.
        above_by_point: `[V, N, 2, 3]`, as `by_point`, of the weighted squares above the loss.
        curved_by_point: `[V, N, 2, 3]`, whose square is half the loss's second derivative, less
            what comes from the bend of the projection.
    """

    residuals: np.ndarray
    by_point: np.ndarray
    by_turn: np.ndarray
    above_by_point: np.ndarray
    curved_by_point: np.ndarray


def residuals(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations, scale: float
) -> np.ndarray:
    """Gives the shortened residuals, `[V, N, 2]`, pixels times confidence; 0 where not seen.

    Args:
        camera: The rig, fields `[V, ...]`, NumPy arrays.
        points: `[N, 3]`, meters, world frame.
        seen: The rig's observations.
        scale: Of the loss, pixels.
    """
    return robust_loss.shorten(_weighted(_in_views(camera, points), camera, seen), scale)


def linearize(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations, scale: float
) -> Linearized:
    """Gives the shortened residuals and their derivatives; arguments as of `residuals`."""
    in_views = _in_views(camera, points)
    weighted = _weighted(in_views, camera, seen)
    x, y, z = np.moveaxis(in_views, -1, 0)
    # A point at the nearest depth no longer moves along the axis in the image.
    ahead = z > cameras.MIN_DEPTH
    z = np.maximum(z, cameras.MIN_DEPTH)
    zero = np.zeros_like(z)
    rows = [[1 / z, zero, -1.0 * ahead * x / z**2], [zero, 1 / z, -1.0 * ahead * y / z**2]]
    by_view = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    by_view = _focal(camera)[..., np.newaxis] * by_view
    by_view = seen.weights[..., np.newaxis, np.newaxis] * by_view
    shortened = robust_loss.derivative(weighted, scale) @ by_view
    root_weight = np.sqrt(robust_loss.weight(weighted, scale))[..., np.newaxis, np.newaxis]
    rotation = camera.rotation[:, np.newaxis]
    return Linearized(
        residuals=robust_loss.shorten(weighted, scale),
        by_point=shortened @ rotation,
        by_turn=-shortened @ epipolar.cross_matrix(in_views),
        above_by_point=root_weight * by_view @ rotation,
        curved_by_point=robust_loss.curvature_root(weighted, scale) @ by_view @ rotation,
    )


def _in_views(camera: cameras.Camera, points: np.ndarray) -> np.ndarray:
    return (points - camera.center[:, np.newaxis]) @ camera.rotation.swapaxes(-1, -2)


def _weighted(
    in_views: np.ndarray, camera: cameras.Camera, seen: observations.Observations
) -> np.ndarray:
    rays = in_views[..., :2] / np.maximum(in_views[..., 2:], cameras.MIN_DEPTH)
    pixels = rays * _focal(camera) + camera.intrinsics[:, np.newaxis, :2, 2]
    return seen.weights[..., np.newaxis] * (pixels - seen.keypoints_2d)


def _focal(camera: cameras.Camera) -> np.ndarray:
    return np.diagonal(camera.intrinsics, axis1=-2, axis2=-1)[:, np.newaxis, :2]
