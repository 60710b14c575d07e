"""Detections of people, in each detector's format.

Readers of the formats hand over frames as they stand in the files; what must hold of them is
checked here, for all formats alike.
"""

import itertools
import pathlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import clocks
from keras_mvlift.untrusted import files, reading

MAX_FRAME_NUMBER = 10**9
"""The greatest frame number; cameras that count on for years stay far below it."""


class Frame(NamedTuple):
    """All people in one frame, as the file states them, unchecked."""

    number: Any  # The frame's number.
    path: pathlib.Path  # The file it stands in.
    field: str  # Where in it.
    people: Sequence[Any]  # For each person `3 K` numbers: x, y and confidence of each joint.
    # For each person who the detector says it is; empty where it does not say.
    ids: Sequence[Any] = ()


class Crowd(NamedTuple):
    """Everybody in all frames."""

    numbers: np.ndarray  # [F], the frames' numbers, in the order of the frames.
    owner: np.ndarray  # [P], the frame, of `F`, that each person is in.
    people: np.ndarray  # [P, K, 3], x, y and confidence of at least 0.


def gather(frames: Sequence[Frame], skeleton: skeletons.Skeleton) -> Crowd:
    """Checks frames, in any order, and gives all people in them.

    What is at no place, `skeletons.is_place`, has confidence 0.

    Raises:
        RecordingError: If two frames have one number, or a person has another number of joints, a
            number that is not finite, or a negative confidence; names file, frame and rule.
    """
    numbers = _numbers(frames)
    people = _people(frames, skeleton)
    people[~skeletons.is_place(people[..., :2])] = 0.0
    owner = np.repeat(np.arange(len(frames)), [len(frame.people) for frame in frames])
    is_valid = np.isfinite(people) & (people >= [-np.inf, -np.inf, 0.0])
    if not is_valid.all():
        place = tuple(np.argwhere(~is_valid)[0])
        frame, rule = frames[owner[place[0]]], "be finite with confidences of at least 0"
        raise errors.RecordingError(frame.path, frame.field, rule, people[place])
    return Crowd(numbers, owner, people)


# Up to which 9 of 10 scores reach, and what they are divided by. Heat maps' are a little above 1 at
# times and are cut; SimCC's reach some 10; others are percents.
_SCALES = {1.5: 1.0, 15.0: 10.0, 100.0: 100.0}
# Of what they are divided by; where none reaches as far, it is not what they reach.
_LEAST_REACH = 0.2


def score_scale(scores: np.ndarray) -> float | None:
    """Returns what scores `[N]` are divided by to lie in [0, 1]; None where that is not known."""
    reach = float(np.percentile(scores, 90)) if len(scores) else 0.0
    return next((scale for most, scale in _SCALES.items() if reach <= most), None)


def follow(frames: Sequence[Frame], skeleton: skeletons.Skeleton, max_score: float = 1.0) -> Crowd:
    """Puts everybody in the order of the frames, in each frame the most surely seen first.

    That is who has the greatest sum of confidences, which are divided by `max_score`. Those a
    little above 1, which some detectors write, count as 1 from then on.

    Raises:
        RecordingError: As `gather` does, or if confidences are not in [0, `max_score`].
    """
    numbers, owner, people = gather(frames, skeleton)
    shape = (len(frames), skeleton.num_joints, 3)
    files.check_span(frames[0].path if frames else "", "people", shape, people.size)
    order = np.argsort(numbers, kind="stable")
    owner = np.argsort(order, kind="stable")[owner]
    ranking = np.lexsort((-people[..., 2].sum(axis=-1), owner))
    people, owner = people[ranking], owner[ranking]
    _, surest = np.unique(owner, return_index=True)
    scores = people[surest, :, 2][people[surest, :, 2] > 0]
    scale, is_low = score_scale(scores), scores.max(initial=0) < _LEAST_REACH * max_score
    if score_scale(scores / max_score) != 1.0 or (is_low and max_score > 1):
        likely = "" if scale is None else f", likely {scale:g}"
        rule = f"lie in [0, {max_score:g}], or another `max_score` be told{likely}"
        received = f"{(scores > max_score).mean():.0%} above, up to {scores.max():.4g}"
        raise errors.RecordingError(frames[0].path, "scores", rule, received)
    people[..., 2] = np.clip(people[..., 2] / max_score, 0.0, 1.0)
    return Crowd(numbers[order], owner, people)


MIN_SPAN = 8.0
"""People of fewer pixels are not detected; where all there is spans less, it is no pixels."""

_PERCENT = 100.0


