import collections

import h5py
import numpy as np
import pytest
import scipy.io

from keras_mvlift import errors
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, release
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import mpi_inf_3dhp
from tests import refusals
from tests.datasets import clips
from tests.datasets.mpi_inf_3dhp import releases
from tests.untrusted import damage

CHEST = tuple(releases.CHEST)


@pytest.fixture
def root(tmp_path):
    return releases.write(tmp_path, formats=("original",))


def folders(root, **options):
    return release.OriginalFolders(
        **{"root": str(root), "cameras": CHEST, "first_frames": "all", **options}
    )


def annotation_path(root):
    return root / "mpi_inf_3dhp_test_set" / "TS5" / "annot_data.mat"


@pytest.mark.parametrize(("sequence", "frame_rate"), [("Seq1", 25.0), ("Seq2", 50.0)])
def test_a_training_clip_says_what_it_is(root, sequence, frame_rate):
    clip = folders(root).training_clip("S1", sequence)
    found = clip.sequence
    assert (found.name, found.subject, found.action) == (f"S1_{sequence}", "S1", sequence)
    assert found.frame_rate == frame_rate
    assert found.camera_names == ("camera_0", "camera_2", "camera_4", "camera_7", "camera_8")
    assert (found.confidence == 1).all()
    np.testing.assert_array_equal(clip.frame, np.arange(releases.NUM_FRAMES))
    assert clip.views[:2] == (f"S1/{sequence}/0", f"S1/{sequence}/2")
    assert np.isfinite(found.pose_world).all()


def test_the_first_frames_are_those_asked_for(root):
    whole = folders(root).training_clip("S1", "Seq1").sequence
    start = folders(root, first_frames=6).training_clip("S1", "Seq1")
    assert len(start.frame) == 6
    np.testing.assert_array_equal(start.sequence.keypoints_2d, whole.keypoints_2d[:, :6])
    np.testing.assert_array_equal(start.sequence.pose_world, whole.pose_world[:6])
    message = "`frames` must number 6416 or more.*'all'. Received: 15"
    refusals.refused(message, folders(root, first_frames="table").training_clip, "S1", "Seq1")


def test_a_test_subject_has_a_clip_an_activity_and_they_share_out_the_valid_frames(root):
    reader = folders(root)
    names = reader.test_clips("TS5")
    assert names == [f"TS5_{activity}" for activity in protocol.ACTIVITIES.values()]
    clips = [reader.test_clip("TS5", name) for name in names]
    whole = release.read_test_annotation(annotation_path(root))
    frames = np.concatenate([clip.frame for clip in clips])
    np.testing.assert_array_equal(frames, whole.frame)
    seen = np.concatenate([clip.sequence.keypoints_2d[0] for clip in clips])
    np.testing.assert_array_equal(seen, whole.keypoints_2d)
    for name, clip in zip(names, clips, strict=True):
        assert clip.sequence.name == name
        assert f"TS5_{clip.sequence.action}" == name
        assert clip.views == ("TS5",)
    # One lens for all of them, of an image that is wider than high.
    lenses = np.stack([clip.sequence.camera.intrinsics[0] for clip in clips])
    np.testing.assert_array_equal(lenses, np.broadcast_to(lenses[0], lenses.shape))
    assert lenses[0, 0, 0] > 1600


def test_the_reference_of_a_test_clip_is_of_universal_size(root):
    whole = release.read_test_annotation(annotation_path(root))
    reader = folders(root)
    clips = [reader.test_clip("TS5", name).sequence for name in reader.test_clips("TS5")]
    reference = np.concatenate([clip.pose_world for clip in clips])
    np.testing.assert_allclose(reference, whole.universal_pose @ release.ROTATION)
    assert np.abs(whole.universal_pose - whole.pose_camera).max() > 0.01


