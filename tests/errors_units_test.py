import hypothesis
import numpy as np
import pytest

from keras_mvlift import errors


def test_goldens():
    assert errors.MILLIMETERS.to_meters(1500.0) == 1.5
    assert errors.MILLIMETERS.from_meters(1.5) == 1500.0
    assert errors.CENTIMETERS.to_meters(150.0) == 1.5
    assert errors.METERS.to_meters(1.5) == errors.METERS.from_meters(1.5) == 1.5


def test_arrays_convert_element_by_element():
    lengths = np.array([[0.0, -2.0], [1500.0, 1e6]])
    np.testing.assert_allclose(errors.MILLIMETERS.to_meters(lengths), [[0, -0.002], [1.5, 1000]])
    assert errors.MILLIMETERS.to_meters(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("unit", errors.UNITS.values(), ids=str)
@hypothesis.given(length=hypothesis.strategies.floats(1e-9, 1e9))
def test_there_and_back_is_the_same_length(unit, length):
    np.testing.assert_allclose(unit.from_meters(unit.to_meters(length)), length)


def test_units_are_found_by_their_symbol():
    assert errors.UNITS == {
        "m": errors.METERS,
        "cm": errors.CENTIMETERS,
        "mm": errors.MILLIMETERS,
    }
