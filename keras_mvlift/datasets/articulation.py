"""How a body bends: degrees of freedom with anatomical limits, and the poses they give.

The body frame has x forward, y to the left and z up. At zero angles a person stands upright with
the arms hanging down. Each bone has a frame, its parent's turned by the bone's own angles.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from keras_mvlift import skeletons

_JOINTS = skeletons.H36M_17.joints
_PARENTS = skeletons.H36M_17.parents
_LEGS = [_JOINTS.index(f"{side}_{end}") for side in ("left", "right") for end in ("knee", "ankle")]
# Meters. Two joints nearer than this have no direction between them.
_MIN_LENGTH = 1e-9
_AXES = {"x": 0, "y": 1, "z": 2}


class Degree(NamedTuple):
    """A degree of freedom.

    Attributes:
        joint: The joint in which the bone that turns ends.
        axis: The axis of the bone's frame about which it turns, signed so that the named
            movement is positive.
        low: The limit of the movement, degrees.
        high: The other limit, degrees.
    """

    joint: str
    axis: str
    low: float
    high: float


_MIDDLE = {
    "tilt": Degree("pelvis", "+y", -25, 90),
    "roll": Degree("pelvis", "-x", -20, 20),
    "lower_spine_flexion": Degree("spine", "+y", -20, 40),
    "lower_spine_bend": Degree("spine", "-x", -25, 25),
    "lower_spine_twist": Degree("spine", "+z", -20, 20),
    "upper_spine_flexion": Degree("thorax", "+y", -15, 40),
    "upper_spine_bend": Degree("thorax", "-x", -25, 25),
    "upper_spine_twist": Degree("thorax", "+z", -35, 35),
    "neck_flexion": Degree("nose", "+y", -45, 50),
    "neck_bend": Degree("nose", "-x", -35, 35),
    "neck_twist": Degree("nose", "+z", -70, 70),
    "head_nod": Degree("head", "+y", -20, 25),
}
# As of the left side; x and z are mirrored for the right one. Rotation is inwards.
_SIDED = {
    "clavicle_elevation": Degree("shoulder", "+x", -10, 35),
    "clavicle_protraction": Degree("shoulder", "-z", -20, 25),
    "shoulder_flexion": Degree("elbow", "-y", -50, 175),
    "shoulder_abduction": Degree("elbow", "+x", -30, 170),
    "shoulder_rotation": Degree("elbow", "-z", -90, 90),
    "elbow_flexion": Degree("wrist", "-y", 0, 150),
    "hip_flexion": Degree("knee", "-y", -25, 125),
    "hip_abduction": Degree("knee", "+x", -25, 45),
    "hip_rotation": Degree("knee", "-z", -40, 40),
    "knee_flexion": Degree("ankle", "+y", 0, 145),
}


def _on_side(side: str, degree: Degree) -> Degree:
    joint, axis = f"{side}_{degree.joint}", degree.axis
    if side == "right" and not axis.endswith("y"):
        axis = axis.translate(str.maketrans("+-", "-+"))
    return degree._replace(joint=joint, axis=axis)


DEGREES_OF_FREEDOM = _MIDDLE | {
    f"{side}_{name}": _on_side(side, degree)
    for side in ("left", "right")
    for name, degree in _SIDED.items()
}
"""All degrees of freedom by name; those of one bone in the order in which they turn it."""

_BY_JOINT = {
    joint: [(name, degree) for name, degree in DEGREES_OF_FREEDOM.items() if degree.joint == joint]
    for joint in _JOINTS
}


def _rest_directions() -> np.ndarray:
    """Gives the direction of each bone in its frame, `[J, 3]`, unit length, 0 for the root."""
    written = {
        "spine": (-0.05, 0.0, 1.0),
        "thorax": (0.0, 0.0, 1.0),
        "nose": (0.45, 0.0, 1.0),
        "head": (-0.3, 0.0, 1.0),
        "hip": (0.0, 1.0, 0.0),
        "shoulder": (0.0, 1.0, -0.1),
    }
    rest = np.array([written.get(joint.split("_")[-1], (0.0, 0.0, -1.0)) for joint in _JOINTS])
    rest[list(skeletons.H36M_17.right), 1] *= -1.0
    rest[skeletons.ROOT] = 0.0
    return rest / np.maximum(np.linalg.norm(rest, axis=-1, keepdims=True), _MIN_LENGTH)


_REST_DIRECTIONS = _rest_directions()


def limited(angles: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keeps angles, radians, within the limits of their degrees of freedom.

    Raises:
        ValueError: If a name is not one of `DEGREES_OF_FREEDOM`.
    """
    unknown = sorted(set(angles) - set(DEGREES_OF_FREEDOM))
    if unknown:
        raise ValueError(f"`angles` must be degrees of freedom by name. Received: {unknown}.")
    limits = {name: DEGREES_OF_FREEDOM[name][2:] for name in angles}
    return {name: np.clip(angle, *np.radians(limits[name])) for name, angle in angles.items()}


