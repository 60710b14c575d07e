import numpy as np
import pytest

from benchmarks import studio_motions, studio_scores
from keras_mvlift import inference, skeletons

JOINTS = skeletons.H36M_17.joints


class Knowing:
    """Lifts to what it is told, and notes what it was asked."""

    def __init__(self, pose=None):
        self.pose, self.asked = pose, []

    def lift(self, keypoints_2d, confidence, camera):
        self.asked.append((keypoints_2d, confidence, camera))
        pose = np.zeros((*confidence.shape, 3)) if self.pose is None else self.pose
        return inference.LiftedPose(JOINTS, pose)


@pytest.fixture(scope="module")
def held_out():
    model = Knowing()
    motions = studio_motions.made_up(0, 1)[:1]
    return model, studio_scores.held_out(model, motions, seed=1)


def test_every_change_is_made_to_the_views_that_are_lifted(held_out):
    model, scores = held_out
    # And those seen from high above.
    assert len(model.asked) == len(studio_scores.CHANGES) + 1
    seen = dict(zip(studio_scores.CHANGES, model.asked, strict=False))
    assert 0 < scores["seen from high above"]["views"] < 0.3 * scores["as detected"]["views"]
    plain = seen["as detected"]
    for change, joints in (
        ("knees and ankles missing", ("left_knee", "right_knee", "left_ankle", "right_ankle")),
        ("left forearm missing", ("left_elbow", "left_wrist")),
        ("nose and head missing", ("nose", "head")),
    ):
        is_lost = np.isin(JOINTS, joints)
        assert (seen[change][1][:, is_lost] == 0).all()
        np.testing.assert_array_equal(seen[change][1][:, ~is_lost], plain[1][:, ~is_lost])
    moved = (seen["ears for the head"][0] != plain[0]).any(axis=(0, 2))
    assert [JOINTS[index] for index in np.flatnonzero(moved)] == ["head"]
    assert scores["as detected"]["views"] == len(plain[0])


def test_errors_are_those_of_the_poses_in_millimeters(held_out):
    _, scores = held_out
    # A pose of zeros is off by the mean distance from the root.
    assert 350 < scores["as detected"]["mpjpe_mm"] < 650
    assert scores["mean pose instead"]["mpjpe_mm"] < scores["as detected"]["mpjpe_mm"]


def test_the_demo_rig_is_measured_in_each_cameras_axes():
    model = Knowing()
    scores = studio_scores.demo_rig(model)
    assert [name for name in scores if "ears" not in name] == ["cam1", "cam2", "cam3", "cam4"]
    assert len(model.asked) == 8
    assert {found["views"] for found in scores.values()} == {100}
    # All cameras see the same person.
    errors = [found["mpjpe_mm"] for found in scores.values()]
    assert np.ptp(errors) < 1e-2
    assert 300 < errors[0] < 600
