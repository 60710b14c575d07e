import base64

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as hypothesis_arrays

from keras_mvlift.visualization import pages


def unpack(packed):
    dtype = np.dtype(packed["type"]).newbyteorder("<")
    whole = np.frombuffer(base64.b64decode(packed["data"]), dtype)
    values = np.array(packed["offset"]) + packed["step"] * whole.reshape(-1, len(packed["offset"]))
    values[(whole == packed["absent"]).reshape(values.shape)] = np.nan
    return values


def test_a_golden_array():
    # In steps of 1 mm from 1 m: 0, 1, absent.
    packed = pages.pack(np.array([[1.0], [1.0012], [np.nan]]), 0.001)
    assert packed == {
        "type": "uint8",
        "offset": [1.0],
        "step": 0.001,
        "absent": 255,
        "data": base64.b64encode(bytes([0, 1, 255])).decode(),
    }


@hypothesis.given(
    hypothesis_arrays.arrays(
        np.float64,
        strategies.tuples(strategies.integers(1, 20), strategies.integers(1, 3)),
        elements=strategies.floats(-1e4, 1e4) | strategies.just(np.nan),
    )
)
def test_values_come_back_to_half_a_step_and_absent_ones_absent(values):
    np.testing.assert_allclose(unpack(pages.pack(values, 0.01)), values, atol=0.005 + 1e-6)


@pytest.mark.parametrize(
    ("reach", "kind"), [(254, "uint8"), (255, "uint16"), (65534, "uint16"), (65535, "uint32")]
)
def test_the_smallest_type_that_leaves_a_value_for_absent_is_taken(reach, kind):
    packed = pages.pack(np.array([[7.0], [7.0 + reach]]), 1.0)
    assert packed["type"] == kind
    np.testing.assert_array_equal(unpack(packed), [[7.0], [7.0 + reach]])


def test_nothing_known_is_packed_as_absent():
    assert np.isnan(unpack(pages.pack(np.full((3, 2), np.nan), 0.1))).all()


def test_no_step_and_too_many_steps_are_refused():
    with pytest.raises(ValueError, match="`step` must be above 0"):
        pages.pack(np.zeros((1, 1)), 0.0)
    with pytest.raises(ValueError, match="must span fewer than"):
        pages.pack(np.array([[0.0], [1e10]]), 1.0)
