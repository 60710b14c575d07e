"""Named joint sets, and how one becomes another.

The library's own set is Human3.6M's 17 joints. A converter builds each of its joints as the mean
of one or more joints of a detector's set; in 2D the mean of two image points stands for the
projection of the mean of two points in space, which is exact up to perspective.

A joint has the same name in every set, as far as the sets agree on where it is.
"""

import dataclasses
import functools
import math
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mvlift import errors


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """A named, ordered joint set.

    Attributes:
        name: The name it is known by in files and configs.
        joints: The joints' names, in order; those of a side have its name in theirs.
        parents: Each joint's parent as an index, -1 for the root; empty where no tree is defined.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...] = ()

    @property
    def num_joints(self) -> int:
        """The number of joints, `J`."""
        return len(self.joints)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """The bones as pairs (parent, child) of joint indices."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)

    @property
    def left(self) -> tuple[int, ...]:
        """The joints of the left side, as indices."""
        return tuple(index for index, joint in enumerate(self.joints) if "left" in joint)

    @property
    def right(self) -> tuple[int, ...]:
        """Their mirror images, in the same order."""
        images = mirror_images(self.joints)
        return tuple(images[index] for index in self.left)


_ARM, _LEG, _FOOT = "shoulder elbow wrist", "hip knee ankle", "big_toe small_toe heel"
_EYE = "eye_inner eye eye_outer"


def _of(side: str, parts: str) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for part in parts.split())


def _of_both(parts: str) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for part in parts.split() for side in ("left", "right"))


ROOT = 0
"""The index of the pelvis in `H36M_17`."""

