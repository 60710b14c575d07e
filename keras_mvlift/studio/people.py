"""The bodies of the studio's people, and how their joints turn."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences

MEAN_HEIGHT = 1.70
HEIGHT_SPREAD = 0.08
HEIGHT_LIMITS = (1.45, 1.98)
# Together with the spread of heights, a limb's length varies by 5 to 6 % between people.
LIMB_SPREAD = 0.03
GIRTH_SPREAD = 0.12

# Bone lengths as shares of the height, for joints placed as Human3.6M places them: its "neck" is
# at the nose and its "head" at the top of the head.
_SHARE_OF_HEIGHT = {
    "hip": 0.077,
    "knee": 0.257,
    "ankle": 0.262,
    "spine": 0.135,
    "thorax": 0.149,
    "nose": 0.070,
    "head": 0.067,
    "shoulder": 0.088,
    "elbow": 0.162,
    "wrist": 0.146,
}


class Person(NamedTuple):
    """A body."""

    bone_lengths: np.ndarray  # [J], meters; of the bone that ends in each joint, 0 for the root.
    girth: float  # How thick limbs and torso are, 1 for the mean.


def draw_person(seed: int, subject: str) -> Person:
    """Draws a subject's body; the same for the same seed, not negative, and name."""
    rng = sequences.seeded_generator(seed, "person", subject)
    height = np.clip(rng.normal(MEAN_HEIGHT, HEIGHT_SPREAD), *HEIGHT_LIMITS)
    own = np.exp(rng.normal(0.0, LIMB_SPREAD, len(_SHARE_OF_HEIGHT)))
    length = dict(
        zip(_SHARE_OF_HEIGHT, height * own * list(_SHARE_OF_HEIGHT.values()), strict=True)
    )
    # Left and right share one entry, which makes the body symmetric.
    ends = [joint.split("_")[-1] for joint in skeletons.H36M_17.joints]
    girth = float(np.exp(rng.normal(0.0, GIRTH_SPREAD)))
    return Person(np.array([length.get(end, 0.0) for end in ends]), girth)


# How a body bends: degrees of freedom with anatomical limits, and the poses they give.
#
# The body frame has x forward, y to the left and z up. At zero angles a person stands upright with
# the arms hanging down. Each bone has a frame, its parent's turned by the bone's own angles.

_JOINTS = skeletons.H36M_17.joints
_PARENTS = skeletons.H36M_17.parents
_LEGS = [_JOINTS.index(f"{side}_{end}") for side in ("left", "right") for end in ("knee", "ankle")]
# Meters. Two joints nearer than this have no direction between them.
_MIN_LENGTH = 1e-9
_AXES = {"x": 0, "y": 1, "z": 2}


class Degree(NamedTuple):
    """A degree of freedom, with its limits in degrees, of the bone that ends in a joint.

    The axis is the one of the bone's frame about which it turns, signed so that the named movement
    is positive.
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


# The direction of each bone in its frame, `[J, 3]`, of unit length, 0 for the root.
_WRITTEN = {
    "spine": (-0.05, 0.0, 1.0),
    "thorax": (0.0, 0.0, 1.0),
    "nose": (0.45, 0.0, 1.0),
    "head": (-0.3, 0.0, 1.0),
    "hip": (0.0, 1.0, 0.0),
    "shoulder": (0.0, 1.0, -0.1),
}
_REST = np.array([_WRITTEN.get(joint.split("_")[-1], (0.0, 0.0, -1.0)) for joint in _JOINTS])
_REST[list(skeletons.H36M_17.right), 1] *= -1.0
_REST[skeletons.ROOT] = 0.0
_REST /= np.maximum(np.linalg.norm(_REST, axis=-1, keepdims=True), _MIN_LENGTH)


def pose_of_angles(
    angles: Mapping[str, np.ndarray], heading: np.ndarray, bone_lengths: np.ndarray
) -> np.ndarray:
    """Bends a body: forward kinematics, within the anatomical limits.

    Args:
        angles: Degrees of freedom by name, each `[T]`, radians; 0 where not given.
        heading: `[T]`, radians, counter-clockwise from the world's x to the body's x.
        bone_lengths: `[J]`, meters, as in `Person`.

    Returns:
        `[T, J, 3]`, meters, world axes, z up, pelvis at the origin.

    Raises:
        ValueError: If a name is not one of `DEGREES_OF_FREEDOM`.
    """
    unknown = sorted(set(angles) - set(DEGREES_OF_FREEDOM))
    errors.require(not unknown, "angles", "be degrees of freedom by name", unknown)
    frames: list[np.ndarray] = []
    points = np.zeros((len(heading), len(_JOINTS), 3))
    upright = _turn(np.broadcast_to(np.eye(3), (len(heading), 3, 3)), "+z", heading)
    for index, (joint, parent) in enumerate(zip(_JOINTS, _PARENTS, strict=True)):
        frame = upright if parent < 0 else frames[parent]
        for name, degree in _BY_JOINT[joint]:
            if name in angles:
                held = np.clip(angles[name], *np.radians([degree.low, degree.high]))
                frame = _turn(frame, degree.axis, held)
        frames.append(frame)
        if parent >= 0:
            bone = frame @ (bone_lengths[index] * _REST[index])
            points[:, index] = points[:, parent] + bone
    return points


def reproportion(motion: np.ndarray, bone_lengths: np.ndarray) -> np.ndarray:
    """Puts another body into a motion: the directions of its bones stay, their lengths change.

    Motions are `[T, J, 3]`, meters, of any frame whose origin lies on the floor, and the lengths
    those of a `Person`. The pelvis' path grows with the legs, so that feet which stood stand.
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


