import shutil

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.human36m import release, rig
from keras_mvlift.studio import human36m
from tests.datasets.human36m import releases
from tests.untrusted import damage, parquet_gadgets


@pytest.fixture
def root(tmp_path):
    releases.write(tmp_path, formats=("cdf",))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"poses": "h5"}, "`poses` must be one of"),
        ({"shifted_takes": "mend"}, "`shifted_takes` must be one of"),
        ({"max_extra_frames": -1}, "`max_extra_frames` must not be negative"),
        ({"train_subjects": ("1",)}, "`train_subjects` must name subjects such as S1"),
        ({"train_subjects": ("../S1",)}, "`train_subjects` must name subjects such as S1"),
        ({"test_subjects": ("S1",)}, "`test_subjects` must name none twice or for both uses"),
        ({"drop": ("S11",)}, "'S11': `action` must be one of"),
        ({"drop": ("S11 Juggling",)}, "'S11 Juggling': `action` must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        releases.open_source("", **options)


def test_a_clip_that_is_not_listed_is_refused(root):
    with pytest.raises(ValueError, match=r"`clip` must be one of `clips\(\)`. Received: clip='S1'"):
        releases.open_source(root).read("S1")


def test_a_subject_whose_cameras_are_not_known_is_refused(root):
    with pytest.raises(errors.RecordingError, match=r"whose cameras' places are known.*: S2"):
        releases.open_source(root, train_subjects=("S1", "S2")).clips()


def test_a_subject_without_poses_or_detections_is_refused(root):
    asked = {"train_subjects": ("S1", "S5")}
    with pytest.raises(errors.RecordingError, match=r"cover all subjects.*D2_.*without S5"):
        releases.open_source(root, **asked).clips()
    shutil.copytree(root / "S1", root / "S5")
    assert len(releases.open_source(root, **asked).clips()) == 6
    shutil.rmtree(release.cdf_pose_path(root, "S5", "").parent)
    with pytest.raises(errors.RecordingError, match=r"S5.*D3_Positions.*no such file"):
        releases.open_source(root, **asked).clips()


def test_detections_that_are_not_there_are_refused(root):
    with pytest.raises(errors.RecordingError, match=r"data_2d_h36m_cpn.npz: `file` must be there"):
        releases.open_source(root, detections="cpn").clips()


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(errors.RecordingError, match="`root` must be a folder"):
        releases.open_source(tmp_path / "none").clips()


def test_a_take_in_two_spellings_is_refused(root):
    path = release.cdf_pose_path(root, "S1", "TakingPhoto")
    for name in ("TakingPhoto", "Photo"):
        shutil.copy(
            release.cdf_pose_path(root, "S1", "Directions 1"), path.with_name(f"{name}.cdf")
        )
    with pytest.raises(errors.RecordingError, match=r"one spelling.*'Photo' and 'Taking"):
        releases.open_source(root).clips()


def test_canonpose_is_for_training_alone(tmp_path):
    releases.write(tmp_path, formats=("canonpose", "cdf"))
    for options in ({}, {"test_subjects": (), "poses": "cdf"}):
        with pytest.raises(errors.RecordingError, match="with CanonPose's detections"):
            releases.open_source(tmp_path, detections="detections.pickle", **options).clips()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_without_a_number_is_refused_by_name(root, value):
    for path, width in (
        (release.cdf_pose_path(root, "S1", "Directions 1"), 96),
        (release.cdf_keypoints_path(root, "S1", "Directions 1", rig.CAMERAS[3]), 64),
    ):
        data, values = path.read_bytes(), release.read_cdf(path, width)
        values[4, 10] = value
        path.unlink()
        human36m.write_cdf(path, values)
        with pytest.raises(errors.RecordingError, match=r"must be finite.*frame 4") as caught:
            releases.open_source(root).read("S1_Directions_1")
        assert caught.value.path == path
        path.write_bytes(data)


def test_one_broken_clip_leaves_the_others_readable(root):
    release.cdf_pose_path(root, "S1", "Directions 1").write_bytes(b"")
    release.cdf_keypoints_path(root, "S9", "Discussion 1", rig.CAMERAS[0]).unlink()
    reader, refused = releases.open_source(root), []
    for clip in reader.clips():
        try:
            reader.read(clip)
        except errors.RecordingError:
            refused.append(clip)
    assert refused == ["S1_Directions_1", "S9_Discussion_1"]
    assert len(reader.clips()) == 4


def test_damage_ends_in_a_refusal_or_in_a_clip(root):
    path = release.cdf_pose_path(root, "S1", "Directions 1")

    def read():
        releases.open_source(root).read("S1_Directions_1")

    assert damage.assert_only_our_errors(read, path, path.read_bytes(), count=100) > 30


def test_a_table_whose_schema_would_run_code_is_refused_and_does_not_run(tmp_path):
    releases.write(tmp_path, formats=("confidence", "cdf"))
    (tmp_path / "detections.npz").unlink()
    parquet_gadgets.rewrite(tmp_path / "detections.parquet", "frame", f"touch {tmp_path / 'ran'}")
    with pytest.raises(errors.RecordingError, match=r"`frame` must be of a plain type"):
        releases.open_source(tmp_path, detections="detections.parquet").clips()
    assert not (tmp_path / "ran").exists()
