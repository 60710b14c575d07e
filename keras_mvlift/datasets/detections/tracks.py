"""One camera's detections of one person, out of all that a detector saw.

Readers of the formats hand over frames as they stand in the files; what must hold of them is
checked here, for all formats alike.
"""

import itertools
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons

MAX_FRAME_NUMBER = 10**9
"""The greatest frame number; cameras that count on for years stay far below it."""


class Track(NamedTuple):
    """One person, seen by one camera.

    Attributes:
        frames: `[N]`, frame numbers, ascending, each once.
        keypoints_2d: `[N, K, 2]`, pixels, as detected; free of NaN.
        confidence: `[N, K]`, in [0, 1]; 0 where not seen, and throughout a frame with nobody.
    """

    frames: np.ndarray
    keypoints_2d: np.ndarray
    confidence: np.ndarray


class Frame(NamedTuple):
    """All people in one frame, as the file states them, unchecked.

    Attributes:
        number: The frame's number.
        path: The file it stands in.
        field: Where in it.
        people: For each person `3 K` numbers: x, y and confidence of each joint.
        ids: For each person who the detector says it is; empty where it does not say.
    """

    number: Any
    path: pathlib.Path
    field: str
    people: Sequence[Any]
    ids: Sequence[Any] = ()


class Crowd(NamedTuple):
    """Everybody in all frames.

    Attributes:
        numbers: `[F]`, the frames' numbers, in the order of the frames.
        owner: `[P]`, the frame, of `F`, that each person is in.
        people: `[P, K, 3]`, x, y and confidence of at least 0.
    """

    numbers: np.ndarray
    owner: np.ndarray
    people: np.ndarray


def gather(frames: Sequence[Frame], skeleton: skeletons.Skeleton) -> Crowd:
    """Checks frames, in any order, and gives all people in them.

    Raises:
        RecordingError: As `follow` does.
    """
    numbers = _numbers(frames)
    people = _people(frames, skeleton)
    owner = np.repeat(np.arange(len(frames)), [len(frame.people) for frame in frames])
    _check(frames, owner, people)
    return Crowd(numbers, owner, people)


def follow(frames: Sequence[Frame], skeleton: skeletons.Skeleton) -> Track:
    """Follows the person most surely seen through a camera's frames.

    Confidences above 1, which some detectors write, count as 1 once the person is chosen.

    Args:
        frames: In any order.
        skeleton: Its joints are the `K` joints of each person.

    Raises:
        RecordingError: If two frames have one number, or a person has another number of joints, a
            number that is not finite, or a negative confidence; names file, frame and rule.
    """
    numbers, owner, people = gather(frames, skeleton)
    chosen, seen = most_surely_seen(owner, people)
    person = np.zeros((len(frames), skeleton.num_joints, 3))
    person[seen] = people[chosen]
    order = np.argsort(numbers, kind="stable")
    person = person[order]
    return Track(numbers[order], person[..., :2], np.clip(person[..., 2], 0.0, 1.0))


def most_surely_seen(owner: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chooses of each frame's people the one with the greatest sum of confidences.

    Of equals it is the first.

    Args:
        owner: `[P]`, the frame that each person is in.
        people: `[P, K, 3]`, x, y and confidence.

    Returns:
        `[F]`, the chosen people, and `[F]`, their frames.
    """
    ranking = np.lexsort((-people[..., 2].sum(axis=-1), owner))
    seen, first = np.unique(owner[ranking], return_index=True)
    return ranking[first], seen


def _numbers(frames: Sequence[Frame]) -> np.ndarray:
    known: set[int] = set()
    for frame in frames:
        is_number = isinstance(frame.number, int) and 0 <= frame.number <= MAX_FRAME_NUMBER
        if not is_number:
            rule = f"be from 0 to {MAX_FRAME_NUMBER}"
            raise errors.RecordingError(frame.path, "frame number", rule, frame.number)
        if frame.number in known:
            rule = "be the only one of its frame"
            raise errors.RecordingError(frame.path, "frame number", rule, frame.number)
        known.add(frame.number)
    return np.array([frame.number for frame in frames], np.int64)


def _people(frames: Sequence[Frame], skeleton: skeletons.Skeleton) -> np.ndarray:
    """Gives `[P, K, 3]`, frame after frame."""
    everybody = list(itertools.chain.from_iterable(frame.people for frame in frames))
    expected = (len(everybody), skeleton.num_joints, 3)
    try:
        return np.array(everybody, np.float64).reshape(expected)
    except (ValueError, TypeError, OverflowError):
        # One by one, to find the one that does not fit.
        found = [_person(frame, each, skeleton) for frame in frames for each in frame.people]
        return np.array(found, np.float64).reshape(expected)


def _person(frame: Frame, person: Any, skeleton: skeletons.Skeleton) -> np.ndarray:
    with errors.parsing(frame.path, frame.field, "hold x, y and confidence of each joint"):
        numbers = np.array(person, np.float64).ravel()
    num_joints, rest = divmod(len(numbers), 3)
    if num_joints != skeleton.num_joints or rest:
        rule = f"have the {skeleton.num_joints} joints of {skeleton.name}"
        received = f"{3 * num_joints + rest} numbers" if rest else num_joints
        raise errors.RecordingError(frame.path, frame.field, rule, received)
    return numbers


def _check(frames: Sequence[Frame], owner: np.ndarray, people: np.ndarray) -> None:
    is_valid = np.isfinite(people) & (people >= [-np.inf, -np.inf, 0.0])
    if not is_valid.all():
        person, joint, column = np.argwhere(~is_valid)[0]
        frame = frames[owner[person]]
        rule = "be finite with confidences of at least 0"
        received = people[person, joint, column]
        raise errors.RecordingError(frame.path, frame.field, rule, received)
