import dataclasses
import pickle

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline

from components.example_gen import executor
from components.example_gen import files as example_gen_files
from keras_mvlift import configs, errors, sources
from keras_mvlift.datasets import preparation
from tests.datasets import clips

CONFIG = configs.DataConfig(
    source="shelf", split="subject", split_options='{"test_subjects": ["S9"]}'
)
RECORDED = clips.exact(num_frames=10)
SHELF = {
    "training": RECORDED,
    "lone": dataclasses.replace(clips.exact(1, 10), subject="S9"),
}


@dataclasses.dataclass(frozen=True)
class Shelf:
    """Clips that lie ready; one of them cannot be read, one shows a mistake of ours."""

    def clips(self):
        return [*SHELF, "torn", "mistaken"]

    def read(self, clip):
        if clip == "torn":
            raise errors.RecordingError("torn.cdf", "Pose", "be whole", "12 of 40 bytes")
        if clip == "mistaken":
            raise KeyError(clip)
        return dataclasses.replace(SHELF[clip], name=clip)


@pytest.fixture(autouse=True)
def shelf(monkeypatch):
    monkeypatch.setitem(sources.SOURCES, "shelf", Shelf)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "out"


def write(root, *names):
    """Runs the writer on clips; gives their outcomes in order, and the counters."""
    noted = root.with_name("outcomes")

    def note(outcomes):
        noted.write_bytes(pickle.dumps(sorted(outcomes, key=lambda outcome: outcome.number)))

    jobs = [example_gen_files.Job(name, number, len(names)) for number, name in enumerate(names)]
    roots = {split: str(root) for split in ("train", "eval", "test")}
    pipeline = test_pipeline.TestPipeline()
    found = pipeline | beam.Create(jobs) | beam.ParDo(executor.WriteClip(CONFIG, "", roots))
    _ = found | beam.combiners.ToList() | beam.Map(note)
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    counts = {counter.key.metric.name: counter.committed for counter in counters}
    return pickle.loads(noted.read_bytes()), counts


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_clip_gives_a_shard_of_each_split_it_adds_to(root):
    write(root, "training", "lone")
    assert files(root) == {
        "Split-train/data_tfrecord-00000-of-00002.gz",
        "Split-test/data_tfrecord-00001-of-00002.gz",
    }


def test_what_is_known_of_a_clip_is_told(root):
    [outcome] = write(root, "training")[0]
    about = outcome.about
    assert outcome.loss is None
    assert (about["clip"], about["subject"], about["action"]) == ("training", "S1", "walking")
    assert about["cameras"] == [f"camera_{view}" for view in range(4)]
    assert about["rig_distance"] == preparation.rig_distance(RECORDED)
    assert about["counts"]["train_pairs"] == 60


def test_a_lone_camera_is_at_no_rigs_distance(root):
    [outcome] = write(root, "lone")[0]
    assert outcome.about["rig_distance"] is None
    assert outcome.about["counts"]["test_views"] == 10


def test_cameras_that_were_left_out_are_told_and_counted(root, caplog, monkeypatch):
    late = dataclasses.replace(RECORDED, out_of_sync=("camera_9",))
    monkeypatch.setitem(SHELF, "training", late)
    (outcome,), _ = write(root, "training")
    assert "Left out of clip training: camera_9, out of sync." in caplog.text
    assert outcome.about["out_of_sync"] == ["camera_9"]
    assert outcome.about["counts"]["out_of_sync_cameras"] == 1


def test_a_clip_that_cannot_be_read_is_lost_and_the_others_are_written(root, caplog):
    outcomes, counts = write(root, "training", "torn", "lone")
    assert outcomes[1].about is None
    assert outcomes[1].loss["clip"] == "torn"
    assert outcomes[1].loss["file"] == "torn.cdf"
    assert [outcomes[number].loss for number in (0, 2)] == [None, None]
    assert counts == {"read_clips": 2, "lost_clips": 1}
    assert len(files(root)) == 2
    assert "Lost clip torn: torn.cdf: `Pose` must be whole" in caplog.text


def test_any_other_error_is_ours_and_ends_the_run(root):
    with pytest.raises(KeyError, match="mistaken"):
        write(root, "mistaken")
    assert not files(root)


def test_a_full_disk_is_no_clips_fault(root, monkeypatch):
    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(example_gen_files, "write", full)
    with pytest.raises(OSError, match="disk full"):
        write(root, "training")
