"""How a cell gets its poses. Another method is one function and one line of `METHODS`."""

from collections.abc import Callable

import numpy as np

from keras_mvlift.experiments import (
    label_free_methods,
    peer_methods,
    temporal_methods,
    training_data,
    training_runs,
    variants,
)

Method = Callable[[variants.Cell, training_data.TrainingData, training_runs.Watch], np.ndarray]
"""From a cell and its data to poses `[N, J, 3]` of the test views, meters, camera axes; what it
measures on the way is appended to the watch's curve, which outlives a failure."""

PARTIAL = ("triangulation", "constant_pose", "nearest_view")
"""The methods that train nothing, and leave joints open, as NaN, that they know nothing of."""

METHODS: dict[str, Method] = {
    "self_supervised": label_free_methods.self_supervised,
    "temporal": temporal_methods.self_supervised,
    "supervised": peer_methods.supervised,
    "pseudo_labels": peer_methods.from_pseudo_labels,
    "semi_supervised": peer_methods.few_labels,
    "adversarial": peer_methods.adversarial,
    "triangulation": peer_methods.from_all_test_views,
    "constant_pose": peer_methods.constant_pose,
    "nearest_view": peer_methods.nearest_view,
}
