"""Pairs in memory: each view once, however many pairs it is part of."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import view_pairs, views
from keras_mvlift.geometry import cameras

_NUM_JOINTS = skeletons.H36M_17.num_joints
_LIKE = views.View(
    np.empty((_NUM_JOINTS, 2), np.float32),
    np.empty(_NUM_JOINTS, np.float32),
    cameras.Camera(
        np.empty((3, 3), np.float32), np.empty((3, 3), np.float32), np.empty(3, np.float32)
    ),
)
_SIZES = [field.size for field in tf.nest.flatten(_LIKE)]

BYTES_PER_VIEW = 4 * sum(_SIZES)
BYTES_PER_PAIR = 8
"""What a pair takes beside its views: where they are."""

# Pairs within which views are found again: those of an instant lie side by side.
_READ_SIZE = 4096


class Pairs(NamedTuple):
    """Pairs of views as NumPy arrays.

    Attributes:
        views: `[N, 72]`, single precision, all numbers of a view in a row.
        rows: `[P, 2]`, 32-bit integers, the rows of each pair's source and target.
    """

    views: np.ndarray
    rows: np.ndarray

    @property
    def num_bytes(self) -> int:
        """The memory that they take."""
        return self.views.nbytes + self.rows.nbytes


def read(file_pattern: str | list[str], max_bytes: float) -> Pairs | None:
    """Reads all pairs, unless they take too much memory.

    Args:
        file_pattern: Gzip-compressed TFRecord files of pairs.
        max_bytes: The most that they may take.

    Returns:
        The pairs in the order of the records; None if they would take more.

    Raises:
        ValueError: If there is no record.
    """
    if not max_bytes > 0:
        return None
    tables: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    num_views, num_bytes = 0, 0
    for pair in view_pairs.load_once(file_pattern, _READ_SIZE):
        table, where = _distinct(pair)
        tables.append(table)
        rows.append(where + num_views)
        num_views += len(table)
        num_bytes += table.nbytes + where.nbytes
        if num_bytes > max_bytes:
            return None
    if not rows:
        raise ValueError(f"`file_pattern` must match pairs. Received: {file_pattern!r}.")
    return Pairs(np.concatenate(tables), np.concatenate(rows).astype(np.int32))


def of_instants(seen: views.View, index: np.ndarray) -> Pairs:
    """Makes pairs of the views of instants.

    Args:
        seen: All views of each instant, fields `[N, V, ...]`.
        index: `[P, 3]`, each pair's instant, and the numbers of its two views.
    """
    num_views = seen.confidence.shape[1]
    fields = [
        np.reshape(field, (-1, size))
        for field, size in zip(tf.nest.flatten(seen), _SIZES, strict=True)
    ]
    rows = num_views * index[:, :1] + index[:, 1:]
    return Pairs(np.concatenate(fields, axis=1).astype(np.float32), rows.astype(np.int32))


def load(pairs: Pairs, batch_size: int, *, seed: int, first_epoch: int = 0) -> tf.data.Dataset:
    """Draws batches of pairs, epoch after epoch without end.

    All pairs are shuffled anew in each epoch. The order depends on the seed and the epoch's number
    alone, so that a run that resumes at an epoch sees what an unbroken run would have seen.

    Args:
        pairs: What `read` gave.
        batch_size: Pairs per batch; the rest of an epoch that fills no batch is left out.
        seed: Of the order.
        first_epoch: The epoch to begin with.

    Returns:
        Batches `[batch_size, 2]` of rows, for `take`.

    Raises:
        ValueError: If there is less than a batch.
    """
    num_pairs = len(pairs.rows)
    if num_pairs < batch_size:
        # Epochs without a batch would follow each other for ever.
        rule = f"`batch_size` must be at most the number of pairs, {num_pairs}"
        raise ValueError(f"{rule}. Received: {batch_size}.")
    rows = _on_host(pairs.rows)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order_seed = tf.random.experimental.stateless_fold_in([seed, 2], number)
        order = tf.random.experimental.stateless_shuffle(tf.range(num_pairs), order_seed)
        batches = tf.data.Dataset.from_tensors(order).rebatch(batch_size, drop_remainder=True)
        return batches.map(lambda numbers: tf.gather(rows, numbers))

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    return epochs.flat_map(epoch).prefetch(tf.data.AUTOTUNE)


def load_once(pairs: Pairs, batch_size: int) -> tf.data.Dataset:
    """Gives the rows of every pair once, in order; the last batch may be smaller."""
    return tf.data.Dataset.from_tensor_slices(_on_host(pairs.rows)).batch(batch_size)


def look_up(pairs: Pairs, batches: tf.data.Dataset) -> tf.data.Dataset:
    """Turns batches of rows into batches of `ViewPair`, on the CPU."""
    table = _on_host(pairs.views)
    found = batches.map(lambda rows: take(table, rows), tf.data.AUTOTUNE)
    return found.prefetch(tf.data.AUTOTUNE)


def take(table: tf.Tensor, rows: tf.Tensor) -> views.ViewPair:
    """Takes pairs out of a table of views.

    Args:
        table: `[N, 72]`, as of `Pairs.views`.
        rows: `[B, 2]`, as of `Pairs.rows`.

    Returns:
        Fields `[B, ...]`.
    """
    source, target = tf.unstack(tf.gather(table, tf.transpose(rows)))
    return views.ViewPair(_view(source), _view(target))


def _view(values: tf.Tensor) -> views.View:
    fields = tf.split(values, _SIZES, axis=-1)
    shapes = (field.shape for field in tf.nest.flatten(_LIKE))
    shaped = [tf.reshape(field, [-1, *shape]) for field, shape in zip(fields, shapes, strict=True)]
    view: views.View = tf.nest.pack_sequence_as(_LIKE, shaped)
    return view


def _distinct(pair: views.ViewPair) -> tuple[np.ndarray, np.ndarray]:
    """Gives each view of `B` pairs once, `[n, 72]`, and where each pair's are, `[B, 2]`."""
    sides = [
        np.concatenate([np.reshape(field, (len(field), -1)) for field in fields], axis=1)
        for fields in (tf.nest.flatten(side) for side in pair)
    ]
    both = np.stack(sides, axis=1).reshape(-1, sum(_SIZES))
    # Compared as bytes: equal to the bit is what the same view is.
    keys = np.ascontiguousarray(both).view(np.dtype((np.void, BYTES_PER_VIEW)))[:, 0]
    _, first, where = np.unique(keys, return_index=True, return_inverse=True)
    return both[first], where.reshape(-1, 2).astype(np.int32)


def _on_host(values: Any) -> tf.Tensor:
    # On a GPU it would be copied back for each batch.
    with tf.device("CPU:0"):
        return tf.constant(values)
