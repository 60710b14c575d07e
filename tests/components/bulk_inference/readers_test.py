import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.bulk_inference import readers
from keras_mvlift import errors
from keras_mvlift.datasets import tfrecords
from tests.components.bulk_inference import stored_views
from tests.untrusted import damage, parquet_gadgets


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


def read_records(path, records, batch_size=8):
    stored_views.write_records(path, records)
    return list(readers.read_records(str(path), batch_size))


def read_parquet(path, batch_size=8):
    return list(readers.read_parquet(str(path), batch_size))


def write(path, **changed):
    """Writes three views with other columns, None for none."""
    drawn = stored_views.columns(3)
    stored_views.write(path, drawn)
    table = pq.read_table(path)
    for name, values in changed.items():
        if name in table.column_names:
            table = table.drop([name])
        if values is not None:
            table = table.append_column(name, values)
    pq.write_table(table, path)
    return path, drawn


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
    said = "`rotation` must be given together with `center`. Received: nothing."
    assert {row: str(refusal) for row, refusal in refusals.items()} == dict.fromkeys(range(3), said)


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


@pytest.mark.parametrize("name", ["views.gz", "views.tfrecord"])
def test_records_come_in_batches_in_their_order(tmp_path, name):
    drawn = stored_views.columns(10)
    batches = read_records(tmp_path / name, tfrecords.encode(drawn), 4)
    assert [len(batch.keys["frame"]) for batch in batches] == [4, 4, 2]
    frames = [frame for batch in batches for frame in batch.keys["frame"].to_pylist()]
    assert frames == [*range(0, 50, 5)]
    keypoints = np.concatenate([batch.numbers["keypoints_2d"].values for batch in batches])
    np.testing.assert_array_equal(keypoints, drawn["keypoints_2d"].ravel())


def test_what_is_absent_is_null(tmp_path):
    (batch,) = read_records(
        tmp_path / "views.gz", tfrecords.encode(stored_views.columns(2, place=False))
    )
    assert batch.numbers["rotation"].lengths.tolist() == [0, 0]
    assert batch.keys["subject"].to_pylist() == [None, None]
    assert batch.keys["camera"].to_pylist() == ["left", "right"]


def odd(**changed):
    """A record with another feature."""
    (record,) = tfrecords.encode(stored_views.columns(1) | changed)
    return record


@pytest.mark.parametrize(
    ("record", "field", "rule"),
    [
        (b"\xff" * 20, "record", "be a `tf.Example`"),
        (b"junk" * 3, "record", "be a `tf.Example`"),
        (odd(confidence=np.ones((1, 17), int)), "confidence", "hold floats"),
        (odd(frame=np.array(["five"], object)), "frame", "hold a whole number"),
        (odd(frame=np.array([[5, 6]])), "frame", "be a whole number, one a record"),
        (odd(clip=np.array([b"\xff"], object)), "clip", "be UTF-8"),
    ],
)
def test_an_odd_record_is_refused_alone(tmp_path, record, field, rule):
    good = tfrecords.encode(stored_views.columns(3))
    (batch,) = read_records(tmp_path / "views.gz", [*good[:2], record, good[2]])
    found = {row: (refusal.field, refusal.rule) for row, refusal in batch.refusals.items()}
    assert found == {2: (field, rule)}
    views, refusals = readers.check(batch)
    assert list(refusals) == [2]
    assert views.keys["frame"].to_pylist() == [0, 5, 10]


def test_a_record_without_a_field_is_refused_by_its_name(tmp_path):
    drawn = stored_views.columns(1)
    del drawn["intrinsics"]
    (batch,) = read_records(tmp_path / "views.gz", tfrecords.encode(drawn))
    _, refusals = readers.check(batch)
    assert str(refusals[0]) == "`intrinsics` must hold 9 numbers, 3 x 3. Received: 0."
    assert len(refusals) == 1


def test_a_damaged_file_is_refused_by_name(tmp_path):
    path = tmp_path / "views.gz"
    stored_views.write_records(path, tfrecords.encode(stored_views.columns(20)))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(errors.RecordingError, match=r"views.gz: `records` must be whole TFRecords"):
        list(readers.read_records(str(path), 4))


