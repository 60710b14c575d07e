import numpy as np
import pyarrow as pa
import pytest

from components.bulk_inference import readers
from tests.components.bulk_inference import stored_views


def rows(drawn):
    """Lays columns out as readers do."""
    num_rows = len(drawn["confidence"])
    numbers = {}
    for name, shape in readers.NUMBERS.items():
        size = int(np.prod(shape)) if name in drawn else 0
        values = drawn.get(name, np.zeros(0)).ravel()
        numbers[name] = readers.Numbers(values, np.full(num_rows, size))
    keys = {name: pa.nulls(num_rows, kind) for name, kind in readers.KEYS.items()}
    keys["frame"] = pa.array(range(num_rows), pa.int64())
    return readers.Rows(numbers, keys, {})


def test_views_come_out_as_they_went_in():
    drawn = stored_views.columns(5)
    views, refusals = readers.check(rows(drawn))
    assert refusals == {}
    assert views.has_place.all()
    for name, values in views.numbers.items():
        np.testing.assert_array_equal(values, drawn[name])


@pytest.mark.parametrize(
    ("name", "place", "value", "rule"),
    [
        ("keypoints_2d", (3, 1), np.inf, "be finite"),
        ("confidence", (3,), np.nan, "be finite"),
        ("confidence", (3,), -0.1, r"lie in [0, 1]"),
        ("intrinsics", (0, 0), 0.0, "have positive focal lengths and 0, 0, 1 as last row"),
        ("intrinsics", (2, 2), 2.0, "have positive focal lengths and 0, 0, 1 as last row"),
        ("rotation", (0, 0), 3.0, "be a rotation, camera from world"),
        ("rotation", (slice(None), slice(None)), -np.eye(3), "be a rotation, camera from world"),
        ("center", (1,), np.nan, "be finite"),
    ],
)
def test_a_row_that_is_no_view_is_refused_by_field_and_left_out(name, place, value, rule):
    drawn = stored_views.columns(5)
    where = (2, *place)
    drawn[name][where] = value
    views, refusals = readers.check(rows(drawn))
    assert {row: (refusal.field, refusal.rule) for row, refusal in refusals.items()} == {
        2: (name, rule)
    }
    assert views.keys["frame"].to_pylist() == [0, 1, 3, 4]
    np.testing.assert_array_equal(
        views.numbers["keypoints_2d"], np.delete(drawn["keypoints_2d"], 2, axis=0)
    )


@pytest.mark.parametrize("name", readers.NUMBERS)
def test_a_list_of_another_length_is_refused_and_the_others_stay_in_their_rows(name):
    drawn = stored_views.columns(4)
    laid = rows(drawn)
    values, lengths = laid.numbers[name]
    size = lengths[0]
    laid.numbers[name] = readers.Numbers(np.delete(values, size + 1), lengths - [0, 1, 0, 0])
    views, refusals = readers.check(laid)
    assert list(refusals) == [1]
    assert refusals[1].field == name
    assert refusals[1].received == size - 1
    np.testing.assert_array_equal(views.numbers[name], drawn[name][[0, 2, 3]])


def test_a_place_is_optional_but_whole():
    drawn = stored_views.columns(3, place=False)
    views, refusals = readers.check(rows(drawn))
    assert (refusals, views.has_place.tolist()) == ({}, [False] * 3)
    drawn["center"] = np.zeros((3, 3))
    _, refusals = readers.check(rows(drawn))
    refusal = readers.Refusal("rotation", "be given together with `center`", "nothing")
    assert refusals == dict.fromkeys(range(3), refusal)


def test_what_single_precision_does_not_hold_is_refused():
    drawn = stored_views.columns(2)
    drawn["keypoints_2d"] = drawn["keypoints_2d"].astype(np.float64)
    drawn["keypoints_2d"][1, 0, 0] = 1e300
    _, refusals = readers.check(rows(drawn))
    assert {row: refusal.field for row, refusal in refusals.items()} == {1: "keypoints_2d"}


@pytest.mark.parametrize("nowhere", [np.nan, 0.0, -1.0])
def test_a_joint_at_no_place_was_not_seen(nowhere):
    drawn = stored_views.columns(3)
    drawn["keypoints_2d"][1, 4] = nowhere
    views, refusals = readers.check(rows(drawn))
    assert not refusals
    assert np.argwhere(views.numbers["confidence"] == 0).tolist() == [[1, 4]]
    assert views.numbers["keypoints_2d"][1, 4].tolist() == [0, 0]
