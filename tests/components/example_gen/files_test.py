import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from components.example_gen import files as example_gen_files
from keras_mvlift.datasets import tfrecords

NAME = "Split-train/data_tfrecord-00000-of-00001.gz"
COLUMNS = {
    "frame": np.arange(10_000),
    "keypoints_2d": np.random.default_rng(0).normal(size=(10_000, 17, 2)),
    "clip": np.full(10_000, "clip", dtype=object),
}

# Writes a shard and is killed when half of its records are written.
KILLED = """
import os, signal
import tensorflow as tf
from tests.components.example_gen import files_test
write, written = tf.io.TFRecordWriter.write, []
def write_until_killed(writer, record):
    write(writer, record)
    written.append(record)
    if len(written) == 5000:
        writer.flush()
        os.kill(os.getpid(), signal.SIGKILL)
tf.io.TFRecordWriter.write = write_until_killed
files_test.example_gen_files.write({root!r}, files_test.NAME, files_test.COLUMNS)
"""


def read(path):
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path), "GZIP")]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_shard_holds_the_rows_in_their_order(tmp_path):
    example_gen_files.write(str(tmp_path), NAME, COLUMNS)
    assert files(tmp_path) == [NAME]
    assert read(tmp_path / NAME) == tfrecords.encode(COLUMNS)


def test_equal_rows_are_equal_files(tmp_path):
    for root in ("first", "second"):
        example_gen_files.write(str(tmp_path / root), NAME, COLUMNS)
    first, second = (tmp_path / root / NAME for root in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_no_rows_are_no_file(tmp_path):
    example_gen_files.write(
        str(tmp_path), NAME, {name: values[:0] for name, values in COLUMNS.items()}
    )
    assert not files(tmp_path)


def test_no_more_than_a_block_of_records_is_in_memory(tmp_path, monkeypatch):
    encode, sizes = tfrecords.encode, []

    def noting(columns):
        sizes.append(len(columns["frame"]))
        return encode(columns)

    monkeypatch.setattr(tfrecords, "encode", noting)
    example_gen_files.write(str(tmp_path), NAME, COLUMNS)
    assert max(sizes) < 5000
    assert sum(sizes) == 10_000


def test_an_error_in_the_middle_leaves_no_file(tmp_path):
    broken = COLUMNS | {"frame": COLUMNS["frame"].astype(object)}
    broken["frame"][9_000:] = "\ud800"
    with pytest.raises(UnicodeEncodeError):
        example_gen_files.write(str(tmp_path), NAME, broken)
    assert not files(tmp_path)


def test_an_error_in_the_middle_leaves_the_former_file(tmp_path):
    example_gen_files.write_text(str(tmp_path), "dataset.json", "former")
    with pytest.raises(UnicodeEncodeError):
        example_gen_files.write_text(str(tmp_path), "dataset.json", "half \ud800")
    assert files(tmp_path) == ["dataset.json"]
    assert (tmp_path / "dataset.json").read_text() == "former"


def test_two_attempts_at_a_shard_do_not_meet(tmp_path):
    with example_gen_files.whole(str(tmp_path), NAME) as first:
        pathlib.Path(first).write_text("first")
        with example_gen_files.whole(str(tmp_path), NAME) as second:
            pathlib.Path(second).write_text("second")
        assert (tmp_path / NAME).read_text() == "second"
    assert (tmp_path / NAME).read_text() == "first"
    assert files(tmp_path) == [NAME]


def test_clear_removes_what_it_is_told_and_partial_files_alone(tmp_path):
    for name in (NAME, "dataset.json", "partial/left.gz", "Split-eval/kept.gz", "kept.json"):
        example_gen_files.write_text(str(tmp_path), name, "")
    (tmp_path / "partial" / "left.gz").write_text("")
    example_gen_files.clear(str(tmp_path), ["Split-train", "dataset.json", "never_there"])
    assert files(tmp_path) == ["Split-eval/kept.gz", "kept.json"]
    assert not (tmp_path / "partial").exists()


def test_a_process_killed_while_writing_leaves_nothing_to_be_read(tmp_path):
    code = KILLED.format(root=str(tmp_path))
    root = pathlib.Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    killed = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    [left] = files(tmp_path)
    assert pathlib.Path(left).parent.name == example_gen_files.PARTIAL
    assert (tmp_path / left).stat().st_size > 0
    example_gen_files.clear(str(tmp_path), [])
    example_gen_files.write(str(tmp_path), NAME, COLUMNS)
    assert files(tmp_path) == [NAME]
    assert len(read(tmp_path / NAME)) == 10_000
