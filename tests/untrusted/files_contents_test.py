import time

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files

MIB = 2**20


def check(value, num_stored=MIB):
    files.check_contents(value, "a.pkl", "pickle", num_stored)


def refused(match, value):
    with pytest.raises(errors.RecordingError, match=rf"a.pkl: `pickle` must {match}"):
        check(value)


def shared(levels):
    value = [1.0]
    for _ in range(levels):
        value = [value] * 10
    return value


def test_plain_values_are_admitted():
    boxed = np.array([{"a": 1}, [np.arange(3)]], dtype=object)
    check({"a": [1, 2.5, 1j, None, True, "x", b"x", bytearray(b"x")], ("S1", 2): ({1}, boxed)})
    check(np.float32(1))


def test_what_is_shared_counts_each_time():
    check(shared(5))
    begin = time.perf_counter()
    refused("hold at most", shared(30))
    refused("grow at most 100 times", [np.zeros(MIB)] * 40)
    refused("hold at most", np.array([np.zeros(64 * MIB, np.int8), None] * 500, dtype=object))
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize("box", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}])
def test_nesting_is_counted(box):
    value = 1
    for _ in range(files.MAX_NESTING):
        value = box(value)
    check(value)
    refused("nest at most 32 deep", box(value))


def test_the_nesting_of_shared_parts_is_counted_where_they_are_deepest():
    deep = shallow = [1]
    for _ in range(files.MAX_NESTING - 1):
        deep = [deep]
    check([shallow, 1])
    refused("nest at most 32 deep", [shallow, [deep]])
    refused("nest at most 32 deep", [deep, [deep]])


def test_what_holds_itself_is_refused():
    values = []
    values.extend([values] * 1000)
    refused("nest at most 32 deep", values)
    boxed = np.empty(1, object)
    boxed[0] = boxed
    refused("nest at most 32 deep", boxed)


@pytest.mark.parametrize("value", [object(), int, np.dtype("f4"), len, np, range(3)])
def test_what_is_no_plain_value_is_refused_wherever_it_is(value):
    refused("hold no types", value)
    refused("hold no types", {"a": [value]})
    refused("hold no types", np.array([value, None], dtype=object))
