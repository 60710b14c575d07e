"""Made-up people who move, with bones that keep their lengths."""

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.geometry import cameras
from keras_mvlift.lifting import mocap_files, pose_clip
from keras_mvlift.studio import synthetic
from tests import bodies

H36M = skeletons.H36M_17
LENGTHS = np.linspace(0.15, 0.45, 17)


def pose(num_frames=12, seed=0, space="world"):
    """Returns `[T, 17, 3]`, meters: each bone swings around its direction in the T-pose."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 2, num_frames)[:, np.newaxis]
    points = np.zeros((num_frames, 17, 3))
    points[:, 0] = [0.3, 1.0, 4.0] + 0.2 * np.sin(time + rng.uniform(0, 6, 3))
    for joint, parent in enumerate(H36M.parents[1:], start=1):
        swing = 0.5 * np.sin(3 * time + rng.uniform(0, 6, 3))
        bone = mocap_files.rest_direction(H36M.joints[joint]) + swing
        bone *= LENGTHS[joint] / np.linalg.norm(bone, axis=-1, keepdims=True)
        points[:, joint] = points[:, parent] + bone
    # It was made with y up.
    return points[..., [2, 0, 1]] if space == "world" else points * [1, -1, -1] + [0, 2, 8]


WALK = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=30).read("S01_walking_01")
WALK_CAMERA = cameras.Camera(*(np.asarray(field)[0] for field in WALK.camera))


def walking(name="coco_17"):
    """Returns the joints of a set, `[30, K, 2]`, pixels, of somebody who walks before a camera."""
    points = bodies.joints(np.asarray(WALK.pose_world), skeletons.by_name(name))
    points = cameras.camera_from_world(points, WALK_CAMERA)
    return cameras.project(points, WALK_CAMERA.intrinsics)


def track(name="person 1", seed=0, num_frames=12, **fields):
    """Returns a track of which everything is known."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.1, 1, (2, num_frames, 17))
    known = {
        "pose": pose(num_frames, seed),
        "confidence": confidence[0],
        "uncertainty": rng.uniform(0, 0.1, (num_frames, 17)),
        "keypoints_2d": rng.uniform(0, 1000, (num_frames, 17, 2)),
        "keypoint_confidence": confidence[1],
    }
    return pose_clip.Track(name=name, **known | fields)


def clip(*tracks, **fields):
    """Returns a clip of one person unless told otherwise."""
    stated = {"space": "world", "frame_rate": 50.0, "first_frame": 3, "image_size": (640, 480)}
    return pose_clip.PoseClip(tracks=tracks or (track(),), **stated | fields)


def hidden(values, *places):
    """Returns a copy in which `(frame, joint)` are NaN."""
    copy = values.copy()
    for place in places:
        copy[place] = np.nan
    return copy


def assert_same(first, second, *, meters=0.0, pixels=0.0, share=0.0):
    """Holds that two clips are one, but for the stated rounding."""
    for name in ("space", "frame_rate", "first_frame", "joint_names", "parents", "image_size"):
        assert getattr(first, name) == getattr(second, name), name
    assert first.about == second.about
    assert len(first.tracks) == len(second.tracks)
    tolerance = {"pose": meters, "uncertainty": meters, "keypoints_2d": pixels}
    for left, right in zip(first.tracks, second.tracks, strict=True):
        assert (left.name, left.is_reference) == (right.name, right.is_reference)
        for name in ("pose", "confidence", "uncertainty", "keypoints_2d", "keypoint_confidence"):
            one, other = getattr(left, name), getattr(right, name)
            assert (one is None) == (other is None), name
            if one is not None:
                np.testing.assert_allclose(one, other, rtol=0, atol=tolerance.get(name, share))