def require_pixels(path: object, keypoints_2d: np.ndarray, confidence: np.ndarray) -> None:
    """Refuses keypoints `[V, T, K, 2]` of which a camera's are shares of the image's size.

    Raises:
        RecordingError: If all that a camera ever saw lies within `MIN_SPAN`, or all that all of
            them saw in an image of 100 by 100, as percents do.
    """
    seen = zip(keypoints_2d, confidence > 0, strict=True)
    found = [points[is_seen] for points, is_seen in seen if is_seen.any()]
    is_percent = all(points.min() >= 0 and points.max() <= _PERCENT for points in found)
    for points in found:
        low, high, is_small = points.min(), points.max(), np.ptp(points, axis=0).max() < MIN_SPAN
        guess = ", shares of the image's size" if -1 <= low and high <= 1 else ""
        guess = guess if is_small else ", percents of the image's size"
        received = f"{low:.3g} to {high:.3g} in all frames of a camera{guess}"
        rule = "be pixels, `x * width` and `y * height`"
        errors.require_in(path, not is_small and not is_percent, "keypoints", rule, received)


# Of an image, on each side; of people, to whom that happens by mistake; and of joints.
_MARGIN, _FEW, _ALL = 0.02, 0.05, 0.98
_SURE = 0.5  # Some detectors say, unsurely, where joints outside of the image would be.


def is_swapped(keypoints_2d: np.ndarray, confidence: np.ndarray, size: tuple[float, float]) -> bool:
    """Tells whether an image's width and height must be swapped, or the image turned.

    Nobody is detected where no image is: most joints of some people lie beyond the image of this
    `size`, `(width, height)`, and all joints fit the one that is as wide as that is high.

    Args:
        keypoints_2d: `[..., K, 2]`, pixels, of people.
        confidence: `[..., K]`; joints less sure than a half do not count.
        size: Pixels.
    """
    is_seen = confidence >= _SURE
    reach = np.array(size) * (1 + _MARGIN)
    beyond = is_seen & (keypoints_2d > reach).any(axis=-1)
    fits = (keypoints_2d <= reach[::-1]).all(axis=-1)[is_seen]
    is_lost = (2 * beyond.sum(axis=-1) > is_seen.sum(axis=-1))[is_seen.any(axis=-1)]
    return bool(len(fits) and is_lost.mean() > _FEW and fits.mean() > _ALL)


def require_own(path: object, keypoints_2d: np.ndarray, confidence: np.ndarray) -> None:
    """Refuses keypoints `[V, T, K, 2]` that are two cameras' alike, as of a file that was copied.

    Raises:
        RecordingError: If two cameras have the same in most of the frames in which both see.
    """
    seen = (confidence > 0).any(axis=-1)
    for one, other in itertools.combinations(range(len(seen)), 2):
        both = seen[one] & seen[other]
        is_same = (keypoints_2d[one, both] == keypoints_2d[other, both]).all(axis=(-2, -1))
        if is_same.sum() > len(is_same) / 2:
            received = f"the same of cameras {one + 1} and {other + 1} in {is_same.sum()} frames"
            raise errors.RecordingError(path, "keypoints", "be each camera's own", received)


def _numbers(frames: Sequence[Frame]) -> np.ndarray:
    known: set[int] = set()
    for number, path, *_ in frames:
        is_number = isinstance(number, int) and 0 <= number <= MAX_FRAME_NUMBER
        rule = "be the only one of its frame" if is_number else f"be from 0 to {MAX_FRAME_NUMBER}"
        errors.require_in(path, is_number and number not in known, "frame number", rule, number)
        known.add(number)
    return np.array([frame.number for frame in frames], np.int64)


def _people(frames: Sequence[Frame], skeleton: skeletons.Skeleton) -> np.ndarray:
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
    received = f"{len(numbers)} numbers" if rest else num_joints
    rule, fits = f"have the {skeleton.num_joints} joints of {skeleton.name}", not rest
    fits &= num_joints == skeleton.num_joints
    errors.require_in(frame.path, fits, frame.field, rule, received)
    return numbers


def frame_numbers(path: pathlib.Path, field: str, names: Sequence[str]) -> list[int]:
    """Reads the frame's number out of each name of an image or file; several may be one image's.

    It is the last number in it, or the last by which all names differ.

    Raises:
        RecordingError: If a name holds no number, or different names would be one frame.
    """
    found = {name: re.findall(r"[0-9]{1,18}", name) for name in names}
    for name, numbers in found.items():
        errors.require_in(path, numbers, field, "hold a frame number", name)
    width = min(map(len, found.values()), default=0)
    is_even = len({*map(len, found.values())}) == 1
    for column in range(1, (width if is_even else 1) + 1):
        told = {name: int(numbers[-column]) for name, numbers in found.items()}
        if len({*told.values()}) == len(told):
            return [told[name] for name in names]
    owners: dict[int, str] = {}
    pairs = ((owners.setdefault(int(numbers[-1]), name), name) for name, numbers in found.items())
    first, second = next(pair for pair in pairs if pair[0] != pair[1])
    rule = "hold a number that is each frame's own"
    raise errors.RecordingError(path, field, rule, f"{first} and {second} among {len(found)}")


