import time

import psutil
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files

MIB = 2**20


def test_what_is_told_may_be_spread_a_hundredfold():
    files.check_span("a", "b", (200_000, 1, 17, 3), 0)
    files.check_span("a", "b", (200_000, 5, 26, 3), 780_000)
    for shape, told in (((200_000, 5, 26, 3), 779_999), ((files.FREE_NUMBERS + 1,), 0)):
        with pytest.raises(errors.RecordingError, match=r"a: `b` must span at most 100 times"):
            files.check_span("a", "b", shape, told)


def test_a_span_that_overflows_is_refused():
    with pytest.raises(errors.RecordingError, match="a: `b` must have a shape and at most"):
        files.check_span("a", "b", (2**31, 2**31, 2**31), 2**62)


@pytest.mark.parametrize("item", [b"{}", b"[]", b'"ab"', b"0"])
def test_many_small_items_of_json_are_refused_before_they_are_read(tmp_path, monkeypatch, item):
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + (item + b",") * (4 * MIB // len(item)) + b"0]")
    begin, before = time.perf_counter(), psutil.Process().memory_info().rss
    monkeypatch.setattr(files, "MAX_ITEM_BYTES", 64 * MIB)
    with pytest.raises(errors.RecordingError, match=r"`file` must hold items of at most 67108864"):
        files.read_json(path)
    assert time.perf_counter() - begin < 5
    assert psutil.Process().memory_info().rss - before < 16 * MIB


def test_detections_as_large_as_may_be_are_admitted():
    person = b'{"person_id": [-1], "pose_keypoints_2d": [' + b"1234.567,567.8901,0.912345," * 25
    costs = sum(cost * person.count(mark) for mark, cost in files._JSON_COSTS.items())
    assert costs * (files.MAX_JSON_BYTES // len(person)) < files.MAX_ITEM_BYTES
