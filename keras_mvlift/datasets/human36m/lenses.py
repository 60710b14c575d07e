"""The lenses of Human3.6M's cameras, in the release's own form of distortion.

It is OpenCV's but for the tangential terms, which lack a factor of 2. With the release's
coefficients the two differ by less than a pixel, and by nothing on the optical axis. In NumPy: a
clip has some 200,000 points, and the rays of all of them are bent several times over.
"""

import numpy as np

# Pixels. Steps below the first end the iteration; points that still move more than the second
# after the last one have no inverse.
_PRECISION = 1e-6
_TOLERANCE = 1e-5
_MAX_ITERATIONS = 20


def distort(
    keypoints_2d: np.ndarray, intrinsics: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Moves points of an ideal image to where the lens shows them.

    A ray (x, y) with r² = x² + y² goes to

        x (1 + k1 r² + k2 r⁴ + k3 r⁶ + p1 y + p2 x) + p2 r²
        y (1 + k1 r² + k2 r⁴ + k3 r⁶ + p1 y + p2 x) + p1 r².

    Args:
        keypoints_2d: `[..., J, 2]`, pixels.
        intrinsics: `[..., 3, 3]`, pixels, without skew.
        coefficients: `[..., 5]`, `(k1, k2, p1, p2, k3)`, no unit.

    Returns:
        `[..., J, 2]`, pixels.

    References:
        The camera model of the Human3.6M release's code; VideoPose3D, common/camera.py.
    """
    focal, principal_point = _pinhole(intrinsics)
    x, y = np.moveaxis((keypoints_2d - principal_point) / focal, -1, 0)
    scale, away_x, away_y = _bend(x, y, coefficients)
    return np.stack([x * scale + away_x, y * scale + away_y], axis=-1) * focal + principal_point


def undistort(
    keypoints_2d: np.ndarray, intrinsics: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Inverts `distort`, by Newton's steps along the radius.

    Of the release's lenses the result is good to 1e-4 pixels up to an image's width around it.

    Args:
        keypoints_2d: `[..., J, 2]`, pixels, as the lens shows them.
        intrinsics: `[..., 3, 3]`, pixels, without skew.
        coefficients: `[..., 5]`, `(k1, k2, p1, p2, k3)`, no unit.

    Returns:
        `[..., J, 2]`, pixels; NaN for points so far out that no inverse is found.
    """
    focal, principal_point = _pinhole(intrinsics)
    target_x, target_y = np.moveaxis((keypoints_2d - principal_point) / focal, -1, 0)
    x, y = target_x, target_y
    step = np.zeros_like(x)
    # Points without an inverse grow until they overflow, and are given up below.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(_MAX_ITERATIONS):
            scale, away_x, away_y = _bend(x, y, coefficients)
            slope = _slope(x, y, coefficients)
            step_x = (x * scale + away_x - target_x) / slope
            step_y = (y * scale + away_y - target_y) / slope
            x, y = x - step_x, y - step_y
            step = np.maximum(np.abs(step_x), np.abs(step_y)) * focal.max(initial=0.0)
            if not (step > _PRECISION).any():
                break
        is_found = (step < _TOLERANCE)[..., np.newaxis]
        keypoints = np.stack([x, y], axis=-1) * focal + principal_point
    return np.where(is_found, keypoints, np.nan)


def _pinhole(intrinsics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives focal lengths and principal points, `[..., 1, 2]`."""
    focal = np.diagonal(intrinsics, axis1=-2, axis2=-1)[..., np.newaxis, :2]
    return focal, intrinsics[..., np.newaxis, :2, 2]


def _bend(
    x: np.ndarray, y: np.ndarray, coefficients: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gives by what the rays `[..., J]` are multiplied, and what is added to their x and y."""
    k1, k2, p1, p2, k3 = np.moveaxis(coefficients[..., np.newaxis, :], -1, 0)
    squared = x * x + y * y
    scale = 1 + squared * (k1 + squared * (k2 + squared * k3)) + p1 * y + p2 * x
    return scale, p2 * squared, p1 * squared


def _slope(x: np.ndarray, y: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Gives how fast a ray moves outwards in the image as it moves outwards in space."""
    k1, k2, _, _, k3 = np.moveaxis(coefficients[..., np.newaxis, :], -1, 0)
    squared = x * x + y * y
    return 1 + squared * (3 * k1 + squared * (5 * k2 + squared * 7 * k3))
