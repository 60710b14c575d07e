"""2D tracks of what detectors write, its people told apart from frame to frame.

Read are OpenPose's folders, AlphaPose's, MMPose's, Ultralytics' and rtmlib's files, and COCO's
annotations.
"""

import itertools
import json
import pathlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import clocks, detections
from keras_mvlift.lifting import tracks_2d
from keras_mvlift.untrusted import files

MIN_CONFIDENCE = 0.3
"""What detectors are less sure of lies anywhere."""


def read(
    path: pathlib.Path, skeleton: str | None = None, content: Any = None
) -> tracks_2d.Tracks2D:
    """Reads all people.

    Args:
        path: A folder of OpenPose's files or of one file an image, or a file of another detector.
        skeleton: The detector's joint set, by its name in `skeletons`; None to tell it from the
            number of joints, or of sets of as many from where they are.
        content: Of a JSON file that was read already.

    Raises:
        RecordingError: If it is none of them, nobody is seen, or the set cannot be told.
    """
    frames = _frames(path, content)
    every = _first_people(path, frames)
    joints, notes = joint_set(path, every[..., :2], every[..., 2], skeleton)
    crowd = detections.gather(frames, joints)
    is_seen = (crowd.people[..., 2] > 0).any(axis=-1)
    errors.require_in(path, is_seen.any(), "people", "be there in a frame", "nobody in any")
    first = int(crowd.numbers.min())
    num_frames = int(crowd.numbers.max()) - first + 1
    clocks.check_length(path, num_frames)
    people, told = _scaled(path, crowd.people[is_seen])
    slots = crowd.numbers[crowd.owner[is_seen]] - first
    ids = _ids(frames, is_seen)
    laid_out, dropped = lay_out(path, slots, people, num_frames, len(frames), ids)
    brief = f"{dropped} of {len(people)} detections left out, of people in too few frames"
    step = int(np.diff(np.unique(crowd.numbers)).min(initial=num_frames))
    apart = f"frames are numbered {step} apart, with none between: as times are?"
    return tracks_2d.of_arrays(
        laid_out[..., :2],
        laid_out[..., 2],
        joint_names=joints.joints,
        first_frame=first,
        notes=(*notes, *told, *(brief,) * (dropped > 0), *(apart,) * (1 < step < num_frames)),
        min_confidence=MIN_CONFIDENCE,
    )


def _ids(frames: list[detections.Frame], is_seen: np.ndarray) -> np.ndarray | None:
    """Returns the detector's number of each person seen; None where it does not tell all."""
    ids = [each for frame in frames for each in frame.ids]
    is_told = all(len(frame.ids) == len(frame.people) for frame in frames)
    is_told = is_told and all(isinstance(each, (int, float)) for each in ids)
    return np.array(ids)[is_seen] if is_told else None


