"""A loss that is quadratic near zero and linear far away, as residuals for a solver of squares.

`scipy.optimize.least_squares` robustifies each number on its own; a detection is two numbers, and
what is gross about it is its distance. So residual vectors are shortened such that half their
square is the loss of their length.
"""

import numpy as np


def shorten(residuals: np.ndarray, scale: float) -> np.ndarray:
    """Shortens residual vectors `[..., 2]`: the square of each becomes its pseudo-Huber loss.

    Args:
        residuals: `[..., 2]`, pixels.
        scale: Where the loss turns from squared to linear, pixels.

    Returns:
        `[..., 2]`, of squared length `2 scale² (√(1 + |r|² / scale²) - 1)`.

    References:
        Hartley and Zisserman, Multiple View Geometry, 2nd ed., appendix 6.8.
    """
    return _factor(residuals, scale)[..., np.newaxis] * residuals


def derivative(residuals: np.ndarray, scale: float) -> np.ndarray:
    """Gives the derivative of `shorten`, `[..., 2, 2]`, with respect to the residuals."""
    factor = _factor(residuals, scale)
    root = 2 / np.square(factor) - 1
    slope = -1 / (2 * factor * root * np.square(root + 1))
    outer = residuals[..., :, np.newaxis] * residuals[..., np.newaxis, :]
    stretched = factor[..., np.newaxis, np.newaxis] * np.eye(2)
    return stretched + (2 * slope / scale**2)[..., np.newaxis, np.newaxis] * outer


def weight(residuals: np.ndarray, scale: float) -> np.ndarray:
    """Gives the weight `[...]` with which a squared residual has the loss's slope.

    Weighted squares lie above the loss and touch it where the weight was taken: who minimizes them
    again and again never goes up.
    """
    return 1 / np.sqrt(1 + np.sum(np.square(residuals), axis=-1) / scale**2)


def curvature_root(residuals: np.ndarray, scale: float) -> np.ndarray:
    """Gives `[..., 2, 2]`, the root of half the loss's second derivative, which is never negative.

    Across a residual that is the root of its weight w, along it that of w³.
    """
    root = np.sqrt(weight(residuals, scale))[..., np.newaxis, np.newaxis]
    squared = np.sum(np.square(residuals), axis=-1)[..., np.newaxis, np.newaxis]
    outer = residuals[..., :, np.newaxis] * residuals[..., np.newaxis, :]
    along = outer / np.maximum(squared, np.finfo(np.float64).tiny)
    return root * (np.eye(2) - (1 - np.square(root)) * along)


def _factor(residuals: np.ndarray, scale: float) -> np.ndarray:
    root = np.sqrt(1 + np.sum(np.square(residuals), axis=-1) / scale**2)
    return np.sqrt(2 / (root + 1))
