"""A clip's joints as the named markers of motion capture's files."""

from typing import NamedTuple

import numpy as np

from keras_mvlift.pose_files import pose_clip

SEPARATOR = ":"
"""Between a person and a joint, where there are several people."""


class Markers(NamedTuple):
    """All joints of all tracks side by side.

    Attributes:
        names: `M` names: joints, or `"person 1:left_hip"` where there are several tracks.
        points: `[T, M, 3]`, meters, in the clip's space; NaN where absent.
        confidence: `[T, M]`, in [0, 1]; NaN where it is not known.
    """

    names: tuple[str, ...]
    points: np.ndarray
    confidence: np.ndarray


def of_clip(clip: pose_clip.PoseClip) -> Markers:
    """Lays a clip's tracks side by side."""
    names = [
        joint if len(clip.tracks) == 1 else f"{track.name}{SEPARATOR}{joint}"
        for track in clip.tracks
        for joint in clip.joint_names
    ]
    points = np.concatenate([track.pose for track in clip.tracks], axis=1)
    confidence = [
        np.full(track.pose.shape[:2], np.nan) if track.confidence is None else track.confidence
        for track in clip.tracks
    ]
    return Markers(tuple(names), points, np.concatenate(confidence, axis=1))


def split_name(name: str) -> tuple[str, str]:
    """Gives a marker's person, empty where it names none, and joint."""
    person, _, joint = name.rpartition(SEPARATOR)
    return person.strip(), joint.strip()
