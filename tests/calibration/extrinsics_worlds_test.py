import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.calibration import extrinsics, observations
from keras_mvlift.geometry import cameras
from tests import random_scenes
from tests.calibration import rooms

CLIPS = rooms.exact_clips(num_frames=40)
SEEN = observations.gather(CLIPS, observations.Choice())
POINTS = np.concatenate([clip.pose_world for clip in CLIPS])[SEEN.frame, SEEN.joint]


def upright(points=POINTS):
    """The rig after its world was lost, and found again."""
    camera = CLIPS[0].camera
    turn = random_scenes.rotation(np.random.default_rng(0))
    lost = cameras.Camera(camera.intrinsics, camera.rotation @ turn.T, camera.center @ turn.T + 7.0)
    return extrinsics.upright_world(lost, points @ turn.T + 7.0, SEEN)


def test_z_is_up_and_the_floor_at_zero():
    found, true = upright(), CLIPS[0].camera
    up = true.rotation[0].T @ found.rotation[0, :, 2]
    assert np.degrees(np.arccos(up[2])) < 3.0
    # People lean as they walk, which tilts the world by some centimeters over a few meters.
    assert abs(np.mean(found.center[:, 2] - true.center[:, 2])) < 0.05


def test_the_rig_itself_does_not_change():
    found, true = upright(), CLIPS[0].camera
    between = [np.linalg.norm(rig.center[:, None] - rig.center, axis=-1) for rig in (found, true)]
    np.testing.assert_allclose(*between, atol=1e-9)
    relative = [rig.rotation[1] @ rig.rotation[0].T for rig in (found, true)]
    np.testing.assert_allclose(*relative, atol=1e-9)


def test_people_are_over_the_origin_and_x_is_to_the_right():
    found = upright()
    right = found.rotation[0, 0]
    assert right[0] > 0.99
    in_view = POINTS.mean(axis=0) - CLIPS[0].camera.center[0]
    over = found.center[0] + found.rotation[0].T @ CLIPS[0].camera.rotation[0] @ in_view
    np.testing.assert_allclose(over[:2], 0.0, atol=1e-9)


def test_people_who_lie_or_are_not_seen_whole_are_refused():
    # Half of the time on the head.
    upended = np.where((SEEN.frame % 2)[:, np.newaxis], POINTS, POINTS * [1, 1, -1])
    with pytest.raises(errors.RecordingError, match="show people who stand or walk"):
        upright(upended)
    unseen = np.where((SEEN.frame > 3)[:, np.newaxis], np.nan, POINTS)
    with pytest.raises(errors.RecordingError, match="show ankles and shoulders in 5 frames"):
        upright(unseen)