# Parts of a posture, in degrees, from which actions are put together.

Angle = np.ndarray | float  # Degrees, `[T]` or one number for the whole clip.

Posture = dict[str, Angle]
"""Degrees of freedom by name, of `DEGREES_OF_FREEDOM`."""

# The scapulohumeral rhythm: above this angle of the arm the shoulder girdle comes along.
_GIRDLE_ANGLE = 60.0
_GIRDLE_SHARE = 0.25


def arm(
    side: str, flexion: Angle, abduction: Angle, *, elbow: Angle, rotation: Angle = 15.0
) -> Posture:
    """Poses an arm: upper arm forward and out, turned inwards, elbow bent."""
    raised = np.maximum(np.maximum(flexion, abduction) - _GIRDLE_ANGLE, 0.0)
    return {
        f"{side}_clavicle_elevation": _GIRDLE_SHARE * raised,
        f"{side}_shoulder_flexion": flexion,
        f"{side}_shoulder_abduction": abduction,
        f"{side}_shoulder_rotation": rotation,
        f"{side}_elbow_flexion": elbow,
    }


def leg(
    side: str, thigh: Angle, knee: Angle, *, abduction: Angle = 4.0, rotation: Angle = -6.0
) -> Posture:
    """Poses a leg of an upright body: thigh forward and out, turned inwards, knee bent."""
    return {
        f"{side}_hip_flexion": thigh,
        f"{side}_hip_abduction": abduction,
        f"{side}_hip_rotation": rotation,
        f"{side}_knee_flexion": knee,
    }


def lean(posture: Posture, tilt: Angle) -> Posture:
    """Tilts the pelvis forward and lets the legs stay where they were."""
    hips = {f"{side}_hip_flexion": posture[f"{side}_hip_flexion"] + tilt for side in _SIDES}
    return posture | hips | {"tilt": tilt}


class Clock:
    """The time of one clip of `num_frames`, `T`, and the dice thrown for it."""

    def __init__(self, num_frames: int, frame_rate: float, rng: np.random.Generator):
        self.seconds = np.arange(num_frames) / frame_rate
        self.frame_rate = frame_rate
        self.rng = rng

    def uniform(self, low: float, high: float) -> float:
        """Draws one number for the whole clip."""
        return float(self.rng.uniform(low, high))

    def sides(self) -> tuple[str, str]:
        """Draws the order of "left" and "right"."""
        return ("left", "right") if self.rng.random() < 0.5 else ("right", "left")

    def phase(self, low: float, high: float) -> np.ndarray:
        """Returns a phase `[T]`, radians, of a frequency from [low, high], Hz.

        The start is random, and the pace wavers, as people's does.
        """
        turns = self.uniform(low, high) * self.seconds + self.rng.random()
        return 2 * np.pi * turns + self.drift(0.3)

    def drift(self, size: float) -> np.ndarray:
        """Returns an aimless slow movement `[T]` around 0, of root mean square about `size`."""
        frequency = self.rng.uniform(*_DRIFT_FREQUENCIES, (_NUM_DRIFT_WAVES, 1))
        start = self.rng.uniform(0, 2 * np.pi, (_NUM_DRIFT_WAVES, 1))
        waves = np.sin(2 * np.pi * frequency * self.seconds + start)
        return size * np.sqrt(2 / _NUM_DRIFT_WAVES) * waves.sum(axis=0)

    def keyframes(self, low: float, high: float, hold: float) -> np.ndarray:
        """Returns a movement `[T]` that rests at values from [low, high] and goes between them.

        It takes `hold` seconds from one value to the next.
        """
        turns = self.seconds / hold + self.rng.random()
        values = self.rng.uniform(low, high, int(turns[-1]) + 2)
        index = turns.astype(int)
        share = smooth_step((turns - index - 1 + _SHARE_MOVING) / _SHARE_MOVING)
        return values[index] * (1 - share) + values[index + 1] * share


def hanging_arm(clock: Clock, side: str) -> Posture:
    """Lets an arm hang, as this person does in this clip."""
    flexion, abduction = clock.uniform(-8, 12), clock.uniform(4, 14)
    elbow, rotation = clock.uniform(8, 35), clock.uniform(0, 40)
    return arm(side, flexion + clock.drift(3), abduction, elbow=elbow, rotation=rotation)


def upright_legs(clock: Clock) -> Posture:
    """Stands on both legs, apart and one ahead of the other as it comes."""
    ahead, apart = clock.uniform(-9, 9), clock.uniform(2, 12)
    bent = np.maximum(clock.uniform(2, 14) + clock.drift(2), 0)
    left = leg("left", 0.5 * bent + ahead, bent, abduction=apart, rotation=clock.uniform(-20, 5))
    right = leg("right", 0.5 * bent - ahead, bent, abduction=apart, rotation=clock.uniform(-20, 5))
    return left | right


_SIDES = ("left", "right")

# Smooth random functions of time, of which movements are made.

# Hertz. Slower than a breath up to as fast as one shifts weight.
_DRIFT_FREQUENCIES = (0.05, 0.6)
_NUM_DRIFT_WAVES = 4
_SHARE_MOVING = 0.6  # The part of a keyframe's time spent on the way to the next one.


def smooth_step(share: np.ndarray) -> np.ndarray:
    """Goes from 0 at 0 to 1 at 1, at rest at both ends: `3 s^2 - 2 s^3`."""
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3 - 2 * share)


def pulse(phase: np.ndarray, sharpness: float = 1.0) -> np.ndarray:
    """Goes from 0 at a phase of π to 1 at 0 and back; the sharper, the shorter at 1."""
    return (0.5 + 0.5 * np.cos(phase)) ** sharpness
