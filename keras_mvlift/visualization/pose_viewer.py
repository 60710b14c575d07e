"""Writes poses over time as one HTML page to turn, play and compare; it needs no network."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mvlift.lifting import pose_clip, pose_comparison
from keras_mvlift.visualization import packed_arrays, pages, scenes, track_places

_TEMPLATE = "pose_viewer.html"
_FOLDER = "pose_viewer"
# In the order in which they build on each other.
_SCRIPTS = (
    *("decoding", "playback", "orbit", "marks", "stage", "input_view", "error_curve", "palette"),
    *("pointers", "legend", "keys", "page"),
)
# What is kept of positions, pixels, and errors in millimeters; and of confidences.
_METERS, _PIXELS, _ERROR_MM, _SHARE = 0.001, 0.1, 0.1, 1 / 200
_MM_PER_METER = 1000.0
_IMAGE_START = "data:image/"
_SPACES = {
    "root": "around the pelvis, in the camera's axes",
    "camera": "from the camera, in its axes",
    "world": "in the world, z up",
}


def render(
    clip: pose_clip.PoseClip, title: str = "Poses", images: Mapping[int, str] | None = None
) -> str:
    """Writes a clip as an HTML page.

    A thousand frames of a person take about 270 kB with their input.

    Args:
        clip: Who is shown. Tracks that are no reference are judged by the nearest reference.
        title: The page's heading.
        images: Index of a frame from 0 to the image that was lifted, as a `data:image/` address;
            each stays until the next one.

    Returns:
        The page; equal clips give equal pages.

    Raises:
        ValueError: If an image is no such address, or its frame is not in the clip.
    """
    _check_images(images or {}, clip.num_frames)
    return pages.render(
        _TEMPLATE,
        title=title,
        facts=_facts(clip),
        about={key: _text(value) for key, value in clip.about.items()},
        style=pages.part(f"{_FOLDER}/page.css"),
        scripts=[pages.part(f"{_FOLDER}/{name}.js") for name in _SCRIPTS],
        clip=pages.data(_data(clip, images or {})),
    )


def write(
    clip: pose_clip.PoseClip,
    path: str | os.PathLike[str],
    title: str = "Poses",
    images: Mapping[int, str] | None = None,
) -> None:
    """Writes a clip as an HTML file, whole or not at all; see `render`."""
    with pose_clip.replacing(pathlib.Path(path)) as partial:
        partial.write_text(render(clip, title, images), encoding="utf-8")


def _check_images(images: Mapping[int, str], num_frames: int) -> None:
    for frame, address in images.items():
        if not 0 <= frame < num_frames:
            raise ValueError(f"`images` must be of frames below {num_frames}. Received: {frame}.")
        if not address.startswith(_IMAGE_START):
            received = f"{address[:30]!r} of frame {frame}"
            raise ValueError(f"`images` must start with {_IMAGE_START}. Received: {received}.")


def _facts(clip: pose_clip.PoseClip) -> str:
    count = "1 frame" if clip.num_frames == 1 else f"{clip.num_frames:,} frames"
    seconds = clip.num_frames / clip.frame_rate
    return f"{count} at {clip.frame_rate:g} per second ({seconds:.1f} s), {_SPACES[clip.space]}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(part)}" for key, part in value.items())
    return str(value)


def _data(clip: pose_clip.PoseClip, images: Mapping[int, str]) -> dict[str, Any]:
    center, radius = scenes.bounds(clip)
    root = clip.parents.index(-1)
    judges = pose_comparison.references_of(clip.tracks, root)
    return {
        "numFrames": clip.num_frames,
        "frameRate": clip.frame_rate,
        "firstFrame": clip.first_frame,
        "joints": [name.replace("_", " ") for name in clip.joint_names],
        "parents": clip.parents,
        "sides": [_side(name) for name in clip.joint_names],
        "space": clip.space,
        "axes": scenes.axes(clip.space),
        "viewpoint": scenes.viewpoint(clip)._asdict(),
        "center": center.round(4).tolist(),
        "radius": round(radius, 4),
        "imageSize": clip.image_size,
        "images": sorted(images.items()),
        "tracks": [
            _track(clip, track, judge) for track, judge in zip(clip.tracks, judges, strict=True)
        ],
        "slots": track_places.slots(clip.tracks, judges),
        "spacing": track_places.SPACING,
        "areApart": track_places.are_apart(clip),
        "inputs": [_input(found) for found in track_places.inputs(clip.tracks)],
    }


def _side(joint: str) -> str:
    return next((side for side in ("left", "right") if side in joint.split("_")), "middle")


def _track(clip: pose_clip.PoseClip, track: pose_clip.Track, judge: int | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": track.name,
        "isReference": track.is_reference,
        "reference": judge,
        "pose": packed_arrays.pack(scenes.points(track.pose, clip.space), _METERS),
        "confidence": _packed(track.confidence, _SHARE),
        "uncertainty": _packed(track.uncertainty, _METERS),
        "errors": [],
    }
    if judge is not None:
        kinds = {"MPJPE": clip.parents.index(-1), "error as it stands": None}
        if clip.space == "root":
            kinds.popitem()
        for name, root in kinds.items():
            told["errors"].append(_error(name, track.pose, clip.tracks[judge].pose, root))
    return told


def _error(name: str, pose: np.ndarray, reference: np.ndarray, root: int | None) -> dict[str, Any]:
    joints = pose_comparison.joint_distances(pose, reference, root) * _MM_PER_METER
    mean = float(pose_comparison.mean_error(joints))
    return {
        "name": name,
        "mean": round(mean, 1) if np.isfinite(mean) else None,
        "frames": _packed(pose_comparison.mean_error(joints, axis=-1), _ERROR_MM),
    }


def _input(found: track_places.Input) -> dict[str, Any]:
    return {
        "tracks": found.users,
        "keypoints": packed_arrays.pack(found.keypoints_2d, _PIXELS),
        "confidence": _packed(found.track.keypoint_confidence, _SHARE),
    }


def _packed(values: np.ndarray | None, step: float) -> dict[str, Any] | None:
    return None if values is None else packed_arrays.pack(values[..., np.newaxis], step)
