"""Measures held-out views after each epoch, for Keras' own early stopping and logs to use."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.datasets import views
from keras_mvlift.metrics import held_out_views
from keras_mvlift.training import lifted, multi_view_lifter

# Views lifted at once.
_BATCH_SIZE = 8192


class HeldOutViews(keras.callbacks.Callback):
    """Adds the score without labels to the logs of each epoch, as `val_held_out_mean_px` and so on.

    It must stand before the callbacks that read it in the list given to `fit`.

    Args:
        seen: All views of some held-out instants, fields `[T, V, ...]`, in memory; for pairs,
            `held_out_views.views_of_pairs` gives them.
        lifter: What is measured; without, the model that is trained.
        placement: A name of `held_out_views.PLACEMENTS`.
        min_joints: Joints that a view must show to be lifted from.

    Example:
        >>> callbacks = [
        ...     HeldOutViews(held_out_views.views_of_pairs(pairs)),
        ...     keras.callbacks.EarlyStopping("val_held_out_mean_mm", patience=10),
        ... ]
        >>> lifter.fit(batches, steps_per_epoch=100, epochs=300, callbacks=callbacks)
    """

    def __init__(
        self,
        seen: views.View,
        lifter: multi_view_lifter.MultiViewLifter | None = None,
        placement: str = "anchored",
        min_joints: int = 8,
    ):
        super().__init__()
        self.seen = tf.nest.map_structure(np.asarray, seen)
        self.lifter = lifter
        self.placement = placement
        self.min_joints = min_joints
        self._lift: Callable[[views.View], lifted.Lifted] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures."""
        del epoch
        self._lift = self._lift or _graph(self.lifter or self.model)
        found = _score(self._lift, self.seen, self.placement, self.min_joints)
        if logs is not None:
            logs.update({f"val_held_out_{name}": value for name, value in found.items()})


def score(
    lifter: multi_view_lifter.MultiViewLifter,
    seen: views.View,
    placement: str = "anchored",
    min_joints: int = 8,
) -> dict[str, float]:
    """Lifts every view of some instants and compares it with the others.

    Args:
        lifter: The model.
        seen: All views of each instant, fields `[T, V, ...]`.
        placement: A name of `held_out_views.PLACEMENTS`.
        min_joints: Joints that a view must show to be lifted from.

    Returns:
        Mean and median, `held_out_views.SCORE_NAMES`.

    Raises:
        ValueError: If nothing could be compared.
    """
    return _score(_graph(lifter), seen, placement, min_joints)


def _graph(
    lifter: multi_view_lifter.MultiViewLifter,
) -> Callable[[views.View], lifted.Lifted]:
    return tf.function(lambda view: lifter(view, training=False), reduce_retracing=True)


def _score(
    lift: Callable[[views.View], lifted.Lifted],
    seen: views.View,
    placement: str,
    min_joints: int,
) -> dict[str, float]:
    shape = np.shape(seen.confidence)
    flat = tf.nest.map_structure(
        lambda field: np.reshape(field, (-1, *np.shape(field)[2:])).astype(np.float32), seen
    )
    parts = []
    for start in range(0, shape[0] * shape[1], _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        some = tf.nest.map_structure(lambda field, rows=rows: tf.constant(field[rows]), flat)
        parts.append(tf.nest.map_structure(lambda x: x.numpy(), lift(some)))
    pose, root = (np.concatenate(fields) for fields in zip(*parts, strict=True))
    return held_out_views.score(
        seen,
        pose.reshape(*shape, 3),
        root.reshape(*shape[:2], 3),
        placement=placement,
        min_joints=min_joints,
    )
