import json
import pickle

import numpy as np
import pytest

from keras_mvlift import configs, errors, sources
from keras_mvlift.datasets import preparation
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, source
from tests.datasets.mpi_inf_3dhp import releases


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return releases.write(tmp_path_factory.mktemp("release"))


def opened(root, **options):
    defaults = {"subjects": ("S1",), "test_subjects": ("TS1", "TS5"), "first_frames": "all"}
    return source.MPIINF3DHPSource(root=str(root), **{**defaults, **options})


def test_clips_are_the_training_sets_then_the_test_sets(root):
    reader = opened(root)
    assert reader.clips()[:3] == ["S1_Seq1", "S1_Seq2", "TS1_standing_walking"]
    assert len(reader.clips()) == 2 + 2 * len(protocol.ACTIVITIES)
    assert [clip.name for clip in reader] == reader.clips()
    assert opened(root / "p_stmo").clips() == ["S1_Seq1", "S1_Seq2", "TS1", "TS5"]
    assert opened(root, subjects=(), test_subjects=()).clips() == []


def test_everybody_is_read_unless_told_otherwise(root):
    clips = source.MPIINF3DHPSource(root=str(root / "p_stmo")).clips()
    assert len(clips) == 2 * 8 + 6


def test_both_layouts_show_the_same(root):
    first = opened(root).read("S1_Seq1")
    second = opened(root / "p_stmo").read("S1_Seq1")
    np.testing.assert_allclose(first.keypoints_2d, second.keypoints_2d, atol=1e-9)
    np.testing.assert_array_equal(first.camera.center, second.camera.center)


@pytest.mark.parametrize("name", protocol.CAMERA_SETS)
def test_camera_sets_are_chosen_by_name(root, name):
    clip = opened(root, camera_set=name).read("S1_Seq1")
    expected = tuple(f"camera_{index}" for index in protocol.CAMERA_SETS[name])
    assert clip.camera_names == expected


def test_detections_take_the_place_of_annotated_joints_in_either_layout(root):
    path = root / "S1" / "Seq1" / "camera.calibration"
    expected = releases.training_truth(path).filmed.detected
    for folder, path in ((root, "detections.npz"), (root / "p_stmo", "../detections.npz")):
        clip = opened(folder, detections=path).read("S1_Seq1")
        confidence = expected[1][releases.CHEST]
        np.testing.assert_allclose(clip.confidence, confidence, atol=1e-6)
        np.testing.assert_allclose(clip.keypoints_2d, expected[0][releases.CHEST], atol=1e-3)
    lone = opened(root, detections="detections.npz").read("TS1_sports")
    assert lone.confidence.max() < 1


def test_the_training_set_is_thinned_and_the_test_set_is_not(root):
    thin, whole = opened(root, training_stride=4, detections="detections.npz"), opened(root)
    clip = thin.read("S1_Seq2")
    assert (clip.num_frames, clip.frame_rate) == (4, 12.5)
    expected = whole.read("S1_Seq2").pose_world[::4]
    np.testing.assert_array_equal(clip.pose_world, expected)
    seen = opened(root, detections="detections.npz").read("S1_Seq2").keypoints_2d[:, ::4]
    np.testing.assert_array_equal(clip.keypoints_2d, seen)
    assert thin.read("TS1_sports").num_frames == whole.read("TS1_sports").num_frames


def test_the_choices_of_the_protocol_are_told(root):
    text = "\n".join(opened(root).choices())
    for words in ("original", "chest (0, 2, 4, 7, 8)", "all annotated", "TS1, TS5", "univ_annot3"):
        assert words in text
    told = opened(root / "p_stmo", first_frames=9, detections="d.npz", subjects=()).choices()
    assert "training clips: none, Seq1 and Seq2, the first 9 frames, one of each 1" in told
    assert "2D joints: d.npz" in told
    assert "reference of training clips: none, as the archives' poses are of universal size" in told


def test_a_source_is_sent_to_workers(root):
    reader = opened(root)
    _ = reader.clips()
    sent = pickle.loads(pickle.dumps(reader))
    assert sent == reader
    assert sent.read("TS1_sports").num_frames == reader.read("TS1_sports").num_frames


def test_a_clip_that_is_missing_is_listed_and_refused_when_read(root):
    reader = opened(root, subjects=("S1", "S2"))
    assert "S2_Seq1" in reader.clips()
    with pytest.raises(errors.RecordingError, match=r"S2.*be a file that exists"):
        reader.read("S2_Seq1")


def test_a_folder_without_the_release_is_refused_at_once(tmp_path):
    for options in ({}, {"test_subjects": ()}):
        with pytest.raises(errors.RecordingError, match="hold the release's folders"):
            opened(tmp_path, **options).clips()


def test_a_clip_that_is_none_is_refused(root):
    with pytest.raises(ValueError, match="`clip` must be one of"):
        opened(root).read("S3_Seq1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"camera_set": "knee"}, "`camera_set` must be one of regular, .*Received.*'knee'"),
        ({"layout": "h5"}, "`layout` must be one of auto, original, p_stmo"),
        ({"subjects": ("S9",)}, "`subjects` must name some of S1, .*each once"),
        ({"subjects": ("S1", "S1")}, "`subjects` must name some of S1, .*each once"),
        ({"test_subjects": ("S1",)}, "`test_subjects` must name some of TS1"),
        ({"test_subjects": "TS1"}, "`test_subjects` must name some of TS1"),
        ({"first_frames": 0}, "`first_frames` must be 'table', 'all' or a positive number"),
        ({"first_frames": True}, "`first_frames` must be"),
        ({"first_frames": "some"}, "`first_frames` must be"),
        ({"training_stride": 0}, "`training_stride` must be a positive number"),
    ],
)
def test_options_that_cannot_be_are_refused(root, options, message):
    with pytest.raises(ValueError, match=message):
        opened(root, **options)


def test_the_fields_protocol_is_a_config(root):
    """Trains on S1 to S8 and tests on TS1 to TS6, each test view alone."""
    options = {"subjects": ["S1"], "test_subjects": ["TS1", "TS5"], "first_frames": "all"}
    config = configs.DataConfig(
        source="mpi_inf_3dhp",
        source_options=json.dumps(options),
        split="subject",
        split_options=json.dumps({"test_subjects": list(protocol.TEST_SUBJECTS)}),
        num_virtual_views=2,
    )
    reader, split = sources.open_source(config, str(root)), sources.open_split(config)
    num_test_views = 0
    for clip in reader:
        prepared = preparation.prepare(clip, split, config)
        is_test = clip.subject.startswith("TS")
        assert len(prepared.held_out_pairs["frame"]) == 0
        # Pairs of five real cameras and two virtual ones, but that of both virtual.
        expected = 0 if is_test else 20 * clip.num_frames
        assert len(prepared.train_pairs["frame"]) == expected
        views = prepared.test_views
        assert len(views["frame"]) == (clip.num_frames if is_test else 0)
        num_test_views += len(views["frame"])
        if is_test:
            root_relative = clip.pose_world - clip.pose_world[:, :1]
            expected = root_relative @ clip.camera.rotation[0].T
            np.testing.assert_allclose(views["reference_pose"], expected, atol=1e-6)
    valid = opened(root / "p_stmo")
    assert num_test_views == sum(valid.read(name).num_frames for name in ("TS1", "TS5"))
