"""The model that draws its pairs out of views that lie where it trains."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.datasets import views
from keras_mvlift.training import multi_view_lifter, pair_batches

Keep = Callable[[np.ndarray], None]


class ResidentLifter(multi_view_lifter.MultiViewLifter):
    """A `MultiViewLifter` that may be told by numbers which pairs to train on.

    With `keep` the views are copied once to where its weights are, a GPU if there is one. What
    comes from the CPU in each step is then the pairs' rows, 8 bytes for each of them.

    Args:
        arguments: Those of `MultiViewLifter`.

    Call arguments:
        view: A batch of `View`.
        training: Whether to drop units and update batch statistics.

    Returns:
        `Lifted`: root-relative poses `[B, J, 3]` and root positions `[B, 3]`, meters.

    Example:
        >>> lifter = lifters.build(config, objective, 5.0, model=ResidentLifter)
        >>> lifter.compile("adam")
        >>> pairs = pair_batches.read(files, max_bytes=2e9)
        >>> lifter.keep(pairs.views)
        >>> lifter.fit(pair_batches.load(pairs, 1024, seed=0), steps_per_epoch=100)
    """

    kept: tf.Tensor | None = None

    def keep(self, table: np.ndarray) -> None:
        """Copies the views `[N, 72]` that rows speak of from now on."""
        self.kept = tf.constant(table)

    def train_step(self, data: views.ViewPair | tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes one step on a batch of pairs, or of their rows `[B, 2]`."""
        if isinstance(data, tf.Tensor):
            data = pair_batches.take(self.kept, data)
        return super().train_step(data)


def keeper(lifter: keras.Model) -> Keep | None:
    """Gives what takes views to where a model trains; None for one that takes whole pairs alone.

    Replicas share the rows of a batch, and each would need the views of all of them.
    """
    if not isinstance(lifter, ResidentLifter):
        return None
    return lifter.keep if lifter.distribute_strategy.num_replicas_in_sync == 1 else None
