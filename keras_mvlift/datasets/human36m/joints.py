"""Human3.6M's joints: the 32 of its motion capture, and the 17 of them that move.

The 17 are `skeletons.H36M_17` in its own order; what is called "neck" or "nose" there is the same
joint. The other 15 lie on one of them or are ends of hands and feet that nobody uses.
"""

import numpy as np

from keras_mvlift import skeletons

NUM_RAW_JOINTS = 32

FROM_RAW = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""The place of each joint of `H36M_17` among the 32."""

# For each of the 32, the joint of `H36M_17` that it is, or whose place it takes in `to_raw`: toes
# that of the ankle, hands that of the wrist, collars that of the thorax.
_TO_RAW = (
    *(0, 1, 2, 3, 3, 3, 4, 5, 6, 6, 6, 0, 7, 8, 9, 10),
    *(8, 11, 12, 13, 13, 13, 13, 13, 8, 14, 15, 16, 16, 16, 16, 16),
)

HOURGLASS_16 = skeletons.Skeleton(
    name="hourglass_16",
    joints=(
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "spine",
        "thorax",
        "head",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    ),
)
"""The joints of Stacked Hourglass detectors, in MPII's order; there is no nose among them."""

_FROM_HOURGLASS = tuple(skeletons.H36M_17.joints.index(joint) for joint in HOURGLASS_16.joints)


def from_raw(points: np.ndarray) -> np.ndarray:
    """Takes the 17 joints `[..., 17, D]` out of the 32 `[..., 32, D]`."""
    return points[..., FROM_RAW, :]


def to_raw(points: np.ndarray) -> np.ndarray:
    """Lays 17 joints `[..., 17, D]` out as 32 `[..., 32, D]`; the others repeat a neighbor."""
    return points[..., _TO_RAW, :]


def from_hourglass(keypoints: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lays out Stacked Hourglass joints as `H36M_17`; the nose, which it lacks, is not seen.

    Args:
        keypoints: `[..., 16, D]`.
        confidence: `[..., 16]`.

    Returns:
        `[..., 17, D]` and `[..., 17]`, both 0 at the nose.
    """
    num_joints = skeletons.H36M_17.num_joints
    points = np.zeros((*keypoints.shape[:-2], num_joints, keypoints.shape[-1]))
    seen = np.zeros((*confidence.shape[:-1], num_joints))
    points[..., _FROM_HOURGLASS, :] = keypoints
    seen[..., _FROM_HOURGLASS] = confidence
    return points, seen


def to_hourglass(keypoints: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverts `from_hourglass`; what it says of the nose is lost."""
    return keypoints[..., _FROM_HOURGLASS, :], confidence[..., _FROM_HOURGLASS]