# AlphaPose's JSON output: one file a camera, a list of all people in all frames.
#
# Confidences of its COCO models may exceed 1, since they are read off unnormalized heat maps. They
# are cut at 1, not scaled: a scale taken from one file would make another file's 0.5 mean something
# else.


def alphapose_frames(path: pathlib.Path, entries: Any = None) -> list[Frame]:
    """Reads all people in all frames, with AlphaPose's `idx` of each where it has tracked them."""
    entries = _listed(path, "results", "be AlphaPose's list of people", entries)
    entries = _people_alone(path, entries)
    names = []
    for index, entry in enumerate(entries):
        with errors.parsing(path, f"[{index}]", "have an `image_id` and `keypoints`"):
            names.append(str(entry["image_id"]))
            entry["keypoints"]
    of_frames: dict[int, list[Any]] = {}
    for number, entry in zip(frame_numbers(path, "image_id", names), entries, strict=True):
        of_frames.setdefault(number, []).append(entry)
    return [
        Frame(
            *(number, path, f"keypoints of frame {number}"),
            [entry["keypoints"] for entry in seen],
            # A number, or a list of one.
            [each for entry in seen for each in np.ravel(entry.get("idx", [])).tolist()],
        )
        for number, seen in of_frames.items()
    ]


def _listed(path: pathlib.Path, field: str, rule: str, content: Any) -> list[Any]:
    """Returns the list in a file; of its content, if that is read already."""
    content = files.read_json(path, field) if content is None else content
    errors.require_in(path, isinstance(content, list), field, rule, type(content).__name__)
    return content


# Of COCO's categories.
_PERSON = 1


def _people_alone(path: pathlib.Path, entries: list[Any]) -> list[Any]:
    """Leaves out what is of another category than people, in files that have people, too."""
    kinds = [each.get("category_id") if isinstance(each, dict) else None for each in entries]
    if _PERSON not in kinds or len({*map(str, kinds)}) == 1:
        return entries
    others = sorted({str(kind) for kind in kinds} - {str(_PERSON)})
    told = f"{path.name}: what is of category {', '.join(others)} is left out; 1 is people."
    warnings.warn(told, errors.InputWarning, stacklevel=2)
    return [each for each, kind in zip(entries, kinds, strict=True) if kind == _PERSON]


# MMPose's JSON output: one file a camera, frame by frame, of its inferencer or its demos.


def mmpose_frames(path: pathlib.Path, content: Any = None) -> list[Frame]:
    """Reads all people in all frames."""
    if path.is_dir():
        return image_frames(path)
    content = files.read_json(path, "frames") if content is None else content
    if isinstance(content, dict):
        content = content.get("instance_info", content)
    rule = "be MMPose's list of frames, or hold it as `instance_info`"
    found = []
    for index, frame in enumerate(_listed(path, "frames", rule, content)):
        rule = "have a `frame_id`, and `keypoints` and `keypoint_scores` of each instance"
        with errors.parsing(path, f"[{index}]", rule):
            number, people = frame["frame_id"], [_of_image(each) for each in frame["instances"]]
        found.append(Frame(number, path, f"frame {number}", people))
    return found


def join_scores(keypoints: Any, scores: Any) -> np.ndarray:
    """Puts keypoints `[..., K, 2]` and scores `[..., K]` together as `[..., 3 K]`.

    A negative score, which a flat response leaves behind, counts as 0.

    Raises:
        ValueError: If the shapes do not fit.
    """
    keypoints, scores = np.asarray(keypoints, np.float64), np.asarray(scores, np.float64)
    if keypoints.shape != (*scores.shape, 2):
        raise ValueError(f"{scores.size} scores for {keypoints.size} numbers of keypoints")
    joined = np.concatenate([keypoints, np.maximum(scores, 0.0)[..., np.newaxis]], axis=-1)
    return joined.reshape(*scores.shape[:-1], -1)


# OpenPose's JSON output: one folder per camera, one file per frame.
#
# Pose2Sim writes what RTMPose finds in the same form, and AlphaPose does when it is asked to.

_OPENPOSE_FIELD = "pose_keypoints_2d"


