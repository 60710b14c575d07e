import numpy as np
import pytest

from components.bulk_inference import readers
from keras_mvlift import errors
from keras_mvlift.datasets import tfrecords
from tests.components.bulk_inference import stored_views


def read(path, records, batch_size=8):
    stored_views.write_records(path, records)
    return list(readers.read_records(str(path), batch_size))


@pytest.mark.parametrize("name", ["views.gz", "views.tfrecord"])
def test_records_come_in_batches_in_their_order(tmp_path, name):
    drawn = stored_views.columns(10)
    batches = read(tmp_path / name, tfrecords.encode(drawn), 4)
    assert [len(batch.keys["frame"]) for batch in batches] == [4, 4, 2]
    frames = [frame for batch in batches for frame in batch.keys["frame"].to_pylist()]
    assert frames == [*range(0, 50, 5)]
    keypoints = np.concatenate([batch.numbers["keypoints_2d"].values for batch in batches])
    np.testing.assert_array_equal(keypoints, drawn["keypoints_2d"].ravel())


def test_what_is_absent_is_null(tmp_path):
    (batch,) = read(tmp_path / "views.gz", tfrecords.encode(stored_views.columns(2, place=False)))
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
    (batch,) = read(tmp_path / "views.gz", [*good[:2], record, good[2]])
    found = {row: (refusal.field, refusal.rule) for row, refusal in batch.refusals.items()}
    assert found == {2: (field, rule)}
    views, refusals = readers.check(batch)
    assert list(refusals) == [2]
    assert views.keys["frame"].to_pylist() == [0, 5, 10]


def test_a_record_without_a_field_is_refused_by_its_name(tmp_path):
    drawn = stored_views.columns(1)
    del drawn["intrinsics"]
    (batch,) = read(tmp_path / "views.gz", tfrecords.encode(drawn))
    _, refusals = readers.check(batch)
    assert refusals == {0: readers.Refusal("intrinsics", "hold 9 numbers, 3 x 3", 0)}


def test_a_damaged_file_is_refused_by_name(tmp_path):
    path = tmp_path / "views.gz"
    stored_views.write_records(path, tfrecords.encode(stored_views.columns(20)))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(errors.RecordingError, match=r"views.gz: `records` must be whole TFRecords"):
        list(readers.read_records(str(path), 4))
