"""Poses over time: the one type that lifting gives, files hold and viewers show."""

import csv
import dataclasses
import importlib
import json
import os
import pathlib
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.untrusted import files, reading

SPACES = ("root", "camera", "world")
"""Where a pose may be: around its root, in camera axes; from the camera; in the world, z up."""


def y_up(points: np.ndarray, space: str) -> np.ndarray:
    """Turns points `[..., 3]` of one of `SPACES` so that y points up, as OpenSim has it."""
    # The world's (x, y, z) is OpenSim's (z, x, y). In front of a camera what points up is -y.
    return points[..., [1, 2, 0]] if space == "world" else points * [1.0, -1.0, -1.0]


def z_up(points: np.ndarray, space: str) -> np.ndarray:
    """Turns points `[..., 3]` of one of `SPACES` so that z points up, from a camera y away."""
    if space == "world":
        return points
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x, z, -y], axis=-1)


OPTIONAL = ("confidence", "uncertainty", "keypoints_2d", "keypoint_confidence")
"""What a track may know beside its pose."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
    """One person, or one model's or a reference's view of a person.

    Attributes:
        name: Such as `"person 1"` or `"reference"`.
        pose: `[T, J, 3]`, meters, in the clip's space; NaN where a joint is absent.
        confidence: `[T, J]`, in [0, 1], of the 3D joint; None where it is not known.
        uncertainty: `[T, J]`, meters, one standard deviation, where a model knows it; NaN where
            a joint is absent.
        keypoints_2d: `[T, J, 2]`, pixels, what was lifted; NaN where a joint was not seen.
        keypoint_confidence: `[T, J]`, in [0, 1], of what was lifted; 0 where not seen.
        is_reference: Whether it is what the others are judged against.

    Raises:
        ValueError: If a field does not have the shape or values stated above.
    """

    name: str
    pose: np.ndarray
    confidence: np.ndarray | None = None
    uncertainty: np.ndarray | None = None
    keypoints_2d: np.ndarray | None = None
    keypoint_confidence: np.ndarray | None = None
    is_reference: bool = False

    def __post_init__(self) -> None:
        errors.require(_is_text(self.name), "name", "be a text that is not empty", repr(self.name))
        is_told = isinstance(self.is_reference, bool)
        errors.require(is_told, "is_reference", "be true or false", repr(self.is_reference))
        _check_points("pose", self.pose, 3)
        per_joint = self.pose.shape[:2]
        for name in ("confidence", "uncertainty", "keypoint_confidence"):
            _check_per_joint(name, getattr(self, name), per_joint)
        if self.keypoints_2d is not None:
            _check_points("keypoints_2d", self.keypoints_2d, 2)
            shape, rule = self.keypoints_2d.shape, "have the frames and joints of `pose`, "
            is_same = shape[:2] == per_joint
            errors.require(is_same, "keypoints_2d", f"{rule}{list(per_joint)}", list(shape))

    @property
    def is_present(self) -> np.ndarray:
        """`[T, J]`, where a joint has a position."""
        return np.isfinite(self.pose).all(axis=-1)


def _check_points(name: str, points: np.ndarray, num_axes: int) -> None:
    is_shaped = _is_array(points) and points.ndim == 3 and points.shape[-1] == num_axes
    errors.require(is_shaped, name, f"have shape [T, J, {num_axes}]", _shape(points))
    errors.require(bool(points.size), name, "have at least one frame and one joint", _shape(points))
    is_nan = np.isnan(points)
    is_partly = (is_nan.any(axis=-1) & ~is_nan.all(axis=-1)).any()
    rule = "be finite, or NaN in all of a joint's numbers"
    errors.require(not np.isinf(points).any() and not is_partly, name, rule, "others")


def _check_per_joint(name: str, values: np.ndarray | None, shape: tuple[int, ...]) -> None:
    if values is None:
        return
    is_shaped = _is_array(values) and values.shape == shape
    rule = f"have the frames and joints of `pose`, {list(shape)}"
    errors.require(is_shaped, name, rule, _shape(values))
    if name == "uncertainty":
        if (values < 0).any() or np.isinf(values).any():
            received = float(np.nanmin(values))
            raise errors.ArgumentError(name, "be finite and at least 0, or NaN", received)
    elif not ((values >= 0) & (values <= 1)).all():
        raise errors.ArgumentError(name, "lie in [0, 1]", f"{values.min()} to {values.max()}")


def _is_array(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "f"


def _shape(values: Any) -> str:
    if not isinstance(values, np.ndarray):
        return type(values).__name__
    return f"{list(values.shape)} of {values.dtype}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoseClip:
    """People over a stretch of time.

    Attributes:
        tracks: At least one, all with the same frames `T` and joints `J`, each of its own name.
        space: `"root"`: around the pelvis, in camera axes, x right, y down, z away from the
            camera; `"camera"`: the same axes, from the camera; `"world"`: z up.
        frame_rate: Frames per second.
        first_frame: The number of the first frame.
        joint_names: `J` names.
        parents: `J` indices of each joint's parent, -1 for the root.
        image_size: Width and height in pixels of the image that was lifted.
        about: Notes, such as the model's name: texts to JSON values.

    Raises:
        ValueError: If a field does not hold what is stated above.
    """

    tracks: tuple[Track, ...]
    space: str
    frame_rate: float
    first_frame: int = 0
    joint_names: tuple[str, ...] = skeletons.H36M_17.joints
    parents: tuple[int, ...] = skeletons.H36M_17.parents
    image_size: tuple[int, int] | None = None
    about: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        errors.require_known("space", self.space, SPACES)
        errors.frame_rate(self.frame_rate)
        first = self.first_frame
        is_frame = isinstance(first, int) and first >= 0
        errors.require(is_frame, "first_frame", "be a whole number of at least 0", first)
        self._check_joints()
        self._check_tracks()
        if self.image_size is not None:
            check_image_size(self.image_size)
        self._check_about()

    @property
    def num_frames(self) -> int:
        """The number of frames, `T`."""
        return len(self.tracks[0].pose)

    def _check_joints(self) -> None:
        names = self.joint_names
        are_names = bool(names) and len(set(names)) == len(names) and all(map(_is_text, names))
        errors.require(are_names, "joint_names", "be texts, each once", names)
        is_tree = len(self.parents) == len(names) and all(
            isinstance(parent, int) and -1 <= parent < child
            for child, parent in enumerate(self.parents)
        )
        is_tree = is_tree and list(self.parents).count(-1) == 1
        rule = f"name for each of {len(names)} joints an earlier one, -1 for the only root"
        errors.require(is_tree, "parents", rule, self.parents)

    def _check_tracks(self) -> None:
        errors.require(bool(self.tracks), "tracks", "hold somebody", "none")
        shape = (self.num_frames, len(self.joint_names))
        rule = f"all have {shape[0]} frames and {shape[1]} joints"
        for track in self.tracks:
            received = f"{track.name} with {list(track.pose.shape[:2])}"
            errors.require(track.pose.shape[:2] == shape, "tracks", rule, received)
        names = [track.name for track in self.tracks]
        is_own = len(set(names)) == len(names)
        errors.require(is_own, "tracks", "each have a name of its own", ", ".join(names))

    def _check_about(self) -> None:
        errors.require_type("about", self.about, dict, "be texts to JSON values")
        try:
            json.dumps(self.about, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise errors.ArgumentError("about", "hold JSON values only", error) from error


def check_image_size(size: Any) -> None:
    """Refuses what is no width and height in pixels.

    Raises:
        ArgumentError: If it is none.
    """
    is_pair = isinstance(size, (tuple, list)) and len(size) == 2
    is_size = is_pair and all(isinstance(side, int) and side > 0 for side in size)
    errors.require(is_size, "image_size", "be width and height in whole pixels", size)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


# Poses as JSON; `docs/pose_clip.schema.json` is its schema.
#
# Lengths are rounded to a hundredth of a millimeter, pixels and confidences to a thousandth. A
# joint that is absent is `null`.

JSON_FORMAT = "keras-mvlift poses"
JSON_VERSION = 1

# Field to its decimals and whether it has an axis behind the joints.
_JSON_FIELDS = {
    **{"pose": (5, 3), "confidence": (3, 0), "uncertainty": (5, 0)},
    **{"keypoints_2d": (3, 2), "keypoint_confidence": (3, 0)},
}


# What files hold of a clip beside its tracks.
_FIELDS = "space", "frame_rate", "first_frame", "joint_names", "parents", "image_size", "about"


def write_json(clip: PoseClip, path: pathlib.Path) -> None:
    """Writes a clip."""
    content: dict[str, Any] = {"format": JSON_FORMAT, "version": JSON_VERSION}
    content |= {name: getattr(clip, name) for name in _FIELDS}
    content["tracks"] = [
        {"name": track.name, "is_reference": track.is_reference}
        | {
            name: _to_lists(getattr(track, name), decimals)
            for name, (decimals, _) in _JSON_FIELDS.items()
            if getattr(track, name) is not None
        }
        for track in clip.tracks
    ]
    files.write_text(path, json.dumps(content, allow_nan=False) + "\n")


def read_json(path: pathlib.Path, content: Any = None) -> PoseClip:
    """Reads a clip that `write_json` wrote; the file's content may have been read already.

    Raises:
        RecordingError: If the file is missing or not of that form.
    """
    content = files.read_json(path) if content is None else content
    known = content if isinstance(content, dict) else {"format": type(content).__name__}
    is_ours = (known.get("format"), known.get("version")) == (JSON_FORMAT, JSON_VERSION)
    rule = f"be {JSON_FORMAT!r} of version {JSON_VERSION}"
    errors.require_in(path, is_ours, "format", rule, known.get("format"))
    with errors.parsing(path, "tracks", "be poses as docs/pose_clip.schema.json has them"):
        told = {name: content[name] for name in _FIELDS}
        return _clip(map(_track_of_json, content["tracks"]), told)


def _clip(tracks: Iterable[Track], told: dict[str, Any]) -> PoseClip:
    """Makes a clip of what was read, in which tuples are lists."""
    size = told["image_size"]
    told["image_size"] = None if size is None else tuple(size)
    told |= {name: tuple(told[name]) for name in ("joint_names", "parents")}
    return PoseClip(tracks=tuple(tracks), **told)


def _track_of_json(content: dict[str, Any]) -> Track:
    fields = {}
    for name, (_, num_axes) in _JSON_FIELDS.items():
        if name in content:
            absent = [np.nan] * num_axes if num_axes else np.nan
            frames = (
                [absent if joint is None else joint for joint in each] for each in content[name]
            )
            fields[name] = errors.numbers(name, [*frames], np.float64)
    return Track(name=content["name"], is_reference=content["is_reference"], **fields)


def _to_lists(values: np.ndarray, decimals: int) -> list[Any]:
    # Through float64, or single precision's own digits would stand behind the rounded ones.
    rounded = np.round(values.astype(np.float64), decimals)
    is_absent = np.isnan(rounded).reshape(*values.shape[:2], -1).any(axis=-1).tolist()
    return [
        [None if absent else joint for joint, absent in zip(*frame, strict=True)]
        for frame in zip(rounded.tolist(), is_absent, strict=True)
    ]


# Poses as a table: a row for each joint of each track in each frame.
#
# The columns are `track`, `frame`, `time` (seconds from the first frame), `joint`, `x`, `y`, `z`
# (meters, in the space that the column `space` names), `confidence`, `uncertainty` (meters),
# `keypoint_x`, `keypoint_y` (pixels) and `keypoint_confidence`. What is absent is an empty cell.

CSV_COLUMNS = (
    *("track", "frame", "time", "joint", "space", "x", "y", "z", "confidence", "uncertainty"),
    *("keypoint_x", "keypoint_y", "keypoint_confidence"),
)


def write_csv(clip: PoseClip, path: pathlib.Path) -> None:
    """Writes a clip."""
    with files.replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(CSV_COLUMNS)
        for track in clip.tracks:
            # Programs of tables run what begins with one of these.
            mark = "'" if track.name[:1] in ("=", "+", "-", "@", "\t", "\r") else ""
            for index, frame in enumerate(_numbers(track).tolist()):
                when = clip.first_frame + index, f"{index / clip.frame_rate:.6f}"
                for joint, values in zip(clip.joint_names, frame, strict=True):
                    cells = ["" if value != value else f"{value:.5f}" for value in values]
                    table.writerow([mark + track.name, *when, joint, clip.space, *cells])


def _numbers(track: Track) -> np.ndarray:
    """Returns `[T, J, 8]`, the numbers in the columns' order; NaN where absent."""
    shape = track.pose.shape[:2]
    columns = [track.pose]
    for name in OPTIONAL:
        values = getattr(track, name)
        if values is None:
            values = np.full((*shape, 2) if name == "keypoints_2d" else shape, np.nan)
        columns.append(values.reshape(*shape, -1))
    return np.concatenate(columns, axis=-1)


