"""Lens distortion: removed in the readers, met nowhere behind them; in NumPy.

The lens is OpenCV's with five coefficients, and where they are given two of its thin prism's: a ray
(x, y) with s = x² + y² goes to

    x (1 + k1 s + k2 s² + k3 s³) + 2 p1 x y + p2 (s + 2 x²) + s1 s
    y (1 + k1 s + k2 s² + k3 s³) + p1 (s + 2 y²) + 2 p2 x y + s3 s.

All functions take keypoints `[..., J, 2]` and intrinsics `[..., 3, 3]` in pixels, coefficients
`(k1, k2, p1, p2, k3)`, `[..., 5]`, and prism `(s1, s3)`, `[..., 2]`, 0 if not given, without unit;
they raise a ValueError if a trailing dimension is another.
"""

import numpy as np

from keras_mvlift.geometry import arrays, cameras

_MAX_STEPS = 20
_PATH_STEPS = 30
# In the plane at distance 1; at a focal length of 1000 pixels a hundred-thousandth of a pixel.
_TOLERANCE = 1e-8


def distort(
    keypoints_2d: np.ndarray,
    intrinsics: np.ndarray,
    coefficients: np.ndarray,
    prism: np.ndarray | None = None,
) -> np.ndarray:
    """Moves points of an ideal image to where the lens shows them, `[..., J, 2]`, pixels.

    References:
        OpenCV, Camera Calibration and 3D Reconstruction, "Detailed Description".
    """
    x, y = arrays.unstack(cameras.rays(keypoints_2d, intrinsics))
    bent, _ = _bend(x, y, _lens(coefficients, prism))
    return cameras.pixels(np.moveaxis(bent, 0, -1), intrinsics)


def undistort_detections(
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
    intrinsics: np.ndarray,
    coefficients: np.ndarray,
    prism: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Removes distortion, as `undistort`, of what was seen with confidence `[..., J]`, 0 for not.

    Returns:
        Keypoints and confidence, both 0 where a joint was not seen, or seen where the lens bends
        no ray to.
    """
    is_seen = confidence > 0
    seen_2d = np.where(is_seen[..., np.newaxis], keypoints_2d, intrinsics[..., np.newaxis, :2, 2])
    straight = undistort(seen_2d, intrinsics, coefficients, prism)
    is_seen &= np.isfinite(straight).all(axis=-1)
    return np.where(is_seen[..., np.newaxis], straight, 0.0), np.where(is_seen, confidence, 0.0)


def undistort(
    keypoints_2d: np.ndarray,
    intrinsics: np.ndarray,
    coefficients: np.ndarray,
    prism: np.ndarray | None = None,
) -> np.ndarray:
    """Inverts `distort` by Newton's method.

    Returns:
        `[..., J, 2]`, pixels; NaN where the lens bends no ray to: far outside the image its model
        may turn back on itself.
    """
    target = np.stack(arrays.unstack(cameras.rays(keypoints_2d, intrinsics)))
    lens = _lens(coefficients, prism)
    # Points without an inverse grow until they overflow, and are given up.
    with np.errstate(all="ignore"):
        rays, is_found = _newton(target, target, lens, _MAX_STEPS)
        if not is_found.all():
            lost = ~is_found
            its_lens = [np.broadcast_to(value, lost.shape)[lost] for value in lens]
            rays[:, lost] = _from_the_center(target[:, lost], its_lens)
    return cameras.pixels(np.moveaxis(rays, 0, -1), intrinsics)


def _newton(
    rays: np.ndarray, target: np.ndarray, lens: list[np.ndarray], num_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Improves rays `[2, ...]`; tells, too, which of them a real lens bends to the target.

    Far out the model may turn back, and even cross the axis; a lens does neither.
    """
    for steps_left in reversed(range(num_steps + 1)):
        bent, (a, b, c, d) = _bend(rays[0], rays[1], lens)
        off, determinant = bent - target, a * d - b * c
        is_near = np.abs(off).max(axis=0) < _TOLERANCE
        if not steps_left or is_near.all():
            break
        step = np.stack([d * off[0] - b * off[1], a * off[1] - c * off[0]])
        rays = rays - step / determinant
    return rays, is_near & (determinant > 0) & (np.sum(rays * target, axis=0) >= 0)


def _from_the_center(target: np.ndarray, lens: list[np.ndarray]) -> np.ndarray:
    """Follows rays `[2, N]` from the center outwards, to stay on their branch; NaN where lost."""
    rays = np.zeros_like(target)
    for step in range(1, _PATH_STEPS):
        rays, _ = _newton(rays, target * (step / _PATH_STEPS), lens, num_steps=1)
    rays, is_found = _newton(rays, target, lens, _MAX_STEPS)
    return np.where(is_found, rays, np.nan)


def _lens(coefficients: np.ndarray, prism: np.ndarray | None) -> list[np.ndarray]:
    """Returns k1, k2, p1, p2, k3, s1 and s3, `[..., 1]` each."""
    _, coefficients, prism = arrays.convert(coefficients, np.zeros(2) if prism is None else prism)
    arrays.check_shapes(coefficients=(coefficients, "5"), prism=(prism, "2"))
    values = (*arrays.unstack(coefficients), *arrays.unstack(prism))
    return [value[..., np.newaxis] for value in values]


def _bend(
    x: np.ndarray, y: np.ndarray, lens: list[np.ndarray]
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Returns bent rays `[2, ...]`, and the derivatives of their x by x and y, then of their y."""
    k1, k2, p1, p2, k3, s1, s3 = lens
    squared = x * x + y * y
    radial = 1 + squared * (k1 + squared * (k2 + squared * k3))
    slope = 2 * (k1 + squared * (2 * k2 + squared * (3 * k3)))
    tangential = 2 * (p1 * y + p2 * x)
    scale, across = radial + tangential, slope * x * y + 2 * (p1 * x + p2 * y)
    bent = np.stack([x * scale + (p2 + s1) * squared, y * scale + (p1 + s3) * squared])
    derivatives = (
        scale + slope * x * x + (4 * p2 + 2 * s1) * x,
        across + 2 * s1 * y,
        across + 2 * s3 * x,
        scale + slope * y * y + (4 * p1 + 2 * s3) * y,
    )
    return bent, derivatives
