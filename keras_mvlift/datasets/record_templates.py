"""Rows of columns as serialized `tf.train.Example`s, all rows of a block at once.

Rows whose texts and integers take equally many bytes differ only in bytes at fixed places. Such
rows share a template, laid out once: tags, names and lengths. Their values are copied into it as
blocks of bytes. The bytes are those that protobuf's deterministic serialization writes.

References:
    Protocol Buffers, Encoding; tensorflow/core/example/feature.proto.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

_FIRST, _SECOND, _THIRD = b"\x0a", b"\x12", b"\x1a"
"""Tags of the fields 1, 2 and 3 of a message, each with a length before its content."""

_BITS_PER_BYTE_OF_VARINT = 7
_LONGEST_VARINT = 10


class _Values(NamedTuple):
    """The bytes of a column.

    Attributes:
        tag: The kind of list in `tf.train.Feature`.
        content: `[N, K, longest]`, of each value; all floats of a row are one value.
        length: `[N, K]`, how many of them count.
    """

    tag: bytes
    content: np.ndarray
    length: np.ndarray


class _Layout(NamedTuple):
    """What rows of equal lengths share.

    Attributes:
        template: `[size]`, one row with its values left blank.
        places: For each value its column, its index there, where it begins and ends.
    """

    template: np.ndarray
    places: list[tuple[int, int, int, int]]


def serialize(columns: Mapping[str, np.ndarray]) -> list[bytes]:
    """Serializes rows of columns, features sorted by name.

    Args:
        columns: Feature name to `[N, ...]`: floats, integers or strings, the same `N` in all.

    Returns:
        `N` serialized examples, in the order of the rows.

    Raises:
        ValueError: If a column holds something else, or the numbers of rows differ.
    """
    names = sorted(columns, key=str.encode)
    num_rows = {name: len(columns[name]) for name in names}
    if len(set(num_rows.values())) > 1:
        raise ValueError(f"`columns` must have equally many rows. Received: {num_rows}.")
    if not names or not num_rows[names[0]]:
        return []
    values = [_values(name, columns[name]) for name in names]
    lengths = np.concatenate([column.length for column in values], axis=1)
    records = np.empty(len(lengths), dtype=object)
    for rows in _alike(lengths):
        records[rows] = _fill(_layout(names, values, rows[0]), values, rows)
    return records.tolist()


def _values(name: str, column: np.ndarray) -> _Values:
    flat = column.reshape(len(column), -1 if column.size else 0)
    if flat.dtype.kind in "OSU":
        return _Values(_FIRST, *_texts(flat))
    if flat.dtype.kind in "biu":
        return _Values(_THIRD, *_varints(flat.astype(np.int64).view(np.uint64)))
    if flat.dtype.kind != "f":
        raise ValueError(
            f"`columns` must hold floats, integers or strings. Received: {name!r} of {flat.dtype}."
        )
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


def _layout(names: list[str], values: list[_Values], row: int) -> _Layout:
    """Lays out the message of a row: `Example(features=Features(feature={name: Feature}))`."""
    features, places = b"", []
    for column, (name, (tag, _, length)) in enumerate(zip(names, values, strict=True)):
        blank, starts = _list(tag, length[row].tolist())
        entry = _message(_FIRST, name.encode()) + _message(_SECOND, _message(tag, blank))
        features += _message(_FIRST, entry)
        begin = len(features) - len(blank)
        for index, start in enumerate(starts):
            size = int(length[row, index])
            places.append((column, index, begin + start, begin + start + size))
    example = _message(_FIRST, features)
    ahead = len(example) - len(features)
    moved = [(at, index, start + ahead, stop + ahead) for at, index, start, stop in places]
    return _Layout(np.frombuffer(example, np.uint8), moved)


def _list(tag: bytes, lengths: list[int]) -> tuple[bytes, list[int]]:
    """Lays out a list of blank values; gives where each begins."""
    blank, total = b"", sum(lengths)
    starts: list[int] = []
    if tag != _FIRST and total:
        # Numbers are packed: one length before all of them.
        blank = _message(_FIRST, bytes(total))
        begin = len(blank) - total
        return blank, [begin + sum(lengths[:index]) for index in range(len(lengths))]
    for length in lengths if tag == _FIRST else []:
        blank += _message(_FIRST, bytes(length))
        starts.append(len(blank) - length)
    return blank, starts


def _message(tag: bytes, content: bytes) -> bytes:
    content_length, length = _varints(np.array([len(content)], np.uint64))
    return tag + content_length[0, : length[0]].tobytes() + content


def _fill(layout: _Layout, values: list[_Values], rows: np.ndarray) -> np.ndarray:
    """Copies the values of rows into their template; gives the records, `[N]` of objects."""
    size, places = len(layout.template), layout.places
    table = np.empty((len(rows), size), np.uint8)
    table[:] = layout.template
    is_every = len(rows) == len(values[0].content)
    for column, index, start, stop in places:
        content = values[column].content[:, index, : stop - start]
        table[:, start:stop] = content if is_every else content[rows]
    text = table.tobytes()
    records = np.empty(len(rows), dtype=object)
    records[:] = [text[start : start + size] for start in range(0, len(text), size)]
    return records