# Poses as NumPy's arrays.
#
# `pose` `[N, T, J, 3]` and what else is known, of all N tracks: `confidence`, `uncertainty`,
# `keypoints_2d` and `keypoint_confidence`, NaN throughout for a track of which it is not known;
# `track_names`, `is_reference`, `joint_names`, `parents`, `space`, `frame_rate`, `first_frame`,
# `image_size` (0 if unknown) and `about`, a JSON text.


def write_npz(clip: PoseClip, path: pathlib.Path) -> None:
    """Writes a clip."""
    told = {name: getattr(clip, name) for name in _FIELDS}
    told |= {"about": json.dumps(clip.about), "image_size": clip.image_size or (0, 0)}
    told["frame_rate"] = float(clip.frame_rate)
    arrays: dict[str, Any] = {
        "pose": np.stack([track.pose for track in clip.tracks]),
        "track_names": [track.name for track in clip.tracks],
        "is_reference": [track.is_reference for track in clip.tracks],
        **told,
    }
    for name in OPTIONAL:
        values = [getattr(track, name) for track in clip.tracks]
        if known := [value for value in values if value is not None]:
            unknown = np.full_like(known[0], np.nan)
            arrays[name] = np.stack([unknown if value is None else value for value in values])
    with files.replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def read_npz(path: pathlib.Path) -> PoseClip:
    """Reads a clip that `write_npz` wrote.

    Raises:
        RecordingError: If the file is missing or not of that form.
    """
    arrays = reading.npz(path)
    with errors.parsing(path, "arrays", "be poses as `keras-mvlift lift` writes them"):
        told = {name: np.asarray(arrays[name]).tolist() for name in _FIELDS}
        told["about"] = json.loads(told["about"])
        told["image_size"] = told["image_size"] if any(told["image_size"]) else None
        tracks = (_track_of_arrays(arrays, index) for index in range(len(arrays["pose"])))
        return _clip(tracks, told)


