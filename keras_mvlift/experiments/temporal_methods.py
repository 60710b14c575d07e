"""The method with the temporal backbone, which sees windows of frames."""

import math

import numpy as np

from keras_mvlift.datasets import view_windows
from keras_mvlift.experiments import (
    label_free_methods,
    training_data,
    training_runs,
    variants,
    window_data,
)


def self_supervised(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> np.ndarray:
    """Trains on pairs of windows by eq. (7), where need be after eq. (6).

    Option `is_causal` lifts a window's last frame, not its middle.
    """
    windowed = window_data.WindowedData(data, windows(cell))
    lifter = label_free_methods.train(cell, windowed, watch)  # type: ignore[arg-type]
    return windowed.lift(lifter)


def windows(cell: variants.Cell) -> view_windows.Windows:
    """Gives what the cell's network sees."""
    is_causal = training_runs.method_options(cell).get("is_causal", False)
    return view_windows.Windows(math.prod(cell.budget.filter_widths), is_causal)
