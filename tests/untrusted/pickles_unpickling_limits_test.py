import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files, pickles
from tests.untrusted import damage, gadgets

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
    "long integer": b"\x80\x02\x8b" + struct.pack("<i", MIB) + b"\xff" * (MIB - 1) + b"\x01.",
    "integer in digits": b"L" + b"9" * MIB + b"L\n.",
    "sets of one list, over and over": b"\x80\x02]q\x00("
    + b"".join(b"M" + struct.pack("<H", i) for i in range(50_000))
    + b"e0"
    + b"cbuiltins\nset\nh\x00\x85R0" * 200
    + b"N.",
    "copies of one text": b"\x80\x02"
    + gadgets.text("a" * 4 * MIB)
    + b"q\x000"
    + b"c_codecs\nencode\nh\x00U\x06latin1\x86R" * 200
    + b"N.",
    "name as a value": b"\x80\x02cnumpy\nndarray\n.",
    "dtype as a value": b"\x80\x02" + FLOAT + b".",
    "name as a key": b"\x80\x02}cnumpy\nndarray\nNs.",
    "encoding that is none of bytes": b"\x80\x02c_codecs\nencode\nU\x01aU\x06base64\x86R.",
    "two values": b"\x80\x02K\x01K\x02.",
    "none": b"\x80\x02.",
    "mark left": b"\x80\x02(K\x01.",
    "call of a list": b"\x80\x02])R.",
    "odd number of items": b"\x80\x02}(K\x01u.",
    "list filled like a dict": b"\x80\x02]K\x01K\x01s.",
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_is_refused_in_little_time_and_memory(monkeypatch, name):
    monkeypatch.setattr(files, "COMPRESSION_FREE_BYTES", 16 * MIB)
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(errors.RecordingError, match=r"a.pkl: `pickle` must"):
        pickles.loads(BOMBS[name], "a.pkl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.perf_counter() - begin < 5
    assert peak < 32 * MIB


def test_a_far_index_of_the_memo_takes_no_memory():
    tracemalloc.start()
    assert pickles.loads(b"\x80\x02K\x01r\xff\xff\xff\x7f.", "a") == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB


def test_too_many_operations_are_refused(monkeypatch):
    monkeypatch.setattr(files, "MAX_OPERATIONS", 1000)
    assert pickles.loads(pickle.dumps(list(range(900)), 2), "a")[-1] == 899
    with pytest.raises(errors.RecordingError, match="more than 1000 operations"):
        pickles.loads(pickle.dumps(list(range(1000)), 2), "a")


def test_the_deepest_nesting_admitted(tmp_path):
    assert len(pickles.loads(nested(files.MAX_NESTING), "a")) == 1
    with pytest.raises(errors.RecordingError, match="nest at most 32 deep"):
        pickles.loads(nested(files.MAX_NESTING + 1), "a")


@pytest.mark.parametrize("protocol", range(6))
def test_damage_ends_in_our_error(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    content = {
        "S1": {"Walk": np.ones((4, 3), "f4"), "x": [np.float64(1), 2.5, None, (1, b"ab")]},
        "o": np.array([{"a": 1}, np.arange(3)], object),
        "r": np.zeros(2, [("R", "f4", (3, 3)), ("n", "U3")]),
    }
    data = pickle.dumps(content, protocol)
    refused = damage.assert_only_our_errors(
        lambda: pickles.read(path), path, data, seed=protocol, count=300
    )
    assert refused > 100