def openpose_frames(folder: pathlib.Path) -> list[Frame]:
    """Reads all people in all frames, with OpenPose's `person_id` of each where it knows them."""
    return [_openpose_frame(*pair) for pair in numbered_files(folder).items()]


def numbered_files(folder: pathlib.Path) -> dict[pathlib.Path, int]:
    """Returns the frame's number of each of a folder's JSON files, told from its name."""
    paths = json_files(folder)
    names = [path.stem.removesuffix("_keypoints") for path in paths]
    return dict(zip(paths, frame_numbers(folder, "file name", names), strict=True))


def json_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Lists a folder's JSON files, one at least, sorted; hidden ones are no detector's."""
    received, rule = "a file" if folder.exists() else "nothing there", "be a folder of JSON files"
    errors.require_in(folder, folder.is_dir(), "detections", rule, received)
    with errors.parsing(folder, "detections", "be a readable folder"):
        there = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    paths = [path for path in there if path.suffix == ".json"]
    received = f"{', '.join(path.name for path in there[:3])} alone" if there else "nothing"
    errors.require_in(folder, paths, "*.json", "exist", received)
    return paths


def _openpose_frame(path: pathlib.Path, number: int) -> Frame:
    content = files.read_json(path, "people")
    rule = "hold OpenPose's `people` with `pose_keypoints_2d` as (x, y, confidence) triples"
    with errors.parsing(path, "people", rule):
        # Where it looked for a person and found no joint, OpenPose writes an empty list.
        people = [person for person in content["people"] if len(person[_OPENPOSE_FIELD])]
        seen = [person[_OPENPOSE_FIELD] for person in people]
        ids = [number for person in people for number in person.get("person_id", ())]
    # It writes -1 for a person that it has not tracked.
    known = [number for number in ids if number != -1]
    return Frame(number, path, _OPENPOSE_FIELD, seen, known)


# What rtmlib's models return, saved: keypoints and scores of all people in each frame.
#
# rtmlib itself writes no file. Read are an `.npz` of `keypoints` `[T, P, K, 2]` and `scores` `[T,
# P, K]`, with 0 where there are fewer than `P` people, and `rtmlib_frames` `[T]` where they do not
# count from 0; a JSON list of `{"frame", "keypoints", "scores"}`, one a frame; and the folder of
# OpenPose-like files that Pose2Sim makes of them.


def rtmlib_frames(path: pathlib.Path, content: Any = None) -> list[Frame]:
    """Reads all people in all frames."""
    if path.is_dir():
        return openpose_frames(path)
    if path.suffix == ".npz":
        return _of_arrays(path)
    rule = "be a list with `keypoints` and `scores` of each frame"
    found = []
    for index, frame in enumerate(_listed(path, "frames", rule, content)):
        with errors.parsing(path, f"[{index}]", "have `keypoints` and `scores` of each person"):
            number, both = frame.get("frame", index), (frame["keypoints"], frame["scores"])
            people = [join_scores(*pair) for pair in zip(*both, strict=True)]
        found.append(Frame(number, path, f"frame {number}", people))
    return found


def _of_arrays(path: pathlib.Path) -> list[Frame]:
    optional = ("frames",) if "frames" in reading.npz_names(path) else ()
    content = reading.npz(path, ("keypoints", "scores", *optional))
    with errors.parsing(path, "keypoints", "fit the `scores`, [T, P, K, 2] and [T, P, K]"):
        people = join_scores(content["keypoints"], content["scores"])
        num_frames, _, _ = people.shape
    numbers = np.asarray(content.get("frames", np.arange(num_frames)))
    rule, received = f"number the {num_frames} frames of the keypoints", f"shape {numbers.shape}"
    errors.require_in(path, numbers.shape == (num_frames,), "frames", rule, received)
    return [
        Frame(number, path, f"keypoints of frame {number}", seen)
        for number, seen in zip(numbers.tolist(), people, strict=True)
    ]


# MMPose's and Ultralytics' JSON output of images: a list of people in a file an image, or in one.


def image_frames(path: pathlib.Path, content: Any = None) -> list[Frame]:
    """Reads all people in all frames, with the `track_id` of each where Ultralytics knows them.

    A folder has a file an image; a file is of one, or of a list of them.
    """
    if path.is_dir():
        numbered = numbered_files(path).items()
        return [_image_frame(each, number, files.read_json(each)) for each, number in numbered]
    content = _listed(path, "images", "be a list of images' lists of people", content)
    images = content if all(isinstance(each, list) for each in content) else [content]
    return [_image_frame(path, number, people) for number, people in enumerate(images)]


def _image_frame(path: pathlib.Path, number: int, people: Any) -> Frame:
    with errors.parsing(path, f"frame {number}", "hold `keypoints` of each person, and scores"):
        found = [_of_image(person) for person in people if person.get("keypoints")]
        ids = [person["track_id"] for person in people if "track_id" in person]
    return Frame(number, path, f"frame {number}", found, ids)


def _of_image(person: Mapping[str, Any]) -> np.ndarray:
    """Returns the `3 K` numbers of MMPose's instance or Ultralytics' result."""
    points = person["keypoints"]
    if isinstance(points, dict):
        scores = points.get("visible", np.ones(len(points["x"])))
        return join_scores(np.stack([points["x"], points["y"]], axis=-1), scores)
    return join_scores(points, person["keypoint_scores"])


# COCO's annotations.


def coco_frames(path: pathlib.Path, content: Any = None) -> list[Frame]:
    """Reads all people in all frames; a joint that is labelled was seen, though it be hidden."""
    content = files.read_json(path, "annotations") if content is None else content
    with errors.parsing(path, "annotations", "be COCO's, with `keypoints`"):
        images = content["images"]
        names = {each["id"]: str(each.get("file_name", each["id"])) for each in images}
        people: dict[Any, list[np.ndarray]] = {key: [] for key in names}
        order = _order(content.get("categories", ()))
        for annotation in _people_alone(path, content["annotations"]):
            person = np.array(annotation.get("keypoints", ()), np.float64).reshape(-1, 3)
            if person[:, 2].any():
                person = person[order or slice(None)]
                person[:, 2] = person[:, 2] > 0
                people[annotation["image_id"]].append(person.ravel())
    numbers = frame_numbers(path, "file_name", list(names.values()))
    return [
        Frame(number, path, f"keypoints of image {key}", people[key])
        for key, number in zip(names, numbers, strict=True)
    ]


def _order(categories: Any) -> list[int]:
    """Returns where the joints of a known set stand among those that COCO's categories name."""
    named = next((each["keypoints"] for each in categories if each.get("keypoints")), ())
    joints = [skeletons.joint_name(str(name)) for name in named]
    likely = next((s for s in skeletons.SKELETONS.values() if {*s.joints} == {*joints}), None)
    return [] if likely is None else [joints.index(joint) for joint in likely.joints]


