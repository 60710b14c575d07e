"""Instants in memory, of each of which a view is drawn again and again; and rows of any kind."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import examples, view_pairs, views
from keras_mvlift.training import agreement

_READ_SIZE = 4096

Seen = views.View | agreement.AgreedViews


def read(file_pattern: str | list[str], num_views: int, needs_agreement: bool = False) -> Seen:
    """Reads all instants, some 400 bytes for each of their views.

    Args:
        file_pattern: Gzip-compressed TFRecord files of instants.
        num_views: `V`, most views of an instant.
        needs_agreement: Whether to find what the views agree on, once for all epochs.

    Returns:
        NumPy arrays, fields `[N, V, ...]`.

    Raises:
        ValueError: If there is no record.
    """
    batches = view_pairs.load_once(
        file_pattern, _READ_SIZE, lambda records: examples.decode_instants(records, num_views)
    )
    parts = [tf.nest.map_structure(np.asarray, batch) for batch in batches]
    if not parts:
        raise ValueError(f"`file_pattern` must match instants. Received: {file_pattern!r}.")
    seen = tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts)
    return agreement.beforehand(seen) if needs_agreement else seen


def count(seen: Any) -> int:
    """Counts the instants."""
    return len(tf.nest.flatten(seen)[0])


def load(
    seen: Any, batch_size: int, *, num_batches: int, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Draws batches of instants, epoch after epoch without end.

    Each instant is drawn once before any is drawn again. The order of an epoch depends on the
    seed and the epoch's number alone, so that a run that resumes at an epoch sees what an unbroken
    run would have seen.

    Args:
        seen: What `read` gave, or any structure of arrays `[N, ...]`.
        batch_size: Instants per batch; may be more than there are.
        num_batches: In an epoch.
        seed: Of the order.
        first_epoch: The epoch to begin with.

    Returns:
        Batches of what `seen` is, fields `[batch_size, V, ...]`.
    """
    num_instants = count(seen)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        folded = tf.random.experimental.stateless_fold_in([seed, 1], number)

        def shuffled(turn: tf.Tensor) -> tf.Tensor:
            order_seed = tf.random.experimental.stateless_fold_in(folded, turn)
            return tf.random.experimental.stateless_shuffle(tf.range(num_instants), order_seed)

        turns = tf.data.Dataset.range(-(-num_batches * batch_size // num_instants))
        return turns.map(shuffled).rebatch(batch_size, drop_remainder=True).take(num_batches)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    return epochs.flat_map(epoch).map(_take(seen), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def load_once(seen: Seen, batch_size: int) -> tf.data.Dataset:
    """Gives every instant once, in order; the last batch may be smaller."""
    return tf.data.Dataset.range(count(seen)).batch(batch_size).map(_take(seen))


def _take(seen: Any) -> Callable[[tf.Tensor], Any]:
    # On a GPU they would be copied back for each batch.
    with tf.device("CPU:0"):
        values = tf.nest.map_structure(tf.constant, seen)
    return lambda index: tf.nest.map_structure(lambda field: tf.gather(field, index), values)
