"""Every format of 2D tracks: a detector's, or by its ending."""

import csv
import io
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import clocks, detections, trc
from keras_mvlift.lifting import mocap_files, pose_clip, tracks_2d
from keras_mvlift.untrusted import files, reading

ENDINGS = (".json", ".npz", ".csv", ".trc", ".c3d")
"""Of files; a folder is a detector's."""


def read(path: str | os.PathLike[str], skeleton: str | None = None) -> tracks_2d.Tracks2D:
    """Reads people's 2D joints in one camera's image.

    Args:
        path: A folder of OpenPose's files, or a file ending in one of `ENDINGS`: a detector's JSON,
            or what `read_arrays`, `read_table`, `read_trc` and `read_c3d` state, or what
            lifting wrote as `.json` or `.npz`.
        skeleton: The joints' set, by its name in `skeletons`, where the file does not tell it.

    Raises:
        RecordingError: If it is missing or not of its form.
    """
    source = pathlib.Path(path)
    if source.is_dir():
        return read_detections(source, skeleton)
    ending = source.suffix.lower()
    if ending not in ENDINGS:
        rule = f"be a folder of detections or end in {', '.join(ENDINGS)}"
        raise errors.RecordingError(source, "file name", rule, source.name)
    if ending == ".json":
        return _read_json(source, skeleton)
    if ending == ".npz":
        return read_arrays(source, skeleton)
    if ending == ".csv":
        return read_table(source)
    return (read_trc if ending == ".trc" else read_c3d)(source)


def _read_json(path: pathlib.Path, skeleton: str | None) -> tracks_2d.Tracks2D:
    content = files.read_json(path)
    if not isinstance(content, dict) or content.get("format") != pose_clip.JSON_FORMAT:
        return read_detections(path, skeleton)
    clip = pose_clip.read_json(path)
    with errors.parsing(path, "tracks", "hold `keypoints_2d`"):
        return tracks_2d.of_clip(clip)


# 2D tracks of `.npz` archives.
#
# `keypoints_2d` `[T, K, 2]` or `[T, P, K, 2]`, pixels, NaN where not seen. Optional: `confidence`
# without the last axis, `joint_names` `[K]` or `skeleton`, the name of a set; `frame_rate`,
# `first_frame`, `image_size` (width, height) and `names` `[P]`. Without a set joints are those of
# `skeletons.H36M_17`, or the detector's whose number of joints it is. What rtmlib gives,
# `keypoints` and `scores`, and what `keras-mvlift lift` wrote are read too.

_FIELDS = (
    *("keypoints_2d", "confidence", "joint_names", "skeleton"),
    *("frame_rate", "first_frame", "image_size", "names"),
)


def read_arrays(path: pathlib.Path, skeleton: str | None = None) -> tracks_2d.Tracks2D:
    """Reads all people.

    Args:
        path: The archive.
        skeleton: The joints' set, by its name in `skeletons`; None for what the file says.

    Raises:
        RecordingError: If the file is missing or not of the form stated above.
    """
    present = reading.npz_names(path)
    if "pose" in present:
        clip = pose_clip.read_npz(path)
        with errors.parsing(path, "keypoints_2d", "be there"):
            return tracks_2d.of_clip(clip)
    if "keypoints_2d" not in present and "keypoints" in present:
        return read_detections(path, skeleton)
    wanted = tuple(name for name in _FIELDS if name in present or name == "keypoints_2d")
    arrays = reading.npz(path, wanted)
    with errors.parsing(path, "keypoints_2d", "be [T, K, 2] or [T, P, K, 2]"):
        shape = np.shape(arrays["keypoints_2d"])
        if len(shape) not in (3, 4):
            rule = "have shape [T, K, 2] or [T, P, K, 2]"
            raise errors.RecordingError(path, "keypoints_2d", rule, list(shape))
        clocks.check_length(path, shape[0])
        return tracks_2d.of_arrays(
            arrays["keypoints_2d"],
            arrays.get("confidence"),
            joint_names=_joints(path, arrays, shape[-2], skeleton),
            **_facts(path, arrays),
        )


