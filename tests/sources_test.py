import os

import numpy as np
import pytest

from keras_mvlift import configs, errors, sources
from keras_mvlift.datasets import aistpp, preparation
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.datasets.rigs import recordings as recordings_of_rigs
from keras_mvlift.studio import synthetic
from tests.datasets import clips, recordings


def test_the_studio_is_opened_with_its_options():
    options = '{"num_clips": 2, "actions": ["boxing", "sitting"], "num_subjects": 1}'
    config = configs.DataConfig(source="studio", source_options=options)
    source = sources.open_source(config, "")
    assert isinstance(source, synthetic.Studio)
    assert source.clips() == ["S01_boxing_01", "S01_sitting_01"]


def test_a_recording_is_opened_at_the_data_root(tmp_path):
    recordings.write(tmp_path)
    config = configs.DataConfig(source="pose2sim", source_options='{"name": "take"}')
    source = sources.open_source(config, str(tmp_path))
    assert isinstance(source, pose2sim.Pose2SimSource)
    assert [clip.name for clip in source] == source.clips() == ["take"]


def test_motions_are_opened_at_the_data_root(tmp_path):
    path = tmp_path / "motions.npz"
    np.savez(path, walk=clips.exact(2, 8).pose_world.astype(np.float32))
    source = sources.open_source(configs.DataConfig(source="motion_studio"), str(path))
    assert isinstance(source, synthetic.MotionStudio)
    assert source.clips() == ["walk"]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("rig.yaml", recordings_of_rigs.RigSource),
        ("keypoints2d/gBR_sBM_cAll_d04_mBR0_ch01.pkl", aistpp.AISTPPSource),
        ("pose/cam1_json/0.json", pose2sim.Pose2SimSource),
    ],
)
def test_a_folders_kind_is_told_from_its_files(tmp_path, file, source):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert isinstance(sources.open_path(str(tmp_path)), source)
    named = sources.open_path(str(tmp_path), "aistpp", '{"subjects": ["d04"]}')
    assert named == aistpp.AISTPPSource(root=str(tmp_path), subjects=("d04",))


def test_splits_are_opened_with_their_options():
    config = configs.DataConfig(split="subject", split_options='{"test_subjects": ["S9", "S11"]}')
    assert sources.open_split(config) == preparation.BySubject(test_subjects=("S9", "S11"))
    assert sources.open_split(configs.DataConfig()) == preparation.ByBlocks()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "film"}, "`source` must be one of pose2sim, rig, studio.*Received: 'film'"),
        ({"source_options": '{"size": 1}'}, "`source_options` must fit 'pose2sim'.*'size'"),
        (
            {"source": "studio", "source_options": '{"num_clips": 0}'},
            "`num_clips` must be at least 1",
        ),
    ],
)
def test_sources_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sources.open_source(configs.DataConfig(**settings), "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "half"}, "`split` must be one of subject, clip, blocks. Received: 'half'"),
        ({"split": "clip"}, "`split_options` must fit 'clip'.*'test_clips'"),
        ({"split_options": '{"gap": -1}'}, "`gap` must be at least 0"),
    ],
)
def test_splits_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sources.open_split(configs.DataConfig(**settings))


@pytest.fixture
def folder(tmp_path):
    for name in ("a.json", "b/c.json"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        os.utime(path, (1, 1))
    return tmp_path / "data"


def touch(path):
    os.utime(path, (2, 2))


def write(path, text):
    path.write_text(text)
    os.utime(path, (1, 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: touch(folder / "b" / "c.json"),
        lambda folder: write(folder / "a.json", "longer text"),
        lambda folder: write(folder / "d.json", ""),
        lambda folder: (folder / "b" / "c.json").unlink(),
        lambda folder: (folder / "b" / "c.json").rename(folder / "b" / "d.json"),
    ],
    ids=["touched", "longer", "added", "removed", "renamed"],
)
def test_the_fingerprint_changes_with_the_files(folder, change):
    before = sources.fingerprint(str(folder))
    assert sources.fingerprint(str(folder)) == before
    change(folder)
    assert sources.fingerprint(str(folder)) != before


def test_the_fingerprint_does_not_depend_on_where_the_folder_is(folder):
    before = sources.fingerprint(str(folder))
    moved = folder.rename(folder.with_name("moved"))
    assert sources.fingerprint(str(moved)) == before


def test_a_single_file_has_a_fingerprint_and_nothing_has_one_of_its_own(folder):
    before = sources.fingerprint(str(folder / "a.json"))
    touch(folder / "a.json")
    assert sources.fingerprint(str(folder / "a.json")) != before
    assert sources.fingerprint("") == sources.fingerprint("") != before


@pytest.fixture
def films(tmp_path):
    for name in ("films/00002", "films/00010", "films/9", "films/broken", "v/3-1/in", "v/3-2/in"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "films" / "ledger.json").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "number", "version", "name"),
    [
        ("films/{SPAN}", 10, 0, "films/00010"),
        ("films/{SPAN:1}", 9, 0, "films/9"),
        ("v/{SPAN}-{VERSION}/in", 3, 2, "v/3-2/in"),
    ],
)
def test_the_newest_is_the_greatest_number(pattern, number, version, name, films):
    found = sources.newest_span(f"{films}/{pattern}")
    assert found == sources.Span(number, version, str(films / name))


def test_a_path_may_begin_anywhere(films, monkeypatch):
    monkeypatch.chdir(films)
    assert sources.newest_span("films/{SPAN:5}") == sources.Span(10, 0, "films/00010")


def test_what_else_a_path_holds_is_taken_word_for_word(films):
    (films / "a+b").mkdir()
    (films / "a+b" / "1").mkdir()
    assert sources.newest_span(f"{films}/a+b/{{SPAN}}").number == 1
    with pytest.raises(errors.RecordingError, match="match a span"):
        sources.newest_span(f"{films}/film./{{SPAN}}")


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        ("films/{SPAN:7}", "`data_root` must match a span at least. Received: none"),
        ("{SPAN}/{SPAN}", "hold {SPAN} once, and {VERSION} once at most. Received: SPAN, SPAN"),
        ("films/{VERSION}", "hold {SPAN} once, .* Received: VERSION"),
    ],
)
def test_paths_without_a_span_are_refused(pattern, rule, films):
    with pytest.raises(errors.RecordingError, match=rule):
        sources.newest_span(f"{films}/{pattern}")


def test_only_span_makes_spans():
    found = [
        sources.has_spans(root) for root in ("films/{SPAN}", "films/{SPAN:5}", "films/00001", "")
    ]
    assert found == [True, True, False, False]
