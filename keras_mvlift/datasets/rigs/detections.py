"""Detections of people, in each detector's format, followed over time.

One camera's detections of one person, out of all that a detector saw.

Readers of the formats hand over frames as they stand in the files; what must hold of them is
checked here, for all formats alike.
"""

import itertools
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import clocks
from keras_mvlift.untrusted import files, reading

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
    shape = (len(frames), skeleton.num_joints, 3)
    files.check_span(frames[0].path if frames else "", "people", shape, people.size)
    person = np.zeros(shape)
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
    """Returns `[P, K, 3]`, frame after frame."""
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


# AlphaPose's JSON output: one file a camera, a list of all people in all frames.
#
# Confidences of its COCO models may exceed 1, since they are read off unnormalized heat maps. They
# are cut at 1, not scaled: a scale taken from one file would make another file's 0.5 mean something
# else.

_ALPHAPOSE_FRAME = re.compile(r"([0-9]{1,18})(?:\.[A-Za-z]+)?$")


def read_alphapose(path: pathlib.Path, skeleton: skeletons.Skeleton) -> Track:
    """Reads one camera's detections of the person most surely seen in each frame.

    Args:
        path: The file; each entry's `image_id` ends in its frame number, as `"0.jpg"` does.
        skeleton: The detector's joint set.

    Raises:
        RecordingError: If the file is missing or not AlphaPose's.
    """
    return follow(alphapose_frames(path), skeleton)


def alphapose_frames(path: pathlib.Path) -> list[Frame]:
    """Reads all people in all frames, with AlphaPose's `idx` of each where it has tracked them.

    Raises:
        RecordingError: If the file is missing or not AlphaPose's.
    """
    entries = files.read_json(path, "results")
    if not isinstance(entries, list):
        rule = "be AlphaPose's list of people"
        raise errors.RecordingError(path, "results", rule, type(entries).__name__)
    people: dict[int, list[Any]] = {}
    ids: dict[int, list[Any]] = {}
    for index, entry in enumerate(entries):
        with errors.parsing(path, f"[{index}]", "have an `image_id` and `keypoints`"):
            image, keypoints = str(entry["image_id"]), entry["keypoints"]
        match = _ALPHAPOSE_FRAME.search(image)
        if match is None:
            rule = "end in a frame number"
            raise errors.RecordingError(path, f"[{index}].image_id", rule, image)
        number = int(match.group(1))
        people.setdefault(number, []).append(keypoints)
        # A number, or a list of one.
        ids.setdefault(number, []).extend(np.ravel(entry.get("idx", [])).tolist())
    return [
        Frame(number, path, f"keypoints of frame {number}", seen, ids[number])
        for number, seen in people.items()
    ]


# MMPose's JSON output: one file a camera, frame by frame, of its inferencer or its demos.


def read_mmpose(path: pathlib.Path, skeleton: skeletons.Skeleton) -> Track:
    """Reads one camera's detections of the person most surely seen in each frame.

    Args:
        path: The file: a list of `{"frame_id", "instances"}`, or such a list as `instance_info`.
            The inferencer counts frames from 0, the demos from 1.
        skeleton: The detector's joint set.

    Raises:
        RecordingError: If the file is missing or not MMPose's.
    """
    return follow(mmpose_frames(path), skeleton)


def mmpose_frames(path: pathlib.Path) -> list[Frame]:
    """Reads all people in all frames.

    Raises:
        RecordingError: If the file is missing or not MMPose's.
    """
    content = files.read_json(path, "frames")
    listed = content.get("instance_info") if isinstance(content, dict) else content
    if not isinstance(listed, list):
        rule = "be MMPose's list of frames, or hold it as `instance_info`"
        raise errors.RecordingError(path, "frames", rule, type(listed).__name__)
    return [_mmpose_frame(path, *item) for item in enumerate(listed)]


def _mmpose_frame(path: pathlib.Path, index: int, frame: Any) -> Frame:
    rule = "have a `frame_id`, and `keypoints` and `keypoint_scores` of each instance"
    with errors.parsing(path, f"[{index}]", rule):
        number = frame["frame_id"]
        people = [
            join_scores(instance["keypoints"], instance["keypoint_scores"])
            for instance in frame["instances"]
        ]
    return Frame(number, path, f"frame {number}", people)


def join_scores(keypoints: Any, scores: Any) -> np.ndarray:
    """Puts keypoints `[..., K, 2]` and scores `[..., K]` together as `[..., 3 K]`.

    A negative score, which a flat response leaves behind, counts as 0.

    Raises:
        ValueError: If the shapes do not fit.
    """
    keypoints, scores = np.asarray(keypoints, np.float64), np.asarray(scores, np.float64)
    if keypoints.shape != (*scores.shape, 2):
        raise ValueError(f"keypoints {keypoints.shape} and scores {scores.shape}")
    joined = np.concatenate([keypoints, np.maximum(scores, 0.0)[..., np.newaxis]], axis=-1)
    return joined.reshape(*scores.shape[:-1], -1)


# OpenPose's JSON output: one folder per camera, one file per frame.
#
# Pose2Sim writes what RTMPose finds in the same form, and AlphaPose does when it is asked to.

_OPENPOSE_FRAME = re.compile(r"([0-9]{1,18})(?:_keypoints)?\.json$")
_OPENPOSE_FIELD = "pose_keypoints_2d"


def read_openpose(folder: pathlib.Path, skeleton: skeletons.Skeleton) -> Track:
    """Reads one camera's detections of the person most surely seen in each frame.

    Args:
        folder: Holds `*<frame number>[_keypoints].json` files.
        skeleton: The detector's joint set.

    Raises:
        RecordingError: If there is no such file, or one of them is not OpenPose's, or two are
            of one frame.
    """
    return follow(openpose_frames(folder), skeleton)


