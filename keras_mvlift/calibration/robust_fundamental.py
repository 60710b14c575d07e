"""A fundamental matrix from correspondences of which some are wrong: RANSAC.

Hypotheses are drawn, fitted and scored many at a time. Each drawing's best are improved on all
that agrees with them before they compete (locally optimized RANSAC), and the score counts how
well a correspondence agrees, not only whether it does (MSAC).

References:
    Hartley and Zisserman, Multiple View Geometry, 2nd ed., section 4.7 and algorithm 11.4.
    Torr and Zisserman, MLESAC, CVIU 2000. Chum, Matas and Kittler, Locally optimized RANSAC, 2003.
"""

from typing import NamedTuple

import numpy as np

from keras_mvlift.geometry import epipolar

_BATCH = 256
_MAX_BATCHES = 16
# Drawing ends when a clean sample has been among them with this probability.
_CERTAINTY = 0.9999
_NUM_IMPROVED = 4
_IMPROVEMENT_STEPS = 8


class RobustFit(NamedTuple):
    """A fundamental matrix and what agrees with it.

    Attributes:
        fundamental: `[3, 3]`, of Frobenius norm one.
        is_inlier: `[N]`, whether the Sampson distance is below the threshold.
        score: The weights' sum over inliers, each the less the farther it is off.
    """

    fundamental: np.ndarray
    is_inlier: np.ndarray
    score: float


def fit(
    source_points: np.ndarray,
    target_points: np.ndarray,
    weights: np.ndarray,
    *,
    threshold_px: float,
    seed: int = 0,
) -> RobustFit:
    """Finds the fundamental matrix with which most correspondences agree.

    Args:
        source_points: `[N, 2]`, pixels, N at least 8.
        target_points: `[N, 2]`, pixels.
        weights: `[N]`, how much a correspondence counts and how readily it is drawn.
        threshold_px: Sampson distance from which a correspondence counts as wrong, pixels.
        seed: Of the drawing; the same input gives the same output.

    Raises:
        ValueError: If fewer than 8 correspondences have a weight.
    """
    is_drawn = weights > 0
    if np.count_nonzero(is_drawn) < epipolar.NUM_MINIMAL:
        rule = f"`weights` must be positive for {epipolar.NUM_MINIMAL} correspondences or more"
        raise ValueError(f"{rule}. Received: {np.count_nonzero(is_drawn)}.")
    pair = (source_points, target_points)
    rng = np.random.default_rng(seed)
    best, best_score, best_share = np.zeros((3, 3)), -1.0, 0.0
    for num_batches in range(1, _MAX_BATCHES + 1):
        samples = _draw(rng, weights)
        drawn = epipolar.fit(source_points[samples], target_points[samples])
        scores, _ = _score(drawn, *pair, weights, threshold_px)
        promising = drawn[np.argsort(-scores, kind="stable")[:_NUM_IMPROVED]]
        improved = _improve(promising, *pair, weights, threshold_px)
        scores, shares = _score(improved, *pair, weights, threshold_px)
        leader = int(np.argmax(scores))
        if scores[leader] > best_score:
            best, best_score, best_share = improved[leader], scores[leader], shares[leader]
        if num_batches * _BATCH >= _num_needed(best_share):
            break
    is_inlier = np.abs(epipolar.sampson_distance(best, *pair)) < threshold_px
    return RobustFit(best, is_inlier & is_drawn, float(best_score))


def _draw(rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """Draws `[_BATCH, 8]` indices, the likelier the weightier, each once a sample."""
    # The greatest of Gumbel variables shifted by logarithms are a sample without replacement.
    with np.errstate(divide="ignore"):
        keys = np.log(weights) + rng.gumbel(size=(_BATCH, len(weights)))
    return np.argpartition(-keys, epipolar.NUM_MINIMAL - 1)[:, : epipolar.NUM_MINIMAL]


def _score(
    fundamental: np.ndarray,
    source_points: np.ndarray,
    target_points: np.ndarray,
    weights: np.ndarray,
    threshold_px: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Gives score and share of inliers, by weight, of each matrix."""
    agreement = _agreement(fundamental, source_points, target_points, threshold_px)
    return agreement @ weights, (agreement > 0) @ weights / weights.sum()


def _improve(
    fundamental: np.ndarray,
    source_points: np.ndarray,
    target_points: np.ndarray,
    weights: np.ndarray,
    threshold_px: float,
) -> np.ndarray:
    """Fits each matrix anew to what agrees with it, some times over."""
    for _ in range(_IMPROVEMENT_STEPS):
        agreement = _agreement(fundamental, source_points, target_points, threshold_px)
        # The weight of Tukey's loss, whose derivative fades out at the threshold.
        fundamental = epipolar.fit(
            np.broadcast_to(source_points, (len(agreement), *source_points.shape)),
            np.broadcast_to(target_points, (len(agreement), *target_points.shape)),
            weights * np.square(agreement),
        )
    return fundamental


def _agreement(
    fundamental: np.ndarray,
    source_points: np.ndarray,
    target_points: np.ndarray,
    threshold_px: float,
) -> np.ndarray:
    """Gives `[..., N]`: 1 for a perfect correspondence, 0 from the threshold on."""
    distance = epipolar.sampson_distance(fundamental, source_points, target_points)
    return np.maximum(1.0 - np.square(distance / threshold_px), 0.0)


def _num_needed(share: float) -> float:
    """Gives how many samples hold a clean one with certainty; eq. (4.18)."""
    clean = min(max(share, 1e-3) ** epipolar.NUM_MINIMAL, 1 - 1e-12)
    return float(np.log(1 - _CERTAINTY) / np.log(1 - clean))
