import dataclasses

import numpy as np
import pytest

from keras_mvlift.lifting import pose_clip, pose_comparison
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
    np.testing.assert_allclose(pose_comparison.joint_distances(pose, reference, 0), [[0.0, 4.0]])
    np.testing.assert_allclose(
        pose_comparison.joint_distances(pose, reference, None), [[1.0, 17**0.5]]
    )


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
    assert pose_comparison.references_of(tracks, 0) == [None, None, 1, 0]


def test_whoever_shares_no_joint_with_a_reference_is_not_judged():
    early, late = pose_clips.pose(), pose_clips.pose()
    early[6:], late[:6] = np.nan, np.nan
    tracks = (
        pose_clip.Track(name="person", pose=early),
        pose_clip.Track(name="reference", pose=late, is_reference=True),
    )
    assert pose_comparison.references_of(tracks, 0) == [None, None]
    assert pose_comparison.references_of(tracks[:1], 0) == [None]
