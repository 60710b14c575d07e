import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files


def test_numbers_come_in_double_precision():
    value = files.checked_array("file", "x", np.ones((4, 2), np.float32), (None, 2))
    assert (value.dtype, value.shape) == (np.float64, (4, 2))


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_double_precision_are_infinite_without_a_warning():
    value = np.array([np.longdouble("1e4000"), -1])
    np.testing.assert_array_equal(files.checked_array("file", "x", value, (2,)), [np.inf, -1])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "be an array of numbers. Received: NoneType"),
        ("text", "be an array of numbers. Received: str"),
        (np.array(["a", "b"]), "be an array of numbers. Received: ndarray <U1"),
        (np.ones((2, 2), complex), "be an array of numbers. Received: ndarray complex128"),
        (np.ones((2, 3)), r"have shape \[any, 2\]. Received: \(2, 3\)"),
        (np.ones(2), r"have shape \[any, 2\]. Received: \(2,\)"),
        (np.ones((0, 2)), r"have shape \[any, 2\]. Received: \(0, 2\)"),
    ],
)
def test_what_is_no_array_of_that_shape_is_refused(value, message):
    with pytest.raises(errors.RecordingError, match=message) as caught:
        files.checked_array("file", "x", value, (None, 2))
    assert (caught.value.path, caught.value.field) == ("file", "x")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e6])
def test_the_first_bad_frame_is_named(bad):
    value = np.zeros((5, 2))
    files.require_finite("file", "x", value)
    value[[2, 4], 1] = bad
    with pytest.raises(errors.RecordingError, match=f"below 100000. Received: {bad} in frame 2"):
        files.require_finite("file", "x", value)
