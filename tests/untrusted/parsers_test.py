import io
import json
import struct

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files, parsers


def tree(value, max_bytes=10_000):
    message = parsers._Message(max_bytes)
    return message.tree(value, 0), message.arrays


def shared(levels):
    value = [1.0]
    for _ in range(levels):
        value = [value] * 10
    return value


def test_plain_values_become_json_and_arrays_stand_beside():
    value = {"a": (1, 2.5, None, True), 3: [np.float32(0.5), np.arange(3, dtype="<i2")]}
    found, arrays = tree(value)
    assert found == {"dict": [["a", [1, 2.5, None, True]], [3, [0.5, {"array": 0}]]]}
    ((head, data),) = arrays
    assert (head, bytes(data)) == (["<i2", (3,), "C"], b"\0\0\1\0\2\0")
    stream = io.BytesIO()
    parsers._send(stream, {"value": found}, arrays)
    (length,) = struct.unpack("<Q", stream.getvalue()[:8])
    assert json.loads(stream.getvalue()[8 : 8 + length])["arrays"] == [["<i2", [3], "C"]]
    assert stream.getvalue()[8 + length :] == bytes(data)


def test_columns_of_an_array_go_as_they_lie():
    (_, arrays) = tree(np.asfortranarray([[1, 2], [3, 4]], dtype="<i2"))
    assert (arrays[0][0][2], bytes(arrays[0][1])) == ("F", b"\1\0\3\0\2\0\4\0")


@pytest.mark.parametrize("value", [shared(9), [np.zeros(200)] * 9, ["text" * 30] * 99])
def test_what_is_shared_counts_each_time(value):
    with pytest.raises(errors.RecordingError, match="`content` must hold at most 10000 bytes"):
        tree(value)


@pytest.mark.parametrize("box", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}])
def test_nesting_is_counted(box):
    value = 1
    for _ in range(files.MAX_NESTING):
        value = box(value)
    tree(value)
    with pytest.raises(errors.RecordingError, match="nest at most 32 deep"):
        tree(box(value))


def test_what_holds_itself_is_refused():
    values, boxed = [], np.empty(1, object)
    values.append(values)
    boxed[0] = boxed
    for value in (values, boxed):
        with pytest.raises(errors.RecordingError, match="nest at most 32 deep"):
            tree(value)


@pytest.mark.parametrize("value", [object(), int, len, range(3), {1}, b"a", 1j, np.zeros(1, "M8")])
def test_what_is_no_plain_value_is_refused_wherever_it_is(value):
    for whole in (value, {"a": [value]}, np.array([value, None], dtype=object)):
        with pytest.raises(errors.RecordingError, match="`content` must hold"):
            tree(whole)
