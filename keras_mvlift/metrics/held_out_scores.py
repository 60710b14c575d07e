"""The errors in held-out views as a score of a set of poses: a threshold without 3D references."""

import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.metrics import baselines, held_out_views

NAMES = ("mean_px", "median_px", "mean_mm", "median_mm")
"""What every score consists of, the lower the better. Millimeters are pixels at the subject's
distance."""

_PLACEMENTS = {"anchored": held_out_views.anchored, "solved": held_out_views.solved}
PLACEMENTS = (*_PLACEMENTS, "predicted")
"""How a pose gets a root position; `held_out_views` tells them apart."""

# Instants measured at once: each is lifted from every view and compared with every other.
_BATCH_SIZE = 512


def summary(found: list[held_out_views.Errors]) -> dict[str, float]:
    """Averages errors, weighted by confidence.

    Args:
        found: Errors of any leading axes.

    Returns:
        Mean and median, `NAMES`.

    Raises:
        ValueError: If nothing could be compared.
    """
    px, mm, weight = (
        np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
        for parts in zip(*found, strict=True)
    )
    if not weight.sum() > 0:
        raise ValueError("No instant was seen by two cameras with enough joints: no held-out view.")
    return {
        "mean_px": float(np.average(px, weights=weight)),
        "median_px": _weighted_median(px, weight),
        "mean_mm": float(np.average(mm, weights=weight)),
        "median_mm": _weighted_median(mm, weight),
    }


def score(
    seen: views.View,
    root_relative_pose: np.ndarray,
    root_position: np.ndarray | None = None,
    *,
    placement: str = "anchored",
    min_joints: int = 8,
) -> dict[str, float]:
    """Scores poses that were lifted from every view of some instants.

    Args:
        seen: All views of each instant, fields `[T, V, ...]`; confidence 0 throughout for a view
            that an instant lacks.
        root_relative_pose: `[T, V, J, 3]`, meters, root at 0, camera axes.
        root_position: `[T, V, 3]`, meters, camera frame; read by placement `"predicted"` alone.
        placement: How a pose gets its root position to be compared: a name of `PLACEMENTS`.
        min_joints: Joints that a view must show to be lifted from.

    Returns:
        Mean and median, `NAMES`.

    Raises:
        ValueError: If nothing could be compared, or there is no such placement.
    """
    if placement not in PLACEMENTS or (placement == "predicted" and root_position is None):
        raise ValueError(
            f"`placement` must be one of {', '.join(PLACEMENTS)}, the last with `root_position`. "
            f"Received: {placement!r}."
        )
    parts = []
    for start in range(0, len(root_relative_pose), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        some, pose, root = tf.nest.map_structure(
            lambda field, rows=rows: None if field is None else tf.cast(field[rows], tf.float32),
            (seen, root_relative_pose, root_position),
        )
        if placement == "predicted":
            placed = held_out_views.predicted(pose, root, some)
        else:
            placed = _PLACEMENTS[placement](pose, some, min_joints)
        parts.append(held_out_views.errors(placed, some, min_joints))
    return summary(parts)


def score_test_views(
    test: baselines.TestViews,
    root_relative_pose: np.ndarray,
    root_position: np.ndarray | None = None,
    *,
    placement: str = "anchored",
    min_joints: int = 8,
) -> dict[str, float]:
    """Scores poses that were lifted from single views; of their references it makes no use.

    Args:
        test: The views.
        root_relative_pose: `[N, J, 3]`, meters, root at 0, camera axes.
        root_position: `[N, 3]`, meters, camera frame; read by placement `"predicted"` alone.
        placement: How a pose gets its root position to be compared: a name of `PLACEMENTS`.
        min_joints: Joints that a view must show to be lifted from.

    Returns:
        Mean and median, `NAMES`.

    Raises:
        ValueError: If no instant was seen by two cameras.
    """
    seen, column = baselines.by_instant(test)

    def laid_out(values: np.ndarray) -> np.ndarray:
        table = np.zeros((*seen.confidence.shape[:2], *values.shape[1:]), np.float32)
        table[test.instant, column] = values
        return table

    root = None if root_position is None else laid_out(np.asarray(root_position))
    return score(
        seen,
        laid_out(np.asarray(root_relative_pose)),
        root,
        placement=placement,
        min_joints=min_joints,
    )


def of_pairs(pair: views.ViewPair) -> views.View:
    """Gives pairs as instants of two views, fields `[B, 2, ...]`."""
    return tf.nest.map_structure(lambda *sides: tf.stack(sides, axis=1), *pair)


def _weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values)
    cumulated = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(cumulated, cumulated[-1] / 2)])
