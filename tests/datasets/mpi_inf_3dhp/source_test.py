import json

import numpy as np
import pytest

from keras_mvlift import configs, errors, sources
from keras_mvlift.datasets import preparation
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, source
from keras_mvlift.geometry import triangulation
from keras_mvlift.studio import mpi_inf_3dhp
from tests import refusals
from tests.datasets import source_contract
from tests.datasets.mpi_inf_3dhp import releases
from tests.untrusted import damage


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


def test_it_is_a_source_like_any(root):
    options = {"subjects": ["S1"], "test_subjects": ["TS1", "TS5"], "first_frames": "all"}
    source_contract.assert_kept(opened(root), "mpi_inf_3dhp", options, "S3_Seq1")


def test_a_clip_that_is_missing_is_listed_and_refused_when_read(root):
    reader = opened(root, subjects=("S1", "S2"))
    assert "S2_Seq1" in reader.clips()
    refusals.refused(r"S2.*be a file that exists", reader.read, "S2_Seq1")


def test_a_folder_without_the_release_is_refused_at_once(tmp_path):
    for options in ({}, {"test_subjects": ()}):
        refusals.refused("hold the release's folders", opened(tmp_path, **options).clips)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"camera_set": "knee"}, "`camera_set` must be one of regular, .*Received.*'knee'"),
        ({"layout": "h5"}, "`layout` must be one of auto, original, p_stmo"),
        ({"subjects": ("S9",)}, "`subjects` must name some of S1, .*each once"),
        ({"subjects": ("S1", "S1")}, "`subjects` must name some of S1, .*each once"),
        ({"test_subjects": ("S1",)}, "`test_subjects` must name some of TS1"),
        ({"test_subjects": "TS1"}, "`test_subjects` must be a list of texts"),
        ({"first_frames": 0}, "`first_frames` must be 'table', 'all' or a positive number"),
        ({"first_frames": True}, "`first_frames` must be"),
        ({"first_frames": "some"}, "`first_frames` must be"),
        ({"training_stride": 0}, "`training_stride` must be at least 1"),
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


CHEST = tuple(releases.CHEST)
ORDER = [protocol.TEST_FROM_28[joint] for joint in protocol.H36M_FROM_TEST]


@pytest.fixture
def archives_root(tmp_path):
    return releases.write(tmp_path, formats=("p_stmo",)) / "p_stmo"


def archives(archives_root, **options):
    defaults = {"cameras": CHEST, "first_frames": "all", "calibration": "camera.calibration"}
    return source.Archives(**{"root": str(archives_root), **defaults, **options})


def change(archives_root, edit, name="data_train_3dhp.npz"):
    # Our own file, so that loading its pickle is safe.
    data = np.load(archives_root / name, allow_pickle=True)["data"].item()
    mpi_inf_3dhp.write_archive(archives_root / name, edit(data) or data)


def test_a_training_clip_is_read_back(archives_root):
    truth = releases.training_truth(archives_root / "camera.calibration", sequence="Seq2")
    clip = archives(archives_root).training_clip("S1", "Seq2")
    found = clip.sequence
    expected = truth.filmed.annot2[releases.CHEST][:, :, ORDER]
    np.testing.assert_allclose(found.keypoints_2d, expected, atol=1e-6)
    assert (found.name, found.subject, found.action) == ("S1_Seq2", "S1", "Seq2")
    assert (found.frame_rate, found.num_views) == (50.0, 5)
    assert clip.views[-1] == "S1/Seq2/8"
    # The poses of the archive are of another size; nothing may be measured against them.
    assert found.pose_world is None


def test_what_the_image_points_triangulate_is_the_metric_pose(archives_root):
    truth = releases.training_truth()
    found = archives(archives_root).training_clip("S1", "Seq1").sequence
    by_frame = found.keypoints_2d.swapaxes(0, 1)
    rig = type(found.camera)(
        *(np.broadcast_to(field, (len(by_frame), *field.shape)) for field in found.camera)
    )
    points, _ = triangulation.triangulate(by_frame, np.ones(by_frame.shape[:-1]), rig)
    assert np.linalg.norm(points - truth.pose_world, axis=-1).max() < 1e-3


