"""HTML pages that need nothing else: templates, data in them, and the viewer of poses."""

import base64
import html
import json
import os
import pathlib
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import pose_clip, pose_comparison
from keras_mvlift.untrusted import files
from keras_mvlift.visualization import scene

TEMPLATES = pathlib.Path(__file__).parent / "templates"
# What else begins with a number, as "2 failed", counts something.
_FIGURE = re.compile(r"-?\d+\.\d+")
# `json.dumps` leaves these as they are, and a script would end at "</".
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


class Markup(str):
    """Text that a page holds as it is; all other is escaped."""

    def __html__(self) -> str:
        """Returns it, to whatever asks as Jinja does."""
        return self


def fill(template: str, **values: Any) -> str:
    """Renders a template of ours; texts are escaped, and a name without a value is an error."""
    # Which reports need; the viewer of poses, with its few names, does without.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def page_part(name: str) -> Markup:
    """Reads a style sheet or script of ours, to be put into a page as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def page_data(value: Any) -> Markup:
    """Writes JSON values for a `<script type="application/json">`, which no text in them can end.

    A number that is not finite is a ValueError.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for letter, escaped in _ESCAPES.items():
        text = text.replace(letter, escaped)
    return Markup(text)


def best_cells(rows: Sequence[Sequence[str]], ranks: Sequence[int]) -> set[tuple[int, int]]:
    """Finds the best figures of a table of texts, each of which begins with its figure.

    Of a column whose rank is 1 the higher are better, of -1 the lower, of 0 neither.

    Returns:
        Rows and columns of the best; none of a column whose figures are all alike.
    """
    best = set()
    for column, rank in enumerate(ranks):
        found = enumerate(_FIGURE.match(row[column]) for row in rows)
        ranked = {row: rank * float(number.group()) for row, number in found if number and rank}
        if len({*ranked.values()}) > 1:
            top = max(ranked.values())
            best |= {(row, column) for row, value in ranked.items() if value == top}
    return best


# Writes poses over time as one HTML page to turn, play and compare; it needs no network.

# In the order in which they build on each other.
_SCRIPTS = (
    "decoding playback orbit camera marks stage input_view error_curve palette pointers legend "
    "keys page"
).split()
# What is kept of positions, pixels, and errors in millimeters; and of confidences.
_METERS, _PIXELS, _ERROR_MM, _SHARE = 0.001, 0.1, 0.1, 1 / 200
_MM_PER_METER = 1000.0
_IMAGE_START = "data:image/"
_SPACES = {
    "root": "around the pelvis, in the camera's axes",
    "camera": "from the camera, in its axes",
    "world": "in the world, z up",
}


def write_viewer(
    clip: pose_clip.PoseClip,
    path: str | os.PathLike[str],
    title: str = "Poses",
    images: Mapping[int, str] | None = None,
) -> None:
    """Writes a clip as an HTML page; equal clips give equal pages.

    A thousand frames of a person take about 270 kB with their input. Tracks that are no reference
    are judged by the nearest one. `images` has by index of a frame, from 0, the image that was
    lifted, as a `data:image/` address; each stays until the next one.

    Raises:
        ValueError: If an image is no such address, or its frame is not in the clip.
    """
    _check_images(images or {}, clip.num_frames)
    scripts = (page_part(f"pose_viewer/{name}.js") for name in _SCRIPTS)
    page = string.Template(page_part("pose_viewer.html")).substitute(
        title=html.escape(title),
        facts=html.escape(_facts(clip)),
        about=_about(clip),
        style=page_part("pose_viewer/page.css"),
        scripts="\n".join(f"<script>\n{script}\n</script>" for script in scripts),
        clip=page_data(_data(clip, images or {})),
    )
    files.write_text(path, page)


def _check_images(images: Mapping[int, str], num_frames: int) -> None:
    for frame, address in images.items():
        is_frame, is_image = 0 <= frame < num_frames, address.startswith(_IMAGE_START)
        errors.require(is_frame, "images", f"be of frames below {num_frames}", frame)
        received = f"{address[:30]!r} of frame {frame}"
        errors.require(is_image, "images", f"start with {_IMAGE_START}", received)


def _facts(clip: pose_clip.PoseClip) -> str:
    count = "1 frame" if clip.num_frames == 1 else f"{clip.num_frames:,} frames"
    seconds = clip.num_frames / clip.frame_rate
    return f"{count} at {clip.frame_rate:g} per second ({seconds:.1f} s), {_SPACES[clip.space]}"


def _about(clip: pose_clip.PoseClip) -> str:
    facts = (
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(_fact_text(value))}</dd>"
        for key, value in clip.about.items()
        # The camera is to be seen; its numbers are for programs.
        if key != "viewpoint"
    )
    listed = f"<dl>\n{chr(10).join(facts)}\n</dl>"
    return f"<details>\n<summary>About</summary>\n{listed}\n</details>" if clip.about else ""


def _fact_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_fact_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_fact_text(part)}" for key, part in value.items())
    return str(value)


