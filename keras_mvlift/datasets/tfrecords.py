"""Views as `tf.Example` records: the one place where they are written and read.

There are three kinds. A *pair* holds two views of an instant, `source/...` and `target/...`, an
*instant* holds all of them, `views/...`, and neither any 3D at all; training reads nothing else. A
*test view* holds one view and its reference pose; only evaluation reads it. docs/formats.md lists
every feature.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences, views
from keras_mvlift.geometry import cameras

if TYPE_CHECKING:
    import tensorflow as tf
else:

    class _TensorFlow:
        """TensorFlow, once something of it is asked for; readers of recordings do without it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module("tensorflow"), name)

    tf = _TensorFlow()

REFERENCE_POSE = "reference_pose"

_NUM_JOINTS = skeletons.H36M_17.num_joints
_VIEW_SHAPES = {
    "keypoints_2d": (_NUM_JOINTS, 2),
    "confidence": (_NUM_JOINTS,),
    "intrinsics": (3, 3),
    "rotation": (3, 3),
    "center": (3,),
}
_PAIR_SHAPES = {
    f"{side}/{field}": shape
    for side in views.ViewPair._fields
    for field, shape in _VIEW_SHAPES.items()
}

Columns = dict[str, np.ndarray]


def pair_columns(
    seen: sequences.Instants, instant: np.ndarray, source: np.ndarray, target: np.ndarray
) -> Columns:
    """Lays out pairs as columns, feature name to `[N, ...]`: of `N` instants two views each.

    Args:
        seen: The views to draw from.
        instant: `[N]`, index of each pair's instant.
        source: `[N]`, index of its first view.
        target: `[N]`, index of its second view.
    """
    columns: Columns = {}
    for side, view in zip(views.ViewPair._fields, (source, target), strict=True):
        fields = view_columns(seen, instant, view)
        columns |= {f"{side}/{name}": values for name, values in fields.items()}
    baseline = np.linalg.norm(columns["target/center"] - columns["source/center"], axis=-1)
    return columns | {"frame": seen.frame[instant], "baseline": baseline}


def instant_columns(seen: sequences.Instants) -> Columns:
    """Lays out instants with all of their views as columns, one row per instant."""
    fields = {f"views/{name}": values for name, values in _fields(seen).items()}
    return fields | {"frame": seen.frame}


def view_columns(seen: sequences.Instants, instant: np.ndarray, view: np.ndarray) -> Columns:
    """Lays out single views as columns, one row per view; see `pair_columns`."""
    fields = {name: values[instant, view] for name, values in _fields(seen).items()}
    return fields | {"camera": np.array(seen.camera_names, dtype=object)[view]}


def _fields(seen: sequences.Instants) -> Columns:
    fields = {"keypoints_2d": seen.keypoints_2d, "confidence": seen.confidence}
    return fields | {name: np.asarray(value) for name, value in seen.camera._asdict().items()}


def blocks(columns: Columns, num_rows: int) -> Iterator[Columns]:
    """Cuts columns into blocks of at most so many rows, in their order, without copying."""
    total = len(next(iter(columns.values())))
    for start in range(0, total, num_rows):
        yield {name: values[start : start + num_rows] for name, values in columns.items()}


def decode_pairs(serialized: tf.Tensor) -> views.ViewPair:
    """Parses a batch of pair records, `[B]`, to a pair of views with fields `[B, ...]`."""
    parsed = _parse(serialized, _PAIR_SHAPES)
    source, target = (_view(parsed, f"{side}/") for side in views.ViewPair._fields)
    return views.ViewPair(source, target)


def decode_instants(serialized: tf.Tensor, num_views: int) -> views.View:
    """Parses a batch of instant records, `[B]`, to a view with fields `[B, V, ...]`.

    Views that an instant lacks of `num_views`, `V`, are such as see nothing.
    """
    features = {
        f"views/{name}": tf.io.FixedLenSequenceFeature(shape, tf.float32, allow_missing=True)
        for name, shape in _VIEW_SHAPES.items()
    }
    parsed = tf.io.parse_example(serialized, features)
    filled = {name: _filled(values, num_views) for name, values in parsed.items()}
    view = _view(filled, "views/")
    # A camera of zeros has no rays, and what is not a number stays so however little it weighs.
    is_absent = tf.equal(view.camera.intrinsics[..., 2:, 2:], 0)
    identity = tf.eye(3)
    camera = view.camera._replace(
        intrinsics=tf.where(is_absent, identity, view.camera.intrinsics),
        rotation=tf.where(is_absent, identity, view.camera.rotation),
    )
    return view._replace(camera=camera)


def decode_views(serialized: tf.Tensor) -> views.View:
    """Parses a batch of test-view records, `[B]`, leaving the reference unread."""
    return _view(_parse(serialized, _VIEW_SHAPES), "")