@pytest.mark.parametrize("subject", ["TS1", "TS5"])
def test_a_test_clip_is_read_back(archives_root, subject):
    filmed = releases.lone_truth(subject).filmed
    reader = archives(archives_root)
    assert reader.test_clips(subject) == [subject]
    clip = reader.test_clip(subject, subject)
    found = clip.sequence
    assert 0 < found.num_frames < releases.NUM_FRAMES
    expected = filmed.annot2[0][clip.frame][:, ORDER]
    np.testing.assert_allclose(found.keypoints_2d[0], expected, atol=1e-6)
    pose = found.pose_world @ found.camera.rotation[0].T
    expected = filmed.univ_annot3[0][clip.frame][:, ORDER] / 1000
    np.testing.assert_allclose(pose, expected, atol=1e-9)
    fx, fy, cx, cy = source.TEST_LENSES[subject]
    np.testing.assert_array_equal(found.camera.intrinsics[0], [[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def test_the_first_frames_are_those_asked_for(archives_root):
    assert (
        archives(archives_root, first_frames=4).training_clip("S1", "Seq1").sequence.num_frames == 4
    )
    with pytest.raises(errors.RecordingError, match="`S1 Seq1` must number 6416 or more"):
        archives(archives_root, first_frames="table").training_clip("S1", "Seq1")


def test_the_calibration_of_another_rig_is_refused(archives_root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    releases.write(other, seed=9, num_frames=2, formats=("p_stmo",))
    path = other / "p_stmo" / "camera.calibration"
    with pytest.raises(errors.RecordingError, match="must fit the annotation") as caught:
        archives(archives_root, calibration=str(path)).training_clip("S1", "Seq1")
    assert caught.value.path == path


def shift_camera(data):
    data["S1 Seq1"][0]["4"]["data_2d"] += [5.0, 0.0]


def test_image_points_that_do_not_meet_are_refused(archives_root):
    change(archives_root, shift_camera)
    with pytest.raises(errors.RecordingError, match="px from where its rays meet"):
        archives(archives_root).training_clip("S1", "Seq1")


def test_cameras_that_the_archive_has_not_are_refused(archives_root):
    with pytest.raises(errors.RecordingError, match=r"`S1 Seq1/3` must be a view.*0, 1, 2, 4"):
        archives(archives_root, cameras=(0, 3)).training_clip("S1", "Seq1")


def entry(edit):
    def changed(data):
        return data | {"S1 Seq1": edit(data["S1 Seq1"])}

    return changed


def spoiled(field, edit, camera="4"):
    def changed(data):
        view = data["S1 Seq1"][0][camera]
        view[field] = edit(view[field])

    return changed


def poison(value):
    value[3] = np.nan
    return value


def shorten(data):
    view = data["S1 Seq1"][0]["0"]
    view.update({name: value[:9] for name, value in view.items()})


@pytest.mark.parametrize(
    ("edit", "field", "message"),
    [
        (lambda data: [data], "data", "be a pickled dictionary. Received: ndarray"),
        (lambda data: {"S2 Seq1": 1}, "data", "have a key 'S1 Seq1'. Received: S2 Seq1"),
        (entry(lambda pair: pair[0]), "S1 Seq1", "be a list of views by camera and a frame rate"),
        (entry(lambda pair: pair[::-1]), "S1 Seq1", "be a list of views by camera"),
        (entry(lambda pair: [pair[0], 0]), "S1 Seq1", "at most 1000 per second. Received: 0"),
        (entry(lambda pair: [pair[0], "x"]), "S1 Seq1", "have a frame rate of at most 1000"),
        (entry(lambda pair: [{"0": 1}, 25]), "S1 Seq1/0", "be a view of the archive"),
        (spoiled("data_2d", lambda value: value[:-1]), "S1 Seq1/4/data_3d", r"shape \[14, 17, 3\]"),
        (spoiled("data_2d", lambda value: None), "S1 Seq1/4/data_2d", "be an array of numbers"),
        (spoiled("data_2d", poison), "S1 Seq1/4/data_2d", "finite.*nan in frame 3"),
        (spoiled("data_3d", poison), "S1 Seq1/4/data_3d", "finite.*nan in frame 3"),
        (shorten, "S1 Seq1", r"as many frames in every camera.*\[9, 15"),
    ],
)
def test_an_archive_that_is_not_as_published_is_refused(archives_root, edit, field, message):
    change(archives_root, edit)
    at = (archives_root / "data_train_3dhp.npz", field)
    refusals.refused(message, archives(archives_root).training_clip, "S1", "Seq1", at=at)


def scaled(field):
    return lambda found: {field: found[field] / 1000}


@pytest.mark.parametrize(
    ("subject", "field", "edit", "message"),
    [
        ("TS1", "valid", lambda _: {"valid": np.zeros(15)}, "be 1 in some frame"),
        ("TS1", "valid", lambda _: {"valid": np.full(15, np.nan)}, "be 0 or 1"),
        ("TS1", "valid", lambda _: {"valid": np.ones(14)}, "have shape"),
        ("TS1", "valid", lambda _: {"valid": None}, "be an array"),
        ("TS5", "data_3d", scaled("data_3d"), "be in mm, of people of human size"),
        ("TS5", "keypoints", scaled("data_2d"), "be pixels"),
    ],
)
def test_a_test_clip_that_cannot_be_is_refused(archives_root, subject, field, edit, message):
    name = "data_test_3dhp.npz"
    change(archives_root, lambda data: data[subject].update(edit(data[subject])), name)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        archives(archives_root).test_clip(subject, subject)
    assert caught.value.field in (field, f"{subject}/{field}")


def test_damage_ends_in_our_error_or_in_a_clip(archives_root):
    path = archives_root / "data_train_3dhp.npz"
    reader = archives(archives_root)
    data = path.read_bytes()
    assert damage.assert_only_our_errors(
        lambda: reader.training_clip("S1", "Seq1"), path, data, count=60
    )
