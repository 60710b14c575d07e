"""Every format of 2D tracks: a detector's, or by its ending."""

import csv
import io
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import clocks, detections, trc
from keras_mvlift.lifting import detected_tracks, mocap_files, pose_clip, tracks_2d
from keras_mvlift.untrusted import files, reading

ENDINGS = (".json", ".npz", ".csv", ".h5", ".trc", ".c3d")
"""Of files; a folder is a detector's."""

_PICKLE = "a pickle, which may run programs: save `keypoints_2d` as .npz or .json"
# What else people have, by ending or by what an archive holds: what it is, and the way on.
_OTHERS = {
    ".slp": "SLEAP's project: export its analysis, as .h5 or CSV",
    ".txt": "YOLO's labels: let Ultralytics write `results.to_json()`",
    ".npy": "an array alone: save it as .npz, with the name `keypoints_2d`",
    **dict.fromkeys((".pkl", ".pickle"), _PICKLE),
    **dict.fromkeys((".gz", ".zip", ".7z", ".tar"), "packed files: unpack them"),
    **dict.fromkeys((".jpg", ".jpeg", ".png"), "an image: find the joints in it first"),
    **dict.fromkeys((".wmv", ".flv", ".mpg", ".mpeg", ".m4v", ".mts"), "convert it to .mp4"),
}


def read(
    path: str | os.PathLike[str], skeleton: str | None = None, min_confidence: float | None = None
) -> tracks_2d.Tracks2D:
    """Reads people's 2D joints in one camera's image.

    Args:
        path: A folder of OpenPose's files, or a file ending in one of `ENDINGS`: a detector's JSON,
            or what `read_arrays`, `read_table`, `read_hdf5`, `read_trc` and `read_c3d` state, or
            what lifting wrote as `.json` or `.npz`.
        skeleton: The joints' set, by its name in `skeletons`, where the file does not tell it.
        min_confidence: Joints less sure count as not seen; None for what is usual in detectors'
            files and 0 in others.

    Raises:
        RecordingError: If it is missing or not of its form.
    """
    source = pathlib.Path(path)
    ending = source.suffix.lower()
    is_folder = source.is_dir()
    if not is_folder and ending not in ENDINGS:
        known = f"be a folder of detections or end in {', '.join(ENDINGS)}"
        rule = known if source.exists() or ending else "exist"
        received = _OTHERS.get(ending, source.name) if rule == known else "nothing there"
        raise errors.RecordingError(source, "input", rule, received)
    of_sets = {".json": _read_json, ".npz": read_arrays}
    readers = {".csv": read_table, ".h5": read_hdf5, ".trc": read_trc, ".c3d": read_c3d}
    if is_folder or ending in of_sets:
        tracks = (detected_tracks.read if is_folder else of_sets[ending])(source, skeleton)
    else:
        tracks = readers[ending](source)
    least = tracks.min_confidence if min_confidence is None else min_confidence
    return tracks_2d.at_least(tracks, least)


def _read_json(path: pathlib.Path, skeleton: str | None) -> tracks_2d.Tracks2D:
    content = files.read_json(path)
    if not isinstance(content, dict) or content.get("format") != pose_clip.JSON_FORMAT:
        return detected_tracks.read(path, skeleton, content)
    clip = pose_clip.read_json(path, content)
    with errors.parsing(path, "tracks", "hold `keypoints_2d`"):
        return tracks_2d.of_clip(clip)


# 2D tracks of `.npz` archives.
#
# `keypoints_2d` `[T, K, 2]` or `[T, P, K, 2]`, pixels, NaN where not seen. Optional: `confidence`
# without the last axis, `joint_names` `[K]` or `skeleton`, the name of a set; `frame_rate`,
# `first_frame`, `image_size` (width, height) and `names` `[P]`. Without a set joints are those of
# `skeletons.H36M_17`, or the detector's whose number of joints it is. What rtmlib gives,
# `keypoints` and `scores`, what VideoPose3D takes of one's own videos, and what `keras-mvlift lift`
# wrote are read too.

_FIELDS = (
    *("keypoints_2d", "confidence", "joint_names", "skeleton"),
    *("frame_rate", "first_frame", "image_size", "names"),
)


_RTMLIB = ("keypoints", "scores")
# What others call confidence, and joints.
_SCORES = ("score", "scores", "likelihood", "conf", "visibility", "probability", "c", "p")
_POINTS = ("keypoints", "kpts", "kps", "joints", "joints_2d", "joints2d", "poses_2d", "points")
_CALLED = {
    "keypoints_2d": ("joints", _POINTS),
    "confidence": ("scores", (*_SCORES, "confidences", "keypoint_scores")),
}