def write_arrays(tracks: tracks_2d.Tracks2D, path: pathlib.Path) -> None:
    """Writes 2D tracks so that `read_arrays` gives them again, to a thousandth of a pixel.

    Raises:
        OSError: If the file cannot be written.
    """
    shown = np.where(tracks.confidence[..., np.newaxis] > 0, tracks.keypoints_2d, np.nan)
    facts: dict[str, Any] = {"first_frame": tracks.first_frame, "names": list(tracks.names)}
    if tracks.frame_rate is not None:
        facts["frame_rate"] = tracks.frame_rate
    if tracks.image_size is not None:
        facts["image_size"] = tracks.image_size
    with pose_clip.replacing(path) as partial:
        np.savez_compressed(
            partial,
            keypoints_2d=np.swapaxes(shown, 0, 1).astype(np.float32),
            confidence=np.swapaxes(tracks.confidence, 0, 1).astype(np.float32),
            joint_names=list(tracks.joint_names),
            **facts,
        )


def _joints(
    path: pathlib.Path, arrays: dict[str, Any], count: int, skeleton: str | None
) -> tuple[str, ...]:
    if skeleton is None and "joint_names" in arrays:
        return tuple(map(str, np.ravel(arrays["joint_names"])))
    name = skeleton or (str(arrays["skeleton"]) if "skeleton" in arrays else None)
    if name is None and count == skeletons.H36M_17.num_joints:
        name = skeletons.H36M_17.name
    return joint_set(path, count, name).joints


