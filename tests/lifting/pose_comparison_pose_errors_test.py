import numpy as np

from keras_mvlift.lifting import pose_clip, pose_comparison
from tests.visualization import pose_clips


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
