"""Small clips of people that tests show: one who stands, turns and waves."""

import dataclasses

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.lifting import pose_clip

J = skeletons.H36M_17.num_joints
# The right side is at -x; meters, z up.
STANDING = np.array(
    [
        *((0, 0, 0.9), (-0.1, 0, 0.9), (-0.1, 0, 0.5), (-0.1, 0, 0.1)),
        *((0.1, 0, 0.9), (0.1, 0, 0.5), (0.1, 0, 0.1)),
        *((0, 0, 1.15), (0, 0, 1.4), (0, -0.1, 1.5), (0, 0, 1.6)),
        *((0.2, 0, 1.4), (0.4, 0, 1.2), (0.5, 0, 1.0)),
        *((-0.2, 0, 1.4), (-0.4, 0, 1.2), (-0.5, 0, 1.0)),
    ]
)
IMAGE_SIZE = (640, 480)
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)


def pose(num_frames=12, shift=(0.0, 0.0, 0.0)):
    """`[T, 17, 3]`, meters in the world; the left wrist rises."""
    poses = np.tile(STANDING, (num_frames, 1, 1)) + shift
    poses[:, 13, 2] += np.linspace(0, 0.8, num_frames)
    return poses


def track(name="person 1", num_frames=12, shift=(0.0, 0.0, 0.0), **fields):
    poses = pose(num_frames, shift)
    keypoints = np.stack([320 + 150 * poses[..., 0], 400 - 200 * poses[..., 2]], axis=-1)
    given = {
        "pose": poses,
        "confidence": np.full((num_frames, J), 0.9),
        "keypoints_2d": keypoints,
        "keypoint_confidence": np.full((num_frames, J), 0.8),
    }
    return pose_clip.Track(name=name, **(given | fields))


def clip(*tracks, **fields):
    given = {"space": "world", "frame_rate": 30.0, "image_size": IMAGE_SIZE}
    return pose_clip.PoseClip(tracks=tracks or (track(),), **(given | fields))


def compared(num_frames=12):
    """Two models' results of one input, and the reference: 0 and about 24 mm away from it."""
    wrong = track("paper", num_frames)
    bent = wrong.pose.copy()
    # 400 mm at one of 17 joints.
    bent[:, 10, 0] += 0.4
    return clip(
        track("ray root", num_frames),
        dataclasses.replace(wrong, pose=bent),
        pose_clip.Track(name="reference", pose=pose(num_frames), is_reference=True),
        about={"model": "paper", "camera": "cam01"},
    )
