"""The figures of a run as `results.json` has them: overall, per action, per camera."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mvlift.metrics import baselines, summary

Figures = dict[str, Any]


def of_poses(test: baselines.TestViews, pose_pred: np.ndarray) -> Figures:
    """Measures poses as the pipeline's evaluator measures the model.

    Args:
        test: What is true.
        pose_pred: `[N, J, 3]`, meters, camera axes.

    Returns:
        `overall`, `per_action` and `per_camera`, each of `summary.NAMES`.
    """

    def figures(index: np.ndarray) -> dict[str, float]:
        return summary.summary(test.reference_pose[index], pose_pred[index])

    def per(names: np.ndarray) -> dict[str, dict[str, float]]:
        return {str(name): figures(names == name) for name in np.unique(names)}

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
