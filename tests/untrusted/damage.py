"""Damages bytes the ways that disks, downloads and enemies do, for tests of readers."""

import os
import random

from keras_mvlift import errors


def variants(data, seed, count):
    """Yields `count` damaged copies of `data`, the first of them empty; the same for one seed."""
    yield b""
    draw = random.Random(seed)
    for _ in range(count - 1):
        damaged = data
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            damaged = draw.choice(_DAMAGES)(damaged, draw)
        yield damaged


# How often each test damages its files, each time in other ways.
_ROUNDS = int(os.environ.get("DAMAGE_ROUNDS", "1"))


def assert_only_our_errors(read, path, data=None, seed=0, count=100):
    """Fails unless `read()` reads each variant that is written to `path`, or refuses it.

    The variants are of `data`, or of what `path` holds.

    Returns how many were refused, so that a caller can see that damage was noticed: the least of
    all rounds.
    """
    data = path.read_bytes() if data is None else data
    rounds = (seed + 1000 * number for number in range(_ROUNDS))
    return min(_refused(read, path, data, each, count) for each in rounds)


def _refused(read, path, data, seed, count):
    refused = 0
    for number, damaged in enumerate(variants(data, seed, count)):
        path.write_bytes(damaged)
        try:
            read()
        except errors.RecordingError:
            refused += 1
        except Exception as error:
            message = f"variant {number} of seed {seed}: {type(error).__name__}: {error}"
            raise AssertionError(message) from error
    return refused


def _truncate(data, draw):
    return data[: draw.randrange(len(data) + 1)]


def _flip(data, draw):
    damaged = bytearray(data)
    for _ in range(draw.choice((1, 1, 3, 10)) if damaged else 0):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def _overwrite(data, draw):
    # Extreme values find lengths and offsets.
    start, stop = _range(data, draw, longest=8)
    return data[:start] + draw.choice((b"\x00", b"\xff", b"\x7f")) * (stop - start) + data[stop:]


def _zero(data, draw):
    start, stop = _range(data, draw)
    return data[:start] + bytes(stop - start) + data[stop:]


def _duplicate(data, draw):
    start, stop = _range(data, draw)
    return data[:stop] + data[start:]


def _remove(data, draw):
    start, stop = _range(data, draw)
    return data[:start] + data[stop:]


def _range(data, draw, longest=None):
    start = draw.randrange(len(data) + 1)
    rest = len(data) - start
    return start, start + draw.randrange(min(rest, longest or rest) + 1)


# Truncated files and single bits are what happens most.
_DAMAGES = (_truncate, _flip, _flip, _overwrite, _overwrite, _zero, _duplicate, _remove)