# Every format of detections by name. Its reader takes the content of a JSON file that was read
# already; it raises a `RecordingError` if there is no such file, or it is not of the format.

READERS: dict[str, Callable[[pathlib.Path], list[Frame]]] = {
    "openpose": openpose_frames,
    "alphapose": alphapose_frames,
    "mmpose": mmpose_frames,
    "rtmlib": rtmlib_frames,
    "ultralytics": image_frames,
}


# What all cameras saw of a clip, laid out on its frames.


class Stream(NamedTuple):
    """What a camera saw, and where its frames are on the clip's clock."""

    crowd: Crowd  # In order.
    positions: np.ndarray  # [F], in frames of the clip, as of `clocks`.

    def slots(self, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns where in `crowd` each frame's people begin, and how many they are, `[T]`."""
        first, count = np.zeros((2, num_frames), np.int64)
        slots, index = clocks.assign(self.positions, num_frames)
        begin, end = (np.searchsorted(self.crowd.owner, index, side) for side in ("left", "right"))
        first[slots], count[slots] = begin, end - begin
        return first, count


def most_surely_seen(streams: Sequence[Stream | None], num_frames: int) -> np.ndarray:
    """Returns each frame's most surely seen person, `[V, T]`, a place in `crowd`; -1 for nobody."""
    chosen = np.full((len(streams), num_frames), -1)
    for view, stream in enumerate(streams):
        if stream is not None:
            first, count = stream.slots(num_frames)
            chosen[view] = np.where(count > 0, first, -1)
    return chosen


def side_by_side(
    streams: Sequence[Stream | None], chosen: np.ndarray, num_joints: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lays one person of each frame out side by side: who is chosen, `[V, T]`, or nobody, -1.

    Returns:
        Keypoints `[V, T, K, 2]`, pixels, and confidence `[V, T, K]`; both are 0 where a joint was
        not seen, and in frames that a stream does not have.
    """
    person = np.zeros((*chosen.shape, num_joints, 3))
    for view, stream in enumerate(streams):
        is_there = chosen[view] >= 0
        if stream is not None and is_there.any():
            person[view, is_there] = stream.crowd.people[chosen[view, is_there]]
    confidence = person[..., 2]
    return np.where(confidence[..., np.newaxis] > 0, person[..., :2], 0.0), confidence