def decode_references(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses what evaluation needs beside the view: pose, clip, frame, action and camera."""
    features = {
        REFERENCE_POSE: tf.io.FixedLenFeature((_NUM_JOINTS, 3), tf.float32),
        "frame": tf.io.FixedLenFeature((), tf.int64),
    } | {name: tf.io.FixedLenFeature((), tf.string) for name in ("clip", "action", "camera")}
    return tf.io.parse_example(serialized, features)


def _parse(serialized: tf.Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tf.Tensor]:
    features = {name: tf.io.FixedLenFeature(shape, tf.float32) for name, shape in shapes.items()}
    return tf.io.parse_example(serialized, features)


def _filled(values: tf.Tensor, num_views: int) -> tf.Tensor:
    """Fills `[B, v, ...]` with zeros to `[B, num_views, ...]`."""
    missing = num_views - tf.shape(values)[1]
    paddings = [[0, 0], [0, missing], *([[0, 0]] * (len(values.shape) - 2))]
    return tf.ensure_shape(tf.pad(values, paddings), [None, num_views, *values.shape[2:]])


def _view(parsed: Mapping[str, tf.Tensor], prefix: str) -> views.View:
    camera = cameras.Camera(*(parsed[prefix + field] for field in cameras.Camera._fields))
    return views.View(parsed[f"{prefix}keypoints_2d"], parsed[f"{prefix}confidence"], camera)


# Rows of columns as serialized `tf.train.Example`s, all rows of a block at once.
#
# Rows whose texts and integers take equally many bytes differ only in bytes at fixed places. Such
# rows are written together: once the tags, names and lengths that they share, and over copies of
# these their values as blocks of bytes. The bytes are those that protobuf's deterministic
# serialization writes.
#
# References:
#     Protocol Buffers, Encoding; tensorflow/core/example/feature.proto.

_FIRST, _SECOND, _THIRD = b"\x0a", b"\x12", b"\x1a"
"""Tags of the fields 1, 2 and 3 of a message, each with a length before its content."""

_BITS_PER_BYTE_OF_VARINT = 7
_LONGEST_VARINT = 10


class _Values(NamedTuple):
    tag: bytes  # The kind of list in `tf.train.Feature`.
    content: np.ndarray  # [N, K, longest], of each value; all floats of a row are one value.
    length: np.ndarray  # [N, K], how many of them count.


def encode(columns: Mapping[str, np.ndarray]) -> list[bytes]:
    """Serializes rows of columns as `tf.Example`s, features sorted by name.

    Args:
        columns: Feature name to `[N, ...]`: floats, integers or strings, the same `N` in all.

    Returns:
        `N` serialized examples, in the order of the rows.

    Raises:
        ValueError: If a column holds something else, or the numbers of rows differ.
    """
    names = sorted(columns, key=str.encode)
    num_rows = {name: len(columns[name]) for name in names}
    errors.require(len(set(num_rows.values())) <= 1, "columns", "have equally many rows", num_rows)
    if not names or not num_rows[names[0]]:
        return []
    values = {name: _values(name, columns[name]) for name in names}
    lengths = np.concatenate([column.length for column in values.values()], axis=1)
    records = np.empty(len(lengths), dtype=object)
    for rows in _alike(lengths):
        records[rows] = _written(values, rows)
    return records.tolist()


def _values(name: str, column: np.ndarray) -> _Values:
    flat = column.reshape(len(column), -1 if column.size else 0)
    if flat.dtype.kind in "OSU":
        return _Values(_FIRST, *_texts(flat))
    if flat.dtype.kind in "biu":
        return _Values(_THIRD, *_varints(flat.astype(np.int64).view(np.uint64)))
    rule = "hold floats, integers or strings"
    errors.require(flat.dtype.kind == "f", "columns", rule, f"{name!r} of {flat.dtype}")
    content = np.ascontiguousarray(flat, dtype="<f4").view(np.uint8)[:, np.newaxis]
    return _Values(_SECOND, content, np.full(content.shape[:2], content.shape[-1]))


def _texts(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Few of a clip's texts differ: each is encoded once.
    texts = flat.ravel().tolist()
    index = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    words = [text if isinstance(text, bytes) else str(text).encode() for text in index]
    length = np.array([len(word) for word in words], dtype=int)
    content = np.zeros((len(words), length.max(initial=0)), np.uint8)
    for row, word in zip(content, words, strict=True):
        row[: len(word)] = np.frombuffer(word, np.uint8)
    place = np.fromiter((index[text] for text in texts), int, len(texts)).reshape(flat.shape)
    return content[place], length[place]


def _varints(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits numbers into groups of seven bits, the least significant first."""
    shift = np.arange(_LONGEST_VARINT, dtype=np.uint64) * np.uint64(_BITS_PER_BYTE_OF_VARINT)
    rest = flat[..., np.newaxis] >> shift
    length = np.maximum(np.count_nonzero(rest, axis=-1), 1)
    is_last = np.arange(_LONGEST_VARINT) == length[..., np.newaxis] - 1
    content = (rest & np.uint64(0x7F)).astype(np.uint8) | np.where(is_last, 0, 0x80)
    return content.astype(np.uint8), length


def _alike(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Groups rows of equal lengths; gives the indices of each group, ascending."""
    group = np.zeros(len(lengths), int)
    for length in lengths.T[(lengths != lengths[:1]).any(axis=0)]:
        _, group = np.unique(group * (length.max() + 1) + length, return_inverse=True)
    order = group.argsort(kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _written(values: Mapping[str, _Values], rows: np.ndarray) -> np.ndarray:
    """Writes rows of equal lengths, `Example(features=Features(feature={name: Feature}))`."""
    features: list[np.ndarray] = []
    for name, (tag, content, length) in values.items():
        # Whole columns are not copied.
        chosen = content if len(rows) == len(content) else content[rows]
        each = [chosen[:, index, :size] for index, size in enumerate(length[rows[0]])]
        if tag == _FIRST:
            told = [part for value in each for part in _message(_FIRST, [value])]
        else:
            # Numbers are packed: one length before all of them.
            told = _message(_FIRST, each) if length[rows[0]].any() else []
        key = _message(_FIRST, [_fixed(name.encode())])
        features += _message(_FIRST, key + _message(_SECOND, _message(tag, told)))
    parts = _message(_FIRST, features)
    template = np.concatenate([part[0] for part in parts])
    table, stop = np.tile(template, (len(rows), 1)), 0
    for part in parts:
        start, stop = stop, stop + part.shape[1]
        if len(part) > 1:
            table[:, start:stop] = part
    text, size = table.tobytes(), table.shape[1]
    records = np.empty(len(rows), dtype=object)
    records[:] = [text[start : start + size] for start in range(0, len(text), size)]
    return records


def _message(tag: bytes, parts: list[np.ndarray]) -> list[np.ndarray]:
    """Puts the tag and the length of a field before its parts, `[N, size]` or `[1, size]`."""
    head, size = bytearray(tag), sum(part.shape[1] for part in parts)
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= _BITS_PER_BYTE_OF_VARINT
    return [_fixed(bytes([*head, size])), *parts]


def _fixed(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8)[np.newaxis]


# Records of view pairs as a `tf.data` pipeline.

Decode = Callable[[Any], Any]

_CHUNK = 65_536  # Records are shuffled within chunks of this many.

# A file holds one clip, and a chunk holds few files' worth: so that it holds records of many clips,
# this many files are read by turns, this many records at a time.
_NUM_FILES, _NUM_RECORDS = 16, 16

_COUNTED = 4096  # Records that are counted at once.


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
        ValueError: If there is no such file, or the files hold less than a batch.
    """
    files = matching(file_pattern)
    num_pairs = _count(_read_files(files).take(batch_size))
    # Epochs without a batch would follow each other for ever.
    rule = f"be at most the number of pairs, {num_pairs}"
    errors.require(num_pairs >= batch_size, "batch_size", rule, batch_size)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        shuffled = tf.data.Dataset.from_tensor_slices(_shuffle(tf.constant(files), seed, number, 0))
        records = shuffled.interleave(
            _read_files, cycle_length=_NUM_FILES, block_length=_NUM_RECORDS
        )
        # Records stay in their chunk's tensor up to the batch: one by one they take twice as long.
        chunks = records.batch(_CHUNK).enumerate(1)
        mixed = chunks.map(lambda index, chunk: _shuffle(chunk, seed, number, index)).prefetch(1)
        return mixed.rebatch(batch_size, drop_remainder=True)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    batches = epochs.flat_map(epoch)
    return batches.map(decode_pairs, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def load_once(
    file_pattern: str | list[str], batch_size: int, decode: Decode = decode_pairs
) -> tf.data.Dataset:
    """Reads every pair once, in the order of the files; the last batch may be smaller.

    `decode` is what parses a batch, where the records are not pairs but instants.
    """
    batches = _read_files(matching(file_pattern)).batch(batch_size)
    return batches.map(decode, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def count(file_pattern: str | list[str]) -> int:
    """Counts the records."""
    return _count(_read_files(matching(file_pattern)))


def _count(records: tf.data.Dataset) -> int:
    chunks = records.batch(_COUNTED)
    return int(
        chunks.reduce(tf.constant(0, tf.int64), lambda n, chunk: n + tf.size(chunk, tf.int64))
    )


def matching(file_pattern: str | list[str]) -> list[str]:
    """Returns the files that match a pattern, sorted; an `ArgumentError` where there is none."""
    files = sorted(tf.io.gfile.glob(file_pattern))
    errors.require(bool(files), "file_pattern", "match a file", repr(file_pattern))
    return files


def _read_files(files: tf.Tensor | list[str] | tf.data.Dataset) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(files, compression_type="GZIP")


def _shuffle(values: tf.Tensor, seed: int, epoch: tf.Tensor, chunk: tf.Tensor | int) -> tf.Tensor:
    """Puts values in an order that depends on the three numbers alone."""
    mixed = tf.random.experimental.stateless_fold_in([seed, 0], epoch)
    order_seed = tf.random.experimental.stateless_fold_in(mixed, tf.cast(chunk, tf.int64))
    return tf.random.experimental.stateless_shuffle(values, order_seed)