def read_arrays(path: pathlib.Path, skeleton: str | None = None) -> tracks_2d.Tracks2D:
    """Reads all people of an archive; the set of joints may be told by its name in `skeletons`.

    Raises:
        RecordingError: If the file is missing or not of the form stated above.
    """
    present = reading.npz_names(path)
    if "positions_2d" in present:
        return _read_videopose3d(path, present, skeleton)
    if "pose" in present:
        clip = pose_clip.read_npz(path)
        with errors.parsing(path, "keypoints_2d", "be there"):
            return tracks_2d.of_clip(clip)
    if "keypoints_2d" not in present and {*_RTMLIB} <= {*present}:
        return detected_tracks.read(path, skeleton)
    for field, (what, others) in _CALLED.items():
        found = [name for name in present if field not in present and name.lower() in others]
        errors.require_in(path, not found, "file", f"call {what} `{field}`", ", ".join(found))
    wanted = tuple(name for name in _FIELDS if name in present or name == "keypoints_2d")
    arrays = reading.npz(path, wanted)
    with errors.parsing(path, "keypoints_2d", "be [T, K, 2] or [T, P, K, 2]"):
        shape = np.shape(arrays["keypoints_2d"])
        rule = "have shape [T, K, 2] or [T, P, K, 2]"
        errors.require_in(path, len(shape) in (3, 4), "keypoints_2d", rule, list(shape))
        clocks.check_length(path, shape[0])
        joints, notes = _joints(path, arrays, skeleton)
        tracks = tracks_2d.of_arrays(
            arrays["keypoints_2d"],
            arrays.get("confidence"),
            joint_names=joints,
            notes=notes,
            **_facts(arrays),
        )
        rule, received = "be [T, P, K, 2], time first", f"{list(shape)}, of people in one place"
        errors.require(not _is_turned(tracks), "keypoints_2d", rule, received)
        return tracks


def _is_turned(tracks: tracks_2d.Tracks2D) -> bool:
    """Tells whether many people in few frames are few people in many, one near the other."""
    many = len(tracks.names)
    if many < max(detected_tracks.MIN_FRAMES, tracks.num_frames + 1):
        return False
    first = np.concatenate([tracks.keypoints_2d, tracks.confidence[..., np.newaxis]], -1)[:, 0]
    return not detected_tracks.follow(np.arange(many), first).any()


_LAYOUTS = {"coco": "coco_17", "h36m": "h36m_17"}


def _read_videopose3d(
    path: pathlib.Path, present: list[str], skeleton: str | None
) -> tracks_2d.Tracks2D:
    """Reads what VideoPose3D's `prepare_data_2d_custom.py` writes, of a single video."""
    content = reading.npz(path, [name for name in ("positions_2d", "metadata") if name in present])
    rule = "hold one video's joints [T, K, 2]"
    with errors.parsing(path, "positions_2d", rule):
        tracks = {
            (video, take): views
            for video, takes in content["positions_2d"].items()
            for take, views in takes.items()
        }
        num_views = sum(map(len, tracks.values()))
        received = f"{num_views}, of {', '.join(f'{video} {take}' for video, take in tracks)}"
        errors.require_in(path, num_views == 1, "positions_2d", rule, received[:200])
        (((video, _), (keypoints,)),) = tracks.items()
        keypoints = files.checked_array(path, "positions_2d", keypoints, (None, None, 2))
    clocks.check_length(path, len(keypoints))
    notes = content.get("metadata", {})
    with errors.parsing(path, "metadata", "tell of the layout and the video"):
        size = notes.get("video_metadata", {}).get(video, {})
        told = _LAYOUTS.get(notes.get("layout_name"))
        image_size = (int(size["w"]), int(size["h"])) if size else None
    arrays = {"keypoints_2d": keypoints}
    joints, said = _joints(path, arrays, skeleton or told)
    with errors.parsing(path, "positions_2d", rule):
        return tracks_2d.of_arrays(keypoints, joint_names=joints, notes=said, image_size=image_size)


