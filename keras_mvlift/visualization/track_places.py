"""What tracks of a clip share, and where they stand when they are side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_mvlift.lifting import pose_clip

SPACING = 1.3
"""Meters between neighbors."""


class Input(NamedTuple):
    """A 2D input.

    Attributes:
        track: The first track that was lifted from it.
        keypoints_2d: `[T, J, 2]`, pixels.
        users: Indices of all tracks that were lifted from it.
    """

    track: pose_clip.Track
    keypoints_2d: np.ndarray
    users: list[int]


def inputs(tracks: Sequence[pose_clip.Track]) -> list[Input]:
    """Lists each 2D input once; several models lift the same one, several people do not."""
    found: list[Input] = []
    for index, track in enumerate(tracks):
        if track.keypoints_2d is None:
            continue
        for known in found:
            if np.array_equal(known.keypoints_2d, track.keypoints_2d, equal_nan=True):
                known.users.append(index)
                break
        else:
            found.append(Input(track, track.keypoints_2d, [index]))
    return found


def slots(tracks: Sequence[pose_clip.Track], judges: Sequence[int | None]) -> list[int]:
    """Gives each track its place in a row; a reference's is that of the first it judges.

    Args:
        tracks: References among them.
        judges: For each track the index of its reference, as `pose_comparison.references_of` gives
            them.
    """
    placed: dict[int, int] = {}
    judged = [index for index, track in enumerate(tracks) if not track.is_reference]
    for place, index in enumerate(judged):
        placed[index] = place
        judge = judges[index]
        if judge is not None:
            placed.setdefault(judge, place)
    for index in range(len(tracks)):
        placed.setdefault(index, len(set(placed.values())))
    return [placed[index] for index in range(len(tracks))]


def are_apart(clip: pose_clip.PoseClip) -> bool:
    """Tells whether people would all stand in one place if they were not side by side."""
    return clip.space == "root" and len(inputs(clip.tracks)) > 1
