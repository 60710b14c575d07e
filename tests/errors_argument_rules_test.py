import pickle

import numpy as np
import pytest

from keras_mvlift import errors


@pytest.mark.parametrize(
    "value", [[1, 2], (1.5, 2), np.ones(3, bool), np.array([1, 2], object), np.float16(3)]
)
def test_numbers_of_any_kind_are_taken(value):
    array = errors.numbers("confidence", value, np.float32)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.asarray(value, np.float32))


@pytest.mark.parametrize(
    ("value", "received"),
    [
        (None, "nothing"),
        ("1.5", "an array of <U3"),
        (["1.5"], "an array of <U3"),
        ([b"1"], "an array of |S1"),
        ([1j], "an array of complex128"),
        ([np.datetime64("2020-01-01")], r"an array of datetime64\[D\]"),
        ([[1], [1, 2]], "setting an array element with a sequence"),
        ({"a": 1}, r"float\(\) argument must be"),
    ],
)
def test_what_is_no_number_is_refused_by_name(value, received):
    message = f"`confidence` must be an array of numbers. Received: {received}"
    with pytest.raises(errors.ArgumentError, match=message.replace("|", r"\|")):
        errors.numbers("confidence", value, np.float32)


def test_a_number_too_large_is_infinite():
    assert np.isinf(errors.numbers("fov", [1e300], np.float32)).all()


@pytest.mark.parametrize("value", ["wide", None, [1, 2], {}])
def test_one_number_is_no_more_and_no_less(value):
    with pytest.raises(errors.ArgumentError, match=r"`fov` must be a number\. Received:"):
        errors.number("fov", value)
    assert errors.number("fov", np.int64(60)) == 60.0


def test_another_type_is_named():
    with pytest.raises(errors.ArgumentError, match=r"`model` must be one\. Received: str"):
        errors.require_type("model", "folder", int, "be one")


def test_errors_cross_process_borders():
    error = errors.ArgumentError("fov", "be wide", 3)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "`fov` must be wide. Received: 3."
    assert (again.field, again.rule, again.received) == ("fov", "be wide", 3)
