"""Poses as JSON; `docs/pose_clip.schema.json` is its schema.

Lengths are rounded to a hundredth of a millimeter, pixels and confidences to a thousandth. A joint
that is absent is `null`.
"""

import json
import pathlib
from typing import Any

import numpy as np

from keras_mvlift import argument_rules
from keras_mvlift.datasets import errors, files
from keras_mvlift.pose_files import partial_files, pose_clip

FORMAT = "keras-mvlift poses"
VERSION = 1

# Field to its decimals and whether it has an axis behind the joints.
_FIELDS = {
    "pose": (5, 3),
    "confidence": (3, 0),
    "uncertainty": (5, 0),
    "keypoints_2d": (3, 2),
    "keypoint_confidence": (3, 0),
}


def write(clip: pose_clip.PoseClip, path: pathlib.Path) -> None:
    """Writes a clip."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "space": clip.space,
        "frame_rate": clip.frame_rate,
        "first_frame": clip.first_frame,
        "joint_names": clip.joint_names,
        "parents": clip.parents,
        "image_size": clip.image_size,
        "about": clip.about,
        "tracks": [_of_track(track) for track in clip.tracks],
    }
    with partial_files.replacing(path) as partial:
        partial.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


def read(path: pathlib.Path) -> pose_clip.PoseClip:
    """Reads a clip that `write` wrote.

    Raises:
        RecordingError: If the file is missing or not of that form.
    """
    content = files.read_json(path)
    is_ours = isinstance(content, dict) and content.get("format") == FORMAT
    if not is_ours or content.get("version") != VERSION:
        rule = f"be {FORMAT!r} of version {VERSION}"
        received = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise errors.RecordingError(path, "format", rule, received)
    with errors.parsing(path, "tracks", "be poses as docs/pose_clip.schema.json has them"):
        size = content["image_size"]
        return pose_clip.PoseClip(
            tracks=tuple(map(_to_track, content["tracks"])),
            space=content["space"],
            frame_rate=content["frame_rate"],
            first_frame=content["first_frame"],
            joint_names=tuple(content["joint_names"]),
            parents=tuple(content["parents"]),
            image_size=None if size is None else tuple(size),
            about=content["about"],
        )


def _of_track(track: pose_clip.Track) -> dict[str, Any]:
    fields = {
        name: _to_lists(getattr(track, name), decimals)
        for name, (decimals, _) in _FIELDS.items()
        if getattr(track, name) is not None
    }
    return {"name": track.name, "is_reference": track.is_reference, **fields}


def _to_track(content: dict[str, Any]) -> pose_clip.Track:
    fields = {
        name: _to_array(name, content[name], num_axes)
        for name, (_, num_axes) in _FIELDS.items()
        if name in content
    }
    is_reference = content["is_reference"]
    return pose_clip.Track(name=content["name"], is_reference=is_reference, **fields)


def _to_lists(values: np.ndarray, decimals: int) -> list[Any]:
    # Through float64, or single precision's own digits would stand behind the rounded ones.
    rounded = np.round(values.astype(np.float64), decimals)
    is_nan = np.isnan(rounded)
    if values.ndim == 2:
        rounded = rounded.astype(object)
        rounded[is_nan] = None
        return rounded.tolist()
    is_absent = is_nan.any(axis=-1).tolist()
    return [
        [None if absent else joint for joint, absent in zip(*frame, strict=True)]
        for frame in zip(rounded.tolist(), is_absent, strict=True)
    ]


def _to_array(name: str, lists: Any, num_axes: int) -> np.ndarray:
    absent = [float("nan")] * num_axes if num_axes else float("nan")
    filled = [[absent if joint is None else joint for joint in frame] for frame in lists]
    return argument_rules.numbers(name, filled, np.float64)
