"""Rows of stored views: what readers of files give, held against what a view must be."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import tensorflow as tf

from keras_mvlift import errors, skeletons
from keras_mvlift.geometry import cameras
from keras_mvlift.untrusted import reading

_NUM_JOINTS = skeletons.H36M_17.num_joints
REQUIRED = {"keypoints_2d": (_NUM_JOINTS, 2), "confidence": (_NUM_JOINTS,), "intrinsics": (3, 3)}
PLACE = {"rotation": (3, 3), "center": (3,)}
# Shapes of a view's numbers; those of `PLACE` may be absent, both together.
NUMBERS = REQUIRED | PLACE
TEXTS = ("clip", "subject", "action", "camera")
# What tells views apart. Each may be absent, and comes out as it went in.
KEYS = {name: pa.string() for name in TEXTS} | {"frame": pa.int64()}
# Of calibrations that were written with few decimals.
_ROTATION_TOLERANCE = 1e-2


class Numbers(NamedTuple):
    """A column of lists: all values, and the length of each row's, `[N]`, 0 where it is absent."""

    values: np.ndarray
    lengths: np.ndarray


class Rows(NamedTuple):
    """Views as a file has them."""

    numbers: dict[str, Numbers]  # Of each name in `NUMBERS`, `N` rows.
    keys: dict[str, pa.Array]  # Of each name in `KEYS`, `[N]`, null where absent.
    refusals: dict[int, errors.ArgumentError]  # Rows that the reader itself refused, by index.


class Views(NamedTuple):
    """Views that can be lifted."""

    numbers: dict[str, np.ndarray]  # Of each name in `NUMBERS`, `[M, ...]`, single precision.
    has_place: np.ndarray  # [M], whether `rotation` and `center` are there; NaN where not.
    keys: dict[str, pa.Array]  # Of each name in `KEYS`, `[M]`.


def check(rows: Rows) -> tuple[Views, dict[int, errors.ArgumentError]]:
    """Returns rows that are views, and of others, by index, the first rule that each breaks."""
    numbers = {name: _dense(rows.numbers[name], shape) for name, shape in NUMBERS.items()}
    refusals = dict(rows.refusals)
    for is_wrong, field, rule, received in _rules(rows, numbers):
        for row in np.flatnonzero(is_wrong).tolist():
            if row not in refusals:
                refusals[row] = errors.ArgumentError(field, rule, received(row))
    is_place = skeletons.is_place(numbers["keypoints_2d"])
    numbers["confidence"] = np.where(is_place, numbers["confidence"], 0.0).astype(np.float32)
    numbers["keypoints_2d"] = np.where(is_place[..., np.newaxis], numbers["keypoints_2d"], 0.0)
    is_view = np.ones(len(is_place), bool)
    is_view[list(refusals)] = False
    views = Views(
        {name: values[is_view] for name, values in numbers.items()},
        (rows.numbers["rotation"].lengths > 0)[is_view],
        {name: values.filter(pa.array(is_view)) for name, values in rows.keys.items()},
    )
    return views, refusals


def _dense(column: Numbers, shape: tuple[int, ...]) -> np.ndarray:
    """Returns `[N, *shape]`, NaN in rows that hold another number of values."""
    lengths, size = column.lengths, math.prod(shape)
    # What does not fit is infinite, and found where it may not be.
    with np.errstate(over="ignore"):
        values = column.values.astype(np.float32, copy=False)
    is_whole = lengths == size
    if not is_whole.all():
        filled = np.full((len(lengths), size), np.nan, np.float32)
        starts = (np.cumsum(lengths) - lengths)[is_whole]
        filled[is_whole] = values[starts[:, np.newaxis] + np.arange(size)]
        values = filled
    return values.reshape(-1, *shape)


_Rule = tuple[np.ndarray, str, str, Callable[[int], object]]


def _rules(rows: Rows, numbers: dict[str, np.ndarray]) -> Iterator[_Rule]:
    """Yields which rows break a rule, `[N]`, the field, the rule, and what came in a row."""
    has = {name: column.lengths > 0 for name, column in rows.numbers.items()}
    for name, shape in NUMBERS.items():
        lengths, size = rows.numbers[name].lengths, math.prod(shape)
        is_other = (lengths != size) & (has[name] | (name not in PLACE))
        yield is_other, name, f"hold {size} numbers, {' x '.join(map(str, shape))}", lengths.item
        # A joint at NaN was not seen.
        dense = numbers[name].reshape(-1, size)
        is_off = np.isinf(dense) if name == "keypoints_2d" else ~np.isfinite(dense)
        yield has[name] & is_off.any(axis=1), name, "be finite", lambda _: "NaN or infinity"
    confidence, intrinsics, rotation = (
        numbers[name] for name in ("confidence", "intrinsics", "rotation")
    )
    is_off = ((confidence < 0) | (confidence > 1)).any(axis=1)
    yield (
        is_off,
        "confidence",
        "lie in [0, 1]",
        lambda row: f"{confidence[row].min():g} to {confidence[row].max():g}",
    )
    is_off = (intrinsics[:, [0, 1], [0, 1]] <= 0).any(axis=1)
    is_off |= (intrinsics[:, 2] != [0, 0, 1]).any(axis=1)
    rule = "have positive focal lengths and 0, 0, 1 as last row"
    yield is_off, "intrinsics", rule, lambda row: intrinsics[row].tolist()
    for name, other in (("rotation", "center"), ("center", "rotation")):
        rule = f"be given together with `{other}`"
        yield has[other] & ~has[name], name, rule, lambda _: "nothing"
    known = np.where(np.isfinite(rotation), rotation, 0).astype(np.float64)
    is_off = has["rotation"] & ~cameras.is_rotation(known, _ROTATION_TOLERANCE)
    rule = "be a rotation, camera from world"
    yield is_off, "rotation", rule, lambda row: rotation[row].tolist()