def _scaled(path: pathlib.Path, people: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns people `[N, K, 3]` with scores in [0, 1], and what there is to tell of it."""
    reach = people[..., 2].max()
    scale = detections.score_scale(people[..., 2].ravel())
    if scale is None:
        raise errors.RecordingError(path, "scores", "lie in [0, 1]", f"up to {reach:.4g}")
    scaled = np.concatenate([people[..., :2], np.minimum(people[..., 2:] / scale, 1.0)], axis=-1)
    note = f"scores reach {reach:.3g} and are divided by {scale:g}"
    return scaled, (note,) if scale > 1 else ()


def joint_set(
    path: pathlib.Path, keypoints_2d: np.ndarray, confidence: np.ndarray, name: str | None
) -> tuple[skeletons.Skeleton, tuple[str, ...]]:
    """Finds a set by its name, or by its number of joints and the anatomy.

    Args:
        path: The file, for errors.
        keypoints_2d: `[..., K, 2]`, pixels.
        confidence: `[..., K]`, 0 where not seen.
        name: Of `skeletons.SKELETONS`; None where it is not told.

    Returns:
        The set, and what there is to tell of how it was found.

    Raises:
        RecordingError: If there is none, or it is not clear which.
    """
    count = confidence.shape[-1]
    likely = skeletons.by_anatomy(keypoints_2d, confidence)
    same = [known.name for known in skeletons.SKELETONS.values() if known.num_joints == count]
    if name is None and likely is None:
        rule = f"be said by --skeleton: {', '.join(same or skeletons.SKELETONS)}"
        received = f"{count} joints" + (", and which set's is not to be seen" if same else "")
        raise errors.RecordingError(path, "skeleton", rule, received)
    if name is None and likely is not None:
        notes = (f"joints read as {likely.name}'s by where they lie",) if len(same) > 1 else ()
        return likely, notes
    with errors.parsing(path, "skeleton", "be known"):
        found = skeletons.by_name(str(name))
    rule = f"have the {found.num_joints} joints of {found.name}"
    received = f"{count}" + (f", as {' and '.join(same)} has" if same else "")
    errors.require_in(path, found.num_joints == count, "keypoints", rule, received)
    if likely is not None and likely is not found:
        _warn(f"{path.name}: joints look like {likely.name}'s and are read as {found.name}'s.")
    return found, ()


_MOST_EXAMINED = 500  # Of a file so many people are looked at to tell their joints' set.


def _first_people(path: pathlib.Path, frames: list[detections.Frame]) -> np.ndarray:
    """Returns the first people, `[N, K, 3]`, of as many joints as the first of all."""
    with errors.parsing(path, "people", "hold x, y and confidence of each joint"):
        people = (person for frame in frames for person in frame.people)
        each = (np.array(person, np.float64).ravel() for person in people)
        flat = list(itertools.islice(filter(_is_seen, each), _MOST_EXAMINED))
        errors.require_in(path, flat, "people", "be there in a frame", "nobody in any")
        size = len(flat[0])
        rule = "hold x, y and confidence of each joint"
        errors.require_in(path, not size % 3, "people", rule, f"{size} numbers")
        found = np.array([each for each in flat if len(each) == size]).reshape(-1, size // 3, 3)
    # What is infinite is refused later, of whichever set.
    found[~skeletons.is_place(found[..., :2]) | ~np.isfinite(found).all(axis=-1)] = 0.0
    return found


def _is_seen(numbers: np.ndarray) -> bool:
    """Tells of a person's numbers, `[3 K]`, whether a joint was seen, or they are no such."""
    if len(numbers) % 3:
        return True
    person = numbers.reshape(-1, 3)
    return bool((skeletons.is_place(person[:, :2]) & (person[:, 2] != 0)).any())


def _frames(path: pathlib.Path, content: Any) -> list[detections.Frame]:
    """Reads all people in all frames, of whichever detector's."""
    if path.suffix.lower() == ".npz":
        return detections.rtmlib_frames(path)
    if path.is_dir():
        is_list = isinstance(files.read_json(detections.json_files(path)[0]), list)
        return detections.image_frames(path) if is_list else detections.openpose_frames(path)
    content = files.read_json(path) if content is None else content
    is_list = isinstance(content, list)
    first = content[0] if is_list and content else content
    known: Mapping[str, Any] = first if isinstance(first, dict) else {}
    errors.require_in(path, content != [], "people", "be there in a frame", "nobody in any")
    for keys, read_frames in _JSON:
        if all(key in known for key in keys):
            return read_frames(path, content)
    is_ultralytics = isinstance(first, list) and all(isinstance(each, list) for each in content)
    if is_list and ("keypoints" in known or (is_ultralytics and any(content))):
        return detections.image_frames(path, content)
    rule = "be detections of AlphaPose, MMPose, Ultralytics or rtmlib, annotations of COCO, or a "
    rule += "folder of OpenPose's files"
    what = "a list" if is_list else "an object" if known == content else json.dumps(content)[:20]
    received = f"keys {', '.join(list(known)[:5])} of something else" if known else what
    raise errors.RecordingError(path, "file", rule, received)


# By what the first frame, or all of the file, has.
_JSON: tuple[tuple[tuple[str, ...], Callable[..., list[detections.Frame]]], ...] = (
    (("annotations", "images"), detections.coco_frames),
    (("image_id",), detections.alphapose_frames),
    (("frame_id",), detections.mmpose_frames),
    (("instance_info",), detections.mmpose_frames),
    (("scores",), detections.rtmlib_frames),
)


# Who is who from frame to frame: by the detector's numbers, or by where people were.

MIN_FRAMES = 5
"""Someone seen in fewer frames counts as a detector's mistake, unless the clip is as short."""

# Shares of a person's size that joints move by, on average, from one frame to the next.
_MAX_STEP = 0.4
# Frames; who was away for longer comes back as somebody else.
_MAX_GAP = 30
_MAX_STEPS = 3  # The step grows with the gap up to this.
_MAX_JUMPS = 0.02  # Of steps by a detector's numbers so many may be longer than people's are.


def tell_apart(
    numbers: np.ndarray, people: np.ndarray, ids: np.ndarray | None = None
) -> np.ndarray:
    """Tells who each is, `[N]`, counted from 0.

    Where there is one in a frame at most, it is one person, however far it moves, unless it comes
    back to where it was: then they are several. Numbers of a detector are believed unless they make
    people jump to where others were, as numbers do that are places in a list; a warning says so.
    Somebody who is given another number on the way keeps the first.

    Args:
        numbers: `[N]`, the frame that each person is in.
        people: `[N, K, 3]`, x and y in pixels, and confidence, 0 where not seen.
        ids: `[N]`, the detector's; None where it tells none.
    """
    order = np.argsort(numbers, kind="stable")
    followed = np.empty(len(numbers), np.int64)
    followed[order] = follow(numbers[order], people[order])
    if len(np.unique(numbers)) == len(numbers):
        if not _takes_turns(followed[order]):
            return np.zeros(len(numbers), np.int64)
        _warn("One person a frame, who jumps to and fro: they are told apart by where they were.")
        return followed
    if ids is None:
        return followed
    told = np.unique(ids, return_inverse=True)[1]
    if len({*zip(numbers.tolist(), told.tolist(), strict=True)}) < len(told):
        return followed
    jumps, others = (_jumps(numbers, people, labels) for labels in (told, followed))
    if jumps <= max(others, _MAX_JUMPS * len(told)):
        return _rejoined(numbers, told, followed)
    _warn(
        f"The detector's numbers of people make them jump {jumps} times by more than "
        f"{_MAX_STEP:.0%} of their size: people are told apart by where they were."
    )
    return followed


def _warn(told: str) -> None:
    warnings.warn(told, errors.InputWarning, stacklevel=5)


# Of detections, those of people who are there for a while; the rest are a detector's mistakes.
_MOSTLY = 0.8


def _takes_turns(labels: np.ndarray) -> bool:
    """Tells whether one a frame, `[N]` in order, are people of whom one comes back after others."""
    lasting = ranking(labels, np.ones((len(labels), 1)), len(labels))
    is_lasting = np.isin(labels, lasting)
    turns = labels[np.flatnonzero(np.diff(labels, prepend=-1))]
    return bool(is_lasting.mean() >= _MOSTLY and len(turns) > len(np.unique(turns)))


_MAX_ABSENCE = 5  # Frames that someone may be away and come back under another number.


def _rejoined(numbers: np.ndarray, told: np.ndarray, followed: np.ndarray) -> np.ndarray:
    """Leaves people the first of the numbers that they have one after the other."""
    order = np.lexsort((numbers, told))
    names, first = np.unique(told[order], return_index=True)
    starts, ends = order[first], order[np.append(first[1:], len(order)) - 1]
    before: dict[int, list[int]] = {}
    for end in ends:
        before.setdefault(followed[end], []).append(end)
    joined = told.copy()
    for start in starts[np.argsort(numbers[starts], kind="stable")]:
        for end in before.get(followed[start], ()):
            if 0 < numbers[start] - numbers[end] <= _MAX_ABSENCE:
                joined[joined == told[start]] = joined[end]
    changes = len(names) - len(np.unique(joined))
    if changes:
        _warn(f"The detector's numbers of people change {changes} times: the first ones are kept.")
    return joined


def _jumps(numbers: np.ndarray, people: np.ndarray, labels: np.ndarray) -> int:
    """Counts steps from one frame to the next that are longer than people's are."""
    order = np.lexsort((numbers, labels))
    first, second = order[:-1], order[1:]
    is_step = (labels[first] == labels[second]) & (numbers[second] - numbers[first] == 1)
    pairs = zip(people[first[is_step]], people[second[is_step]], strict=True)
    steps = [_distances(one[np.newaxis], other[np.newaxis])[0, 0] for one, other in pairs]
    return sum(_MAX_STEP < step < np.inf for step in steps)


def follow(numbers: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Tells people apart by where they were: who each is, `[N]`, counted from 0.

    In each frame the nearest pair of someone known and someone seen is joined first. The distance
    is the mean over joints that both have, in sizes of the person known. Arguments are those of
    `tell_apart`, frames ascending.
    """
    labels = np.full(len(people), -1)
    latest = np.zeros((0, *people.shape[1:]))
    last_seen = np.zeros(0, np.int64)
    frames, starts = np.unique(numbers, return_index=True)
    for frame, members in zip(frames, np.split(np.arange(len(people)), starts[1:]), strict=True):
        gap = frame - last_seen
        around = np.flatnonzero(gap <= _MAX_GAP)
        reach = _MAX_STEP * np.minimum(gap[around], _MAX_STEPS)
        index, seen = _join(_distances(latest[around], people[members]) / reach[:, np.newaxis])
        known = around[index]
        new = np.setdiff1d(np.arange(len(members)), seen)
        labels[members[seen]] = known
        labels[members[new]] = len(latest) + np.arange(len(new))
        found = people[members[seen]]
        latest[known] = np.where(found[..., 2:] > 0, found, latest[known])
        last_seen[known] = frame
        latest = np.concatenate([latest, people[members[new]]])
        last_seen = np.append(last_seen, np.full(len(new), frame))
    return labels


def lay_out(
    path: pathlib.Path,
    slots: np.ndarray,
    people: np.ndarray,
    num_frames: int,
    num_read: int,
    ids: np.ndarray | None = None,
) -> tuple[np.ndarray, int]:
    """Tells people apart, as `tell_apart` does, and lays out those who stay over time.

    Args:
        path: The file, for errors.
        slots: `[N]`, the frame, counted from 0, that each is in.
        people: `[N, K, 3]`, x and y in pixels, and confidence, 0 where not seen.
        num_frames: `T`.
        num_read: How many of these there are in the file.
        ids: `[N]`, the detector's numbers; None where it tells none.

    Returns:
        `[T, P, K, 3]`, 0 where not seen, in the order of `ranking`; and how many of the `N` are
        left out.

    Raises:
        RecordingError: If nobody stays, or few numbers span many.
    """
    labels = tell_apart(slots, people, ids)
    everyone = ranking(labels, people[..., 2], num_read)
    rule = f"be there in {MIN_FRAMES} frames each"
    received = f"{len(people)} detections, too far from one frame to the next to be followed"
    errors.require_in(path, len(everyone), "people", rule, received)
    shape = (num_frames, len(everyone), *people.shape[1:])
    files.check_span(path, "people", shape, people.size)
    laid_out = np.zeros(shape)
    # Whose row each is, of those who stay.
    row = np.full(labels.max() + 1, -1)
    row[everyone] = np.arange(len(everyone))
    is_kept = row[labels] >= 0
    laid_out[slots[is_kept], row[labels[is_kept]]] = people[is_kept]
    return laid_out, int(np.count_nonzero(~is_kept))


def ranking(labels: np.ndarray, confidence: np.ndarray, num_frames: int) -> np.ndarray:
    """Orders people by how surely they were seen, leaving out who was seen too shortly.

    Of `[N]`, who each is, and confidence `[N, K]` it returns the labels, the greatest sum first.
    """
    names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.bincount(index, weights=confidence.sum(axis=-1), minlength=len(names))
    order = np.argsort(-sums, kind="stable")
    return names[order[counts[order] >= min(MIN_FRAMES, num_frames)]]


def _distances(known: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Returns `[C, D]` of `[C, K, 3]` and `[D, K, 3]`; infinite without a joint in both."""
    both = (known[:, np.newaxis, :, 2] > 0) & (seen[np.newaxis, :, :, 2] > 0)
    apart = np.linalg.norm(known[:, np.newaxis, :, :2] - seen[np.newaxis, :, :, :2], axis=-1)
    mean = (apart * both).sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)
    size = sequences.box_diagonals(known[..., :2], known[..., 2] > 0)
    # At least a pixel.
    return np.where(both.any(axis=-1), mean, np.inf) / np.maximum(size, 1.0)[:, np.newaxis]


def _join(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs rows with columns whose value is at most 1, the least first, each once."""
    left, pairs = distances.copy(), []
    while left.size and left.min() <= 1.0:
        row, column = np.unravel_index(left.argmin(), left.shape)
        pairs.append((row, column))
        left[row], left[:, column] = np.inf, np.inf
    joined = np.array(pairs, np.int64).reshape(-1, 2)
    return joined[:, 0], joined[:, 1]
