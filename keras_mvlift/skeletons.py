"""Named joint sets, and how one becomes another.

The library's own set is Human3.6M's 17 joints. A converter builds each of its joints as the mean
of one or more joints of a detector's set; in 2D the mean of two image points stands for the
projection of the mean of two points in space, which is exact up to perspective.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """A named, ordered joint set.

    Attributes:
        name: The name it is known by in files and configs.
        joints: The joints' names, in order.
        parents: Each joint's parent as an index, -1 for the root; empty where no tree is defined.
        left: The joints of the left side, as indices.
        right: Their mirror images, in the same order.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...] = ()
    left: tuple[int, ...] = ()
    right: tuple[int, ...] = ()

    @property
    def num_joints(self) -> int:
        """The number of joints, `J`."""
        return len(self.joints)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """The bones as pairs (parent, child) of joint indices."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)


ROOT = 0
"""The index of the pelvis in `H36M_17`."""

H36M_17 = Skeleton(
    name="h36m_17",
    joints=(
        "pelvis",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
        "spine",
        "thorax",
        "nose",
        "head",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
    left=(4, 5, 6, 11, 12, 13),
    right=(1, 2, 3, 14, 15, 16),
)

_COCO_17 = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
_FEET = (
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
)

BODY_25 = Skeleton(
    name="body_25",
    joints=(
        "nose",
        "neck",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "pelvis",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_eye",
        "left_eye",
        "right_ear",
        "left_ear",
        *_FEET,
    ),
)

BODY_25B = Skeleton(name="body_25b", joints=(*_COCO_17, "neck", "head", *_FEET))

SKELETONS = {skeleton.name: skeleton for skeleton in (H36M_17, BODY_25, BODY_25B)}

# How a joint of `H36M_17` is made where the other set has none of that name: the first recipe all
# of whose joints exist there. BODY_25 has no top of the head; the ears' middle stands for it.
_RECIPES: dict[str, tuple[tuple[str, ...], ...]] = {
    "pelvis": (("left_hip", "right_hip"),),
    "thorax": (("neck",), ("left_shoulder", "right_shoulder")),
    "spine": (
        ("pelvis", "neck"),
        ("left_hip", "right_hip", "neck", "neck"),
        ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    ),
    "head": (("left_ear", "right_ear"),),
}


class Converter:
    """Turns joints of any named set, in 2D or 3D, into those of `H36M_17`.

    Args:
        joints: The names of the given joints, in their order.

    Raises:
        ValueError: If a joint of `H36M_17` cannot be made from them.

    Example:
        >>> Converter(BODY_25B.joints).keypoints(keypoints_2d)  # [..., 25, 2] -> [..., 17, 2]
    """

    def __init__(self, joints: tuple[str, ...]):
        self.num_joints = len(joints)
        self._weights = np.zeros((H36M_17.num_joints, len(joints)))
        for row, joint in zip(self._weights, H36M_17.joints, strict=True):
            for part in _parts(joint, joints):
                row[joints.index(part)] += 1
        self._weights /= self._weights.sum(axis=1, keepdims=True)

    def keypoints(self, keypoints: np.ndarray) -> np.ndarray:
        """Converts points `[..., K, D]` to `[..., 17, D]`, in the same unit and frame."""
        if keypoints.shape[-2] != self.num_joints:
            raise ValueError(
                f"`keypoints` must have {self.num_joints} joints. Received: {keypoints.shape}."
            )
        return np.einsum("jk,...kd->...jd", self._weights, keypoints)

    def confidence(self, confidence: np.ndarray) -> np.ndarray:
        """Converts confidences `[..., K]` to `[..., 17]`: the least of the parts'."""
        used = self._weights > 0
        return np.where(used, confidence[..., np.newaxis, :], np.inf).min(axis=-1)


def _parts(joint: str, joints: tuple[str, ...]) -> tuple[str, ...]:
    for parts in ((joint,), *_RECIPES.get(joint, ())):
        if all(part in joints for part in parts):
            return parts
    raise ValueError(f"`joints` must allow to build {joint!r} of h36m_17. Received: {joints}.")
