import dataclasses
import pathlib

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import pose2sim, recordings
from keras_mvlift.geometry import cameras
from keras_mvlift.lifting import mocap_files, pose_clip, pose_comparison, viewpoints
from keras_mvlift.metrics import pose_error
from tests.visualization import pose_clips


def test_tracks_of_several_files_are_named_by_file():
    clips = {"ours": pose_clips.clip(), "theirs": pose_clips.clip()}
    combined = pose_comparison.combine_clips(clips)
    assert [track.name for track in combined.tracks] == ["ours: person 1", "theirs: person 1"]


def test_a_reference_that_names_none_is_one_as_a_whole():
    combined = pose_comparison.combine_clips({"ours": pose_clips.clip()}, pose_clips.clip())
    assert [track.is_reference for track in combined.tracks] == [False, True]
    assert len({track.name for track in combined.tracks}) == 2


def test_only_the_references_of_a_file_judge():
    combined = pose_comparison.combine_clips({"ours": pose_clips.clip()}, pose_clips.compared())
    assert [track.name for track in combined.tracks] == ["person 1", "reference"]


def test_clips_are_joined_by_frame_number_and_absent_elsewhere():
    early = pose_clips.clip(pose_clips.track(num_frames=4), first_frame=10)
    late = pose_clips.clip(pose_clips.track(num_frames=6), first_frame=12)
    combined = pose_comparison.combine_clips({"late": late, "early": early})
    assert (combined.first_frame, combined.num_frames) == (10, 8)
    late_track, early_track = combined.tracks
    np.testing.assert_array_equal(late_track.pose[2:], late.tracks[0].pose)
    assert np.isnan(late_track.pose[:2]).all()
    assert np.isnan(early_track.pose[4:]).all()
    assert (early_track.confidence[4:] == 0).all()


def test_a_longer_reference_is_cut_to_the_results():
    ours = pose_clips.clip(pose_clips.track(num_frames=4), first_frame=3)
    longer = pose_clips.clip(pose_clips.track(num_frames=12))
    combined = pose_comparison.combine_clips({"ours": ours}, longer)
    assert (combined.first_frame, combined.num_frames) == (3, 4)
    np.testing.assert_array_equal(combined.tracks[1].pose, longer.tracks[0].pose[3:7])


def test_poses_from_the_camera_go_with_root_relative_ones():
    camera = pose_clips.clip(pose_clips.track(shift=(1.0, 2.0, 3.0)), space="camera")
    root = pose_clips.clip(space="root")
    combined = pose_comparison.combine_clips({"camera": camera, "root": root})
    assert combined.space == "root"
    np.testing.assert_allclose(combined.tracks[0].pose[:, 0], 0)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"frame_rate": 25.0}, "`other` must have the first clip's frame rate, 30. Received: 25."),
        ({"space": "root"}, "all be in the world or all in camera axes"),
        ({"joint_names": tuple(map(str, range(17)))}, "`other` must have the first clip's joints"),
    ],
)
def test_what_does_not_go_together_is_refused(change, rule):
    other = dataclasses.replace(pose_clips.clip(), **change)
    with pytest.raises(ValueError, match=rule):
        pose_comparison.combine_clips({"ours": pose_clips.clip(), "other": other})


def test_nothing_to_combine_is_refused():
    with pytest.raises(ValueError, match="`clips` must hold at least one"):
        pose_comparison.combine_clips({})


def test_distances_golden():
    pose = np.zeros((1, 2, 3))
    # The root is 1 m aside, and the other joint 4 m up from where it is.
    reference = np.array([[[1.0, 0, 0], [1.0, 0, 4.0]]])
    for root, expected in ((0, [0.0, 4.0]), (None, [1.0, 17**0.5])):
        found = pose_comparison.joint_distances(pose, reference, root)
        np.testing.assert_allclose(found, [expected])


def test_absent_joints_are_left_out_of_the_mean():
    pose = np.zeros((2, 2, 3))
    pose[0, 1] = pose[1] = np.nan
    distances = pose_comparison.joint_distances(pose, np.ones((2, 2, 3)), None)
    np.testing.assert_allclose(pose_comparison.mean_error(distances, axis=-1), [3**0.5, np.nan])
    assert np.isnan(pose_comparison.mean_error(np.full(3, np.nan)))


def test_each_person_is_judged_by_the_nearest_reference():
    raised = pose_clips.pose()
    raised[:, 16, 2] += 0.5
    tracks = (
        pose_clip.Track(name="true 1", pose=pose_clips.pose(), is_reference=True),
        pose_clip.Track(name="true 2", pose=raised, is_reference=True),
        pose_clip.Track(name="person 2", pose=raised + 0.1),
        pose_clip.Track(name="person 1", pose=pose_clips.pose() + 0.1),
    )
    assert pose_comparison.references_of(pose_clips.clip(*tracks)) == [None, None, 1, 0]