def write_arrays(tracks: tracks_2d.Tracks2D, path: pathlib.Path) -> None:
    """Writes 2D tracks so that `read_arrays` gives them again, to a thousandth of a pixel.

    Raises:
        OSError: If the file cannot be written.
    """
    shown = np.where(tracks.confidence[..., np.newaxis] > 0, tracks.keypoints_2d, np.nan)
    facts: dict[str, Any] = {"first_frame": tracks.first_frame, "names": list(tracks.names)}
    optional = {"frame_rate": tracks.frame_rate, "image_size": tracks.image_size}
    facts |= {name: value for name, value in optional.items() if value is not None}
    with files.replacing(path) as partial:
        np.savez_compressed(
            partial,
            keypoints_2d=np.swapaxes(shown, 0, 1).astype(np.float32),
            confidence=np.swapaxes(tracks.confidence, 0, 1).astype(np.float32),
            joint_names=list(tracks.joint_names),
            **facts,
        )


def _joints(
    path: pathlib.Path, arrays: dict[str, Any], skeleton: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the joints' names, and what there is to tell of how they are known."""
    if skeleton is None and "joint_names" in arrays:
        return tuple(map(str, np.ravel(arrays["joint_names"]))), ()
    name = skeleton or (str(arrays["skeleton"]) if "skeleton" in arrays else None)
    keypoints = errors.numbers("keypoints_2d", arrays["keypoints_2d"], np.float64)
    seen = skeletons.is_place(keypoints).astype(float)
    found, notes = detected_tracks.joint_set(path, np.nan_to_num(keypoints), seen, name)
    return found.joints, notes


_SIDES = range(2**16)  # Of images, pixels.


def _facts(arrays: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if "frame_rate" in arrays:
        facts["frame_rate"] = errors.number("frame_rate", arrays["frame_rate"])
    first, most = arrays.get("first_frame", 0), detections.MAX_FRAME_NUMBER
    facts["first_frame"] = errors.whole_number("first_frame", first, 0, most)
    size = np.ravel(arrays.get("image_size", ())).tolist()
    if any(size):
        facts["image_size"] = tuple(int(side) if side in _SIDES else side for side in size)
        pose_clip.check_image_size(facts["image_size"])
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
    """Reads all people; raises `RecordingError` if it is not of the form stated above."""
    text = files.read_text(path, "table", files.MAX_JSON_BYTES)
    files.check_items(path, "table", text.encode(), files.CSV_COSTS)
    with errors.parsing(path, "table", "be comma-separated values"):
        first_line, _, _ = text.partition("\n")
        # As spreadsheets write them where a comma stands for the decimal point.
        mark = next((each for each in ";\t" if each in first_line and "," not in first_line), ",")
        lines = io.StringIO(text if mark == "," else text.replace(",", "."))
        header, *rows = list(csv.reader(lines, delimiter=mark, strict=True))
    if header[0].strip() == "scorer":
        return _read_deeplabcut(path, [header, *rows])
    is_sleap = "frame_idx" in header
    if is_sleap:
        header, rows = _of_sleap(path, header, rows)
    header = [name.strip().lower() for name in header]
    columns = _columns(path, header, [row for row in rows if row])
    frames = _numbers(path, "frame", columns["frame"])
    is_whole = np.isfinite(frames).all() and not (frames % 1).any() and frames.min(initial=0) >= 0
    errors.require_in(path, is_whole, "frame", "be whole numbers from 0 on", "others")
    whole = frames.astype(np.int64)
    x, y, confidence = (
        _numbers(path, name, columns.get(name)) for name in ("x", "y", "confidence")
    )
    if "confidence" not in columns:
        confidence = np.ones_like(x)
    return _laid_out(
        path,
        whole,
        columns.get("person", [""] * len(whole)),
        columns["joint"],
        np.stack([x, y, confidence], axis=-1),
        times=columns.get("time"),
        min_confidence=detected_tracks.MIN_CONFIDENCE if is_sleap else 0.0,
    )


def _laid_out(
    path: pathlib.Path,
    frames: np.ndarray,
    people: Sequence[str],
    joints: Sequence[str],
    points: np.ndarray,
    times: Sequence[str] | None = None,
    min_confidence: float = 0.0,
) -> tracks_2d.Tracks2D:
    """Lays out rows, a joint of a person in a frame each: points `[N, 3]` are x, y, confidence."""
    names, parts = tuple(dict.fromkeys(people)), tuple(dict.fromkeys(joints))
    first, num_frames = int(frames.min()), int(np.ptp(frames)) + 1
    clocks.check_length(path, num_frames)
    index = [{name: number for number, name in enumerate(known)} for known in (names, parts)]
    person = np.array([index[0][name] for name in people])
    joint = np.array([index[1][name] for name in joints])
    keys = np.stack([frames - first, person, joint])
    _, row, counts = np.unique(keys, axis=1, return_index=True, return_counts=True)
    if (counts > 1).any():
        rule = "have one row for each joint of a person in a frame"
        received = f"two, one of them row {int(row[counts > 1].min()) + 1}"
        raise errors.RecordingError(path, "table", rule, received)
    shape = (num_frames, len(names), len(parts), 3)
    files.check_span(path, "table", shape, points.size)
    laid_out = np.full(shape, np.nan)
    laid_out[tuple(keys)] = points
    with errors.parsing(path, "table", "be 2D tracks"):
        return tracks_2d.of_arrays(
            laid_out[..., :2],
            np.nan_to_num(laid_out[..., 2]),
            joint_names=parts,
            names=names if any(names) else None,
            frame_rate=None if times is None else _frame_rate(path, times, frames),
            first_frame=first,
            min_confidence=min_confidence,
        )


def _of_sleap(
    path: pathlib.Path, header: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Turns SLEAP's analysis, a row a person, into a row a joint."""
    nodes = [name[:-2] for name in header if name.endswith(".x")]
    found = []
    with errors.parsing(path, "table", "be SLEAP's analysis"):
        for row in rows:
            cells = dict(zip(header, row, strict=True))
            for node in nodes:
                x, y, score = (cells.get(f"{node}.{part}", "") for part in ("x", "y", "score"))
                # Heat maps reach a little beyond 1.
                score = str(min(float(score or 0), 1.0)) if f"{node}.score" in cells else "1"
                person = cells.get("track") or "person 1"
                found.append([cells["frame_idx"], person, node, x, y, score])
    return ["frame", "person", "joint", "x", "y", "confidence"], found


def _columns(path: pathlib.Path, header: list[str], rows: list[list[str]]) -> dict[str, list[str]]:
    missing = [name for name in _NEEDED_COLUMNS if name not in header]
    rule = f"have the columns {', '.join(_NEEDED_COLUMNS)}"
    errors.require_in(path, not missing, "header", rule, ", ".join(header)[:200])
    twice = next((name for name in header if name and header.count(name) > 1), None)
    errors.require_in(path, twice is None, "header", "name each column once", f"{twice} twice")
    score = next((name for name in header if name in _SCORES), None)
    is_told = score is None or "confidence" in header
    errors.require_in(path, is_told, "header", "call scores `confidence`", score)
    errors.require_in(path, rows, "table", "have rows", "none")
    uneven = next((row for row in rows if len(row) != len(header)), None)
    rule = f"have {len(header)} cells in each row"
    errors.require_in(path, uneven is None, "table", rule, ",".join(uneven or ())[:200])
    cells = zip(*rows, strict=True)
    return {
        name: [cell.strip() for cell in column] for name, column in zip(header, cells, strict=True)
    }


def _numbers(path: pathlib.Path, field: str, cells: Sequence[str] | None) -> np.ndarray:
    with errors.parsing(path, field, "hold numbers or nothing"):
        return np.array([float(cell or "nan") for cell in cells or ()])


def _frame_rate(path: pathlib.Path, cells: Sequence[str], frames: np.ndarray) -> float | None:
    times = _numbers(path, "time", cells)
    early, late = int(frames.argmin()), int(frames.argmax())
    if early == late:
        return None
    rate = (frames[late] - frames[early]) / (times[late] - times[early] or np.nan)
    rule, received = "grow with the frames", "times that do not"
    errors.require_in(path, np.isfinite(rate) and rate > 0, "time", rule, received)
    return float(rate)


# DeepLabCut's tables: rows of the scorer, maybe individuals, body parts and coordinates above those
# of the frames, a number first.


_DEEPLABCUT = ("x", "y", "likelihood")


def _read_deeplabcut(path: pathlib.Path, rows: list[list[str]]) -> tracks_2d.Tracks2D:
    with errors.parsing(path, "table", "be DeepLabCut's"):
        above = {row[0].strip(): row[1:] for row in rows[:4] if not row[0].strip().isdecimal()}
        body = [row for row in rows[len(above) :] if row]
        people = above.get("individuals", [""] * len(above["bodyparts"]))
        columns = list(zip(people, above["bodyparts"], above["coords"], strict=True))
        frames = np.array([int(row[0]) for row in body])
        values = np.array([[float(cell or "nan") for cell in row[1:]] for row in body])
        return _of_deeplabcut(path, frames, columns, values)


def _of_deeplabcut(
    path: pathlib.Path,
    frames: np.ndarray,
    columns: list[tuple[str, str, str]],
    values: np.ndarray,
) -> tracks_2d.Tracks2D:
    """Lays out values `[N, C]` of frames `[N]`; a column is of a person's joint's coordinate."""
    if len({*columns}) < len(columns) or len({*frames.tolist()}) < len(frames):
        raise errors.RecordingError(path, "table", "have each frame and column once", "some twice")
    pairs = list(dict.fromkeys((person, part) for person, part, _ in columns))
    points = np.full((len(frames), len(pairs), 3), np.nan)
    for (person, part, axis), column in zip(columns, values.T, strict=True):
        points[:, pairs.index((person, part)), _DEEPLABCUT.index(axis)] = column
    people, parts = zip(*(pairs * len(frames)), strict=True)
    rows = np.repeat(frames, len(pairs)), people, parts, points.reshape(-1, 3)
    return _laid_out(path, *rows, min_confidence=detected_tracks.MIN_CONFIDENCE)


def read_hdf5(path: pathlib.Path) -> tracks_2d.Tracks2D:
    """Reads all people of SLEAP's analysis, or of DeepLabCut's table.

    Raises:
        RecordingError: If the file is missing or neither.
    """
    found = reading.hdf5_tracks(path)
    if "columns" in found:
        with errors.parsing(path, "table", "be DeepLabCut's"):
            # Below the scorer there may be individuals.
            labels = [
                ["", *label[1:]] if len(label) == 3 else label[1:] for label in found["columns"]
            ]
            columns = [(str(person), str(part), str(axis)) for person, part, axis in labels]
            return _of_deeplabcut(path, found["frames"], columns, found["values"])
    with errors.parsing(path, "tracks", "be SLEAP's analysis, [people, 2, joints, frames]"):
        points, scores = found["tracks"], found.get("point_scores")
        clocks.check_length(path, points.shape[-1])
        return tracks_2d.of_arrays(
            points.transpose(3, 0, 2, 1),
            # Heat maps reach a little beyond 1.
            None if scores is None else np.nan_to_num(scores).clip(0, 1).transpose(2, 0, 1),
            joint_names=tuple(found["node_names"]),
            names=tuple(found.get("track_names", ())) or None,
            min_confidence=detected_tracks.MIN_CONFIDENCE,
        )


# 2D tracks of motion capture's files, `.trc` and `.c3d`, with the unit `px`.
#
# X and Y of a marker are pixels to the right and down, Z is its confidence in [0, 1]; a Z of 0
# throughout the file says that it is not known. A marker is named as a joint of `skeletons`, or
# `person:joint`; an empty or invalid one was not seen.

MARKER_UNIT = "px"


def read_trc(path: pathlib.Path) -> tracks_2d.Tracks2D:
    """Reads all people of a `.trc` file; raises `RecordingError` if it is of another form."""
    return _of_markers(path, "Units", trc.read_table(path))


def read_c3d(path: pathlib.Path) -> tracks_2d.Tracks2D:
    """Reads all people of a `.c3d` file, by ezc3d; errors are those of `read_trc`."""
    return _of_markers(path, "POINT:UNITS", mocap_files.read_c3d(path))


def _of_markers(path: pathlib.Path, field: str, told: trc.Markers) -> tracks_2d.Tracks2D:
    rule = f"be {MARKER_UNIT}, X and Y being points of an image and Z confidence"
    errors.require_in(path, told.unit == MARKER_UNIT, field, rule, told.unit or "nothing")
    clocks.check_length(path, len(told.points))
    parts = (name.rpartition(":") for name in told.names)
    pairs = [(person.strip(), joint.strip()) for person, _, joint in parts]
    people, joints = (tuple(dict.fromkeys(pair[part] for pair in pairs)) for part in (0, 1))
    is_whole = len(set(pairs)) == len(pairs) == len(people) * len(joints) > 0
    rule = "have each joint of each person once"
    errors.require_in(path, is_whole, "markers", rule, ", ".join(told.names)[:200])
    order = [pairs.index((person, joint)) for person in people for joint in joints]
    laid_out = told.points[:, order].reshape(-1, len(people), len(joints), 3)
    confidence = np.nan_to_num(laid_out[..., 2])
    with errors.parsing(path, "markers", "be 2D tracks"):
        return tracks_2d.of_arrays(
            laid_out[..., :2],
            confidence if confidence.any() else None,
            joint_names=joints,
            names=people if people != ("",) else None,
            frame_rate=told.frame_rate if told.frame_rate > 0 else None,
            first_frame=int(told.frames[0]) - 1 if told.frames[0] >= 1 else 0,
        )
