import numpy as np
import pytest

from keras_mvlift.untrusted import pickled_arrays

I2, OBJECT = np.dtype("<i2"), np.dtype(object)


def test_golden():
    raw = b"\x01\x00\x02\x00\x03\x00\x04\x00"
    rows = pickled_arrays.array_of_state(1, (2, 2), I2, False, raw)
    columns = pickled_arrays.array_of_state(1, (2, 2), I2, True, raw)
    assert rows.tolist() == [[1, 2], [3, 4]]
    assert columns.tolist() == [[1, 3], [2, 4]]
    assert pickled_arrays.scalar(I2, b"\x05\x00") == np.int16(5)


def test_text_of_python_2_is_bytes():
    assert pickled_arrays.array_of_state(1, (2,), I2, False, "\x00ÿ\x01\x00").tolist() == [-256, 1]


def test_an_array_lies_over_its_bytes_and_is_not_written_to():
    raw = bytes(200)
    array = pickled_arrays.array_of_buffer(raw, I2, (10, 10), "C")
    assert np.shares_memory(array, np.frombuffer(raw, np.uint8))
    assert not array.flags.writeable


@pytest.mark.parametrize("is_fortran", [False, True])
def test_objects_are_listed_row_by_row(is_fortran):
    array = pickled_arrays.array_of_state(1, (2, 2), OBJECT, is_fortran, [1, [2, 3], "x", None])
    assert array[0, 1] == [2, 3]
    assert array[1, 0] == "x"
    assert array.flags.f_contiguous == is_fortran


@pytest.mark.parametrize(
    ("shape", "dtype", "raw"),
    [
        ((3,), I2, b"12345"),
        ((3,), I2, b"1234567"),
        ((10**6, 10**6), I2, b""),
        ((2**32, 2**32), I2, b""),
        ((-1, -1), I2, b"12"),
        ((-2,), I2, b""),
        ((1.0,), I2, b"12"),
        ((True,), I2, b"12"),
        (1, I2, b"12"),
        ([1], I2, b"12"),
        ((1,), "<i2", b"12"),
        ((1,), None, b"12"),
        ((1,), I2, [1]),
        ((1,), I2, None),
        ((1,), np.dtype([("a", "O")]), b"12345678"),
        ((1,), OBJECT, b"12345678"),
        ((1,), OBJECT, (1,)),
        ((2,), OBJECT, [1]),
        ((10**9,), OBJECT, [1]),
    ],
)
def test_a_shape_that_is_not_that_of_what_it_lies_over_is_refused(shape, dtype, raw):
    with pytest.raises((ValueError, TypeError)):
        pickled_arrays.array_of_state(1, shape, dtype, False, raw)


@pytest.mark.parametrize("raw", [b"123", b"12345", bytes(8)])
def test_the_bytes_are_counted_before_an_array_is_laid_over_them(raw):
    with pytest.raises(ValueError, match=r"shape \(2,\) of int16 over other than 4 bytes"):
        pickled_arrays.array_of_buffer(raw, I2, (2,), "C")


def test_a_scalar_is_one_plain_number():
    for dtype, raw in ((I2, b"1234"), (I2, b""), (OBJECT, b"12345678"), (OBJECT, [1])):
        with pytest.raises((ValueError, TypeError)):
            pickled_arrays.scalar(dtype, raw)
