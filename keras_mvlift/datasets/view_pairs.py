"""Records of view pairs as a `tf.data` pipeline."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_mvlift.datasets import examples

Decode = Callable[[tf.Tensor], Any]

# Records are shuffled within chunks of this many.
_CHUNK = 65_536

# A file holds one clip, and a chunk holds few files' worth: so that it holds records of many clips,
# this many files are read by turns, this many records at a time.
_NUM_FILES, _NUM_RECORDS = 16, 16

# Records that are counted at once.
_COUNTED = 4096


def load(
    file_pattern: str | list[str],
    batch_size: int,
    *,
    seed: int,
    first_epoch: int = 0,
    decode: Decode = examples.decode_pairs,
) -> tf.data.Dataset:
    """Streams shuffled batches of pairs, epoch after epoch without end.

    The order of an epoch depends on the seed and the epoch's number alone, so that a run that
    resumes at an epoch sees what an unbroken run would have seen.

    Args:
        file_pattern: Gzip-compressed TFRecord files of pairs.
        batch_size: Pairs per batch; the rest of an epoch that fills no batch is left out.
        seed: Of the order.
        first_epoch: The epoch to begin with.
        decode: What parses a batch, where the records are not pairs but instants.

    Returns:
        Batches of `ViewPair`, fields `[batch_size, ...]`, or of what `decode` makes.

    Raises:
        ValueError: If there is no such file, or the files hold less than a batch.
    """
    files = sorted(tf.io.gfile.glob(file_pattern))
    if not files:
        raise ValueError(f"`file_pattern` must match a file. Received: {file_pattern!r}.")
    num_pairs = _count(_read(files).take(batch_size))
    if num_pairs < batch_size:
        # Epochs without a batch would follow each other for ever.
        rule = f"`batch_size` must be at most the number of pairs, {num_pairs}"
        raise ValueError(f"{rule}. Received: {batch_size}.")

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        shuffled = tf.data.Dataset.from_tensor_slices(_shuffle(tf.constant(files), seed, number, 0))
        records = shuffled.interleave(_read, cycle_length=_NUM_FILES, block_length=_NUM_RECORDS)
        # Records stay in their chunk's tensor up to the batch: one by one they take twice as long.
        chunks = records.batch(_CHUNK).enumerate(1)
        mixed = chunks.map(lambda index, chunk: _shuffle(chunk, seed, number, index)).prefetch(1)
        return mixed.rebatch(batch_size, drop_remainder=True)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    batches = epochs.flat_map(epoch)
    return batches.map(decode, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def load_once(
    file_pattern: str | list[str], batch_size: int, decode: Decode = examples.decode_pairs
) -> tf.data.Dataset:
    """Reads every pair once, in the order of the files; the last batch may be smaller."""
    batches = _read(_matching(file_pattern)).batch(batch_size)
    return batches.map(decode, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def count(file_pattern: str | list[str]) -> int:
    """Counts the records."""
    return _count(_read(_matching(file_pattern)))


def _count(records: tf.data.Dataset) -> int:
    chunks = records.batch(_COUNTED)
    return int(
        chunks.reduce(tf.constant(0, tf.int64), lambda n, chunk: n + tf.size(chunk, tf.int64))
    )


def _matching(file_pattern: str | list[str]) -> tf.data.Dataset:
    return tf.data.Dataset.list_files(file_pattern, shuffle=False)


def _read(files: tf.Tensor | list[str] | tf.data.Dataset) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(files, compression_type="GZIP")


def _shuffle(values: tf.Tensor, seed: int, epoch: tf.Tensor, chunk: tf.Tensor | int) -> tf.Tensor:
    """Puts values in an order that depends on the three numbers alone."""
    mixed = tf.random.experimental.stateless_fold_in([seed, 0], epoch)
    order_seed = tf.random.experimental.stateless_fold_in(mixed, tf.cast(chunk, tf.int64))
    return tf.random.experimental.stateless_shuffle(values, order_seed)
