"""Keypoints freed from the distortion of the lenses that saw them."""

import numpy as np

from keras_mvlift.datasets.calibrations import calibration as calibrations
from keras_mvlift.geometry import cameras

# In the plane at distance 1; at a focal length of 1000 pixels a hundred-thousandth of a pixel.
_TOLERANCE = 1e-8
_NUM_STEPS = 30
_DIFFERENCE = 1e-6


def undistort(
    keypoints_2d: np.ndarray, calibration: calibrations.Calibration
) -> tuple[np.ndarray, np.ndarray]:
    """Removes lens distortion.

    Args:
        keypoints_2d: `[V, T, K, 2]`, pixels, as detected.
        calibration: Its camera's fields are `[V, ...]`; the extrinsics may be unknown.

    Returns:
        Keypoints `[V, T, K, 2]`, pixels, and `[V, T, K]`, whether the lens bends the ray of that
        keypoint there: far outside the image the model may turn back on itself, and no ray is.
    """
    intrinsics = calibration.camera.intrinsics[:, np.newaxis]
    rays = cameras.rays(keypoints_2d, intrinsics).numpy()
    coefficients = np.broadcast_to(
        calibration.distortion[:, np.newaxis, np.newaxis], (*rays.shape[:-1], 5)
    )
    ideal = np.array(cameras.undistort(rays, calibration.distortion[:, np.newaxis]))
    with np.errstate(all="ignore"):
        is_undone = _solves(ideal, rays, coefficients)
        # The fixed-point iteration is slow for strong lenses, and may leave the right branch.
        rest = ~is_undone
        if rest.any():
            ideal[rest] = _newton(rays[rest], coefficients[rest])
            is_undone[rest] = _solves(ideal[rest], rays[rest], coefficients[rest])
    focal = np.diagonal(intrinsics, axis1=-2, axis2=-1)[..., np.newaxis, :2]
    pixels = ideal * focal + intrinsics[..., np.newaxis, :2, 2]
    return pixels, is_undone & np.isfinite(pixels).all(axis=-1)


def straighten(
    keypoints_2d: np.ndarray, confidence: np.ndarray, calibration: calibrations.Calibration
) -> tuple[np.ndarray, np.ndarray]:
    """Removes lens distortion of what was seen, as `undistort`.

    Args:
        keypoints_2d: `[V, T, K, 2]`, pixels, as detected.
        confidence: `[V, T, K]`, 0 where not seen.
        calibration: Its camera's fields are `[V, ...]`.

    Returns:
        Keypoints and confidence, both 0 where a joint was not seen, or seen where the lens bends
        no ray to.
    """
    is_seen = confidence > 0
    center = calibration.camera.intrinsics[:, np.newaxis, np.newaxis, :2, 2]
    straight, is_undone = undistort(
        np.where(is_seen[..., np.newaxis], keypoints_2d, center), calibration
    )
    is_seen &= is_undone
    return np.where(is_seen[..., np.newaxis], straight, 0.0), np.where(is_seen, confidence, 0.0)


def distort(keypoints_2d: np.ndarray, calibration: calibrations.Calibration) -> np.ndarray:
    """Bends keypoints `[V, T, K, 2]`, pixels, as the lenses do; the inverse of `undistort`."""
    intrinsics = calibration.camera.intrinsics[:, np.newaxis]
    rays = cameras.rays(keypoints_2d, intrinsics)
    bent = cameras.distort(rays, calibration.distortion[:, np.newaxis]).numpy()
    focal = np.diagonal(intrinsics, axis1=-2, axis2=-1)[..., np.newaxis, :2]
    return bent * focal + intrinsics[..., np.newaxis, :2, 2]


def _solves(ideal: np.ndarray, rays: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Tells `[...]` which ideal rays `[..., 2]` the lens bends to `rays` as a real lens would.

    Far out the model may turn back, and even cross the axis; a lens does neither.
    """
    is_near = np.abs(_distort(ideal, coefficients) - rays).max(axis=-1, initial=0.0) < _TOLERANCE
    goes_out = np.linalg.det(_jacobian(ideal, coefficients)) > 0
    return is_near & goes_out & ((ideal * rays).sum(axis=-1) >= 0)


def _newton(rays: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Solves for the ideal rays `[N, 2]`, from the center outwards so as to stay on its branch."""
    ideal = np.zeros_like(rays)
    for step in range(_NUM_STEPS):
        target = rays * min(1.0, 2 * (step + 1) / _NUM_STEPS)
        residual = _distort(ideal, coefficients) - target
        ideal = ideal - _solve(_jacobian(ideal, coefficients), residual)
    return ideal


def _jacobian(ideal: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Gives `[..., 2, 2]`, by central differences; the last axis is what is differentiated by."""
    steps = _DIFFERENCE * np.eye(2)
    columns = [
        _distort(ideal + step, coefficients) - _distort(ideal - step, coefficients)
        for step in steps
    ]
    return np.stack(columns, axis=-1) / (2 * _DIFFERENCE)


def _solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    (a, b), (c, d) = np.moveaxis(matrix, 0, -1)
    x, y = vector.T
    return np.stack([d * x - b * y, a * y - c * x], axis=-1) / (a * d - b * c)[:, np.newaxis]


def _distort(rays: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """As `cameras.distort`, with coefficients of each ray, `[..., 5]`."""
    return cameras.distort(rays[..., np.newaxis, :], coefficients).numpy()[..., 0, :]