def _data(clip: pose_clip.PoseClip, images: Mapping[int, str]) -> dict[str, Any]:
    center, radius = scene.bounds(clip)
    judges = pose_comparison.references_of(clip)
    told = zip(clip.tracks, judges, scene.doubts(clip), strict=True)
    return {
        "numFrames": clip.num_frames,
        "frameRate": clip.frame_rate,
        "firstFrame": clip.first_frame,
        "joints": [name.replace("_", " ") for name in clip.joint_names],
        "parents": clip.parents,
        "sides": [skeletons.side(name) for name in clip.joint_names],
        "space": clip.space,
        "axes": scene.axes(clip.space),
        "viewpoint": scene.viewpoint(clip)._asdict(),
        "center": center.round(4).tolist(),
        "radius": round(radius, 4),
        "floor": _floor(scene.floor(clip)),
        "camera": _camera(scene.camera(clip)),
        "imageSize": clip.image_size,
        "images": sorted(images.items()),
        "tracks": [_track(clip, *each) for each in told],
        "slots": scene.slots(clip.tracks, judges),
        "spacing": scene.SPACING,
        "areApart": scene.are_apart(clip),
        "inputs": [_input(found) for found in scene.inputs(clip.tracks)],
    }


def _floor(floor: scene.Floor) -> dict[str, Any]:
    is_still = bool((floor.height == floor.height[0]).all())
    return {
        "normal": floor.normal.round(5).tolist(),
        "directions": scene.floor_directions(floor).round(5).tolist(),
        "height": pack(floor.height[: 1 if is_still else None, np.newaxis], _METERS),
        "isEstimated": floor.is_estimated,
    }


def _camera(camera: scene.Camera | None) -> dict[str, Any] | None:
    told = {} if camera is None else camera._asdict()
    known = {name: value for name, value in told.items() if value is not None}
    return {name: np.round(value, 5).tolist() for name, value in known.items()} or None


def _track(
    clip: pose_clip.PoseClip, track: pose_clip.Track, judge: int | None, doubt: str
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": track.name,
        "doubt": doubt,
        "isReference": track.is_reference,
        "reference": judge,
        "pose": pack(pose_clip.z_up(track.pose, clip.space), _METERS),
        "confidence": _packed_or_nothing(track.confidence, _SHARE),
        "uncertainty": _packed_or_nothing(track.uncertainty, _METERS),
        "errors": [],
    }
    if judge is not None:
        known, root = clip.tracks[judge].pose, clip.parents.index(-1)
        told["errors"].append(_error("MPJPE", track.pose, known, root))
        if clip.space != "root":
            told["errors"].append(_error("error as it stands", track.pose, known, None))
    return told


def _error(name: str, pose: np.ndarray, reference: np.ndarray, root: int | None) -> dict[str, Any]:
    joints = pose_comparison.joint_distances(pose, reference, root) * _MM_PER_METER
    mean = float(pose_comparison.mean_error(joints))
    return {
        "name": name,
        "mean": round(mean, 1) if np.isfinite(mean) else None,
        "frames": _packed_or_nothing(pose_comparison.mean_error(joints, axis=-1), _ERROR_MM),
    }


def _input(found: scene.Input) -> dict[str, Any]:
    return {
        "tracks": found.users,
        "keypoints": pack(found.keypoints_2d, _PIXELS),
        "confidence": _packed_or_nothing(found.track.keypoint_confidence, _SHARE),
    }


def _packed_or_nothing(values: np.ndarray | None, step: float) -> dict[str, Any] | None:
    return None if values is None else pack(values[..., np.newaxis], step)


# Packs arrays of measurements into small JSON values: whole steps, little-endian, in base64.

_PACKED_TYPES = ("uint8", "uint16", "uint32")


def pack(values: np.ndarray, step: float) -> dict[str, Any]:
    """Rounds an array `[..., D]`, finite or NaN, to multiples of a step and packs it.

    A value is `offset[axis] + step * whole`, with `axis` the index in the last dimension, or NaN
    where the whole number is `absent`.

    Returns:
        JSON values: `type`, `offset` (`D` numbers), `step`, `absent`, `data`.

    Raises:
        ValueError: If `step` is not above 0, or values span more than four billion steps.
    """
    is_known = np.isfinite(values)
    axes = tuple(range(values.ndim - 1))
    lowest = np.min(values, axis=axes, where=is_known, initial=np.inf)
    # In whole steps, so that a value that is a multiple of the step stays it.
    start = np.where(np.isfinite(lowest), np.round(lowest / step), 0.0)
    steps = np.where(is_known, np.round(values / step) - start, 0.0)
    largest = int(steps.max(initial=0.0))
    # The smallest type that has room for it, and for NaN, which its last value stands for.
    kind = np.min_scalar_type(largest + 1).name
    errors.require(kind in _PACKED_TYPES, "values", "span fewer than 2**32 steps", largest)
    whole = np.where(is_known, steps, np.iinfo(kind).max).astype(np.dtype(kind).newbyteorder("<"))
    return {
        "type": kind,
        "offset": [round(float(value), 9) for value in start * step],
        "step": step,
        "absent": int(np.iinfo(kind).max),
        "data": base64.b64encode(whole.tobytes()).decode("ascii"),
    }