def test_rows_come_in_batches_in_their_order(tmp_path):
    drawn = stored_views.columns(10)
    batches = read_parquet(stored_views.write(tmp_path / "views.parquet", drawn), 4)
    frames = [frame for batch in batches for frame in batch.keys["frame"].to_pylist()]
    assert frames == [*range(0, 50, 5)]
    assert max(len(batch.keys["frame"]) for batch in batches) == 4
    keypoints = np.concatenate([batch.numbers["keypoints_2d"].values for batch in batches])
    np.testing.assert_array_equal(keypoints, drawn["keypoints_2d"].ravel())


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.list_(pa.float32())),
        pa.list_(pa.list_(pa.float64(), 2), 17),
        pa.large_list(pa.list_(pa.float32(), 2)),
    ],
)
def test_lists_of_lists_hold_the_same(tmp_path, kind):
    nested = pa.array(stored_views.columns(3)["keypoints_2d"].tolist(), kind)
    path, drawn = write(tmp_path / "views.parquet", keypoints_2d=nested)
    views, refusals = readers.check(read_parquet(path)[0])
    assert refusals == {}
    np.testing.assert_array_equal(views.numbers["keypoints_2d"], drawn["keypoints_2d"])


def test_a_null_is_an_absent_list_and_a_null_in_a_list_no_number(tmp_path):
    lists = stored_views.columns(3)["confidence"].tolist()
    lists[1], lists[2][4] = None, None
    path, _ = write(tmp_path / "views.parquet", confidence=pa.array(lists))
    _, refusals = readers.check(read_parquet(path)[0])
    assert {row: refusal.rule for row, refusal in refusals.items()} == {
        1: "hold 17 numbers, 17",
        2: "be finite",
    }


def test_place_and_keys_may_be_absent_and_texts_repeat_by_dictionary(tmp_path):
    clips = pa.array(["a", None, "a"]).dictionary_encode()
    path, _ = write(tmp_path / "views.parquet", rotation=None, center=None, clip=clips, frame=None)
    (rows,) = read_parquet(path)
    assert rows.numbers["rotation"].lengths.tolist() == [0, 0, 0]
    assert rows.keys["clip"].to_pylist() == ["a", None, "a"]
    assert rows.keys["frame"].to_pylist() == [None] * 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"intrinsics": None}, r"`intrinsics` must be a column. Received: the columns "),
        ({"confidence": pa.array(["a"] * 3)}, r"`confidence` must hold lists of numbers.*string"),
        ({"confidence": pa.array([1.0] * 3)}, r"`confidence` must hold lists of numbers.*double"),
        ({"frame": pa.array([1.5] * 3)}, r"`frame` must hold whole numbers. Received: double"),
        ({"camera": pa.array([1] * 3)}, r"`camera` must hold text. Received: int64"),
    ],
)
def test_a_column_of_another_kind_is_refused_by_file_and_name(tmp_path, changed, message):
    path, _ = write(tmp_path / "views.parquet", **changed)
    with pytest.raises(errors.RecordingError, match=rf"views.parquet: {message}"):
        read_parquet(path)


def test_a_damaged_parquet_file_is_refused_by_name(tmp_path):
    path, _ = write(tmp_path / "views.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(errors.RecordingError, match=r"views.parquet: `file` must be whole Parquet"):
        read_parquet(path)
    path.write_bytes(whole[:40] + bytes(200) + whole[240:])
    with pytest.raises(errors.RecordingError, match=r"views.parquet: `rows` must be whole Parquet"):
        read_parquet(path)


def test_damage_ends_in_our_error(tmp_path):
    path, _ = write(tmp_path / "views.parquet")
    data = path.read_bytes()
    assert damage.assert_only_our_errors(lambda: read_parquet(path), path, data, count=60) > 20


def test_a_schema_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    path, _ = write(tmp_path / "views.parquet")
    parquet_gadgets.rewrite(path, "clip", f"touch {tmp_path / 'ran'}")
    with pytest.raises(errors.RecordingError, match=r"views.parquet: `clip` must be of a plain"):
        read_parquet(path)
    assert not (tmp_path / "ran").exists()
