"""The joints of any named set, put on a body of the studio's, which has `H36M_17`'s."""

import re

import numpy as np

from keras_mvlift import skeletons

# Joints that the studio's bodies lack: near which of theirs, and how far off, in meters to the
# body's front, to its joint's own side and up. An asterisk stands for the side.
_NEAR = {
    "neck": ("thorax", (0.0, 0.0, 0.0)),
    "*_eye_inner": ("nose", (0.0, 0.02, 0.04)),
    "*_eye": ("nose", (0.0, 0.03, 0.04)),
    "*_eye_outer": ("nose", (-0.01, 0.04, 0.04)),
    "*_ear": ("nose", (-0.09, 0.07, 0.02)),
    "mouth_*": ("nose", (-0.01, 0.02, -0.05)),
    "*_pinky": ("*_wrist", (0.0, 0.02, -0.08)),
    "*_index": ("*_wrist", (0.03, 0.0, -0.09)),
    "*_thumb": ("*_wrist", (0.04, 0.0, -0.05)),
    "*_heel": ("*_ankle", (-0.05, 0.0, -0.06)),
    "*_big_toe": ("*_ankle", (0.15, -0.02, -0.06)),
    "*_small_toe": ("*_ankle", (0.12, 0.05, -0.06)),
    "*_foot_index": ("*_ankle", (0.15, 0.0, -0.06)),
    "face": ("nose", (0.03, 0.0, 0.0)),
    "*_hand": ("*_wrist", (0.05, 0.0, -0.05)),
}
# Meters between the numbered joints of a face or hand, which lie in rows of so many.
_PITCH, _ROW = 0.007, 9
_UP = np.array([0.0, 0.0, 1.0])


def joints(pose_world, skeleton):
    """Puts the joints of a set of `skeletons.SKELETONS`, `[T, K, 3]`, on a body, `[T, 17, 3]`.

    Both are in meters, z up.
    """
    index = skeletons.H36M_17.joints.index
    across = pose_world[:, index("left_hip")] - pose_world[:, index("right_hip")]
    left = across / np.linalg.norm(across, axis=-1, keepdims=True)
    front = np.cross(left, _UP)

    def place(joint):
        if joint in skeletons.H36M_17.joints:
            return pose_world[:, index(joint)]
        side = next((side for side in ("left", "right") if side in joint), "")
        part, number = re.sub(r"_\d+$", "", joint), re.search(r"\d+$", joint)
        row, column = divmod(int(number.group()) if number else 0, _ROW)
        anchor, (ahead, aside, above) = _NEAR[re.sub("left|right", "*", part)]
        aside, above = aside + _PITCH * column, above - _PITCH * row
        outward = aside if side == "left" else -aside
        return place(anchor.replace("*", side)) + ahead * front + outward * left + above * _UP

    return np.stack([place(joint) for joint in skeleton.joints], axis=1)