def openpose_frames(folder: pathlib.Path) -> list[Frame]:
    """Reads all people in all frames, with OpenPose's `person_id` of each where it knows them.

    Raises:
        RecordingError: If there is no such file, or one of them is not OpenPose's.
    """
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not paths:
        raise errors.RecordingError(folder, "*.json", "exist", "no such file")
    return [_openpose_frame(path) for path in paths]


def _openpose_frame(path: pathlib.Path) -> Frame:
    match = _OPENPOSE_FRAME.search(path.name)
    if match is None:
        raise errors.RecordingError(path, "file name", "end in a frame number", path.name)
    content = files.read_json(path, "people")
    rule = "hold OpenPose's `people` with `pose_keypoints_2d` as (x, y, confidence) triples"
    with errors.parsing(path, "people", rule):
        # Where it looked for a person and found no joint, OpenPose writes an empty list.
        people = [person for person in content["people"] if len(person[_OPENPOSE_FIELD])]
        seen = [person[_OPENPOSE_FIELD] for person in people]
        ids = [number for person in people for number in person.get("person_id", ())]
    # It writes -1 for a person that it has not tracked.
    known = [number for number in ids if number != -1]
    return Frame(int(match.group(1)), path, _OPENPOSE_FIELD, seen, known)


# What rtmlib's models return, saved: keypoints and scores of all people in each frame.
#
# rtmlib itself writes no file. Read are an `.npz` of `keypoints` `[T, P, K, 2]` and `scores` `[T,
# P, K]`, with 0 where there are fewer than `P` people, and `rtmlib_frames` `[T]` where they do not
# count from 0; a JSON list of `{"frame", "keypoints", "scores"}`, one a frame; and the folder of
# OpenPose-like files that Pose2Sim makes of them.


def read_rtmlib(path: pathlib.Path, skeleton: skeletons.Skeleton) -> Track:
    """Reads one camera's detections of the person most surely seen in each frame.

    Args:
        path: An `.npz` or `.json` file, or a folder, as described above.
        skeleton: The detector's joint set.

    Raises:
        RecordingError: If the file is missing or not of that form.
    """
    return follow(rtmlib_frames(path), skeleton)


def rtmlib_frames(path: pathlib.Path) -> list[Frame]:
    """Reads all people in all frames.

    Raises:
        RecordingError: If the file is missing or not of that form.
    """
    if path.is_dir():
        return openpose_frames(path)
    if path.suffix == ".npz":
        return _of_arrays(path)
    content = files.read_json(path, "frames")
    if not isinstance(content, list):
        rule = "be a list with `keypoints` and `scores` of each frame"
        raise errors.RecordingError(path, "frames", rule, type(content).__name__)
    return [_rtmlib_frame(path, *item) for item in enumerate(content)]


def _rtmlib_frame(path: pathlib.Path, index: int, frame: Any) -> Frame:
    with errors.parsing(path, f"[{index}]", "have `keypoints` and `scores` of each person"):
        number = frame.get("frame", index)
        people = [
            join_scores(*pair) for pair in zip(frame["keypoints"], frame["scores"], strict=True)
        ]
    return Frame(number, path, f"frame {number}", people)


def _of_arrays(path: pathlib.Path) -> list[Frame]:
    content = reading.npz(path, _arrays(path))
    with errors.parsing(path, "keypoints", "fit the `scores`, [T, P, K, 2] and [T, P, K]"):
        people = join_scores(content["keypoints"], content["scores"])
        num_frames, _, _ = people.shape
    numbers = np.asarray(content.get("frames", np.arange(num_frames)))
    if numbers.shape != (num_frames,):
        rule = f"number the {num_frames} frames of the keypoints"
        raise errors.RecordingError(path, "frames", rule, f"shape {numbers.shape}")
    return [
        Frame(number, path, f"keypoints of frame {number}", seen)
        for number, seen in zip(numbers.tolist(), people, strict=True)
    ]


def _arrays(path: pathlib.Path) -> tuple[str, ...]:
    optional = ("frames",) if "frames" in reading.npz_names(path) else ()
    return ("keypoints", "scores", *optional)


# Every format of detections by name.

Reader = Callable[[pathlib.Path, skeletons.Skeleton], Track]

READERS: dict[str, Reader] = {
    "openpose": read_openpose,
    "alphapose": read_alphapose,
    "mmpose": read_mmpose,
    "rtmlib": read_rtmlib,
}


# The tracks of all cameras of a clip, laid out on its frames.


class Stream(NamedTuple):
    """A track, and where its frames are on the clip's clock.

    Attributes:
        track: What the camera saw.
        positions: `[N]`, in frames of the clip, as of `clocks`.
    """

    track: Track
    positions: np.ndarray


def side_by_side(
    streams: Sequence[Stream | None], num_frames: int, num_joints: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lays streams out side by side.

    Args:
        streams: `V`; None for a camera that did not film the clip.
        num_frames: `T`, the clip's.
        num_joints: `K`, of each track.

    Returns:
        Keypoints `[V, T, K, 2]`, pixels, and confidence `[V, T, K]`; both are 0 where a joint was
        not seen, and in frames that a stream does not have.
    """
    keypoints_2d = np.zeros((len(streams), num_frames, num_joints, 2))
    confidence = np.zeros((len(streams), num_frames, num_joints))
    for view, stream in enumerate(streams):
        if stream is not None:
            slots, index = clocks.assign(stream.positions, num_frames)
            keypoints_2d[view, slots] = stream.track.keypoints_2d[index]
            confidence[view, slots] = stream.track.confidence[index]
    return np.where(confidence[..., np.newaxis] > 0, keypoints_2d, 0.0), confidence
