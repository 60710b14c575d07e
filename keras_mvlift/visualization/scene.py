"""Where poses of any space stand in a scene with z up, and what else is there: floor, camera."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_mvlift import inference
from keras_mvlift.lifting import pose_clip, viewpoints

ELEVATION = 0.2  # How far above the horizon a world is looked at from, radians.
SPACING = 1.3  # Meters between neighbors who stand side by side.
_MARGIN = 0.25
_SMALLEST_RADIUS = 0.5


class Viewpoint(NamedTuple):
    """A direction to look in, radians."""

    azimuth: float  # About z, counterclockwise from above; 0 looks along y.
    elevation: float  # The eye's above the horizon.


def points(clip: pose_clip.PoseClip) -> np.ndarray:
    """Returns all tracks `[N, T, J, 3]` in the scene's axes: in a camera's x right, y away."""
    return pose_clip.z_up(np.stack([track.pose for track in clip.tracks]), clip.space)


def axes(space: str) -> list[tuple[str, list[float]]]:
    """Names the space's axes and gives their directions in the scene."""
    # Adding zero turns a negative zero into a plain one.
    directions = pose_clip.z_up(np.eye(3), space) + 0.0
    return [(name, row.tolist()) for name, row in zip("xyz", directions, strict=True)]


def viewpoint(clip: pose_clip.PoseClip) -> Viewpoint:
    """Chooses where to look from: as the camera did, or in a world at the first person's front."""
    if clip.space != "world":
        return Viewpoint(0.0, 0.0)
    names, pose = clip.joint_names, clip.tracks[0].pose
    for sides in (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")):
        if not {*sides} <= {*names}:
            continue
        left, right = (pose[:, names.index(name), :2] for name in sides)
        across = present(left - right)
        if len(across):
            # Seen from the front, the left side is on the right.
            return Viewpoint(float(np.arctan2(across[0, 1], across[0, 0])), ELEVATION)
    return Viewpoint(0.0, ELEVATION)


def bounds(clip: pose_clip.PoseClip) -> tuple[np.ndarray, float]:
    """Finds a ball around everybody: its center `[3]` in the scene and its radius, meters."""
    known = present(points(clip))
    if not len(known):
        return np.zeros(3), 1.0
    low, high = known.min(axis=0), known.max(axis=0)
    center = (low + high) / 2
    reach = float(np.linalg.norm(known - center, axis=-1).max())
    return center, max(reach, _SMALLEST_RADIUS) + _MARGIN


def present(positions: np.ndarray) -> np.ndarray:
    """Returns those of points `[..., D]` that are there, `[N, D]`."""
    return positions[np.isfinite(positions).all(axis=-1)]


# The floor, told by the feet where no calibration tells it.

_FEET = ("ankle", "foot", "toe", "heel")
# Meters of an ankle above the sole; a world's floor is at 0 if feet are that near to it.
_ANKLE_HEIGHT, _NEAR_FLOOR = 0.08, 0.3
# Of the lower foot of each frame so many are lower still than where people stand.
_STANDING = 0.25
# Variance of the places where somebody stood, square meters, that tells as much of the floor's
# slope as the way people stand does.
_STIFFNESS = 0.25
# People are upright within this angle of the camera; lying ones tell nothing of the floor.
_MAX_LEAN = np.cos(np.radians(40))
_SMOOTHED_SECONDS = 0.25
_UP = np.array([0.0, 0.0, 1.0])


class Floor(NamedTuple):
    """A plane below everybody's feet."""

    normal: np.ndarray  # [3], in the scene, of length one, upwards.
    # [T], meters of the plane along the normal, the same in all frames but for poses around the
    # pelvis, whose floor rises when they crouch.
    height: np.ndarray
    is_estimated: bool  # Whether feet alone tell it.


def floor(clip: pose_clip.PoseClip) -> Floor:
    """Finds the floor: a world's at 0 where feet reach it, else the plane that feet stand on."""
    names = clip.joint_names
    feet = [joint for joint, name in enumerate(names) if any(part in name for part in _FEET)]
    every = points(without_doubtful(clip))
    reaching = every[:, :, feet] if feet else every
    up = _UP if clip.space == "world" else _upwards(names, every, reaching)
    if clip.space == "camera":
        up = _levelled(_lowest(reaching, up), up)
    lowest = _lowest(reaching, up) @ up
    if not np.isfinite(lowest).any():
        return Floor(up, np.zeros(clip.num_frames), True)
    is_ankle = bool(feet) and all("ankle" in names[joint] for joint in feet)
    sole = _ANKLE_HEIGHT * is_ankle
    if clip.space == "root":
        return Floor(up, _smoothed(lowest, clip.frame_rate) - sole, True)
    height = float(np.nanquantile(lowest, _STANDING)) - sole
    is_known = clip.space == "world" and abs(height) < _NEAR_FLOOR
    return Floor(up, np.full(clip.num_frames, 0.0 if is_known else height), not is_known)


def floor_directions(floor: Floor) -> np.ndarray:
    """Returns two directions along a floor, `[2, 3]`, across and away, square to each other."""
    across = np.array([1.0, 0.0, 0.0]) - floor.normal[0] * floor.normal
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(floor.normal, across)])


