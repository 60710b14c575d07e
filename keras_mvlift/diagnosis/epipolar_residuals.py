"""How far joints lie from the epipolar lines of the same joints in another view.

The distance is measured in shares of the person's size in the image, so that one threshold does
for every lens, image size and distance: `0.01` is about 2 cm at a person of 1.7 m.
"""

import itertools

import numpy as np

from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.geometry import cameras

CAP = 0.5
"""The residual of a pair that has nothing to do with each other; no larger one is told apart."""

_TINY = 1e-12


def pairs(num_views: int) -> np.ndarray:
    """Lists the pairs of cameras, `[P, 2]`."""
    return np.array(list(itertools.combinations(range(num_views), 2)), int).reshape(-1, 2)


def essential(first: cameras.Camera, second: cameras.Camera) -> np.ndarray:
    """Gives the essential matrices `[P, 3, 3]`, `ray_second^T E ray_first = 0`, of pairs.

    Args:
        first: Fields `[P, ...]`.
        second: The same.
    """
    rotation = second.rotation @ first.rotation.swapaxes(-1, -2)
    baseline = np.einsum("pij,pj->pi", second.rotation, first.center - second.center)
    length = np.linalg.norm(baseline, axis=-1, keepdims=True)
    direction = baseline / np.maximum(length, _TINY)
    x, y, z = direction.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    return cross @ rotation


def distances(
    matrix: np.ndarray, rays_first: np.ndarray, rays_second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measures how far rays lie from each other's epipolar lines.

    Args:
        matrix: `[P, 3, 3]`, as of `essential`.
        rays_first: `[P, N, 2]`.
        rays_second: `[P, N, 2]`.

    Returns:
        `[P, N]` in the first view and in the second, on the image plane at depth one.
    """
    # Written out: two coordinates and a one are not worth an array of three.
    x, y = rays_first[..., 0], rays_first[..., 1]
    u, v = rays_second[..., 0], rays_second[..., 1]
    e = matrix[:, np.newaxis]
    line = [e[..., row, 0] * x + e[..., row, 1] * y + e[..., row, 2] for row in range(3)]
    back = [e[..., 0, column] * u + e[..., 1, column] * v + e[..., 2, column] for column in (0, 1)]
    off = np.abs(line[0] * u + line[1] * v + line[2])
    in_first = off / np.maximum(np.hypot(*back), _TINY)
    return in_first, off / np.maximum(np.hypot(line[0], line[1]), _TINY)


def of_views(first: footages.Views, second: footages.Views) -> np.ndarray:
    """Measures the median residual of pairs of views.

    Args:
        first: `P` views.
        second: As many, of the same frames.

    Returns:
        `[P]`, shares of the person's size, at most `CAP`; `CAP` where two cameras stand in one
        place, NaN where they have seen no joint at the same time.
    """
    in_first, in_second = distances(essential(first.camera, second.camera), first.rays, second.rays)
    residual = in_first / first.person_size[:, np.newaxis]
    residual = (residual + in_second / second.person_size[:, np.newaxis]) / 2
    median = masked_median(residual, first.is_seen & second.is_seen)
    apart = np.linalg.norm(first.camera.center - second.camera.center, axis=-1) > _TINY
    # NaN stays NaN.
    return np.where(apart, np.minimum(median, CAP), CAP)


def matrix(footage: footages.Footage) -> np.ndarray:
    """Measures the median residual of every pair, `[V, V]`, symmetric, NaN on the diagonal."""
    index = pairs(footage.num_views)
    residuals = np.full((footage.num_views, footage.num_views), np.nan)
    first, second = index.T
    residuals[first, second] = of_views(footage.views(first), footage.views(second))
    return np.fmax(residuals, residuals.T)


def mean(footage: footages.Footage) -> float:
    """Gives the mean over all pairs; NaN if no two cameras ever saw the same joint."""
    residuals = matrix(footage)
    return float(np.nanmean(residuals)) if np.isfinite(residuals).any() else float("nan")


def masked_median(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Gives the median along the last axis of what the mask leaves; NaN where it leaves none."""
    ordered = np.sort(np.where(mask, values, np.inf), axis=-1)
    count = mask.sum(axis=-1)
    middle = np.maximum(count - 1, 0)[..., np.newaxis] // 2
    median = np.take_along_axis(ordered, middle, axis=-1)[..., 0]
    return np.where(count > 0, median, np.nan)


def mean_of_pairs(residuals: np.ndarray) -> np.ndarray:
    """Averages `[..., P]` residuals over the pairs that have one; NaN where none has."""
    is_known = np.isfinite(residuals)
    total = np.where(is_known, residuals, 0.0).sum(axis=-1)
    count = is_known.sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
