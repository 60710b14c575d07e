import collections
import pickle

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies

from keras_mvlift import errors
from keras_mvlift.untrusted import archives, pickles

CODES = ["b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))]
CODES += ["f2", "f4", "f8", "f16", "c8", "c16", "c32", "S3", "U2"]
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
    | strategies.complex_numbers()
    | strategies.text(max_size=5)
    | strategies.binary(max_size=5)
    | strategies.builds(bytearray, strategies.binary(max_size=5))
    | strategies.builds(np.float32, strategies.floats(width=32))
    | strategies.builds(np.int64, strategies.integers(-(2**63), 2**63 - 1))
    | strategies.frozensets(strategies.integers(0, 9))
    | strategies.sets(strategies.text(max_size=2))
)
KEYS = (
    strategies.text(max_size=5)
    | strategies.integers(0, 9)
    | strategies.tuples(strategies.text(max_size=2), strategies.integers(0, 3))
)
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
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes()
        assert found.flags.f_contiguous == expected.flags.f_contiguous
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        assert_same(list(found.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            assert_same(*pair)
    elif isinstance(expected, set | frozenset):
        assert_same(sorted(found), sorted(expected))
    else:
        # NaN is not NaN, and -0 is 0.
        assert repr(found) == repr(expected)


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(value=VALUES, protocol=strategies.integers(0, 5))
def test_what_is_pickled_is_read_back(value, protocol):
    assert_same(pickles.loads(pickle.dumps(value, protocol), "a"), value)


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
    found = archives.read_npz(tmp_path / "a.npz")
    assert_same(found["boxed"], value)
    assert_same(found["plain"], plain)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", "CF")
def test_arrays_of_objects_keep_their_places(protocol, order):
    array = np.empty((2, 3), object, order=order)
    array.flat = [1, "a", None, [1, 2], {"b": 2}, np.arange(2)]
    found = pickles.loads(pickle.dumps(array, protocol), "a")
    assert found.shape == (2, 3)
    assert_same(list(found.flat), list(array.flat))


@pytest.mark.parametrize("protocol", range(6))
def test_records_are_read_back(protocol):
    inner = np.dtype([("x", ">i2"), ("y", "u1")], align=True)
    dtype = np.dtype([("R", "<f4", (3, 3)), ("name", "U5"), ("inner", inner, 2)], align=True)
    array = np.zeros((2, 3), dtype)
    array["R"], array["name"], array["inner"]["x"] = np.eye(3), "cam", 7
    found = pickles.loads(pickle.dumps({"cameras": array, "one": array[0, 0]}, protocol), "a")
    np.testing.assert_array_equal(found["cameras"], array)
    np.testing.assert_array_equal(found["one"]["R"], np.eye(3))


def test_shared_parts_stay_shared_and_ordered_dicts_become_dicts():
    part = np.arange(3)
    for protocol in range(6):
        value = collections.OrderedDict(b=[part, part], a=1)
        found = pickles.loads(pickle.dumps(value, protocol), "a")
        assert type(found) is dict
        assert list(found) == ["b", "a"]
        assert found["b"][0] is found["b"][1]


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
def test_pickles_of_python_2_are_read(data):
    found = pickles.loads(data, "a")
    assert_same(found, {"a": np.array([-1.5, 2.0]), "b": 5})


def test_pickles_of_numpy_2_are_read():
    data = pickle.dumps(np.arange(3.0), 2).replace(b"numpy.core.", b"numpy._core.")
    assert pickles.loads(data, "a").tolist() == [0.0, 1.0, 2.0]


def test_arrays_cannot_be_written_to(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(np.arange(3)))
    array = pickles.read(path)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(errors.RecordingError, match=r"a.pkl: `file` must be a file that exists"):
        pickles.read(tmp_path / "a.pkl")