def test_a_subject_whose_file_is_broken_has_one_clip_that_tells_why(root):
    reader, path = folders(root), annotation_path(root)
    path.write_bytes(path.read_bytes()[:700])
    assert reader.test_clips("TS5") == ["TS5"]
    assert refusals.refused("MATLAB", reader.test_clip, "TS5", "TS5").path == path
    assert reader.test_clips("TS6") == ["TS6"]
    refusals.refused(r"TS6.*be a file that exists", reader.test_clip, "TS6", "TS6")


def test_an_activity_that_is_not_shown_is_refused(root):
    with pytest.raises(errors.RecordingError, match="show TS5_dancing in some valid frame"):
        folders(root).test_clip("TS5", "TS5_dancing")


@pytest.fixture
def folder(tmp_path):
    return releases.write(tmp_path, formats=("original",)) / "S1" / "Seq1"


Take = collections.namedtuple("Take", ("rig", "keypoints_2d", "pose_world"))


def read(folder, num_frames=None):
    return Take(*release.read_training_take(folder, CHEST, num_frames))


def rewrite(folder, change):
    """Changes the variables of an annotation, `[14, T, ...]` each, in place."""
    path = folder / "annot.mat"
    found = scipy.io.loadmat(path)
    names = ("annot2", "annot3", "univ_annot3")
    cells = {name: np.stack([cell for cell in found[name][:, 0]]) for name in names}
    cells = {name: value.reshape(14, len(value[0]), 28, -1) for name, value in cells.items()}
    mpi_inf_3dhp.write_annotation(path, change(cells) or cells)


def test_what_was_written_is_read_back(folder):
    truth = releases.training_truth(folder / "camera.calibration")
    take = read(folder)
    assert take.rig.names == ("0", "2", "4", "7", "8")
    expected = truth.filmed.annot2[releases.CHEST][:, :, protocol.H36M_FROM_28]
    np.testing.assert_allclose(take.keypoints_2d, expected, atol=1e-6)
    assert np.abs(take.pose_world - truth.pose_world).max() < 1e-6


def test_the_world_pose_reprojects_to_a_thousandth_of_a_pixel(folder):
    take = read(folder)
    seen = cameras.project_from_world(take.pose_world, cameras.expand(take.rig.camera, -1))
    np.testing.assert_allclose(seen, take.keypoints_2d, atol=1e-3)


def test_the_calibration_of_another_day_is_refused(folder, tmp_path_factory):
    other = releases.write(tmp_path_factory.mktemp("other"), seed=9, formats=("original",))
    text = (other / "S1" / "Seq1" / "camera.calibration").read_text()
    (folder / "camera.calibration").write_text(text)
    with pytest.raises(errors.RecordingError, match="must fit the annotation") as caught:
        read(folder)
    assert caught.value.path == folder / "camera.calibration"
    assert caught.value.field == "calibration"


def poison(name, camera, frame, value):
    def change(cells):
        cells[name][camera, frame, 5, 1] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (poison("annot2", 4, 11, np.nan), r"`annot2\{4\}` must .*finite.*: nan in frame 11"),
        (poison("annot3", 4, 11, np.nan), r"`annot3\{4\}` must .*finite.*: nan in frame 11"),
        (lambda cells: cells | {"annot3": cells["univ_annot3"]}, "px between annot3 and annot2"),
        (lambda cells: cells | {"annot3": cells["annot3"][:, :-1]}, "as many frames in .*15.*14"),
    ],
)
def test_an_annotation_that_cannot_be_is_refused(folder, change, message):
    rewrite(folder, change)
    refusals.refused(message, read, folder)


def test_nan_that_is_not_read_does_no_harm(folder):
    whole = read(folder, 10)
    rewrite(folder, poison("annot2", 4, 11, np.nan))
    rewrite(folder, poison("annot3", 1, 3, np.nan))
    np.testing.assert_array_equal(read(folder, 10).pose_world, whole.pose_world)


def resave(folder, **variables):
    found = scipy.io.loadmat(folder / "annot.mat")
    kept = {name: value for name, value in found.items() if not name.startswith("__")} | variables
    scipy.io.savemat(folder / "annot.mat", {k: v for k, v in kept.items() if v is not None})


