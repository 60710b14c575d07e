import numpy as np
import pytest

from benchmarks import studio_recordings
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import pose2sim

REFERENCE = "opensim/Balancing_for_IK.trc"


@pytest.fixture(scope="module")
def clip() -> sequences.MultiViewSequence:
    (clip,) = pose2sim.Pose2SimSource(root=pose2sim.demo_root(), reference=REFERENCE)
    return clip.frames(slice(0, 20))


def test_every_view_with_a_reference_is_tested(clip):
    tested = studio_recordings.tested(
        studio_recordings.Recording("man", "body_25b", [clip], True, 5)
    )
    assert tested.pose.shape == (16, 17, 3)
    assert (tested.pose[:, 0] == 0).all()
    # In the axes of the camera, whose y points down, his head is above.
    assert (tested.pose[:, 10, 1] < -0.3).all()
    unknown = clip.frames(slice(None))
    object.__setattr__(unknown, "pose_world", None)
    assert (
        studio_recordings.tested(studio_recordings.Recording("man", "body_25b", [unknown])) is None
    )


@pytest.mark.parametrize("has_all_joints", [True, False])
def test_errors_are_of_the_joints_that_are_compared(clip, has_all_joints):
    recording = studio_recordings.Recording("man", "body_25b", [clip], has_all_joints)
    tested = studio_recordings.tested(recording)
    assert max(tested.errors(tested.pose + 1.0)) < 1e-2
    wrong = tested.pose.copy()
    # The head; and a wrist, by 17 or 12 times 1 mm.
    wrong[:, 10] += 0.2
    wrong[:, 16, 0] += 0.017 if has_all_joints else 0.012
    mpjpe, *others = tested.errors(wrong)
    head = 1000.0 * np.sqrt(3) * 0.2 / 17
    assert mpjpe == pytest.approx(1.0 + head * has_all_joints, abs=1e-3)
    assert min(others) > 0.5
    # Twice the size is the same pose, but for the scale.
    mpjpe, n_mpjpe, p_mpjpe = tested.errors(2.0 * tested.pose)
    assert mpjpe > 300
    assert max(n_mpjpe, p_mpjpe) < 1e-2
