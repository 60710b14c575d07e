import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.bulk_inference import readers
from keras_mvlift import errors
from tests.components.bulk_inference import stored_views
from tests.untrusted import parquet_gadgets


def read(path, batch_size=8):
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


def test_rows_come_in_batches_in_their_order(tmp_path):
    drawn = stored_views.columns(10)
    batches = read(stored_views.write(tmp_path / "views.parquet", drawn), 4)
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
    views, refusals = readers.check(read(path)[0])
    assert refusals == {}
    np.testing.assert_array_equal(views.numbers["keypoints_2d"], drawn["keypoints_2d"])


def test_a_null_is_an_absent_list_and_a_null_in_a_list_no_number(tmp_path):
    lists = stored_views.columns(3)["confidence"].tolist()
    lists[1], lists[2][4] = None, None
    path, _ = write(tmp_path / "views.parquet", confidence=pa.array(lists))
    _, refusals = readers.check(read(path)[0])
    assert {row: refusal.rule for row, refusal in refusals.items()} == {
        1: "hold 17 numbers, 17",
        2: "be finite",
    }


def test_place_and_keys_may_be_absent_and_texts_repeat_by_dictionary(tmp_path):
    clips = pa.array(["a", None, "a"]).dictionary_encode()
    path, _ = write(tmp_path / "views.parquet", rotation=None, center=None, clip=clips, frame=None)
    (rows,) = read(path)
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
        read(path)


def test_a_damaged_file_is_refused_by_name(tmp_path):
    path, _ = write(tmp_path / "views.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(errors.RecordingError, match=r"views.parquet: `file` must be whole Parquet"):
        read(path)
    path.write_bytes(whole[:40] + bytes(200) + whole[240:])
    with pytest.raises(errors.RecordingError, match=r"views.parquet: `rows` must be whole Parquet"):
        read(path)


def test_a_schema_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    path, _ = write(tmp_path / "views.parquet")
    parquet_gadgets.rewrite(path, "clip", f"touch {tmp_path / 'ran'}")
    with pytest.raises(errors.RecordingError, match=r"views.parquet: `clip` must be of a plain"):
        read(path)
    assert not (tmp_path / "ran").exists()