def _upwards(names: Sequence[str], every: np.ndarray, feet: np.ndarray) -> np.ndarray:
    """Returns the way people stand, or the camera's up where they do not."""
    top = next((names.index(name) for name in ("thorax", "neck", "nose") if name in names), None)
    standing = np.zeros(0) if top is None else present(every[:, :, top] - feet.mean(axis=2))
    if not len(standing):
        return _UP
    mean = np.median(standing, axis=0)
    mean /= max(float(np.linalg.norm(mean)), np.finfo(float).tiny)
    return mean if mean @ _UP > _MAX_LEAN else _UP


def _lowest(feet: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Returns the lowest of feet `[N, T, F, 3]` in each frame, `[T, 3]`; NaN where is none."""
    flat = np.moveaxis(feet, 1, 0).reshape(feet.shape[1], -1, 3)
    heights = flat @ up
    index = np.argmin(np.where(np.isfinite(heights), heights, np.inf), axis=1)
    return flat[np.arange(len(flat)), index]


def _levelled(stood: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Tilts `up` so that people who go about stay on the floor, as far as they went."""
    away = present(stood)
    if not len(away):
        return up
    away = away - away.mean(axis=0)
    along = away @ up
    flat = away - along[:, np.newaxis] * up
    spread = flat.T @ flat / len(flat) + _STIFFNESS * np.eye(3)
    normal = up - np.linalg.solve(spread, flat.T @ along / len(flat))
    return normal / np.linalg.norm(normal)


def _smoothed(values: np.ndarray, frame_rate: float) -> np.ndarray:
    frames, is_known = np.arange(len(values)), np.isfinite(values)
    whole = np.interp(frames, frames[is_known], values[is_known])
    half = round(_SMOOTHED_SECONDS * frame_rate / 2)
    width = 2 * half + 1
    return np.convolve(np.pad(whole, half, mode="edge"), np.full(width, 1 / width), mode="valid")


# The camera that saw the people.

# Of the way to people, and meters: how far in front of the camera its image is shown.
_IMAGE_SHARE, _MAX_IMAGE_DEPTH = 0.3, 1.5


class Camera(NamedTuple):
    """A camera in the scene."""

    center: np.ndarray  # [3], meters.
    axes: np.ndarray  # [3, 3], its directions right, down and forward.
    intrinsics: np.ndarray  # [3, 3], pixels.
    distortion: np.ndarray | None  # [5], OpenCV's; None for a lens that bends nothing.
    depth: float  # How far in front of it to show its image, meters.


def camera(clip: pose_clip.PoseClip) -> Camera | None:
    """Places the camera that `about` tells of, as lifting notes it; None where it has no place.

    What is told but is no camera is a ValueError.
    """
    told = clip.about.get("viewpoint")
    if clip.space == "root" or not isinstance(told, dict):
        return None
    seen = viewpoints.of_data(told)
    rotation, center = seen.rotation, seen.center
    if clip.space == "camera":
        rotation, center = np.eye(3), np.zeros(3)
    if rotation is None or center is None:
        return None
    place, directions = (pose_clip.z_up(each, clip.space) for each in (center, rotation))
    away = np.linalg.norm(bounds(clip)[0] - place)
    depth = min(_IMAGE_SHARE * float(away), _MAX_IMAGE_DEPTH)
    return Camera(place, directions, seen.intrinsics, seen.distortion, depth)


# Who is seen, and from what.


class Input(NamedTuple):
    """A 2D input, and what was lifted from it."""

    track: pose_clip.Track  # The first.
    keypoints_2d: np.ndarray  # [T, J, 2], pixels.
    users: list[int]  # Indices of all tracks.


def inputs(tracks: Sequence[pose_clip.Track]) -> list[Input]:
    """Lists each 2D input once; several models lift the same one, several people do not."""
    found: list[Input] = []
    for index, track in enumerate(tracks):
        seen = track.keypoints_2d
        if seen is None:
            continue
        same = (one for one in found if np.array_equal(one.keypoints_2d, seen, equal_nan=True))
        if known := next(same, None):
            known.users.append(index)
        else:
            found.append(Input(track, seen, [index]))
    return found


def slots(tracks: Sequence[pose_clip.Track], judges: Sequence[int | None]) -> list[int]:
    """Returns each track its place in a row; a reference's is that of the first it judges.

    `judges` are the indices of references, as `pose_comparison.references_of` gives them.
    """
    judged = [index for index, track in enumerate(tracks) if not track.is_reference]
    placed: dict[int | None, int] = {index: place for place, index in enumerate(judged)}
    for index in judged:
        placed.setdefault(judges[index], placed[index])
    others = (index for index in range(len(tracks)) if index not in placed)
    placed |= {index: len(judged) + place for place, index in enumerate(others)}
    return [placed[index] for index in range(len(tracks))]


def are_apart(clip: pose_clip.PoseClip) -> bool:
    """Tells whether people would all stand in one place if they were not side by side."""
    return clip.space == "root" and len(inputs(clip.tracks)) > 1


# Below it a detector's joints are hardly more than guesses; and the least share of the frames of
# whoever is seen longest.
_LEAST_CONFIDENCE, _LEAST_PRESENCE = 0.3, 0.1


def doubts(clip: pose_clip.PoseClip) -> list[str]:
    """Says of each track why it is better hidden at first; empty for those worth seeing.

    Nobody is hidden where nobody would be left.
    """
    presence = [int(track.is_present.any(axis=1).sum()) for track in clip.tracks]
    misses = clip.about.get("reprojection_error")
    misses = misses if isinstance(misses, dict) else {}
    found = [
        "" if track.is_reference else _doubt(track, frames, max(presence), misses.get(track.name))
        for track, frames in zip(clip.tracks, presence, strict=True)
    ]
    pairs = zip(clip.tracks, found, strict=True)
    is_somebody = any(not doubt and not track.is_reference for track, doubt in pairs)
    return found if is_somebody else [""] * len(found)


def without_doubtful(clip: pose_clip.PoseClip) -> pose_clip.PoseClip:
    """Returns a clip of those who are worth seeing."""
    pairs = zip(clip.tracks, doubts(clip), strict=True)
    return dataclasses.replace(clip, tracks=tuple(track for track, doubt in pairs if not doubt))


def _doubt(track: pose_clip.Track, frames: int, longest: int, miss: object) -> str:
    if frames < _LEAST_PRESENCE * longest:
        return "seen in 1 frame only" if frames == 1 else f"seen in {frames} frames only"
    if track.confidence is not None and track.is_present.any():
        mean = float(track.confidence[track.is_present].mean())
        if mean < _LEAST_CONFIDENCE:
            return f"mean confidence {mean:.2f}"
    if isinstance(miss, (int, float)) and miss > inference.LARGE_REPROJECTION_ERROR:
        return f"{miss:.0%} of a body's size off its joints"
    return ""
