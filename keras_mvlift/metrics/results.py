"""The figures of a run as `results.json` has them: overall, per action, per camera."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.metrics import baselines, pck, summary

Figures = dict[str, Any]

COVERAGE = "coverage"
"""The share of the reference's joints that poses have, times 100."""


def of_poses(test: baselines.TestViews, pose_pred: np.ndarray) -> Figures:
    """Measures poses as the pipeline's evaluator measures the model.

    Args:
        test: What is true.
        pose_pred: `[N, J, 3]`, meters, camera axes; a joint that is NaN is left out.

    Returns:
        `overall`, `per_action` and `per_camera`, each of `summary.NAMES` and `COVERAGE`, over the
        poses that have joints; `per_action` and `per_camera` lack those without any, and where no
        pose has any there is nothing.
    """
    is_known = np.isfinite(test.reference_pose).all(axis=-1)
    is_compared = is_known & np.isfinite(pose_pred).all(axis=-1)
    pose_true = np.where(is_compared[..., np.newaxis], test.reference_pose, np.nan)
    pose_pred = np.where(is_compared[..., np.newaxis], pose_pred, 0.0)
    # The root alone is no pose, and without it there are no roots to align.
    is_pose = is_compared[:, skeletons.ROOT] & (np.count_nonzero(is_compared, axis=-1) > 1)
    if not is_pose.any():
        return {}

    def figures(index: np.ndarray) -> dict[str, float]:
        rows = index & is_pose
        share = is_compared[rows].sum() / is_known[index].sum()
        return summary.summary(pose_true[rows], pose_pred[rows]) | {
            COVERAGE: pck.PERCENT * float(share)
        }

    def per(names: np.ndarray) -> dict[str, dict[str, float]]:
        return {str(name): figures(names == name) for name in np.unique(names[is_pose])}

    everything = np.full(len(pose_pred), True)
    measured = {
        "overall": figures(everything),
        "per_action": per(test.action),
        "per_camera": per(test.camera),
    }
    return with_averages(measured)


def with_averages(figures: Figures) -> Figures:
    """Adds the plain mean over actions, as papers report it, and the median over cameras."""
    return figures | {
        "mean_over_actions": _across(figures["per_action"], np.mean),
        "median_over_cameras": _across(figures["per_camera"], np.median),
    }


def _across(slices: Mapping[str, Mapping[str, float]], average: Any) -> dict[str, float]:
    return {
        name: float(average([figures[name] for figures in slices.values()]))
        for name in summary.NAMES
    }