@pytest.mark.parametrize(
    ("variables", "field", "message"),
    [
        ({"annot3": None}, "annot3", "be a variable of the file"),
        ({"annot2": np.ones((14, 56))}, "annot2", r"be a cell array of shape \(14, 1\).*float64"),
        ({"annot2": np.full((13, 1), 0.0).astype(object)}, "annot2", r"be a cell array.*\(13, 1\)"),
    ],
)
def test_variables_that_are_not_as_released_are_refused(folder, variables, field, message):
    resave(folder, **variables)
    refusals.refused(message, read, folder, at=(folder / "annot.mat", field))


def test_a_cell_of_17_joints_is_refused(folder):
    cells = scipy.io.loadmat(folder / "annot.mat")["annot2"]
    cells[2, 0] = np.ones((15, 34))
    resave(folder, annot2=cells)
    message = r"`annot2\{2\}` must have shape \[any, 56\]. Received: \(15, 34\)"
    refusals.refused(message, read, folder)


@pytest.mark.parametrize("name", ["annot.mat", "camera.calibration"])
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    assert refusals.refused("be a file that exists", read, folder).path == folder / name


def test_damage_ends_in_our_error_or_in_a_take(tmp_path):
    folder = releases.write(tmp_path, num_frames=2, formats=("original",)) / "S1" / "Seq1"
    path = folder / "annot.mat"
    refused = damage.assert_only_our_errors(lambda: read(folder), path)
    assert refused > 50


ORDER = [protocol.TEST_FROM_28[joint] for joint in protocol.H36M_FROM_TEST]


@pytest.fixture
def path(tmp_path):
    releases.write(tmp_path, subjects=(), formats=("original",))
    return tmp_path / "mpi_inf_3dhp_test_set" / "TS1" / "annot_data.mat"


def change(path, name, index, value):
    with h5py.File(path, "r+") as file:
        values = file[name][()]
        values[index] = value
        file[name][...] = values


def valid_frames(path):
    with h5py.File(path) as file:
        return np.flatnonzero(file["valid_frame"][:, 0])


def test_the_valid_frames_are_read_back(path):
    truth = releases.lone_truth()
    valid = valid_frames(path)
    annotation = release.read_test_annotation(path)
    assert 0 < len(valid) < releases.NUM_FRAMES
    np.testing.assert_array_equal(annotation.frame, valid)
    filmed = truth.filmed
    expected = filmed.annot2[0][valid][:, ORDER]
    np.testing.assert_allclose(annotation.keypoints_2d, expected, atol=1e-6)
    for field, expected in (("pose_camera", "annot3"), ("universal_pose", "univ_annot3")):
        millimeters = getattr(filmed, expected)[0][valid][:, ORDER]
        np.testing.assert_allclose(getattr(annotation, field), millimeters / 1000, atol=1e-9)
    numbers = np.array([*mpi_inf_3dhp.ACTIVITY_ACTIONS])[filmed.turn[valid]]
    np.testing.assert_array_equal(annotation.activity, numbers)


def test_as_many_frames_are_read_as_are_valid(path):
    # The real set's shares of valid frames make 2929.
    for valid in (1, 7, releases.NUM_FRAMES):
        mask = np.arange(releases.NUM_FRAMES) < valid
        change(path, "valid_frame", slice(None), mask[:, np.newaxis])
        assert len(release.read_test_annotation(path).frame) == valid


def test_the_lens_is_found_from_the_metric_pose(path):
    annotation = release.read_test_annotation(path)
    camera = release.fit_camera(path, annotation)
    np.testing.assert_allclose(
        camera.intrinsics, releases.lone_truth().camera.intrinsics, rtol=1e-8
    )


def test_points_marked_by_hand_are_fitted_all_the_same(path):
    annotation = release.read_test_annotation(path)
    rough = np.random.default_rng(0).normal(0, 4, annotation.keypoints_2d.shape)
    marked = annotation._replace(keypoints_2d=annotation.keypoints_2d + rough)
    camera = release.fit_camera(path, marked)
    expected = release.fit_camera(path, annotation)
    np.testing.assert_allclose(camera.intrinsics, expected.intrinsics, atol=40)


