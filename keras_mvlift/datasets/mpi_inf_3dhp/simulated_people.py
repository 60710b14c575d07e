"""What the simulated release shows: the studio's people, with this set's 28 joints."""

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import motions, people
from keras_mvlift.datasets.mpi_inf_3dhp import joints

SEQUENCE_ACTIONS = {
    "Seq1": ("walking", "jumping_jacks", "sitting", "squatting"),
    "Seq2": ("bending", "boxing", "phoning", "gesturing"),
}
"""What stands for the four activities of each training sequence, in turn."""

ACTIVITY_ACTIONS = {
    1: "walking",
    2: "jumping_jacks",
    3: "sitting",
    4: "reaching",
    5: "bending",
    6: "boxing",
    7: "waving",
}
"""What stands for each activity of the test set."""

# Joints that the studio does not have, on the line from one that it has to another: the share of
# the way, beyond 1 for extremities.
_BETWEEN = {
    "spine2": ("spine", "neck", 0.3),
    "spine3": ("spine", "neck", 0.6),
    "spine4": ("spine", "neck", 0.85),
    "left_clavicle": ("neck", "left_shoulder", 0.2),
    "right_clavicle": ("neck", "right_shoulder", 0.2),
    "left_hand": ("left_elbow", "left_wrist", 1.3),
    "right_hand": ("right_elbow", "right_wrist", 1.3),
}
# From the ankle, ahead and down, meters.
_FEET = {"foot": (0.12, 0.05), "toe": (0.2, 0.06)}


def perform(
    actions: tuple[str, ...],
    person: people.Person,
    num_frames: int,
    frame_rate: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Lets a person perform actions one after the other, each for the same time.

    Args:
        actions: Names of `datasets.actions.ACTIONS`.
        person: The body.
        num_frames: `T`, of all together.
        frame_rate: Frames per second.
        rng: Random numbers.

    Returns:
        `[T, 17, 3]`, meters, world frame with z up, and the index of each frame's action, `[T]`.
    """
    turn = np.arange(num_frames) * len(actions) // num_frames
    parts = [
        motions.perform(action, person, int(length), frame_rate, rng)
        for action, length in zip(actions, np.bincount(turn, minlength=len(actions)), strict=True)
        if length
    ]
    return np.concatenate(parts), turn


def with_28_joints(pose: np.ndarray) -> np.ndarray:
    """Adds the joints that `H36M_17` has not, at plausible places.

    Args:
        pose: `[T, 17, 3]`, meters, a frame with z up.

    Returns:
        `[T, 28, 3]`, in the order of `joints.ALL_28`.
    """
    filled = np.zeros((len(pose), len(joints.ALL_28), 3))
    filled[:, joints.H36M_FROM_28] = pose
    index = joints.ALL_28.index
    for joint, (start, end, share) in _BETWEEN.items():
        way = filled[:, index(end)] - filled[:, index(start)]
        filled[:, index(joint)] = filled[:, index(start)] + share * way
    left = filled[:, index("left_hip")] - filled[:, index("right_hip")]
    ahead = np.cross(left, [0.0, 0.0, 1.0])
    ahead /= np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-6)
    for side in ("left", "right"):
        for joint, (length, drop) in _FEET.items():
            step = length * ahead - [0.0, 0.0, drop]
            filled[:, index(f"{side}_{joint}")] = filled[:, index(f"{side}_ankle")] + step
    return filled


def universal(pose_camera: np.ndarray, person: people.Person) -> np.ndarray:
    """Scales poses about their pelvis to the size of the universal skeleton.

    Args:
        pose_camera: `[..., 28, 3]`, in any unit and frame.
        person: Whose poses they are.
    """
    own = person.bone_lengths[[skeletons.H36M_17.joints.index(joint) for joint in _HEIGHT]].sum()
    pelvis = pose_camera[..., [joints.ALL_28.index("pelvis")], :]
    return pelvis + (pose_camera - pelvis) * (_UNIVERSAL_HEIGHT / own)


# From ankle to neck, meters: less than nearly everybody's, so that nobody's universal poses can be
# taken for the metric ones.
_HEIGHT = ("left_knee", "left_ankle", "spine", "thorax")
_UNIVERSAL_HEIGHT = 1.25
