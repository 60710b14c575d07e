"""Human3.6M as the field uses it: who trains, who tests, its actions and joints."""

import re
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons

TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
"""The subjects of all of the field's protocols."""

MAX_FRAMES = 50_000
"""Frames that a take's file may hold; the longest take has some 6,000."""

DROPPED_TAKES = ("S11 Directions",)
"""Of this take one camera's video is corrupt; the field's archives leave it out."""

SHIFTED_TAKES = ("S9 Greeting", "S9 SittingDown 1", "S9 Waiting 1")
"""In these takes the motion capture is shifted against the images."""

SHIFT = np.array([0.2, 0.0, 0.0])
"""By how much it is, meters, world frame, as those who correct it found."""

SHIFTED_TAKES_CHOICES = ("keep", "drop", "correct")


def take(name: str) -> str:
    """Returns a take such as `"S1 TakingPhoto 1"` with the action in the one spelling.

    Raises:
        ValueError: If it is not of that form.
    """
    subject, _, label = name.partition(" ")
    return f"{subject} {parse_take(label, f'Take {name!r}').label}"


# The names of Human3.6M's actions and takes, made one.
#
# Every subject performs each of the 15 actions twice. The files name a take by its action, for one
# of the two with a number behind it ("Directions", "Directions 1"), but not by a rule: numbers
# differ between subjects, and so does the spelling of three actions.

ACTIONS = tuple(
    """Directions Discussion Eating Greeting Phoning Photo Posing Purchases Sitting
    SittingDown Smoking Waiting WalkDog WalkTogether Walking""".split()
)
"""The 15 actions, as the field's archives spell them."""

_OTHER_SPELLINGS = {
    "TakingPhoto": "Photo",
    "WalkingDog": "WalkDog",
    "WalkingTogether": "WalkTogether",
}
_TAKE_NAME = re.compile(r"([A-Za-z]+)(?: (\d+))?")


class Take(NamedTuple):
    """One take."""

    action: str  # Of `ACTIONS`.
    label: str  # Its name with the action in the one spelling, such as "Photo 1".


def parse_take(name: str, path: object) -> Take:
    """Reads a take's name, whatever its spelling; `path` is the file it comes from, for the error.

    Raises:
        RecordingError: If it names none of the 15 actions, with or without a number.
    """
    match = _TAKE_NAME.fullmatch(name)
    action = _OTHER_SPELLINGS.get(match[1], match[1]) if match else ""
    rule = f"be one of {', '.join(ACTIONS)}, with or without a number"
    errors.require_in(path, action in ACTIONS, "action", rule, repr(name))
    return Take(action, f"{action} {match[2] or ''}".rstrip())  # type: ignore[index]


def action_label(name: str) -> str:
    """Returns a take's name in the one spelling; of an unknown action, the name as it is."""
    try:
        return parse_take(name, "").label
    except errors.RecordingError:
        return name


def clip_name(subject: str, name: str) -> str:
    """Returns the name of a subject's take as a clip, such as `"S1_Photo_1"`.

    Unknown actions get a name too, so that the clip is listed and its reading says what is wrong.
    """
    return re.sub(r"[^A-Za-z0-9]+", "_", f"{subject} {action_label(name)}")


def take_order(name: str) -> tuple[str, int, str]:
    """Returns the key by which a subject's takes are sorted: the action, then the number."""
    first, _, last = action_label(name).partition(" ")
    return first, int(last) if last.isdecimal() else 0, last


# Human3.6M's joints: the 32 of its motion capture, and the 17 of them that move.
#
# The 17 are `skeletons.H36M_17` in its own order; what is called "neck" or "nose" there is the same
# joint. The other 15 lie on one of them or are ends of hands and feet that nobody uses.

NUM_RAW_JOINTS = 32

FROM_RAW = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""The place of each joint of `H36M_17` among the 32."""

# For each of the 32, the joint of `H36M_17` that it is, or whose place it takes in
# `joints_to_raw`: toes that of the ankle, hands that of the wrist, collars that of the thorax.
_TO_RAW = (
    *(0, 1, 2, 3, 3, 3, 4, 5, 6, 6, 6, 0, 7, 8, 9, 10),
    *(8, 11, 12, 13, 13, 13, 13, 13, 8, 14, 15, 16, 16, 16, 16, 16),
)

HOURGLASS_16 = skeletons.Skeleton(
    name="hourglass_16",
    joints=tuple(
        """right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis spine
        thorax head right_wrist right_elbow right_shoulder left_shoulder left_elbow
        left_wrist""".split()
    ),
)
"""The joints of Stacked Hourglass detectors, in MPII's order; there is no nose among them."""

_FROM_HOURGLASS = tuple(skeletons.H36M_17.joints.index(joint) for joint in HOURGLASS_16.joints)


def joints_from_raw(points: np.ndarray) -> np.ndarray:
    """Takes the 17 joints `[..., 17, D]` out of the 32 `[..., 32, D]`."""
    return points[..., FROM_RAW, :]


def joints_to_raw(points: np.ndarray) -> np.ndarray:
    """Lays 17 joints `[..., 17, D]` out as 32 `[..., 32, D]`; the others repeat a neighbor."""
    return points[..., _TO_RAW, :]


def joints_from_hourglass(
    keypoints: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lays out Stacked Hourglass joints, `[..., 16, D]` and confidence `[..., 16]`, as `H36M_17`.

    The nose, which they lack, is 0, and not seen.
    """
    num_joints = skeletons.H36M_17.num_joints
    points = np.zeros((*keypoints.shape[:-2], num_joints, keypoints.shape[-1]))
    seen = np.zeros((*confidence.shape[:-1], num_joints))
    points[..., _FROM_HOURGLASS, :] = keypoints
    seen[..., _FROM_HOURGLASS] = confidence
    return points, seen


def joints_to_hourglass(
    keypoints: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Inverts `joints_from_hourglass`; what it says of the nose is lost."""
    return keypoints[..., _FROM_HOURGLASS, :], confidence[..., _FROM_HOURGLASS]
