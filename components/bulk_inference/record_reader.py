"""Reads single views from TFRecords of `tf.Example`, as ExampleGen writes its test views."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import tensorflow as tf

from components.bulk_inference import view_rows
from keras_mvlift import errors

COMPRESSED = ".gz"
"""How the name of a compressed file ends."""

_KINDS = {name: "float_list" for name in view_rows.NUMBERS}
_KINDS |= {name: "bytes_list" for name in view_rows.TEXTS} | {"frame": "int64_list"}
_DTYPES = {"float_list": tf.float32, "bytes_list": tf.string, "int64_list": tf.int64}
_WORDS = {"float_list": "floats", "bytes_list": "text", "int64_list": "a whole number"}
_FEATURES = {name: tf.io.RaggedFeature(_DTYPES[kind]) for name, kind in _KINDS.items()}


def read(path: str, batch_size: int) -> Iterator[view_rows.Rows]:
    """Reads a file, so many records at a time.

    Raises:
        RecordingError: If the file cannot be read to its end.
    """
    compression = "GZIP" if path.endswith(COMPRESSED) else ""
    records = iter(tf.data.TFRecordDataset(path, compression).batch(batch_size).prefetch(1))
    while True:
        with errors.parsing(path, "records", "be whole TFRecords"):
            serialized = next(records, None)
        if serialized is None:
            return
        yield _rows(serialized)


def _rows(serialized: tf.Tensor) -> view_rows.Rows:
    refusals: dict[int, view_rows.Refusal] = {}
    try:
        parsed = tf.io.parse_example(serialized, _FEATURES)
        is_odd = any((parsed[name].row_lengths() == 0).numpy().any() for name in view_rows.REQUIRED)
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
    numbers = {name: view_rows.Numbers(*arrays[name]) for name in view_rows.NUMBERS}
    keys = {name: _key(name, *arrays[name], refusals) for name in view_rows.KEYS}
    return view_rows.Rows(numbers, keys, refusals)


def _refusal(record: bytes) -> view_rows.Refusal | None:
    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception as error:
        # Where bytes are no text, protobuf fails in telling so.
        return view_rows.Refusal("record", "be a `tf.Example`", type(error).__name__)
    for name, kind in _KINDS.items():
        received = features[name].WhichOneof("kind") if name in features else None
        if received not in (kind, None):
            return view_rows.Refusal(name, f"hold {_WORDS[kind]}", _WORDS[received])
    return None


def _key(
    name: str, values: np.ndarray, lengths: np.ndarray, refusals: dict[int, view_rows.Refusal]
) -> pa.Array:
    """Gives `[N]`, null where there is none."""
    for row in np.flatnonzero(lengths > 1).tolist():
        rule = f"be {_WORDS[_KINDS[name]]}, one a record"
        refusals.setdefault(row, view_rows.Refusal(name, rule, f"{lengths[row]} of them"))
    starts = np.cumsum(lengths) - lengths
    is_given = lengths > 0
    found = np.zeros(len(lengths), values.dtype)
    found[is_given] = values[starts[is_given]]
    if name not in view_rows.TEXTS:
        return pa.array(found, pa.int64(), mask=~is_given)
    decoded: dict[bytes, str | None] = {word: _decoded(word) for word in set(found[is_given])}
    texts = [decoded[word] if given else None for word, given in zip(found, is_given, strict=True)]
    for row, text in enumerate(texts):
        if text is None and is_given[row]:
            received = repr(found[row])
            refusals.setdefault(row, view_rows.Refusal(name, "be UTF-8", received))
    return pa.array(texts, pa.string())


def _decoded(word: bytes) -> str | None:
    try:
        return word.decode()
    except UnicodeDecodeError:
        return None
