"""Windows of frames around the views of records, made at reading.

Records hold single frames, and a shard holds a whole clip, so that windows need not be written:
one of 243 frames would take 243 times the room. A camera's frames are gathered from all pairs that
it is in. Windows of virtual cameras there are none, for they stand elsewhere at each instant.

On two cores that other work kept busy, an epoch gave 7,200 pairs of windows of 27 frames a second,
and 6,000 of 243 frames, within 0.9 GB; `python -m benchmarks.window_reading` measures it.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_mvlift import errors
from keras_mvlift.datasets import tfrecords, views

_NUM_CLIPS = 8  # Clips whose windows are mixed with each other, and which are in memory together.

_CHUNK = 65_536  # Records of a clip that are read at once.

_CAMERAS = tuple(f"{side}/camera" for side in views.ViewPair._fields)
_VIRTUAL = "virtual_.*"


class Windows(NamedTuple):
    """What a window is."""

    num_frames: int  # `T`, odd, the temporal network's.
    # Whether a window ends with the frame that is lifted, which else is its middle.
    is_causal: bool = False
    # Frames of the clip from one frame of a window to the next; no less than the stride that the
    # records were made with.
    step: int = 1
    # Missing frames in a row, in steps, that are filled by repetition.
    max_gap: int = views.MAX_GAP


class _Group(NamedTuple):
    """Clips in memory, and `[N, 2]`, the cells of the views of each pair."""

    tracks: views.Tracks
    cell: tf.Tensor


def load(
    file_pattern: str | list[str],
    batch_size: int,
    windows: Windows,
    *,
    seed: int,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Streams shuffled batches of pairs of windowed views, in an order as of `tfrecords.load`.

    Args:
        file_pattern: Gzip-compressed TFRecord files of pairs, each with whole clips.
        batch_size: Pairs per batch; the rest of an epoch that fills no batch is left out.
        windows: What a window is.
        seed: Of the order.
        first_epoch: The epoch to begin with.

    Returns:
        Batches of `ViewPair` of `WindowedView`, fields `[batch_size, ...]`.

    Raises:
        ValueError: If there is no such file, or the files hold less than a batch of real views.
    """
    files = tfrecords.matching(file_pattern)
    num_pairs = _count_real(files, at_most=batch_size)
    # Epochs without a batch would follow each other for ever.
    rule = f"be at most the number of pairs of real views, {num_pairs}"
    errors.require(num_pairs >= batch_size, "batch_size", rule, batch_size)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order_seed = tf.random.experimental.stateless_fold_in([seed, 0], number)
        shuffled = tf.random.experimental.stateless_shuffle(tf.constant(files), order_seed)
        groups = _groups(shuffled, _NUM_CLIPS, windows).enumerate()

        def mixed(index: tf.Tensor, group: _Group) -> tf.data.Dataset:
            group_seed = tf.random.experimental.stateless_fold_in(order_seed, index + 1)
            cell = tf.random.experimental.stateless_shuffle(group.cell, group_seed)
            return _batches(group._replace(cell=cell), batch_size, windows)

        return groups.flat_map(mixed).rebatch(batch_size, drop_remainder=True)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    return epochs.flat_map(epoch).prefetch(1)


def load_once(file_pattern: str | list[str], batch_size: int, windows: Windows) -> tf.data.Dataset:
    """Reads every pair of real views once, in the order of the files; see `load`."""
    groups = _groups(tf.constant(tfrecords.matching(file_pattern)), 1, windows)
    batches = groups.flat_map(lambda group: _batches(group, batch_size, windows))
    return batches.rebatch(batch_size).prefetch(1)


def count(file_pattern: str | list[str]) -> int:
    """Counts the pairs of real views."""
    return _count_real(tfrecords.matching(file_pattern))


def _groups(files: tf.Tensor, num_files: int, windows: Windows) -> tf.data.Dataset:
    """Reads so many files at a time, the next ones while these are in use."""
    together = tf.data.Dataset.from_tensor_slices(files).batch(num_files)
    records = together.map(lambda some: _real(_read(some)))
    filled = records.filter(lambda serialized: tf.size(serialized) > 0)
    return filled.map(lambda serialized: _group(serialized, windows)).prefetch(1)


def _batches(group: _Group, batch_size: int, windows: Windows) -> tf.data.Dataset:
    offset = views.offsets(windows.num_frames, is_causal=windows.is_causal)

    def batch(cell: tf.Tensor) -> views.ViewPair:
        sides = tf.unstack(cell, num=len(_CAMERAS), axis=1)
        windowed: list[Any] = [views.window(group.tracks, side, offset) for side in sides]
        return views.ViewPair(*windowed)

    cells = tf.data.Dataset.from_tensor_slices(group.cell).batch(batch_size)
    return cells.map(batch, tf.data.AUTOTUNE)


def _group(serialized: tf.Tensor, windows: Windows) -> _Group:
    pair, columns = tfrecords.decode_pairs(serialized), _columns(serialized)
    tracks = [tf.strings.join([columns["clip"], columns[name]], "\n") for name in _CAMERAS]
    laid, cell = views.lay(
        tf.nest.map_structure(lambda *fields: tf.concat(fields, axis=0), *pair),
        tf.unique(tf.concat(tracks, axis=0)).idx,
        tf.tile(columns["frame"], [len(_CAMERAS)]),
        step=windows.step,
        max_gap=windows.max_gap,
    )
    return _Group(laid, tf.transpose(tf.reshape(cell, [len(_CAMERAS), -1])))


def _real(serialized: tf.Tensor) -> tf.Tensor:
    """Leaves the records of virtual views out."""
    columns = _columns(serialized)
    is_virtual = [tf.strings.regex_full_match(columns[name], _VIRTUAL) for name in _CAMERAS]
    return tf.boolean_mask(serialized, ~tf.reduce_any(is_virtual, axis=0))


def _columns(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses the clips and frames of pairs, and the cameras of both sides."""
    features = {name: tf.io.FixedLenFeature((), tf.string) for name in ("clip", *_CAMERAS)}
    features["frame"] = tf.io.FixedLenFeature((), tf.int64)
    return tf.io.parse_example(serialized, features)


def _read(files: tf.Tensor) -> tf.Tensor:
    chunks = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_CHUNK)
    return chunks.reduce(
        tf.constant([], tf.string), lambda read, chunk: tf.concat([read, chunk], axis=0)
    )


def _count_real(files: list[str], at_most: int | None = None) -> int:
    num_pairs = 0
    for file in files:
        num_pairs += int(tf.size(_real(_read(tf.constant([file])))))
        if at_most is not None and num_pairs >= at_most:
            return at_most
    return num_pairs