SUFFIX = ".parquet"


def read_parquet(path: str, batch_size: int) -> Iterator[Rows]:
    """Reads a file, at most so many rows at a time; what it cannot read is a `RecordingError`.

    Lists may be flat, matrices row by row, or lists of lists; their numbers of any precision.
    """
    for found in reading.parquet_views(path, batch_size, [*REQUIRED], [*NUMBERS], TEXTS):
        with errors.parsing(path, "rows", "be as many as are told"):
            yield _parquet_rows(found)


def _parquet_rows(found: dict[str, Any]) -> Rows:
    num_rows = found["num_rows"]
    none = {"values": np.zeros(0), "lengths": np.zeros(num_rows, int)}
    numbers = {name: Numbers(**found.get(name, none)) for name in NUMBERS}
    keys = {name: pa.nulls(num_rows, kind) for name, kind in KEYS.items()}
    for name in (name for name in KEYS if name in found):
        column = found[name]
        if name in TEXTS:
            codes = pa.array(column["codes"], mask=column["codes"] < 0)
            words = pa.array(column["words"], pa.string())
            keys[name] = pa.DictionaryArray.from_arrays(codes, words).cast(pa.string())
        else:
            keys[name] = pa.array(column["values"], pa.int64(), mask=column["is_null"])
    if {len(key) for key in keys.values()} != {num_rows}:
        raise ValueError(f"columns of other lengths than {num_rows}")
    return Rows(numbers, keys, {})


COMPRESSED = ".gz"
_KINDS = {name: "float_list" for name in NUMBERS}
_KINDS |= {name: "bytes_list" for name in TEXTS} | {"frame": "int64_list"}
_DTYPES = {"float_list": tf.float32, "bytes_list": tf.string, "int64_list": tf.int64}
_WORDS = {"float_list": "floats", "bytes_list": "text", "int64_list": "a whole number"}
_FEATURES = {name: tf.io.RaggedFeature(_DTYPES[kind]) for name, kind in _KINDS.items()}


def read_records(path: str, batch_size: int) -> Iterator[Rows]:
    """Reads a file, so many records at a time; what it cannot read is a `RecordingError`."""
    compression = "GZIP" if path.endswith(COMPRESSED) else ""
    records = iter(tf.data.TFRecordDataset(path, compression).batch(batch_size).prefetch(1))
    while True:
        with errors.parsing(path, "records", "be whole TFRecords"):
            serialized = next(records, None)
        if serialized is None:
            return
        yield _record_rows(serialized)


def _record_rows(serialized: tf.Tensor) -> Rows:
    refusals: dict[int, errors.ArgumentError] = {}
    try:
        parsed = tf.io.parse_example(serialized, _FEATURES)
        is_odd = any((parsed[name].row_lengths() == 0).numpy().any() for name in REQUIRED)
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):
        is_odd = True
    if is_odd:
        # A single odd record makes the parser fail for all of them, and without its number.
        usable = []
        for row, record in enumerate(serialized.numpy().tolist()):
            refusal = _refusal(record)
            if refusal is not None:
                refusals[row] = refusal
            usable.append(b"" if refusal else record)
        parsed = tf.io.parse_example(tf.constant(usable), _FEATURES)
    ragged = {name: (value.values, value.row_lengths()) for name, value in parsed.items()}
    arrays = {name: (values.numpy(), rows.numpy()) for name, (values, rows) in ragged.items()}
    numbers = {name: Numbers(*arrays[name]) for name in NUMBERS}
    keys = {name: _key(name, *arrays[name], refusals) for name in KEYS}
    return Rows(numbers, keys, refusals)


def _refusal(record: bytes) -> errors.ArgumentError | None:
    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception as error:
        # Where bytes are no text, protobuf fails in telling so.
        return errors.ArgumentError("record", "be a `tf.Example`", type(error).__name__)
    for name, kind in _KINDS.items():
        received = features[name].WhichOneof("kind") if name in features else None
        if received not in (kind, None):
            return errors.ArgumentError(name, f"hold {_WORDS[kind]}", _WORDS[received])
    return None


def _key(
    name: str, values: np.ndarray, lengths: np.ndarray, refusals: dict[int, errors.ArgumentError]
) -> pa.Array:
    """Returns `[N]`, null where there is none."""
    for row in np.flatnonzero(lengths > 1).tolist():
        rule = f"be {_WORDS[_KINDS[name]]}, one a record"
        refusals.setdefault(row, errors.ArgumentError(name, rule, f"{lengths[row]} of them"))
    starts = np.cumsum(lengths) - lengths
    found = [values[at] if length else None for at, length in zip(starts, lengths, strict=True)]
    for row, word in enumerate(found):
        if isinstance(word, bytes):
            try:
                found[row] = word.decode()
            except UnicodeDecodeError:
                found[row] = None
                refusals.setdefault(row, errors.ArgumentError(name, "be UTF-8", repr(word)))
    return pa.array(found, KEYS[name])
