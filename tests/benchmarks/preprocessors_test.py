import collections

import pytest
import tensorflow as tf

from benchmarks import preprocessing, preprocessors
from keras_mvlift.datasets.human36m import rig
from keras_mvlift.studio import human36m


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("release") / "h36m"
    options = {"num_takes": 1, "num_frames": 12, "num_distinct_takes": 1}
    takes = human36m.write_release(root, subjects=rig.SUBJECTS, formats=("cdf",), **options)
    assert len([*takes]) == 7
    return str(root)


def records(folder, split):
    """The records of a split, features put in one order, whatever file they are in."""
    found = collections.Counter()
    for path in folder.rglob("*tfrecord*.gz" if (folder / "examples").exists() else "records*"):
        if path.parent.name.removeprefix("Split-") == split:
            kind = "GZIP" if path.suffix == ".gz" else ""
            for record in tf.data.TFRecordDataset(str(path), kind).as_numpy_iterator():
                example = tf.train.Example.FromString(record)
                found[example.SerializeToString(deterministic=True)] += 1
    return found


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_both_ways_write_the_same_records(suffix, release, tmp_path):
    config = preprocessing.config()
    first, second = tmp_path / "first", tmp_path / "second"
    in_batches = preprocessors.in_batches(config, release, str(first))
    one_by_one = preprocessors.one_by_one(config, release, str(second), 7, suffix)
    assert in_batches[:3] == one_by_one[:3] == (7, 5 * 12 * 6, 2 * 12 * 4)
    for split in preprocessors.SPLITS:
        expected = records(first, split)
        assert expected
        assert records(second, split) == expected


def test_a_part_of_the_clips_is_taken_evenly(release, tmp_path):
    written = preprocessors.one_by_one(preprocessing.config(), release, str(tmp_path), 3)
    assert (written.num_clips, written.num_pairs) == (3, 3 * 12 * 6)
    assert written.num_bytes > 0
