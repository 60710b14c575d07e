import json
import os
import pathlib
import signal

import numpy as np
import pytest
import tensorflow as tf

from components.example_gen import files
from keras_mvlift import errors
from keras_mvlift.datasets import tfrecords
from tests import forks

NAME = "Split-train/data_tfrecord-00000-of-00001.gz"
COLUMNS = {
    "frame": np.arange(10_000),
    "keypoints_2d": np.random.default_rng(0).normal(size=(10_000, 17, 2)),
    "clip": np.full(10_000, "clip", dtype=object),
}


def write_until_killed(root):
    """Writes a shard and is killed when half of its records are written."""
    write, written = tf.io.TFRecordWriter.write, []

    def write_or_die(writer, record):
        write(writer, record)
        written.append(record)
        if len(written) == 5000:
            writer.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    tf.io.TFRecordWriter.write = write_or_die
    files.write(root, NAME, COLUMNS)


def read(path):
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path), "GZIP")]


def stored(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


ERROR = errors.RecordingError("S1/walk.cdf", "Pose", "be finite", "NaN in frame 7")


def losses(number, received="nothing"):
    error = errors.RecordingError("a.cdf", "Pose", "be there", received)
    return [files.of(f"clip_{index}", error) for index in range(number)]


def test_a_shard_holds_the_rows_in_their_order(tmp_path):
    files.write(str(tmp_path), NAME, COLUMNS)
    assert stored(tmp_path) == [NAME]
    assert read(tmp_path / NAME) == tfrecords.encode(COLUMNS)


def test_equal_rows_are_equal_files(tmp_path):
    for root in ("first", "second"):
        files.write(str(tmp_path / root), NAME, COLUMNS)
    first, second = (tmp_path / root / NAME for root in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_no_rows_are_no_file(tmp_path):
    files.write(str(tmp_path), NAME, {name: values[:0] for name, values in COLUMNS.items()})
    assert not stored(tmp_path)


def test_no_more_than_a_block_of_records_is_in_memory(tmp_path, monkeypatch):
    encode, sizes = tfrecords.encode, []

    def noting(columns):
        sizes.append(len(columns["frame"]))
        return encode(columns)

    monkeypatch.setattr(tfrecords, "encode", noting)
    files.write(str(tmp_path), NAME, COLUMNS)
    assert max(sizes) < 5000
    assert sum(sizes) == 10_000


def test_an_error_in_the_middle_leaves_no_file(tmp_path):
    broken = COLUMNS | {"frame": COLUMNS["frame"].astype(object)}
    broken["frame"][9_000:] = "\ud800"
    with pytest.raises(UnicodeEncodeError):
        files.write(str(tmp_path), NAME, broken)
    assert not stored(tmp_path)


def test_an_error_in_the_middle_leaves_the_former_file(tmp_path):
    files.write_text(str(tmp_path), "dataset.json", "former")
    with pytest.raises(UnicodeEncodeError):
        files.write_text(str(tmp_path), "dataset.json", "half \ud800")
    assert stored(tmp_path) == ["dataset.json"]
    assert (tmp_path / "dataset.json").read_text() == "former"


def test_two_attempts_at_a_shard_do_not_meet(tmp_path):
    with files.whole(str(tmp_path), NAME) as first:
        pathlib.Path(first).write_text("first")
        with files.whole(str(tmp_path), NAME) as second:
            pathlib.Path(second).write_text("second")
        assert (tmp_path / NAME).read_text() == "second"
    assert (tmp_path / NAME).read_text() == "first"
    assert stored(tmp_path) == [NAME]


def test_clear_removes_what_it_is_told_and_partial_files_alone(tmp_path):
    for name in (NAME, "dataset.json", "partial/left.gz", "Split-eval/kept.gz", "kept.json"):
        files.write_text(str(tmp_path), name, "")
    (tmp_path / "partial" / "left.gz").write_text("")
    files.clear(str(tmp_path), ["Split-train", "dataset.json", "never_there"])
    assert stored(tmp_path) == ["Split-eval/kept.gz", "kept.json"]
    assert not (tmp_path / "partial").exists()


def test_a_process_killed_while_writing_leaves_nothing_to_be_read(tmp_path):
    killed = forks.start(write_until_killed, str(tmp_path))
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    [left] = stored(tmp_path)
    assert pathlib.Path(left).parent.name == files.PARTIAL
    assert (tmp_path / left).stat().st_size > 0
    files.clear(str(tmp_path), [])
    files.write(str(tmp_path), NAME, COLUMNS)
    assert stored(tmp_path) == [NAME]
    assert len(read(tmp_path / NAME)) == 10_000


def test_a_loss_says_clip_file_field_reason_and_all_of_it():
    assert files.of("S1_walk", ERROR) == {
        "clip": "S1_walk",
        "file": "S1/walk.cdf",
        "field": "Pose",
        "reason": "must be finite. Received: NaN in frame 7",
        "message": "S1/walk.cdf: `Pose` must be finite. Received: NaN in frame 7.",
    }


def test_the_list_counts_what_was_lost_and_what_was_not():
    listed = json.loads(files.to_json(losses(2), num_clips=9))
    assert listed == {"lost_clips": 2, "read_clips": 7, "clips": losses(2)}


def complaint(num_lost, total, share, told=("why",), listed="list"):
    try:
        files.hold_to_share(num_lost, total, share, "clips", told, lambda: listed)
    except files.UnusableError as error:
        return str(error)
    return ""


def are_too_many(*counts):
    return bool(complaint(*counts))


@pytest.mark.parametrize(("number", "too_many"), [(0, False), (1, False), (2, True)])
def test_more_than_the_share_is_too_many(number, too_many):
    assert are_too_many(number, 20, 0.05) is too_many


def test_with_a_share_of_nothing_one_loss_is_too_many():
    assert are_too_many(1, 1000, 0.0)
    assert not are_too_many(0, 1000, 0.0)
    assert not are_too_many(3, 3, 1.0)


def test_the_complaint_names_share_limit_list_and_the_first_losses():
    told = [f"clip_{number}: why" for number in range(8)]
    text = complaint(8, 16, 0.05, told, "out/7.dead_letters.json")
    assert text.startswith("`max_lost_share` lets a run lose 5.0% of its clips. Received: 8 of 16 ")
    assert "lost, 50.0%; all are listed in out/7.dead_letters.json; the first: clip_0: why" in text
    assert text.count("why") == 5


def test_the_complaint_stays_readable_whatever_was_received():
    text = complaint(2, 2, 0.05, ["0.5 " * 9000] * 2)
    assert len(text) < 1000
    assert " ..." in text
