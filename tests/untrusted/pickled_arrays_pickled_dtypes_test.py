import numpy as np
import pytest

from keras_mvlift.untrusted import pickled_arrays


def read_back(dtype):
    _, arguments, state = dtype.__reduce__()
    pickled_arrays.check_code(arguments[0])
    return pickled_arrays.dtype_of_state(arguments[0], *state)


@pytest.mark.parametrize(
    "dtype",
    [
        *("b1", "<i2", ">u8", "<f2", ">f4", "f16", "<c8", ">c16", "S7", "<U3", ">U3", "O", "V5"),
        [("a", "<f4", (3, 3)), ("b", ">i2")],
        np.dtype([("a", "u1"), ("b", "f8")], align=True),
        {"names": ["a", "b"], "formats": ["u1", "f4"], "offsets": [9, 2], "itemsize": 20},
        [("outer", [("inner", "S3", 2)])],
        ("<i4", (2, 3)),
    ],
)
def test_what_numpy_tells_of_a_type_is_understood(dtype):
    assert read_back(np.dtype(dtype)) == np.dtype(dtype)


@pytest.mark.parametrize(
    "code",
    [
        "M8",
        "m8[s]",
        "f8,O",
        "object",
        "float",
        "",
        "i4,i4",
        "T",
        "O88",
        "U9999999999",
        b"f8",
        None,
        int,
    ],
)
def test_other_codes_are_refused(code):
    with pytest.raises(ValueError, match="a dtype called"):
        pickled_arrays.check_code(code)


def state(version=3, order="<", subarray=None, names=None, fields=None, size=-1, flags=0):
    return version, order, subarray, names, fields, size, -1, flags


F4, OBJECT = np.dtype("f4"), np.dtype(object)
NESTED = np.dtype([("a", [("a", [("a", [("a", "f4")])])])])


@pytest.mark.parametrize(
    "bad",
    [
        state(version=4),
        state(order="x"),
        state(order="<f8,"),
        state(subarray=(OBJECT, (2,))),
        state(subarray=(F4, (2**31, 2**31))),
        state(subarray=(F4, (-1,))),
        state(subarray=("f4", (2,))),
        state(subarray=(np.dtype("S0"), (2,))),
        state(names=("a",), fields={"a": (OBJECT, 0)}, size=8),
        state(names=("a",), fields={"a": (F4, 0)}, size=2),
        state(names=("a",), fields={"a": (F4, -4)}, size=4),
        state(names=("a",), fields={"a": (F4, 2**40)}, size=4),
        state(names=("a", "a"), fields={"a": (F4, 0)}, size=8),
        state(names=("a",), fields={"a": (NESTED, 0)}, size=4),
        state(names=(), fields={}, size=0),
    ],
)
def test_states_that_lie_are_refused(bad):
    with pytest.raises((ValueError, TypeError)):
        pickled_arrays.dtype_of_state("V4", *bad)


def test_flags_are_not_believed():
    # NumPy would take an array of objects of these flags over bytes, as pointers.
    assert pickled_arrays.dtype_of_state("O8", *state(order="|", flags=0)).hasobject


@pytest.mark.parametrize("dtype", [OBJECT, np.dtype([("a", "O")]), np.dtype("S0"), float, None])
def test_no_bytes_are_taken_for_objects_or_nothing(dtype):
    with pytest.raises(TypeError, match="is no type of numbers or text"):
        pickled_arrays.check_plain(dtype)
