"""Records of view pairs as a `tf.data` pipeline."""

import tensorflow as tf

from keras_mvlift.datasets import examples

# Records are shuffled within chunks of this many, chunks being made of files in random order.
_CHUNK = 65_536


def load(
    file_pattern: str | list[str], batch_size: int, *, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Streams shuffled batches of pairs, epoch after epoch without end.

    The order of an epoch depends on the seed and the epoch's number alone, so that a run that
    resumes at an epoch sees what an unbroken run would have seen.

    Args:
        file_pattern: Gzip-compressed TFRecord files of pairs.
        batch_size: Pairs per batch; the rest of an epoch that fills no batch is left out.
        seed: Of the order.
        first_epoch: The epoch to begin with.

    Returns:
        Batches of `ViewPair`, fields `[batch_size, ...]`.

    Raises:
        ValueError: If there is no such file.
    """
    files = sorted(tf.io.gfile.glob(file_pattern))
    if not files:
        raise ValueError(f"`file_pattern` must match a file. Received: {file_pattern!r}.")

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        records = tf.data.TFRecordDataset(_shuffle(tf.constant(files), seed, number, 0), "GZIP")
        chunks = records.batch(_CHUNK).enumerate(1)
        shuffled = chunks.map(lambda index, chunk: _shuffle(chunk, seed, number, index))
        return shuffled.unbatch().batch(batch_size, drop_remainder=True)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    batches = epochs.flat_map(epoch)
    return batches.map(examples.decode_pairs, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def load_once(file_pattern: str | list[str], batch_size: int) -> tf.data.Dataset:
    """Reads every pair once, in the order of the files; the last batch may be smaller."""
    return _records(file_pattern).batch(batch_size).map(examples.decode_pairs)


def count(file_pattern: str | list[str]) -> int:
    """Counts the records."""
    return int(_records(file_pattern).reduce(tf.constant(0, tf.int64), lambda n, _: n + 1))


def _records(file_pattern: str | list[str]) -> tf.data.Dataset:
    files = tf.data.Dataset.list_files(file_pattern, shuffle=False)
    return tf.data.TFRecordDataset(files, compression_type="GZIP")


def _shuffle(values: tf.Tensor, seed: int, epoch: tf.Tensor, chunk: tf.Tensor | int) -> tf.Tensor:
    """Puts values in an order that depends on the three numbers alone."""
    mixed = tf.random.experimental.stateless_fold_in([seed, 0], epoch)
    order_seed = tf.random.experimental.stateless_fold_in(mixed, tf.cast(chunk, tf.int64))
    return tf.random.experimental.stateless_shuffle(values, order_seed)
