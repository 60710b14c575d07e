"""Poses as NumPy's arrays.

`pose` `[N, T, J, 3]` and what else is known, of all N tracks: `confidence`, `uncertainty`,
`keypoints_2d` and `keypoint_confidence`, NaN throughout for a track of which it is not known;
`track_names`, `is_reference`, `joint_names`, `parents`, `space`, `frame_rate`, `first_frame`,
`image_size` (0 if unknown) and `about`, a JSON text.
"""

import json
import pathlib
from typing import Any

import numpy as np

from keras_mvlift.datasets import archives, errors
from keras_mvlift.pose_files import partial_files, pose_clip

OPTIONAL = ("confidence", "uncertainty", "keypoints_2d", "keypoint_confidence")


def write(clip: pose_clip.PoseClip, path: pathlib.Path) -> None:
    """Writes a clip."""
    arrays: dict[str, Any] = {
        "pose": np.stack([track.pose for track in clip.tracks]),
        "track_names": np.array([track.name for track in clip.tracks]),
        "is_reference": np.array([track.is_reference for track in clip.tracks]),
        "joint_names": np.array(clip.joint_names),
        "parents": np.array(clip.parents),
        "space": np.array(clip.space),
        "frame_rate": np.array(float(clip.frame_rate)),
        "first_frame": np.array(clip.first_frame),
        "image_size": np.array(clip.image_size or (0, 0)),
        "about": np.array(json.dumps(clip.about)),
    }
    for name in OPTIONAL:
        values = [getattr(track, name) for track in clip.tracks]
        if any(value is not None for value in values):
            arrays[name] = _stack(values)
    with partial_files.replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def read(path: pathlib.Path) -> pose_clip.PoseClip:
    """Reads a clip that `write` wrote.

    Raises:
        RecordingError: If the file is missing or not of that form.
    """
    arrays = archives.read_npz(path)
    with errors.parsing(path, "arrays", "be poses as `keras-mvlift lift` writes them"):
        width, height = (int(side) for side in arrays["image_size"])
        return pose_clip.PoseClip(
            tracks=tuple(_track(arrays, index) for index in range(len(arrays["pose"]))),
            space=str(arrays["space"]),
            frame_rate=float(arrays["frame_rate"]),
            first_frame=int(arrays["first_frame"]),
            joint_names=tuple(map(str, arrays["joint_names"])),
            parents=tuple(map(int, arrays["parents"])),
            image_size=(width, height) if width and height else None,
            about=json.loads(str(arrays["about"])),
        )


def _stack(values: list[np.ndarray | None]) -> np.ndarray:
    known = next(value for value in values if value is not None)
    unknown = np.full_like(known, np.nan)
    return np.stack([unknown if value is None else value for value in values])


def _track(arrays: dict[str, Any], index: int) -> pose_clip.Track:
    fields = {name: arrays[name][index] for name in OPTIONAL if name in arrays}
    known = {name: value for name, value in fields.items() if not np.isnan(value).all()}
    return pose_clip.Track(
        name=str(arrays["track_names"][index]),
        pose=arrays["pose"][index],
        is_reference=bool(arrays["is_reference"][index]),
        **known,
    )