def _facts(path: pathlib.Path, arrays: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    with errors.parsing(path, "frame_rate", "be a number"):
        if "frame_rate" in arrays:
            facts["frame_rate"] = float(arrays["frame_rate"])
    with errors.parsing(path, "first_frame", "be a whole number"):
        facts["first_frame"] = int(arrays.get("first_frame", 0))
    with errors.parsing(path, "image_size", "be width and height"):
        width, height = (int(side) for side in arrays.get("image_size", (0, 0)))
        facts["image_size"] = (width, height) if width and height else None
    if "names" in arrays:
        facts["names"] = tuple(map(str, np.ravel(arrays["names"])))
    return facts


# 2D tracks of tables, `.csv`: a row for each joint that was seen.
#
# The columns are `frame`, `joint` (a name of `skeletons`), `x` and `y` (pixels) and, optional,
# `person`, `confidence` (in [0, 1], 1 if left out) and `time` (seconds), which tells the frame
# rate. A joint without a row, or with empty `x` and `y`, was not seen.

_NEEDED_COLUMNS = ("frame", "joint", "x", "y")


def read_table(path: pathlib.Path) -> tracks_2d.Tracks2D:
    """Reads all people.

    Raises:
        RecordingError: If the file is missing or not of the form stated above.
    """
    text = files.read_text(path, "table", files.MAX_JSON_BYTES)
    files.check_items(path, "table", text.encode(), files.CSV_COSTS)
    with errors.parsing(path, "table", "be comma-separated values"):
        header, *rows = list(csv.reader(io.StringIO(text), strict=True))
    columns = _columns(path, [name.strip() for name in header], [row for row in rows if row])
    frames = _numbers(path, "frame", columns["frame"])
    if not np.isfinite(frames).all() or (frames % 1).any() or frames.min(initial=0) < 0:
        raise errors.RecordingError(path, "frame", "be whole numbers from 0 on", "others")
    first = int(frames.min())
    num_frames = int(frames.max()) - first + 1
    clocks.check_length(path, num_frames)
    slots = frames.astype(np.int64) - first
    people, person = _ranked(columns.get("person"), len(slots))
    joints, joint = _ranked(columns["joint"], len(slots))
    _check_once(path, np.stack([slots, person, joint]))
    points, shape = _points(path, columns), (num_frames, len(people), len(joints), 3)
    files.check_span(path, "table", shape, points.size)
    laid_out = np.full(shape, np.nan)
    laid_out[slots, person, joint] = points
    with errors.parsing(path, "table", "be 2D tracks"):
        return tracks_2d.of_arrays(
            laid_out[..., :2],
            np.nan_to_num(laid_out[..., 2]),
            joint_names=joints,
            names=people if "person" in columns else None,
            frame_rate=_frame_rate(path, columns, slots),
            first_frame=first,
        )


def _columns(path: pathlib.Path, header: list[str], rows: list[list[str]]) -> dict[str, list[str]]:
    missing = [name for name in _NEEDED_COLUMNS if name not in header]
    if missing:
        rule = f"have the columns {', '.join(_NEEDED_COLUMNS)}"
        raise errors.RecordingError(path, "header", rule, ", ".join(header)[:200])
    if not rows:
        raise errors.RecordingError(path, "table", "have rows", "none")
    uneven = next((row for row in rows if len(row) != len(header)), None)
    if uneven is not None:
        rule = f"have {len(header)} cells in each row"
        raise errors.RecordingError(path, "table", rule, ",".join(uneven)[:200])
    cells = zip(*rows, strict=True)
    return {
        name: [cell.strip() for cell in column] for name, column in zip(header, cells, strict=True)
    }


def _numbers(path: pathlib.Path, field: str, cells: list[str]) -> np.ndarray:
    with errors.parsing(path, field, "hold numbers or nothing"):
        return np.array([float(cell or "nan") for cell in cells])


def _points(path: pathlib.Path, columns: dict[str, list[str]]) -> np.ndarray:
    """Returns x, y and confidence of each row, `[N, 3]`."""
    x, y = (_numbers(path, axis, columns[axis]) for axis in "xy")
    confidence = np.ones(len(x))
    if "confidence" in columns:
        confidence = np.nan_to_num(_numbers(path, "confidence", columns["confidence"]))
    return np.stack([x, y, confidence], axis=-1)


def _ranked(cells: list[str] | None, count: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the different texts in the order in which they come, and each row's index in them."""
    if cells is None:
        return tracks_2d.numbered(1), np.zeros(count, np.int64)
    names = tuple(dict.fromkeys(cells))
    index = {name: number for number, name in enumerate(names)}
    return names, np.array([index[cell] for cell in cells])


def _check_once(path: pathlib.Path, keys: np.ndarray) -> None:
    _, first, counts = np.unique(keys, axis=1, return_index=True, return_counts=True)
    if (counts > 1).any():
        row = int(first[counts > 1].min()) + 1
        rule = "have one row for each joint of a person in a frame"
        raise errors.RecordingError(path, "table", rule, f"two, one of them row {row}")


def _frame_rate(
    path: pathlib.Path, columns: dict[str, list[str]], slots: np.ndarray
) -> float | None:
    if "time" not in columns:
        return None
    times = _numbers(path, "time", columns["time"])
    early, late = int(slots.argmin()), int(slots.argmax())
    if slots[early] == slots[late]:
        return None
    rate = (slots[late] - slots[early]) / (times[late] - times[early] or np.nan)
    if not np.isfinite(rate) or rate <= 0:
        raise errors.RecordingError(path, "time", "grow with the frames", "times that do not")
    return float(rate)


# 2D tracks of motion capture's files, `.trc` and `.c3d`, with the unit `px`.
#
# X and Y of a marker are pixels to the right and down, Z is its confidence in [0, 1]; a Z of 0
# throughout the file says that it is not known. A marker is named as a joint of `skeletons`, or
# `person:joint`; an empty or invalid one was not seen.

MARKER_UNIT = "px"


def read_trc(path: pathlib.Path) -> tracks_2d.Tracks2D:
    """Reads all people of a `.trc` file.

    Raises:
        RecordingError: If the file is missing or not of the form stated above.
    """
    table = trc.read_table(path)
    _check_unit(path, "Units", table.unit)
    first = int(table.frames[0]) - 1 if table.frames[0] >= 1 else 0
    return _tracks(path, table.names, table.points, table.frame_rate, first)


def read_c3d(path: pathlib.Path) -> tracks_2d.Tracks2D:
    """Reads all people of a `.c3d` file; needs ezc3d.

    Raises:
        RecordingError: If the file is missing or not of the form stated above.
    """
    # Only this format needs it.
    from keras_mvlift.lifting import c3d_file

    files.size(path, "file", files.MAX_ARCHIVE_BYTES)
    content = c3d_file.read(path)
    _check_unit(path, "POINT:UNITS", content.unit)
    return _tracks(path, content.names, content.points, content.frame_rate, content.first_frame)


def _check_unit(path: pathlib.Path, field: str, unit: str) -> None:
    if unit != MARKER_UNIT:
        rule = f"be {MARKER_UNIT}, X and Y being points of an image and Z confidence"
        raise errors.RecordingError(path, field, rule, unit or "nothing")


def _tracks(
    path: pathlib.Path,
    names: tuple[str, ...],
    points: np.ndarray,
    frame_rate: float,
    first_frame: int,
) -> tracks_2d.Tracks2D:
    clocks.check_length(path, len(points))
    pairs = [mocap_files.split_name(name) for name in names]
    people = tuple(dict.fromkeys(person for person, _ in pairs))
    joints = tuple(dict.fromkeys(joint for _, joint in pairs))
    if len(set(pairs)) < len(pairs) or len(pairs) != len(people) * len(joints):
        rule = "have each joint of each person once"
        raise errors.RecordingError(path, "markers", rule, ", ".join(names)[:200])
    order = [pairs.index((person, joint)) for person in people for joint in joints]
    laid_out = points[:, order].reshape(len(points), len(people), len(joints), 3)
    confidence = np.nan_to_num(laid_out[..., 2])
    with errors.parsing(path, "markers", "be 2D tracks"):
        return tracks_2d.of_arrays(
            laid_out[..., :2],
            confidence if confidence.any() else None,
            joint_names=joints,
            names=people if people != ("",) else None,
            frame_rate=frame_rate if frame_rate > 0 else None,
            first_frame=max(first_frame, 0),
        )


# 2D tracks of what detectors write: OpenPose's folders, AlphaPose's, MMPose's and rtmlib's files.
#
# Several people become several tracks: by the detector's numbers where it gives every person one,
# else by where they were.

# Sets by their number of joints; BODY_25 and BODY_25B have the same and must be told apart.
_BY_COUNT = {
    skeleton.num_joints: skeleton.name
    for skeleton in (skeletons.COCO_17, skeletons.HALPE_26, skeletons.MEDIAPIPE_33)
}

# Confidences above 1, which some detectors write, count as 1.
_LOWEST, _HIGHEST = np.array([-np.inf, -np.inf, 0.0]), np.array([np.inf, np.inf, 1.0])


def read_detections(path: pathlib.Path, skeleton: str | None = None) -> tracks_2d.Tracks2D:
    """Reads all people.

    Args:
        path: A folder of OpenPose's files, or a file of another detector.
        skeleton: The detector's joint set, by its name in `skeletons`; None to tell it from the
            number of joints.

    Raises:
        RecordingError: If it is none of them, nobody is seen, or the set cannot be told.
    """
    frames = _reader(path)(path)
    joints = joint_set(path, _count(path, frames), skeleton)
    crowd = detections.gather(frames, joints)
    is_seen = (crowd.people[..., 2] > 0).any(axis=-1)
    if not is_seen.any():
        raise errors.RecordingError(path, "people", "be there in a frame", "nobody in any")
    first = int(crowd.numbers.min())
    num_frames = int(crowd.numbers.max()) - first + 1
    clocks.check_length(path, num_frames)
    labels = _labels(frames, crowd, is_seen)
    people = np.clip(crowd.people[is_seen], _LOWEST, _HIGHEST)
    everyone = ranking(labels, people[..., 2], len(frames))
    if not len(everyone):
        rule = f"be there in {MIN_FRAMES} frames"
        raise errors.RecordingError(path, "people", rule, "nobody who is")
    shape = (num_frames, len(everyone), joints.num_joints, 3)
    files.check_span(path, "people", shape, people.size)
    laid_out = np.zeros(shape)
    # Whose row each is, of those who stay.
    row = np.full(labels.max() + 1, -1)
    row[everyone] = np.arange(len(everyone))
    is_kept = row[labels] >= 0
    slots = crowd.numbers[crowd.owner[is_seen]] - first
    laid_out[slots[is_kept], row[labels[is_kept]]] = people[is_kept]
    return tracks_2d.of_arrays(
        laid_out[..., :2], laid_out[..., 2], joint_names=joints.joints, first_frame=first
    )


def _reader(path: pathlib.Path) -> Callable[[pathlib.Path], list[detections.Frame]]:
    """Tells whose output it is."""
    if path.is_dir():
        return detections.openpose_frames
    if path.suffix.lower() == ".npz":
        return detections.rtmlib_frames
    content = files.read_json(path)
    first = content[0] if isinstance(content, list) and content else content
    known = first if isinstance(first, dict) else {}
    if "image_id" in known:
        return detections.alphapose_frames
    if "frame_id" in known or "instance_info" in known:
        return detections.mmpose_frames
    if "keypoints" in known:
        return detections.rtmlib_frames
    rule = "be detections of AlphaPose, MMPose or rtmlib, or a folder of OpenPose's"
    raise errors.RecordingError(path, "file", rule, f"{type(content).__name__} of something else")


def joint_set(path: pathlib.Path, count: int, name: str | None) -> skeletons.Skeleton:
    """Finds a set by its name or, of those that it tells, by its number of joints.

    Raises:
        RecordingError: If there is none, or several are of that number.
    """
    known = ", ".join(skeletons.SKELETONS)
    if name is None and count not in _BY_COUNT:
        rule = f"be said (one of {known}), since the number of joints does not tell it"
        raise errors.RecordingError(path, "skeleton", rule, f"{count} joints")
    found = skeletons.SKELETONS.get(_BY_COUNT[count] if name is None else name)
    if found is None:
        raise errors.RecordingError(path, "skeleton", f"be one of {known}", name)
    return found


def _count(path: pathlib.Path, frames: list[detections.Frame]) -> int:
    """Returns the number of joints of the first person."""
    person = next((person for frame in frames for person in frame.people), None)
    if person is None:
        raise errors.RecordingError(path, "people", "be there in a frame", "nobody in any")
    with errors.parsing(path, "people", "hold x, y and confidence of each joint"):
        return np.size(person) // 3


def _labels(
    frames: list[detections.Frame], crowd: detections.Crowd, is_seen: np.ndarray
) -> np.ndarray:
    """Returns for each person seen who it is, counted from 0."""
    owner = crowd.owner[is_seen]
    ids = [each for frame in frames for each in frame.ids]
    is_told = all(len(frame.ids) == len(frame.people) for frame in frames)
    if is_told and all(isinstance(each, (int, float)) for each in ids):
        named = np.unique(np.array(ids)[is_seen], return_inverse=True)[1]
        if len({*zip(owner.tolist(), named.tolist(), strict=True)}) == len(owner):
            return named
    order = np.argsort(crowd.numbers[owner], kind="stable")
    labels = np.empty(len(owner), np.int64)
    numbers = crowd.numbers[owner][order]
    labels[order] = follow(numbers, crowd.people[is_seen][order])
    return labels


# Who is who from frame to frame, where a detector does not say.

MIN_FRAMES = 5
"""Someone seen in fewer frames counts as a detector's mistake, unless the clip is as short."""

# Shares of a person's size that joints move by, on average, from one frame to the next.
_MAX_STEP = 0.4
# Frames; who was away for longer comes back as somebody else.
_MAX_GAP = 30
# The step grows with the gap up to this.
_MAX_STEPS = 3


def follow(numbers: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Tells people apart by where they were.

    In each frame the nearest pair of someone known and someone seen is joined first. The distance
    is the mean over joints that both have, in sizes of the person known.

    Args:
        numbers: `[N]`, the frame that each person is in, ascending.
        people: `[N, K, 3]`, x and y in pixels, and confidence, 0 where not seen.

    Returns:
        `[N]`, who each is, counted from 0.
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


def ranking(labels: np.ndarray, confidence: np.ndarray, num_frames: int) -> np.ndarray:
    """Orders people by how surely they were seen, leaving out who was seen too shortly.

    Args:
        labels: `[N]`, who each is.
        confidence: `[N, K]`.
        num_frames: The clip's.

    Returns:
        Labels, the greatest sum of confidences first.
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
    return np.where(both.any(axis=-1), mean, np.inf) / _sizes(known)[:, np.newaxis]


def _sizes(people: np.ndarray) -> np.ndarray:
    """Returns the diagonals of the boxes around the joints seen, `[C]`, at least a pixel."""
    is_seen = people[..., 2:] > 0
    high = np.where(is_seen, people[..., :2], -np.inf).max(axis=1)
    low = np.where(is_seen, people[..., :2], np.inf).min(axis=1)
    return np.maximum(np.linalg.norm(high - low, axis=-1), 1.0)


def _join(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs rows with columns whose value is at most 1, the least first, each once."""
    left, pairs = distances.copy(), []
    while left.size and left.min() <= 1.0:
        row, column = np.unravel_index(left.argmin(), left.shape)
        pairs.append((row, column))
        left[row], left[:, column] = np.inf, np.inf
    joined = np.array(pairs, np.int64).reshape(-1, 2)
    return joined[:, 0], joined[:, 1]
