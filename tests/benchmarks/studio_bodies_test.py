import numpy as np
import pytest

from benchmarks import studio_bodies
from keras_mvlift import skeletons
from keras_mvlift.studio import synthetic

JOINTS = skeletons.H36M_17.joints


@pytest.fixture(scope="module")
def motion():
    studio = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=40)
    return studio.read(studio.clips()[0]).pose_world


def joint(motion, name):
    return motion[:, JOINTS.index(name)]


def length(motion, first, second):
    return np.linalg.norm(joint(motion, first) - joint(motion, second), axis=-1)


def test_bones_keep_their_lengths_and_both_sides_are_alike(motion):
    moved = studio_bodies.give(motion, 0, "someone", 25.0)
    for bone in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        left, right = (
            length(moved, *(f"{side}_{end}" for end in bone)) for side in ("left", "right")
        )
        np.testing.assert_allclose(left, right, atol=1e-9)
        assert np.ptp(left) < 1e-9
    assert np.ptp(length(moved, "thorax", "head")) < 1e-9


def test_the_nose_is_before_the_neck_and_the_head_above(motion):
    moved = studio_bodies.give(motion, 0, "someone", 25.0)
    up = joint(moved, "head") - joint(moved, "thorax")
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    left = joint(moved, "left_shoulder") - joint(moved, "right_shoulder")
    ahead = np.cross(left, up)
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    nose = joint(moved, "nose") - joint(moved, "thorax")
    assert ((nose * ahead).sum(-1) > 0.05).all()
    assert ((nose * up).sum(-1) > 0.1).all()
    assert (length(moved, "nose", "head") > 0.08).all()


def test_the_same_name_is_the_same_body_and_another_is_not(motion):
    first, again, other = (
        studio_bodies.give(motion, 0, name, 25.0) for name in ("someone", "someone", "other")
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
