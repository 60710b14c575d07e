import dataclasses
import pathlib

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import pose2sim, recordings
from keras_mvlift.geometry import cameras
from keras_mvlift.lifting import mocap_files, reference_poses, viewpoints
from keras_mvlift.metrics import pose_error
from tests.visualization import pose_clips

CAMERA = dataclasses.replace(
    viewpoints.from_intrinsics(1100, 1100, 500, 500),
    rotation=np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    center=np.array([0.5, -4.0, 1.5]),
)


def known(tmp_path, **fields):
    """Writes the poses of a clip as a reference."""
    path = tmp_path / "known.trc"
    mocap_files.write_trc(pose_clips.clip(**fields), path)
    return path


def seen(space="world", shift=0.0, **fields):
    """What was lifted: the clip of `known` in another space, its head off."""
    track = pose_clips.track(**fields)
    pose = track.pose.copy()
    pose[:, 10, 0] += shift
    if space != "world":
        pose = (pose - CAMERA.center) @ CAMERA.rotation.T
    if space == "root":
        pose = pose - pose[:, :1]
    return pose_clips.clip(dataclasses.replace(track, pose=pose), space=space)


@pytest.mark.parametrize("space", ["world", "camera", "root"])
def test_a_reference_is_turned_into_what_was_lifted(tmp_path, space):
    clip = seen(space)
    reference, has_axes = reference_poses.read(known(tmp_path), clip, CAMERA)
    assert has_axes
    assert reference.is_reference
    np.testing.assert_allclose(reference.pose, clip.tracks[0].pose, atol=1e-6)


def test_errors_are_the_papers(tmp_path):
    clip = seen("camera", shift=0.34)
    moved = dataclasses.replace(clip.tracks[0], pose=clip.tracks[0].pose + 2.0)
    reference, has_axes = reference_poses.read(known(tmp_path), clip, CAMERA)
    found = reference_poses.compare(moved, reference, clip, has_axes=has_axes)
    # 340 mm at one joint of 17, wherever the pelvis is.
    assert found.mpjpe_mm == pytest.approx(20.0, abs=0.01)
    expected = pose_error.PMPJPE()(reference.pose, moved.pose)
    assert found.p_mpjpe_mm == pytest.approx(float(expected), abs=0.01)
    assert (found.joints, found.num_frames) == (clip.joint_names, 12)


def test_without_the_cameras_place_only_what_no_turn_changes_is_told(tmp_path):
    clip = seen("root")
    turn = cameras.from_axis_angle(np.array([0.0, 0.0, 1.0]), np.array([0.7]))
    scaled = dataclasses.replace(clip.tracks[0], pose=1.1 * clip.tracks[0].pose @ np.array(turn))
    reference, has_axes = reference_poses.read(known(tmp_path), clip)
    assert not has_axes
    found = reference_poses.compare(scaled, reference, clip, has_axes=has_axes)
    assert found.mpjpe_mm is None
    assert found.p_mpjpe_mm == pytest.approx(0.0, abs=0.01)


def test_the_rigs_own_reference_is_read_as_training_reads_it():
    path = pathlib.Path(pose2sim.demo_root(), "opensim", "Balancing_for_IK.trc")
    clip = pose_clips.clip(pose_clips.track(num_frames=100), frame_rate=60.0)
    reference, _ = reference_poses.read(path, clip)
    np.testing.assert_allclose(
        reference.pose, recordings.read_reference(path, 100, 60.0), atol=1e-9
    )


def test_frames_of_another_count_are_found_by_their_numbers(tmp_path):
    path = known(tmp_path, first_frame=3)
    clip = dataclasses.replace(seen(num_frames=20), first_frame=1)
    reference, has_axes = reference_poses.read(path, clip)
    assert reference.is_present.all(axis=1).nonzero()[0].tolist() == [*range(2, 14)]
    found = reference_poses.compare(clip.tracks[0], reference, clip, has_axes=has_axes)
    assert found.num_frames == 12


def test_joints_that_the_reference_lacks_do_not_count(tmp_path):
    path = known(tmp_path)
    path.write_text(path.read_text().replace("spine\t", "cap\t").replace("left_wrist", "glove"))
    clip = seen()
    reference, has_axes = reference_poses.read(path, clip)
    found = reference_poses.compare(clip.tracks[0], reference, clip, has_axes=has_axes)
    # The spine is made of pelvis and thorax; nothing makes a wrist.
    assert set(clip.joint_names) - set(found.joints) == {"left_wrist"}


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("30\t30\t12", "25\t25\t12", r"`frame rate` must be 30 per second.*Received: 25"),
        ("Units", "Unit", "`header` must have a TRC header"),
        ("\tmm\t", "\tm\t", "`Units` must be the unit of the numbers below it.* m off their"),
    ],
)
def test_a_file_that_does_not_do_is_refused_by_name(tmp_path, old, new, rule):
    path = known(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(errors.RecordingError, match=rule):
        reference_poses.read(path, seen())


def test_what_has_nothing_to_do_with_the_clip_is_refused(tmp_path):
    path = known(tmp_path, first_frame=90)
    with pytest.raises(errors.RecordingError, match="`frames` must be some of 0 to 19"):
        reference_poses.read(path, seen(num_frames=20))
    lines = path.read_text().split("\n")
    lines[3] = "Frame#\tTime\t" + "\t\t\t".join(f"m{index}" for index in range(17))
    path.write_text("\n".join(lines))
    with pytest.raises(errors.RecordingError, match="`markers` must be some of which pelvis"):
        reference_poses.read(path, seen())
    with pytest.raises(errors.RecordingError, match=r"`reference` must end in \.trc"):
        reference_poses.read(tmp_path / "known.bvh", seen())


def test_a_track_without_a_frame_in_common_is_refused(tmp_path):
    clip = seen()
    absent = dataclasses.replace(clip.tracks[0], pose=np.full((12, 17, 3), np.nan))
    reference, has_axes = reference_poses.read(known(tmp_path), clip)
    with pytest.raises(ValueError, match="`reference` must share frames and at least three"):
        reference_poses.compare(absent, reference, clip, has_axes=has_axes)