def test_whoever_shares_no_joint_with_a_reference_is_not_judged():
    early, late = pose_clips.pose(), pose_clips.pose()
    early[6:], late[:6] = np.nan, np.nan
    tracks = (
        pose_clip.Track(name="person", pose=early),
        pose_clip.Track(name="reference", pose=late, is_reference=True),
    )
    assert pose_comparison.references_of(pose_clips.clip(*tracks)) == [None, None]
    assert pose_comparison.references_of(pose_clips.clip(tracks[0])) == [None]


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
    reference, has_axes = pose_comparison.read_reference(known(tmp_path), clip, CAMERA)
    assert has_axes
    assert reference.is_reference
    np.testing.assert_allclose(reference.pose, clip.tracks[0].pose, atol=1e-6)


def test_errors_are_the_papers(tmp_path):
    clip = seen("camera", shift=0.34)
    moved = dataclasses.replace(clip.tracks[0], pose=clip.tracks[0].pose + 2.0)
    reference, has_axes = pose_comparison.read_reference(known(tmp_path), clip, CAMERA)
    found = pose_comparison.compare(moved, reference, clip, has_axes=has_axes)
    # 340 mm at one joint of 17, wherever the pelvis is.
    assert found.mpjpe_mm == pytest.approx(20.0, abs=0.01)
    expected = pose_error.PMPJPE()(reference.pose, moved.pose)
    assert found.p_mpjpe_mm == pytest.approx(float(expected), abs=0.01)
    assert (found.joints, found.num_frames) == (clip.joint_names, 12)


def test_without_the_cameras_place_only_what_no_turn_changes_is_told(tmp_path):
    clip = seen("root")
    turn = cameras.from_rotation_vector(np.array([[0.0, 0.0, 0.7]]))
    scaled = dataclasses.replace(clip.tracks[0], pose=1.1 * clip.tracks[0].pose @ np.array(turn))
    reference, has_axes = pose_comparison.read_reference(known(tmp_path), clip)
    assert not has_axes
    found = pose_comparison.compare(scaled, reference, clip, has_axes=has_axes)
    assert found.mpjpe_mm is None
    assert found.p_mpjpe_mm == pytest.approx(0.0, abs=0.01)


def test_the_rigs_own_reference_is_read_as_training_reads_it():
    path = pathlib.Path(pose2sim.demo_root(), "opensim", "Balancing_for_IK.trc")
    clip = pose_clips.clip(pose_clips.track(num_frames=100), frame_rate=60.0)
    reference, _ = pose_comparison.read_reference(path, clip)
    np.testing.assert_allclose(
        reference.pose, recordings.read_reference(path, 100, 60.0), atol=1e-9
    )


def test_frames_of_another_count_are_found_by_their_numbers(tmp_path):
    path = known(tmp_path, first_frame=3)
    clip = dataclasses.replace(seen(num_frames=20), first_frame=1)
    reference, has_axes = pose_comparison.read_reference(path, clip)
    assert reference.is_present.all(axis=1).nonzero()[0].tolist() == [*range(2, 14)]
    found = pose_comparison.compare(clip.tracks[0], reference, clip, has_axes=has_axes)
    assert found.num_frames == 12


def test_joints_that_the_reference_lacks_do_not_count(tmp_path):
    path = known(tmp_path)
    path.write_text(path.read_text().replace("spine\t", "cap\t").replace("left_wrist", "glove"))
    clip = seen()
    reference, has_axes = pose_comparison.read_reference(path, clip)
    found = pose_comparison.compare(clip.tracks[0], reference, clip, has_axes=has_axes)
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
        pose_comparison.read_reference(path, seen())


def test_what_has_nothing_to_do_with_the_clip_is_refused(tmp_path):
    path = known(tmp_path, first_frame=90)
    with pytest.raises(errors.RecordingError, match="`frames` must be some of 0 to 19"):
        pose_comparison.read_reference(path, seen(num_frames=20))
    lines = path.read_text().split("\n")
    lines[3] = "Frame#\tTime\t" + "\t\t\t".join(f"m{index}" for index in range(17))
    path.write_text("\n".join(lines))
    with pytest.raises(errors.RecordingError, match="`markers` must be some of which pelvis"):
        pose_comparison.read_reference(path, seen())
    with pytest.raises(errors.RecordingError, match=r"`reference` must end in \.trc"):
        pose_comparison.read_reference(tmp_path / "known.bvh", seen())


def test_a_track_without_a_frame_in_common_is_refused(tmp_path):
    clip = seen()
    absent = dataclasses.replace(clip.tracks[0], pose=np.full((12, 17, 3), np.nan))
    reference, has_axes = pose_comparison.read_reference(known(tmp_path), clip)
    with pytest.raises(ValueError, match="`reference` must share frames and at least three"):
        pose_comparison.compare(absent, reference, clip, has_axes=has_axes)
