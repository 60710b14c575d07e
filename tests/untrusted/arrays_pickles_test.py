import collections
import pickle

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies

from keras_mvlift import errors
from keras_mvlift.untrusted import reading

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