H36M_17 = Skeleton(
    name="h36m_17",
    joints=(
        *("pelvis", *_of("right", _LEG), *_of("left", _LEG)),
        *("spine", "thorax", "nose", "head", *_of("left", _ARM), *_of("right", _ARM)),
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)

COCO_17 = Skeleton("coco_17", ("nose", *_of_both(f"eye ear {_ARM} {_LEG}")))
"""COCO's keypoints, AlphaPose's and MMPose's default."""

_FEET = (*_of("left", _FOOT), *_of("right", _FOOT))
_ARMS, _LEGS = ((*_of("right", limb), *_of("left", limb)) for limb in (_ARM, _LEG))
_EYES_AND_EARS = ("right_eye", "left_eye", "right_ear", "left_ear")

BODY_25 = Skeleton("body_25", ("nose", "neck", *_ARMS, "pelvis", *_LEGS, *_EYES_AND_EARS, *_FEET))
"""OpenPose's default."""

BODY_25B = Skeleton("body_25b", (*COCO_17.joints, "neck", "head", *_FEET))
"""OpenPose's experimental set: COCO's, and neck, top of the head and feet."""

HALPE_26 = Skeleton("halpe_26", (*COCO_17.joints, "head", "neck", "pelvis", *_of_both(_FOOT)))
"""Halpe's body: COCO's, and head, neck, pelvis and feet; RTMPose's and AlphaPose's."""

MEDIAPIPE_33 = Skeleton(
    "mediapipe_33",
    (
        *("nose", *_of("left", _EYE), *_of("right", _EYE)),
        *("left_ear", "right_ear", "mouth_left", "mouth_right"),
        *_of_both(f"{_ARM} pinky index thumb {_LEG} heel foot_index"),
    ),
)
"""MediaPipe Pose's landmarks."""

COCO_18 = Skeleton("coco_18", ("nose", "neck", *_ARMS, *_LEGS, *_EYES_AND_EARS))
"""OpenPose's COCO model."""

# Of which no joint of a body is made.
_FACE_AND_HANDS = tuple(
    f"{part}_{number}"
    for part, count in (("face", 68), ("left_hand", 21), ("right_hand", 21))
    for number in range(count)
)

COCO_133 = Skeleton("coco_133", (*COCO_17.joints, *_FEET, *_FACE_AND_HANDS))
"""COCO-WholeBody: COCO's, feet, face and hands; RTMW's, DWPose's and Sapiens's."""

HALPE_136 = Skeleton("halpe_136", (*HALPE_26.joints, *_FACE_AND_HANDS))
"""Halpe's whole body: `HALPE_26`, face and hands; AlphaPose's."""

SKELETONS = {
    skeleton.name: skeleton
    for skeleton in (
        *(H36M_17, COCO_17, COCO_18, BODY_25, BODY_25B, HALPE_26, MEDIAPIPE_33),
        *(COCO_133, HALPE_136),
    )
}

# How a joint is made where the other set has none of that name: the first recipe all of whose
# joints exist there. Where a set has no top of the head, the ears' middle stands for it.
_RECIPES: dict[str, tuple[tuple[str, ...], ...]] = {
    "pelvis": (("left_hip", "right_hip"),),
    "thorax": (("neck",), ("left_shoulder", "right_shoulder")),
    "neck": (("thorax",), ("left_shoulder", "right_shoulder")),
    "spine": (
        ("pelvis", "neck"),
        ("left_hip", "right_hip", "neck", "neck"),
        ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    ),
    "head": (("left_ear", "right_ear"),),
}


class Converter:
    """Turns joints of any named set, in 2D or 3D, into those of another.

    Args:
        joints: The names of the given joints, in their order.
        target: The set to make.

    Raises:
        ValueError: If a joint of `target` cannot be made from them.

    Example:
        >>> Converter(BODY_25B.joints).keypoints(keypoints_2d)  # [..., 25, 2] -> [..., 17, 2]
    """

    def __init__(self, joints: tuple[str, ...], target: Skeleton = H36M_17):
        self.num_joints = len(joints)
        self._weights = np.zeros((target.num_joints, len(joints)))
        for row, joint in zip(self._weights, target.joints, strict=True):
            for part in _parts(joint, joints, target):
                row[joints.index(part)] += 1
        self._weights /= self._weights.sum(axis=1, keepdims=True)

    def keypoints(self, keypoints: np.ndarray) -> np.ndarray:
        """Converts points `[..., K, D]` to `[..., J, D]`, in the same unit and frame."""
        rule = f"have {self.num_joints} joints"
        errors.require(keypoints.shape[-2] == self.num_joints, "keypoints", rule, keypoints.shape)
        return np.einsum("jk,...kd->...jd", self._weights, keypoints)

    def confidence(self, confidence: np.ndarray) -> np.ndarray:
        """Converts confidences `[..., K]` to `[..., J]`: the least of the parts'."""
        used = self._weights > 0
        return np.where(used, confidence[..., np.newaxis, :], np.inf).min(axis=-1)


def by_name(name: str) -> Skeleton:
    """Finds a joint set by its name.

    Raises:
        ValueError: If there is none of that name.
    """
    errors.require_known("skeleton", name, SKELETONS)
    return SKELETONS[name]


_SIDES = {"l": "left", "r": "right"}
_ALIASES = {"mid_hip": "pelvis", "hip": "pelvis", "head_top": "head"}


@functools.cache
def joint_name(written: str) -> str:
    """Returns a joint's name as sets spell it: `left_knee` of `LKnee`, `KNEE_L` and `left knee`.

    Args:
        written: The name as somebody wrote it; it is returned where no set has such a joint.
    """
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", written)]
    words = [_SIDES.get(word, word) for word in words]
    plain, turned = "_".join(words), "_".join([*words[-1:], *words[:-1]])
    glued = f"{_SIDES.get(plain[:1], '')}_{plain[1:]}"
    known = {joint for skeleton in SKELETONS.values() for joint in skeleton.joints}
    candidates = (plain, turned, _ALIASES.get(plain, ""), glued)
    return next((name for name in candidates if name in known), written)


def is_place(points: np.ndarray) -> np.ndarray:
    """Tells which points `[..., D]` are places, `[...]`.

    Detectors write NaN, zeros or -1 throughout for a joint that they did not find, whatever its
    score.
    """
    return ~(np.isnan(points).any(-1) | (points == 0).all(-1) | (points == -1).all(-1))


# Where a body is compact from whichever side it is seen.
_UPPER = ("nose", "eye", "ear", "mouth", "head", "neck", "thorax", "shoulder")
# Of two sets the true one's head and shoulders spread over less than this share of the other's.
_CLEARLY_LESS = 0.75


def by_anatomy(keypoints_2d: np.ndarray, confidence: np.ndarray) -> Skeleton | None:
    """Finds the only set, or of several the one by which head and shoulders are clearly together.

    Read in another set's order, they are limbs and spread over the whole body.

    Args:
        keypoints_2d: `[..., K, 2]`, pixels.
        confidence: `[..., K]`, 0 where not seen.

    Returns:
        The set of `K` joints; None if there is none, or it is not clear which.
    """
    count = confidence.shape[-1]
    known = [skeleton for skeleton in SKELETONS.values() if skeleton.num_joints == count]
    if len(known) < 2:
        return known[0] if known else None
    spreads = [_upper_spread(keypoints_2d, confidence, skeleton) for skeleton in known]
    first, second = np.argsort(spreads)[:2]
    # False for NaN, too.
    return known[first] if spreads[first] < _CLEARLY_LESS * spreads[second] else None


def _upper_spread(keypoints_2d: np.ndarray, confidence: np.ndarray, skeleton: Skeleton) -> float:
    """Returns the mean distance of a set's head and shoulders from their middle, pixels."""
    upper = _upper(skeleton.joints)
    is_seen = (confidence[..., upper] > 0)[..., np.newaxis]
    points = keypoints_2d[..., upper, :]
    count = np.maximum(is_seen.sum(axis=-2, keepdims=True), 1)
    away = points - (points * is_seen).sum(axis=-2, keepdims=True) / count
    apart = np.hypot(away[..., 0], away[..., 1])[is_seen[..., 0] & (count[..., 0] > 2)]
    return float(apart.mean()) if apart.size else np.nan


@functools.cache
def _upper(joints: tuple[str, ...]) -> np.ndarray:
    return np.flatnonzero([any(part in joint for part in _UPPER) for joint in joints])


def convert(
    keypoints: np.ndarray, confidence: np.ndarray, source: str, target: str = H36M_17.name
) -> tuple[np.ndarray, np.ndarray]:
    """Turns a detector's joints into those of another named set.

    Args:
        keypoints: `[..., K, D]`, any unit and frame.
        confidence: `[..., K]`, 0 where not seen.
        source: The name of the set they come in.
        target: The name of the set to make.

    Returns:
        `[..., J, D]` and `[..., J]`; a joint made of several is as sure as the least sure of them.

    Raises:
        ValueError: If a name or the number of joints is wrong, or a joint cannot be made.
    """
    joints = by_name(source).joints
    expected = (*keypoints.shape[:-2], len(joints))
    if keypoints.shape[-2:-1] != (len(joints),) or confidence.shape != expected:
        rule = f"`keypoints` and `confidence` must have the {len(joints)} joints of {source}"
        raise ValueError(f"{rule}. Received: {keypoints.shape} and {confidence.shape}.")
    converter = Converter(joints, by_name(target))
    return converter.keypoints(keypoints), converter.confidence(confidence)


def _parts(joint: str, joints: tuple[str, ...], target: Skeleton) -> tuple[str, ...]:
    for parts in ((joint,), *_RECIPES.get(joint, ())):
        if all(part in joints for part in parts):
            return parts
    rule = f"allow to build {joint!r} of {target.name}"
    raise ValueError(f"`joints` must {rule}. Received: {joints}.")


# Joints that somebody brings, checked.

MOST_PX = 1_000_000
"""What is detected farther from the image's corner is a mistake."""
# Of an array so many views, evenly taken, are looked at for joints in another order.
_MOST_EXAMINED = 64


def check_joints(
    keypoints_2d: Any,
    confidence: Any,
    joint_names: Sequence[str],
    skeleton: str | None = None,
    is_clip: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Checks joints, and turns those of another set into a model's.

    Args:
        keypoints_2d: `[..., K, 2]`, pixels.
        confidence: `[..., K]`, in [0, 1]; None stands for 1.
        joint_names: The model's `J` names.
        skeleton: The set of the `K` joints, by name; None for the model's.
        is_clip: Whether the shape must be `[..., T, K, 2]`, with frames.

    Returns:
        Keypoints `[..., J, 2]` and confidence `[..., J]`, both 0 where a joint was not seen: where
        its confidence is 0 or it is at no place, `is_place`.

    Raises:
        ValueError: If a shape is wrong, a value is infinite or a confidence outside [0, 1].
    """
    given = tuple(joint_names) if skeleton is None else by_name(skeleton).joints
    keypoints = _check_keypoints(keypoints_2d, given, is_clip)
    seen = _check_confidence(confidence, keypoints)
    keypoints = np.where(seen[..., np.newaxis] > 0, keypoints, np.float32(0.0))
    _warn_of_other_order(keypoints, seen, given)
    if skeleton is None:
        return keypoints, seen
    target = Skeleton("the model's joints", tuple(joint_names))
    converter = Converter(given, target)
    seen = converter.confidence(seen)
    made = np.where(seen[..., np.newaxis] > 0, converter.keypoints(keypoints), 0.0)
    return made.astype(np.float32), seen


def _check_keypoints(value: Any, joint_names: Sequence[str], is_clip: bool) -> np.ndarray:
    keypoints = errors.numbers("keypoints_2d", value, np.float32)
    num_joints, axes = len(joint_names), ", T" if is_clip else ""
    if keypoints.ndim < 2 + is_clip or keypoints.shape[-2:] != (num_joints, 2):
        others = [
            name
            for name, known in SKELETONS.items()
            if keypoints.ndim > 1 and known.num_joints == keypoints.shape[-2] != num_joints
        ]
        advice = "".join(f'; for those of {name} give skeleton="{name}"' for name in others)
        raise ValueError(
            f"`keypoints_2d` must have shape [...{axes}, {num_joints}, 2], the joints being "
            f"{', '.join(joint_names)}{advice}. Received: {list(keypoints.shape)}."
        )
    is_far = np.abs(keypoints) > MOST_PX
    if is_far.any():
        rule = f"be finite, within {MOST_PX:,} pixels, or NaN where not seen"
        received = f"{is_far.sum()} of {keypoints.size} values farther, {errors.first(is_far)}"
        raise errors.ArgumentError("keypoints_2d", rule, received)
    return keypoints


def _check_confidence(value: Any, keypoints_2d: np.ndarray) -> np.ndarray:
    """Returns confidences of what is at a place, and 0 elsewhere."""
    shape = keypoints_2d.shape[:-1]
    is_there = is_place(keypoints_2d)
    if value is None:
        return is_there.astype(np.float32)
    checked = errors.numbers("confidence", value, np.float32)
    rule = f"have shape {list(shape)}"
    errors.require(checked.shape == shape, "confidence", rule, list(checked.shape))
    seen = np.where(is_there, checked, np.float32(0.0))
    is_share = (seen >= 0) & (seen <= 1)
    if not is_share.all():
        low, high = seen.min(initial=1), seen.max(initial=0)
        received = f"{low} to {high}, {errors.first(~is_share)}"
        raise errors.ArgumentError("confidence", "lie in [0, 1]", received)
    return seen


def _warn_of_other_order(
    keypoints_2d: np.ndarray, confidence: np.ndarray, joint_names: tuple[str, ...]
) -> None:
    """Warns of joints that by the anatomy come in the order of another set of as many."""
    flat = confidence.reshape(math.prod(confidence.shape[:-1]), confidence.shape[-1])
    step = len(flat) // _MOST_EXAMINED + 1
    points = keypoints_2d.reshape(*flat.shape, 2)[::step]
    likely = by_anatomy(points, flat[::step])
    known = [known.joints for known in SKELETONS.values()]
    if likely is not None and likely.joints != joint_names and joint_names in known:
        first, second = joint_names[:2]
        told = f"`keypoints_2d` look like {likely.name}'s joints, and are read as {first},"
        told += f' {second}, ...: skeleton="{likely.name}" reads them as such.'
        # The caller of `Lifter.lift`.
        warnings.warn(told, errors.InputWarning, stacklevel=5)


# Which joint a joint becomes in a mirror.


def mirror_images(joint_names: tuple[str, ...]) -> tuple[int, ...]:
    """Returns each joint's mirror image as an index; a joint of no side is its own.

    Args:
        joint_names: In which the sides are called left and right.

    Raises:
        ValueError: If a side has a joint that the other has not.
    """
    images = tuple(_other_side(name) for name in joint_names)
    missing = set(images) - set(joint_names)
    if missing:
        raise ValueError(f"`joint_names` must have both sides. Missing: {sorted(missing)}.")
    return tuple(joint_names.index(name) for name in images)


def side(joint: str) -> str:
    """Returns `"left"`, `"right"` or `"middle"`, by a joint's name."""
    return next((side for side in ("left", "right") if side in joint.split("_")), "middle")


def _other_side(name: str) -> str:
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")


# How tall a person is, by the bones.

# From the ankle over knee and hip, and from the pelvis to the thorax, are this share of the height:
# 0.78 by anthropometry, 0.79 of the bodies that the shipped model is trained on.
_LEGS_AND_TRUNK = 0.785


def stature(pose: np.ndarray, joint_names: Sequence[str]) -> np.ndarray:
    """Computes how tall people are, standing, from the lengths of legs and trunk.

    Neither foot nor head counts, where detectors differ most: the mean of both legs, from ankle
    over knee to hip, and the trunk, from pelvis (over spine) to thorax, are 78.5 % of the height.

    Args:
        pose: `[..., J, 3]`, meters, any frame.
        joint_names: `J` names, as those of `H36M_17`; a spine may be lacking.

    Returns:
        `[...]`, meters.

    Raises:
        ValueError: If a joint is lacking.

    References:
        Winter, Biomechanics and Motor Control of Human Movement, 4th ed., figure 4.1.
    """
    trunk = ["pelvis", *(["spine"] if "spine" in joint_names else []), "thorax"]
    legs = [[f"{side}_{part}" for part in ("hip", "knee", "ankle")] for side in ("left", "right")]
    lacking = [name for chain in (trunk, *legs) for name in chain if name not in joint_names]
    if lacking:
        raise errors.ArgumentError("joint_names", "hold legs and trunk", f"no {lacking[0]}")

    def length(chain: list[str]) -> np.ndarray:
        points = pose[..., [list(joint_names).index(name) for name in chain], :]
        return np.linalg.norm(np.diff(points, axis=-2), axis=-1).sum(axis=-1)

    return (length(trunk) + (length(legs[0]) + length(legs[1])) / 2) / _LEGS_AND_TRUNK