PINHOLE = "project onto annot2 by a pinhole camera"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda found: {"keypoints_2d": found.keypoints_2d[..., ::-1]}, PINHOLE),
        (lambda found: {"keypoints_2d": 2048 - found.keypoints_2d}, PINHOLE),
        (lambda found: {"keypoints_2d": np.roll(found.keypoints_2d, 5, axis=1)}, PINHOLE),
        (lambda found: {"pose_camera": found.universal_pose}, PINHOLE),
        (lambda found: {"pose_camera": -found.pose_camera}, "in front of the camera. Received: -"),
    ],
    ids=["transposed", "turned", "other joints", "universal", "behind"],
)
def test_what_no_camera_explains_is_refused(path, spoil, message):
    annotation = release.read_test_annotation(path)
    refusals.refused(message, release.fit_camera, path, annotation._replace(**spoil(annotation)))


def test_the_clips_world_has_z_up_and_its_reference_is_universal(path):
    annotation = release.read_test_annotation(path)
    camera = release.fit_camera(path, annotation)
    given = (annotation.keypoints_2d, annotation.universal_pose)
    clip = release.test_sequence("TS1", "sports", camera, *given)
    assert (clip.name, clip.subject, clip.action) == ("TS1_sports", "TS1", "sports")
    assert (clip.num_views, clip.num_frames) == (1, len(annotation.frame))
    assert (clip.confidence == 1).all()
    back = clip.pose_world @ clip.camera.rotation[0].T
    np.testing.assert_allclose(back, annotation.universal_pose, atol=1e-12)
    # People stand: heads are up, and ahead of the camera is the world's y.
    assert (clip.pose_world[:, 10, 2] > clip.pose_world[:, [3, 6], 2].max(axis=1)).all()
    assert (clip.pose_world[..., 1] > 1).all()
    whole = release.test_sequence("TS1", "", camera, *given)
    assert (whole.name, whole.action) == ("TS1", "all")


def test_the_activities_of_valid_frames_are_listed(path):
    assert release.test_activities(path) == [*protocol.ACTIVITIES]
    with h5py.File(path) as file:
        sitting = file["activity_annotation"][:, 0] == 3
    change(path, "valid_frame", sitting, 0)
    assert release.test_activities(path) == [1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("name", "index", "value", "message"),
    [
        ("valid_frame", slice(None), 0, "be 1 in some frame. Received: none"),
        ("valid_frame", 2, 0.5, "be 0 or 1"),
        ("valid_frame", 2, np.nan, "be 0 or 1"),
        ("activity_annotation", slice(None), 8, "be one of 1, 2, .* in every valid frame"),
        ("annot2", slice(None), np.nan, "hold finite numbers.*nan in frame 0"),
        ("univ_annot3", slice(None), np.inf, "hold finite numbers.*inf in frame 0"),
    ],
)
def test_values_that_cannot_be_are_refused(path, name, index, value, message):
    change(path, name, index, value)
    refusals.refused(message, release.read_test_annotation, path, at=(path, name))


def test_nan_in_frames_that_are_not_valid_does_no_harm(path):
    invalid = np.setdiff1d(np.arange(releases.NUM_FRAMES), valid_frames(path))
    change(path, "annot3", invalid, np.nan)
    change(path, "activity_annotation", invalid, 0)
    assert np.isfinite(release.read_test_annotation(path).pose_camera).all()


@pytest.mark.parametrize("name", ["annot2", "annot3", "univ_annot3", "activity_annotation"])
def test_a_length_mismatch_is_refused(path, name):
    with h5py.File(path, "r+") as file:
        shorter = file[name][:-1]
        del file[name]
        file[name] = shorter
    message = rf"have shape \[.*{releases.NUM_FRAMES}\]"
    assert refusals.refused(message, release.read_test_annotation, path).field == name


def test_a_missing_variable_or_file_is_refused(path):
    with h5py.File(path, "r+") as file:
        del file["univ_annot3"]
    refusals.refused("`univ_annot3` must be a variable", release.read_test_annotation, path)
    path.unlink()
    refusals.refused("be a file that exists", release.test_activities, path)


