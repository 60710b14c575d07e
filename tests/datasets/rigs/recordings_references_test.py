import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import recordings as rigs_recordings
from tests.datasets import recordings
from tests.untrusted import damage

POSE = np.random.default_rng(0).normal(size=(4, 17, 3))


def archive(tmp_path, **content):
    path = tmp_path / "reference.npz"
    np.savez(path, **({"pose_world": POSE} | content))
    return path


def markers(tmp_path, **options):
    points = np.random.default_rng(0).normal(size=(4, len(recordings.MARKERS), 3))
    path = tmp_path / "reference.trc"
    path.write_text(recordings.reference(points, **options))
    return path, points


def test_an_archive_is_read_as_it_is(tmp_path):
    pose = POSE.copy()
    pose[1, 2] = np.nan
    np.testing.assert_array_equal(
        rigs_recordings.read_reference(archive(tmp_path, pose_world=pose), 4, 50.0), pose
    )


def test_markers_become_joints(tmp_path):
    path, points = markers(tmp_path)
    pose = rigs_recordings.read_reference(path, 4, 60.0)
    expected = skeletons.Converter(recordings.MARKERS).keypoints(points)
    np.testing.assert_allclose(pose, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ({"pose_world": POSE[:3]}, "pose_world", r"shape \(4, 17, 3\).*Received: \(3, 17, 3\)"),
        ({"pose_world": POSE[:, :16]}, "pose_world", r"Received: \(4, 16, 3\)"),
        ({"pose_world": np.full_like(POSE, np.inf)}, "pose_world", "be finite or NaN"),
        ({"pose_world": np.full((4, 17, 3), "far")}, "pose_world", "hold numbers"),
    ],
)
def test_an_archive_that_does_not_fit_is_refused(tmp_path, content, field, message):
    path = archive(tmp_path, **content)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        rigs_recordings.read_reference(path, 4, 50.0)
    assert (caught.value.path, caught.value.field) == (path, field)


def test_an_archive_without_poses_and_no_file_at_all_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", poses=POSE)
    with pytest.raises(errors.RecordingError, match=r"`pose_world` must be .*Received: poses"):
        rigs_recordings.read_reference(tmp_path / "other.npz", 4, 50.0)
    with pytest.raises(errors.RecordingError, match=r"`reference` must be a file"):
        rigs_recordings.read_reference(tmp_path / "none.trc", 4, 50.0)


@pytest.mark.parametrize(("num_frames", "frame_rate"), [(5, 60.0), (4, 50.0)])
def test_markers_of_other_frames_are_refused(tmp_path, num_frames, frame_rate):
    path, _ = markers(tmp_path)
    rule = rf"have {num_frames} frames at {frame_rate} Hz, as the detections. Received: 4 at 60.0"
    with pytest.raises(errors.RecordingError, match=rule):
        rigs_recordings.read_reference(path, num_frames, frame_rate)


def test_damaged_archives_end_in_our_error(tmp_path):
    path = archive(tmp_path)
    data = path.read_bytes()
    read = damage.assert_only_our_errors(
        lambda: rigs_recordings.read_reference(path, 4, 50.0), path, data
    )
    assert read > 30
