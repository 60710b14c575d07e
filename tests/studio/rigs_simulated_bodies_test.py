import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.studio import rigs, synthetic

POSE = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=3).read("S01_walking_01").pose_world
SETS = pytest.mark.parametrize("skeleton", skeletons.SKELETONS.values(), ids=lambda s: s.name)


@SETS
def test_joints_that_the_body_has_are_where_they_are(skeleton):
    joints = rigs.body_joints(POSE, skeleton)
    assert joints.shape == (3, skeleton.num_joints, 3)
    for index, joint in enumerate(skeleton.joints):
        if joint in skeletons.H36M_17.joints:
            own = skeletons.H36M_17.joints.index(joint)
            np.testing.assert_array_equal(joints[:, index], POSE[:, own])


@SETS
def test_every_joint_has_its_own_place_near_the_body(skeleton):
    joints = rigs.body_joints(POSE, skeleton)
    apart = np.linalg.norm(joints[:, :, np.newaxis] - joints[:, np.newaxis], axis=-1)
    rows, columns = np.triu_indices(skeleton.num_joints, 1)
    assert apart[:, rows, columns].min() > 0.005
    nearest = np.linalg.norm(joints[:, :, np.newaxis] - POSE[:, np.newaxis], axis=-1).min(axis=2)
    assert nearest.max() < 0.2


def test_left_is_left():
    joints = rigs.body_joints(POSE, skeletons.MEDIAPIPE_33)
    names = skeletons.MEDIAPIPE_33.joints
    across = joints[:, names.index("left_hip")] - joints[:, names.index("right_hip")]
    for joint in ("eye", "ear", "shoulder"):
        own = joints[:, names.index(f"left_{joint}")] - joints[:, names.index(f"right_{joint}")]
        assert ((own * across).sum(axis=-1) > 0).all()
