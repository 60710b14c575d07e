"""How large a file and what is in it may be.

A reader compares what a file declares with these numbers before it allocates anything. They are
several times what the largest published recordings need (`data_train_3dhp.npz`: 0.7 GB) and small
enough that a hostile file cannot take a machine down.
"""

import math
from typing import Any

from keras_mvlift import errors

MAX_ARCHIVE_BYTES = 8 * 2**30
MAX_JSON_BYTES = 256 * 2**20
# TOML, YAML, XML, tables: what people write or look at.
MAX_TEXT_BYTES = 64 * 2**20

MAX_MEMBERS = 100_000
# Of an archive's table of contents, about 300 bytes a member.
MAX_DIRECTORY_BYTES = 32 * 2**20

# All that one call reads, counted as if no part of it were shared.
MAX_CONTENT_BYTES = 8 * 2**30
# Numbers that were measured do not shrink a hundredfold; zeros do, and few of them do no harm.
MAX_COMPRESSION_RATIO = 100
COMPRESSION_FREE_BYTES = 256 * 2**20

MAX_OPERATIONS = 20_000_000
MAX_NESTING = 32
MAX_KEY_LENGTH = 32
MAX_INTEGER_BYTES = 16


def check_content(path: object, field: str, num_bytes: int, num_stored: int) -> None:
    """Refuses what would grow too large when it is read.

    Args:
        path: The file.
        field: The part of it.
        num_bytes: What it declares to hold.
        num_stored: What it takes in the file.

    Raises:
        RecordingError: If it exceeds `MAX_CONTENT_BYTES`, or `COMPRESSION_FREE_BYTES` and
            `MAX_COMPRESSION_RATIO` times what is stored.
    """
    if num_bytes > MAX_CONTENT_BYTES:
        rule = f"hold at most {MAX_CONTENT_BYTES} bytes"
        raise errors.RecordingError(path, field, rule, f"{num_bytes} bytes")
    if num_bytes > max(COMPRESSION_FREE_BYTES, MAX_COMPRESSION_RATIO * num_stored):
        rule = f"grow at most {MAX_COMPRESSION_RATIO} times when read"
        raise errors.RecordingError(path, field, rule, f"{num_bytes} bytes out of {num_stored}")


def array_bytes(shape: Any, item_bytes: int) -> int:
    """Gives the bytes of an array that declares a shape, before there is one.

    Args:
        shape: What it declares: a tuple of lengths, if it is right.
        item_bytes: What one item takes.

    Raises:
        ValueError: If it exceeds `MAX_CONTENT_BYTES`, or is no tuple of lengths.
    """
    is_shape = isinstance(shape, tuple) and all(type(length) is int for length in shape)
    if not is_shape or len(shape) > MAX_NESTING or any(length < 0 for length in shape):
        raise ValueError(f"{shape!r} is no shape of up to {MAX_NESTING} axes")
    num_bytes = math.prod(shape) * item_bytes
    if max(num_bytes, *shape, 0) > MAX_CONTENT_BYTES:
        raise ValueError(f"shape {shape} of {item_bytes} bytes each is more than can be held")
    return num_bytes


def check_shape(path: object, field: str, shape: Any, item_bytes: int) -> int:
    """Gives what `array_bytes` gives, for a part of a file.

    Raises:
        RecordingError: If it exceeds `MAX_CONTENT_BYTES`, or is no tuple of lengths.
    """
    with errors.parsing(path, field, f"have a shape and at most {MAX_CONTENT_BYTES} bytes"):
        return array_bytes(shape, item_bytes)
