import pickle
import struct
import time

import numpy as np
import psutil
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files, reading
from tests.untrusted import damage

MIB = 2**20
HUGE = b"\x8a\x08" + struct.pack("<q", 10**12)
RECONSTRUCT = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n"
SHELL = RECONSTRUCT + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R"
MINUS_ONE = b"J\xff\xff\xff\xff"
FLOAT = (
    b"cnumpy\ndtype\nX\x02\x00\x00\x00f8K\x00K\x01\x87R(K\x03U\x01<NNN" + MINUS_ONE * 2 + b"K\x00tb"
)
OBJECT = FLOAT.replace(b"\x00f8", b"\x00O8").replace(b"U\x01<", b"U\x01|")


def doubled(levels, make=b"\x86"):
    """A tuple of twice a tuple of twice ..., or what else `make` makes of two values."""
    data = b"\x80\x02K\x01q\x00"
    for level in range(levels):
        index = bytes([level])
        data += b"h" + index + b"h" + index + make + b"q" + bytes([level + 1])
    return data + b"."


def nested(depth):
    return b"\x80\x02" + b"(" * depth + b"l" * depth + b"."


BOMBS = {
    "bytearray by length": b"\x80\x02cbuiltins\nbytearray\n" + HUGE + b"\x85R.",
    "bytes by length": b"\x80\x02cbuiltins\nbytes\n" + HUGE + b"\x85R.",
    "ndarray by shape": b"\x80\x02cnumpy\nndarray\n" + HUGE + b"\x85\x85R.",
    "array of a shape without its bytes": SHELL
    + b"(K\x01"
    + HUGE
    + b"\x85"
    + FLOAT
    + b"\x89U\x00tb.",
    "array of a shape that overflows": SHELL
    + b"(K\x01("
    + HUGE * 4
    + b"t"
    + FLOAT
    + b"\x89U\x00tb.",
    "array of negative lengths": SHELL
    + b"(K\x01"
    + MINUS_ONE * 2
    + b"\x86"
    + FLOAT
    + b"\x89U\x08abcdefghtb.",
    "objects whose pointers are the file's bytes": SHELL
    + b"(K\x01K\x01\x85"
    + OBJECT
    + b"\x89U\x08abcdefghtb.",
    "array never told its state": SHELL + b".",
    "array that holds itself": SHELL + b"q\x00(K\x01K\x01\x85" + OBJECT + b"\x89]h\x00atb.",
    "list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "dict that holds itself": b"\x80\x02}q\x00K\x01h\x00s.",
    "nesting": nested(10_000),
    "nesting in a dict's key": b"\x80\x02}" + b")" + b"\x85" * 10_000 + b"K\x01s.",
    "tuple of tuples as a key": doubled(40)[:-1] + b"q\xff0}h\xffK\x01s.",
    "laughs": doubled(31),
    "lists of laughs": doubled(31, b"\x86"),
    "bytes that are not there": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.",
    "text that is not there": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"abc.",
    "memo of an entry far away": b"\x80\x02Nr" + struct.pack("<I", 2**29) + b".",
    "long integer": b"\x80\x02\x8b" + struct.pack("<i", MIB) + b"\xff" * (MIB - 1) + b"\x01.",
    "integer in digits": b"L" + b"9" * MIB + b"L\n.",
    "sets of one list, over and over": b"\x80\x02]q\x00("
    + b"".join(b"M" + struct.pack("<H", i) for i in range(50_000))
    + b"e0"
    + b"cbuiltins\nset\nh\x00\x85R0" * 200
    + b"N.",
    "one dtype again and again": b"\x80\x02"
    + FLOAT[:-1].replace(b"\x87R", b"\x87Rq\x01")
    + b"b]q\x02("
    + b"cnumpy\ndtype\nq\x03X\x02\x00\x00\x00f8q\x04K\x00K\x01\x87q\x050h\x03h\x05R"
    + b"h\x03h\x05R" * 50_000
    + b"e.",
    "colliding integer keys": b"\x80\x02}("
    + b"".join(
        b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(1, 20_000)
    )
    + b"u.",
    "name as a value": b"\x80\x02cnumpy\nndarray\n.",
    "dtype as a value": b"\x80\x02" + FLOAT + b".",
    "name as a key": b"\x80\x02}cnumpy\nndarray\nNs.",
    "encoding that is none of bytes": b"\x80\x02c_codecs\nencode\nU\x01aU\x06base64\x86R.",
    "none": b"\x80\x02.",
    "call of a list": b"\x80\x02])R.",
    "odd number of items": b"\x80\x02}(K\x01u.",
    "list filled like a dict": b"\x80\x02]K\x01K\x01s.",
}


@pytest.fixture
def loads(tmp_path):
    """Reads a pickle from bytes."""

    def read(data):
        (tmp_path / "a.pkl").write_bytes(data)
        return reading.pickled(tmp_path / "a.pkl")

    return read


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_is_refused_in_little_time_and_memory(loads, monkeypatch, name):
    monkeypatch.setattr(files, "COMPRESSION_FREE_BYTES", 16 * MIB)
    monkeypatch.setattr(files, "_FREE_SECONDS", 1)
    begin, before = time.process_time(), psutil.Process().memory_info().rss
    with pytest.raises(errors.RecordingError, match=r"a.pkl: `\w+` must"):
        loads(BOMBS[name])
    assert time.process_time() - begin < 2
    assert psutil.Process().memory_info().rss - before < 32 * MIB


def test_the_deepest_nesting_admitted(loads):
    assert len(loads(nested(files.MAX_NESTING + 1))) == 1
    with pytest.raises(errors.RecordingError, match="nest at most 32 deep"):
        loads(nested(files.MAX_NESTING + 2))


@pytest.mark.parametrize("protocol", range(6))
def test_damage_ends_in_our_error(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    content = {
        "S1": {"Walk": np.ones((4, 3), "f4"), "x": [np.float64(1), 2.5, None, (1, "ab")]},
        "o": np.array([{"a": 1}, np.arange(3)], object),
    }
    data = pickle.dumps(content, protocol)
    refused = damage.assert_only_our_errors(
        lambda: reading.pickled(path), path, data, seed=protocol, count=100
    )
    assert refused > 30