def _track_of_arrays(arrays: dict[str, Any], index: int) -> Track:
    fields = {name: arrays[name][index] for name in OPTIONAL if name in arrays}
    known = {name: value for name, value in fields.items() if not np.isnan(value).all()}
    return Track(
        name=str(arrays["track_names"][index]),
        pose=arrays["pose"][index],
        is_reference=bool(arrays["is_reference"][index]),
        **known,
    )


# Every format of poses by its ending.

_WRITERS: dict[str, Callable[[PoseClip, pathlib.Path], None]] = {
    ".json": write_json,
    ".csv": write_csv,
    ".npz": write_npz,
}
# By `mocap_files`, imported only when it is asked for.
_OF_MOTION_CAPTURE = (".trc", ".c3d", ".bvh")
_READERS = {".json": read_json, ".npz": read_npz}

ENDINGS = (*_WRITERS, *_OF_MOTION_CAPTURE)
"""Of all files that can be written."""


def write(clip: PoseClip, path: str | os.PathLike[str]) -> tuple[pathlib.Path, ...]:
    """Writes a clip in the format of the path's ending, one of `ENDINGS`, whole or not at all.

    Returns:
        The files that were written: one, but for a `.bvh` of several tracks, whose names stand
        before the ending then.

    Raises:
        ValueError: If the ending is none of them, or the format cannot hold the clip.
        OSError: If the file cannot be written.
    """
    target = pathlib.Path(path)
    ending = _ending(target, ENDINGS, "write")
    if ending in _WRITERS:
        _WRITERS[ending](clip, target)
        return (target,)
    mocap_files = importlib.import_module("keras_mvlift.lifting.mocap_files")
    return getattr(mocap_files, f"write_{ending[1:]}")(clip, target) or (target,)


def read(path: str | os.PathLike[str]) -> PoseClip:
    """Reads a clip that was written as `.json` or `.npz`; the other formats hold less than a clip.

    Raises:
        RecordingError: If the ending is another, or the file is missing or not of its form.
    """
    source = pathlib.Path(path)
    return _READERS[_ending(source, _READERS, "read")](source)


def _ending(path: pathlib.Path, known: Collection[str], purpose: str) -> str:
    ending = path.suffix.lower()
    rule = f"end in {', '.join(known)} to {purpose} poses"
    errors.require_in(path, ending in known, "file name", rule, path.name)
    return ending
