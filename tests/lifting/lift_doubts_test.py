"""What is likely not meant is warned about, and what is right is not."""

import dataclasses
import warnings

import numpy as np
import pytest

from keras_mvlift import errors, inference, skeletons
from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.lifting import lift, tracks_2d, viewpoints
from tests.lifting import people

SEEN = people.walking("h36m_17")
CAMERA = viewpoints.Viewpoint(
    intrinsics=people.WALK_CAMERA.intrinsics,
    rotation=people.WALK_CAMERA.rotation,
    center=people.WALK_CAMERA.center,
)
SIZE = (1000, 1000)


@pytest.fixture(scope="module")
def model():
    return inference.load_model("studio")


def lifted(model, keypoints, camera=CAMERA, size=SIZE, joint_names=skeletons.H36M_17.joints):
    """Returns the clip, and what was warned about."""
    tracks = tracks_2d.of_arrays(
        keypoints, joint_names=joint_names, frame_rate=50.0, image_size=size
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        clip = lift.lift(model, tracks, camera)
    assert all(issubclass(each.category, errors.InputWarning) for each in told)
    return clip, [str(each.message) for each in told]


@pytest.mark.parametrize("name", skeletons.SKELETONS)
@pytest.mark.parametrize("size", [SIZE, None])
def test_what_is_right_is_silent(model, name, size):
    joints = skeletons.by_name(name).joints
    keypoints = people.walking(name)
    keypoints[::7, 3] = 0.0
    clip, told = lifted(model, keypoints, size=size, joint_names=joints)
    assert told == []
    true = np.asarray(people.WALK.pose_world)
    off = (clip.tracks[0].pose - clip.tracks[0].pose[:, :1]) - (true - true[:, :1])
    assert np.linalg.norm(off, axis=-1).mean() < 0.12


PIXELS = {
    "twice the size": (2 * SEEN, r"of the joints lie outside of the image of 1000 x 1000 \(up to"),
    "half the size": (SEEN / 2, r"All joints lie in the first \d\d% of the image"),
    "y up": ([0, 1000] + SEEN * [1, -1], r"Heads are below feet in 100% of frames"),
    "other joints": (np.roll(SEEN, 3, axis=1), r"Poses lie \d\d% of a body's size off"),
}


@pytest.mark.parametrize("case", PIXELS)
def test_pixels_of_another_image_are_warned_about(model, case):
    keypoints, told = PIXELS[case]
    tracks = tracks_2d.of_arrays(keypoints, frame_rate=50.0, image_size=SIZE)
    with pytest.warns(errors.InputWarning, match=told):
        lift.lift(model, tracks, CAMERA)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_shares_of_an_image_are_refused(model, scale):
    shares = SEEN / 1000 * scale - (scale - 1)
    tracks = tracks_2d.of_arrays(shares, frame_rate=50.0, image_size=SIZE)
    with pytest.raises(errors.ArgumentError, match="`keypoints_2d` must be pixels"):
        lift.lift(model, tracks, CAMERA)


@pytest.mark.parametrize("up", [axis for axis in calibrations.UP_AXES if axis != "z"])
def test_another_axis_that_is_up_is_warned_about_by_name(model, up):
    turned = calibrations.turn_camera_back(people.WALK_CAMERA, up)
    camera = dataclasses.replace(CAMERA, rotation=turned.rotation, center=turned.center)
    _, told = lifted(model, SEEN, camera)
    sentence = f"Backs of people point along the world's {up} axis, not z: is up {up} (--up)?"
    assert told == [sentence]
    pose = calibrations.turn_points_back(np.asarray(people.WALK.pose_world), up)
    with pytest.warns(errors.InputWarning, match=f"Backs of poses in a.trc point .* {up} axis"):
        lift.warn_of_world(pose, skeletons.H36M_17.joints, "poses in a.trc")


def test_people_far_from_the_worlds_origin_are_warned_about(model):
    camera = dataclasses.replace(CAMERA, center=1000.0 * np.asarray(CAMERA.center))
    _, told = lifted(model, SEEN, camera)
    assert len(told) == 1
    assert told[0].endswith("m from the world's origin: is the unit another (--unit)?")


def test_a_joint_that_is_lost_for_a_frame_at_a_time_is_where_it_was(model):
    whole, _ = lifted(model, SEEN)
    holes = SEEN.copy()
    holes[1::4, 13] = np.nan
    tracks = tracks_2d.of_arrays(holes, frame_rate=50.0, image_size=SIZE)
    wrist = [
        lift.lift(model, tracks, CAMERA, max_gap=gap).tracks[0].pose[1::4, 13] for gap in (0.2, 0.0)
    ]
    off = [np.linalg.norm(each - whole.tracks[0].pose[1::4, 13], axis=-1).mean() for each in wrist]
    assert off[0] < 0.02
    assert off[1] > 0.04
    (track,) = lift.lift(model, tracks, CAMERA).tracks
    np.testing.assert_allclose(track.confidence[1:-1:4, 13], 0.1)
    assert (track.keypoint_confidence[1::4, 13] == 0).all()