def test_damage_ends_in_our_error_or_in_a_clip(path):
    def read():
        release.fit_camera(path, release.read_test_annotation(path))

    assert damage.assert_only_our_errors(read, path) > 30


VIEWS = ("S1/Seq1/0", "S1/Seq1/4")
FRAME = np.array([1, 2, 5])


@pytest.fixture
def clip():
    return protocol.Clip(clips.exact(2, len(FRAME)), FRAME, VIEWS)


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    arrays = {}
    for view in (*VIEWS, "S1/Seq1/7"):
        arrays[f"{view}/keypoints_2d"] = rng.uniform(0, 2048, (7, 17, 2)).astype(np.float32)
        arrays[f"{view}/confidence"] = rng.uniform(0.1, 1, (7, 17)).astype(np.float32)
    return arrays


def replace(path_detections, found, clip):
    np.savez(path_detections, **found)
    return release.replace_detections(path_detections, clip)


@pytest.fixture
def path_detections(tmp_path):
    return tmp_path / "detections.npz"


def test_detections_take_the_place_of_the_annotated_joints(path_detections, found, clip):
    seen = replace(path_detections, found, clip)
    assert isinstance(seen, sequences.MultiViewSequence)
    for view, name in enumerate(VIEWS):
        expected = found[f"{name}/keypoints_2d"][FRAME]
        np.testing.assert_array_equal(seen.keypoints_2d[view], expected)
        np.testing.assert_array_equal(seen.confidence[view], found[f"{name}/confidence"][FRAME])
    np.testing.assert_array_equal(seen.pose_world, clip.sequence.pose_world)


def test_a_joint_without_confidence_is_zero_whatever_is_written_there(path_detections, found, clip):
    found["S1/Seq1/4/confidence"][2, 3] = 0
    found["S1/Seq1/4/keypoints_2d"][2, 3] = np.nan
    seen = replace(path_detections, found, clip)
    assert seen.confidence[1, 1, 3] == 0
    assert (seen.keypoints_2d[1, 1, 3] == 0).all()


@pytest.mark.parametrize(
    ("field", "spoil", "message"),
    [
        ("confidence", lambda value: value[:5], "a row for each of the 6 frames.*Received: 5"),
        ("keypoints_2d", lambda value: value[:6], r"have shape \[7, 17, 2\]"),
        ("keypoints_2d", lambda value: value[:, :16], r"have shape \[7, 17, 2\]"),
        ("confidence", lambda value: value + 1, r"lie in \[0, 1\]"),
        ("confidence", lambda value: value * np.nan, r"lie in \[0, 1\]"),
        ("keypoints_2d", lambda value: value * np.nan, "hold finite numbers.*in frame 0"),
        ("keypoints_2d", lambda value: value.astype(str), "be an array of numbers"),
        ("keypoints_2d", lambda value: None, "be an array of numbers"),
    ],
)
def test_what_is_no_detection_is_refused_by_key(
    path_detections, found, clip, field, spoil, message
):
    key = f"S1/Seq1/4/{field}"
    found[key] = spoil(found[key])
    refusals.refused(message, replace, path_detections, found, clip, at=(path_detections, key))


def test_a_view_that_was_not_detected_is_refused(path_detections, found, clip):
    del found["S1/Seq1/0/confidence"]
    with pytest.raises(errors.RecordingError, match="`S1/Seq1/0/confidence` must be an array"):
        replace(path_detections, found, clip)


def test_a_missing_file_is_refused(path_detections, clip):
    refusals.refused("be a file that exists", release.replace_detections, path_detections, clip)


def test_damaged_detections_end_in_our_error_or_in_a_clip(path_detections, found, clip):
    replace(path_detections, found, clip)
    data = path_detections.read_bytes()
    refused = damage.assert_only_our_errors(
        lambda: release.replace_detections(path_detections, clip), path_detections, data
    )
    assert refused > 30
