import collections
import pickle
import struct
import time

import hypothesis
import numpy as np
import psutil
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies

from keras_mvlift import errors
from keras_mvlift.untrusted import files, reading
from tests.untrusted import damage

CODES = ["b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))]
CODES += ["f2", "f4", "f8", "c8", "c16", "S3", "U2"]
DTYPES = strategies.builds(
    lambda order, code: np.dtype(order + code),
    strategies.sampled_from("<>"),
    strategies.sampled_from(CODES),
)


def _laid_out(array, is_fortran):
    return np.asfortranarray(array) if is_fortran else array


ARRAYS = strategies.builds(
    _laid_out,
    numpy_strategies.arrays(
        DTYPES, numpy_strategies.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
    ),
    strategies.booleans(),
)
SCALARS = (
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-(2**63), 2**64 - 1)
    | strategies.floats()
    | strategies.text(max_size=5)
    | strategies.builds(np.float32, strategies.floats(width=32))
    | strategies.builds(np.int64, strategies.integers(-(2**63), 2**63 - 1))
)
KEYS = strategies.text(max_size=5) | strategies.integers(0, 9)
VALUES = strategies.recursive(
    ARRAYS | SCALARS,
    lambda values: (
        strategies.lists(values, max_size=3)
        | strategies.tuples(values, values)
        | strategies.dictionaries(KEYS, values, max_size=3)
    ),
    max_leaves=8,
)


def assert_same(found, expected):
    """The same, with lists for tuples and Python's numbers for NumPy's."""
    if isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes()
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        assert_same(list(found.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert type(found) is list
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            assert_same(*pair)
    else:
        value = expected.item() if isinstance(expected, np.generic) else expected
        # NaN is not NaN, and -0 is 0.
        assert (type(found), repr(found)) == (type(value), repr(value))


@pytest.fixture(scope="module")
def loads(tmp_path_factory):
    """Reads a pickle from bytes."""
    path = tmp_path_factory.mktemp("pickles") / "a.pkl"

    def read(data):
        path.write_bytes(data)
        return reading.pickled(path)

    return read


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(value=VALUES, protocol=strategies.integers(0, 5))
def test_what_is_pickled_is_read_back(loads, value, protocol):
    assert_same(loads(pickle.dumps(value, protocol)), value)


@hypothesis.settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(value=VALUES, plain=ARRAYS)
def test_what_is_saved_in_an_archive_is_read_back(tmp_path, value, plain):
    boxed = np.empty((), object)
    boxed[()] = value
    np.savez_compressed(tmp_path / "a.npz", boxed=boxed, plain=plain)
    found = reading.npz(tmp_path / "a.npz")
    assert_same(found["boxed"], value)
    assert_same(found["plain"], plain)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", "CF")
def test_arrays_of_objects_keep_their_places(loads, protocol, order):
    array = np.empty((2, 3), object, order=order)
    array.flat = [1, "a", None, [1, 2], {"b": 2}, np.arange(2)]
    found = loads(pickle.dumps(array, protocol))
    assert found.shape == (2, 3)
    assert_same(list(found.flat), list(array.flat))


def test_ordered_dicts_become_dicts_and_shared_parts_are_there_each_time(loads):
    part = np.arange(3)
    for protocol in range(6):
        found = loads(pickle.dumps(collections.OrderedDict(b=[part, part], a=1), protocol))
        assert (type(found), list(found)) == (dict, ["b", "a"])
        assert [each.tolist() for each in found["b"]] == [[0, 1, 2]] * 2


@pytest.mark.parametrize("value", [{1}, b"a", 1j, np.zeros(2, "f4,i4"), np.zeros(2, "M8[s]")])
def test_what_no_reader_needs_is_refused(loads, value):
    with pytest.raises(errors.RecordingError, match=r"a.pkl: `\w+` must (hold|be of)"):
        loads(pickle.dumps([value]))


@pytest.mark.parametrize("key", [("a",), 1.5, 2**61 - 1, b"a", None])
def test_keys_are_text_and_small_numbers(loads, key):
    data = pickle.dumps({key: 1})
    if key is None:
        assert loads(data) == {None: 1}
        return
    with pytest.raises(errors.RecordingError, match=r"keys of text and small numbers|bytes"):
        loads(data)


# Written by Python 2.7 with NumPy 1.16: {"a": np.array([-1.5, 2.0]), u"b": 5L}, protocols 0 and 2.
PYTHON_2 = [
    b"(dp0\nS'a'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\n"
    b"S'b'\np5\ntp6\nRp7\n(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'f8'\np10\nI0\nI1\ntp11\nRp12\n"
    b"(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\n"
    b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\xf8\\xbf\\x00\\x00\\x00\\x00\\x00\\x00\\x00@'\np15\ntp16\n"
    b"bsVb\np17\nL5L\ns.",
    b"\x80\x02}q\x00(U\x01aq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03"
    b"K\x00\x85U\x01b\x87Rq\x04(K\x01K\x02\x85cnumpy\ndtype\nq\x05U\x02f8K\x00K\x01\x87Rq\x06"
    b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10"
    b"\x00\x00\x00\x00\x00\x00\xf8\xbf\x00\x00\x00\x00\x00\x00\x00@tbX\x01\x00\x00\x00b\x8a\x01\x05u.",
]


@pytest.mark.parametrize("data", PYTHON_2, ids=["protocol 0", "protocol 2"])
def test_pickles_of_python_2_are_read(loads, data):
    found = loads(data)
    assert_same(found, {"a": np.array([-1.5, 2.0]), "b": 5})


def test_pickles_of_numpy_2_are_read(loads):
    data = pickle.dumps(np.arange(3.0), 2).replace(b"numpy.core.", b"numpy._core.")
    assert loads(data).tolist() == [0.0, 1.0, 2.0]


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(errors.RecordingError, match=r"a.pkl: `file` must be a file that exists"):
        reading.pickled(tmp_path / "a.pkl")


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


def stated(shape, dtype, data):
    """An array that is told its state."""
    return SHELL + b"(K\x01" + shape + dtype + b"\x89U" + data + b"tb."


BOMBS = {
    "bytearray by length": b"\x80\x02cbuiltins\nbytearray\n" + HUGE + b"\x85R.",
    "bytes by length": b"\x80\x02cbuiltins\nbytes\n" + HUGE + b"\x85R.",
    "ndarray by shape": b"\x80\x02cnumpy\nndarray\n" + HUGE + b"\x85\x85R.",
    "array of a shape without its bytes": stated(HUGE + b"\x85", FLOAT, b"\x00"),
    "array of a shape that overflows": stated(b"(" + HUGE * 4 + b"t", FLOAT, b"\x00"),
    "array of negative lengths": stated(MINUS_ONE * 2 + b"\x86", FLOAT, b"\x08abcdefgh"),
    "objects whose pointers are the file's bytes": stated(b"K\x01\x85", OBJECT, b"\x08abcdefgh"),
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
