"""The normalized eight-point algorithm: a fundamental matrix from correspondences.

In NumPy, as `epipolar`, whose conventions it shares.
"""

import numpy as np

from keras_mvlift.geometry import epipolar

NUM_MINIMAL = 8
"""So many correspondences the algorithm needs."""

_TINY = 1e-300


def fit(
    source_points: np.ndarray, target_points: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Fits a fundamental matrix to correspondences: the normalized eight-point algorithm.

    Args:
        source_points: `[..., N, 2]`, pixels, N at least 8.
        target_points: `[..., N, 2]`, pixels.
        weights: `[..., N]`, of each correspondence's squared algebraic residual; ones without.

    Returns:
        `[..., 3, 3]` of rank two and Frobenius norm one. Correspondences that do not determine
        it, for instance all of one plane, give one matrix out of many.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.

    References:
        Hartley and Zisserman, algorithm 11.1; Hartley, In defense of the eight-point algorithm,
        PAMI 1997.
    """
    moments, source_norm, target_norm = _moments(source_points, target_points, weights)
    fundamental = np.linalg.eigh(moments)[1][..., 0].reshape(*moments.shape[:-2], 3, 3)
    left, singular, right = np.linalg.svd(fundamental)
    singular[..., 2] = 0.0
    fundamental = (left * singular[..., np.newaxis, :]) @ right
    fundamental = target_norm.swapaxes(-1, -2) @ fundamental @ source_norm
    return fundamental / np.linalg.norm(fundamental, axis=(-2, -1), keepdims=True)


def conditioning(
    source_points: np.ndarray, target_points: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Measures how clearly correspondences single out one fundamental matrix.

    Args:
        source_points: As of `fit`.
        target_points: As of `fit`.
        weights: As of `fit`.

    Returns:
        `[...]`, 1 or more: the last but one singular value of the eight-point algorithm's
        normalized equations over the last one, which is the noise. Near 1, two matrices
        explain the correspondences equally well.
    """
    moments, _, _ = _moments(source_points, target_points, weights)
    singular = np.sqrt(np.maximum(np.linalg.eigvalsh(moments), 0.0))
    # Rounding leaves singular values of some 1e-8 of the greatest where there should be none.
    floor = 1e-6 * singular[..., -1]
    return np.maximum(singular[..., 1], floor) / np.maximum(singular[..., 0], floor)


def _moments(
    source_points: np.ndarray, target_points: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gives `AᵀA` of eq. (11.3), normalized, and what normalized the points of either view."""
    source, target = epipolar.homogeneous(source_points), epipolar.homogeneous(target_points)
    if source.shape[-2] < NUM_MINIMAL or source.shape != target.shape:
        rule = f"`source_points` and `target_points` must be {NUM_MINIMAL} points or more each"
        received = f"{np.shape(source_points)} and {np.shape(target_points)}"
        raise ValueError(f"{rule}, of the same shape. Received: {received}.")
    weights = np.ones(source.shape[:-1]) if weights is None else np.asarray(weights)
    source_norm, target_norm = (_normalization(points, weights) for points in (source, target))
    source, target = (
        points @ norm.swapaxes(-1, -2)
        for points, norm in ((source, source_norm), (target, target_norm))
    )
    rows = (target[..., :, np.newaxis] * source[..., np.newaxis, :]).reshape(*source.shape[:-1], 9)
    weighted = rows * weights[..., np.newaxis]
    return rows.swapaxes(-1, -2) @ weighted, source_norm, target_norm


def _normalization(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Gives what moves points to mean zero and mean squared distance two; section 4.4.4."""
    share = weights / np.maximum(weights.sum(axis=-1, keepdims=True), _TINY)
    mean = np.einsum("...n,...nd->...d", share, points[..., :2])
    squared = np.sum(np.square(points[..., :2] - mean[..., np.newaxis, :]), axis=-1)
    scale = np.sqrt(2.0 / np.maximum(np.sum(share * squared, axis=-1), 1e-12))
    matrix = np.zeros((*scale.shape, 3, 3))
    matrix[..., 0, 0] = matrix[..., 1, 1] = scale
    matrix[..., :2, 2] = -scale[..., np.newaxis] * mean
    matrix[..., 2, 2] = 1.0
    return matrix
