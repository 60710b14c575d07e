import h5py
import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, release
from keras_mvlift.studio import mpi_inf_3dhp
from tests.datasets.mpi_inf_3dhp import releases
from tests.untrusted import damage

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
    # The universal pose would give another one, or none.
    swapped = annotation._replace(pose_camera=annotation.universal_pose)
    with pytest.raises(errors.RecordingError, match="project onto annot2 by a pinhole camera"):
        release.fit_camera(path, swapped)


def test_points_marked_by_hand_are_fitted_all_the_same(path):
    annotation = release.read_test_annotation(path)
    rough = np.random.default_rng(0).normal(0, 4, annotation.keypoints_2d.shape)
    marked = annotation._replace(keypoints_2d=annotation.keypoints_2d + rough)
    camera = release.fit_camera(path, marked)
    expected = release.fit_camera(path, annotation)
    np.testing.assert_allclose(camera.intrinsics, expected.intrinsics, atol=40)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda points: points[..., ::-1],
        lambda points: 2048 - points,
        lambda points: points[:, np.roll(np.arange(17), 5)],
    ],
    ids=["transposed", "turned", "other joints"],
)
def test_points_that_no_camera_explains_are_refused(path, spoil):
    annotation = release.read_test_annotation(path)
    annotation = annotation._replace(keypoints_2d=spoil(annotation.keypoints_2d))
    with pytest.raises(errors.RecordingError, match="project onto annot2 by a pinhole camera"):
        release.fit_camera(path, annotation)


def test_a_pose_behind_the_camera_is_refused(path):
    annotation = release.read_test_annotation(path)
    annotation = annotation._replace(pose_camera=-annotation.pose_camera)
    with pytest.raises(errors.RecordingError, match=r"lie in front of the camera. Received: -"):
        release.fit_camera(path, annotation)


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
    with pytest.raises(errors.RecordingError, match=message) as caught:
        release.read_test_annotation(path)
    assert (caught.value.path, caught.value.field) == (path, name)


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
    with pytest.raises(errors.RecordingError, match=message) as caught:
        release.read_test_annotation(path)
    assert caught.value.field == name


def test_a_missing_variable_or_file_is_refused(path):
    with h5py.File(path, "r+") as file:
        del file["univ_annot3"]
    with pytest.raises(errors.RecordingError, match="`univ_annot3` must be a variable"):
        release.read_test_annotation(path)
    path.unlink()
    with pytest.raises(errors.RecordingError, match="be a file that exists"):
        release.test_activities(path)


def test_damage_ends_in_our_error_or_in_a_clip(path):
    def read():
        release.fit_camera(path, release.read_test_annotation(path))

    assert damage.assert_only_our_errors(read, path, path.read_bytes()) > 30