def pose(
    angles: Mapping[str, np.ndarray], heading: np.ndarray, bone_lengths: np.ndarray
) -> np.ndarray:
    """Bends a body: forward kinematics, within the anatomical limits.

    Args:
        angles: Degrees of freedom by name, each `[T]`, radians; 0 where not given. Angles beyond
            a limit are held at the limit.
        heading: `[T]`, radians, counter-clockwise from the world's x to the body's x.
        bone_lengths: `[J]`, meters, as in `people.Person`.

    Returns:
        `[T, J, 3]`, meters, world axes, z up, pelvis at the origin.

    Raises:
        ValueError: If a name is not one of `DEGREES_OF_FREEDOM`.
    """
    held = limited(angles)
    frames: list[np.ndarray] = []
    points = np.zeros((len(heading), len(_JOINTS), 3))
    upright = _turn(np.broadcast_to(np.eye(3), (len(heading), 3, 3)), "+z", heading)
    for index, (joint, parent) in enumerate(zip(_JOINTS, _PARENTS, strict=True)):
        frame = upright if parent < 0 else frames[parent]
        for name, degree in _BY_JOINT[joint]:
            if name in held:
                frame = _turn(frame, degree.axis, held[name])
        frames.append(frame)
        if parent >= 0:
            bone = frame @ (bone_lengths[index] * _REST_DIRECTIONS[index])
            points[:, index] = points[:, parent] + bone
    return points


def reproportion(motion: np.ndarray, bone_lengths: np.ndarray) -> np.ndarray:
    """Gives a motion to another body: the directions of its bones stay, their lengths change.

    Args:
        motion: `[T, J, 3]`, meters, any frame whose origin lies on the floor.
        bone_lengths: `[J]`, meters, as in `people.Person`.

    Returns:
        `[T, J, 3]`, meters, same frame. The pelvis' path grows with the legs, so that feet which
        stood stand.
    """
    parents = [max(parent, skeletons.ROOT) for parent in _PARENTS]
    bones = motion.astype(np.float64) - motion[:, parents]
    lengths = np.linalg.norm(bones, axis=-1)
    growth = bone_lengths[_LEGS].sum() / lengths[:, _LEGS].mean(axis=0).sum()
    bones *= (bone_lengths / np.maximum(lengths, _MIN_LENGTH))[..., np.newaxis]
    points = motion * growth
    for parent, child in skeletons.H36M_17.bones:
        points[:, child] = points[:, parent] + bones[:, child]
    return points


def _turn(frame: np.ndarray, axis: str, angle: np.ndarray) -> np.ndarray:
    """Turns frames `[T, 3, 3]`, whose columns are axes, about one of their own axes."""
    first = (_AXES[axis[1]] + 1) % 3
    second = (first + 1) % 3
    signed = (angle if axis[0] == "+" else -angle)[:, np.newaxis]
    cosine, sine = np.cos(signed), np.sin(signed)
    turned = frame.copy()
    turned[..., first] = cosine * frame[..., first] + sine * frame[..., second]
    turned[..., second] = cosine * frame[..., second] - sine * frame[..., first]
    return turned
