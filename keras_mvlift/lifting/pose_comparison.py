"""Puts results of several files, and references, side by side in one clip."""

import dataclasses
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import trc
from keras_mvlift.geometry import cameras, procrustes
from keras_mvlift.lifting import pose_clip, viewpoints

_SAME_RATE = 1e-3  # Files write frame rates with few digits.


def combine_clips(
    clips: Mapping[str, pose_clip.PoseClip], reference: pose_clip.PoseClip | None = None
) -> pose_clip.PoseClip:
    """Makes one clip of all tracks; frames that a clip does not have are absent from its tracks.

    Poses from the camera become root-relative if others are.

    Args:
        clips: What to call each clip, such as its file's name, to the clip; the first one's notes,
            image and frame rate are kept.
        reference: What they are judged against: its references, or all of it if it names none.

    Returns:
        The clip, from the earliest frame of any of `clips` to the latest; with several clips a
        track is called `"clip: track"`.

    Raises:
        ValueError: If there is no clip, or joints, frame rates or spaces differ.
    """
    errors.require(bool(clips), "clips", "hold at least one", "none")
    first = next(iter(clips.values()))
    start = min(clip.first_frame for clip in clips.values())
    stop = max(clip.first_frame + clip.num_frames for clip in clips.values())
    every = [(name, clip, clip.tracks) for name, clip in clips.items()]
    if reference is not None:
        named = tuple(track for track in reference.tracks if track.is_reference)
        all_of_it = (dataclasses.replace(each, is_reference=True) for each in reference.tracks)
        every.append(("reference", reference, named or tuple(all_of_it)))
    for name, clip, _ in every:
        is_same = (clip.joint_names, clip.parents) == (first.joint_names, first.parents)
        rule = f"have the first clip's joints, {', '.join(first.joint_names)}"
        errors.require(is_same, name, rule, ", ".join(clip.joint_names))
        is_same = abs(clip.frame_rate / first.frame_rate - 1) <= _SAME_RATE
        rule = f"have the first clip's frame rate, {first.frame_rate:g}"
        errors.require(is_same, name, rule, f"{clip.frame_rate:g}")
    spaces = {clip.space for _, clip, _ in every}
    received = ", ".join(f"{name} in {clip.space}" for name, clip, _ in every)
    rule = "all be in the world or all in camera axes"
    errors.require(len(spaces) == 1 or "world" not in spaces, "clips", rule, received)
    space = first.space if len(spaces) == 1 else "root"
    tracks: list[pose_clip.Track] = []
    for source, clip, kept in every:
        for track in kept:
            name = f"{source}: {track.name}" if len(clips) > 1 else track.name
            while name in [other.name for other in tracks]:
                name += "'"
            tracks.append(_moved(track, clip, name, space, start, stop))
    return dataclasses.replace(first, tracks=tuple(tracks), space=space, first_frame=start)


def _moved(
    track: pose_clip.Track, clip: pose_clip.PoseClip, name: str, space: str, start: int, stop: int
) -> pose_clip.Track:
    """Returns a track of a clip in another space, from frame `start` to `stop`, by another name."""
    known = {field: getattr(track, field) for field in ("pose", *pose_clip.OPTIONAL)}
    if clip.space != space:
        known["pose"] = _around_root(track.pose, clip)
    moved: dict[str, Any] = {
        field: _shifted(
            values,
            clip.first_frame - start,
            stop - start,
            0.0 if field.endswith("confidence") else np.nan,
        )
        for field, values in known.items()
        if values is not None
    }
    return dataclasses.replace(track, name=name, **moved)


def _around_root(pose: np.ndarray, clip: pose_clip.PoseClip) -> np.ndarray:
    root = clip.parents.index(-1)
    return pose - pose[:, root : root + 1]


def _shifted(values: np.ndarray, start: int, num_frames: int, absent: float = np.nan) -> np.ndarray:
    placed = np.full((num_frames, *values.shape[1:]), absent, values.dtype)
    first, last = max(start, 0), min(start + len(values), num_frames)
    if first < last:
        placed[first:last] = values[first - start : last - start]
    return placed


# How far tracks are from the references beside them; joints that are absent are left out.


def joint_distances(pose: np.ndarray, reference: np.ndarray, root: int | None) -> np.ndarray:
    """Measures each joint's distance from the reference, `[T, J]`, meters; NaN where one is absent.

    Args:
        pose: `[T, J, 3]`, meters; NaN where absent.
        reference: As `pose`.
        root: The joint that is put on the reference's before, None for poses as they stand.
    """
    if root is not None:
        pose = pose - pose[:, root : root + 1]
        reference = reference - reference[:, root : root + 1]
    return np.linalg.norm(pose - reference, axis=-1)


def mean_error(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Averages what is there; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.nanmean(values, axis=axis)


def references_of(clip: pose_clip.PoseClip) -> list[int | None]:
    """Finds for each track the reference that it is judged by: the nearest one on average.

    It is the index of a track; None for references, and where none shares a joint with the track.
    """
    root = clip.parents.index(-1)
    found: list[int | None] = []
    for track in clip.tracks:
        distances = {
            index: float(mean_error(joint_distances(track.pose, other.pose, root)))
            for index, other in enumerate(clip.tracks)
            if other.is_reference and not track.is_reference
        }
        known = {index: error for index, error in distances.items() if np.isfinite(error)}
        found.append(min(known, key=known.__getitem__) if known else None)
    return found


# Known poses of a marker file, `.trc`, and how far lifted ones are from them. They come in a world
# of their own. Where it is known how the camera stands in it they are turned into the axes of what
# was lifted; else only what no turn changes, the P-MPJPE, can be told.

_MM_PER_METER = 1000.0


class Errors(NamedTuple):
    """How far a track is from the reference."""

    # Mean distance of joints, pelvis on pelvis; None where axes are not the same.
    mpjpe_mm: float | None
    p_mpjpe_mm: float  # The same after the best turn, shift and scale of each pose.
    joints: tuple[str, ...]  # Names of the joints that are compared.
    num_frames: int  # The number of frames in which all of them are known.


def read_reference(
    path: pathlib.Path, clip: pose_clip.PoseClip, viewpoint: viewpoints.Viewpoint | None = None
) -> tuple[pose_clip.Track, bool]:
    """Reads the reference of a clip, in the world in which its camera is calibrated.

    If the `.trc` file has as many frames as the clip they are the same ones; else its frame
    numbers, counted from 1, tell.

    Returns:
        The track, with the clip's frames and joints, NaN where it does not tell one; and whether it
        is in the clip's axes. If it is not, it is in its own world.

    Raises:
        RecordingError: If the file is missing or no marker file, or its frame rate, frames or
            joints have nothing to do with the clip's.
    """
    errors.require_in(path, path.suffix.lower() == ".trc", "reference", "end in .trc", path.name)
    markers = trc.read(path)
    if abs(markers.frame_rate / clip.frame_rate - 1) > _SAME_RATE:
        rule = f"be {clip.frame_rate:g} per second, as of what was lifted"
        raise errors.RecordingError(path, "frame rate", rule, f"{markers.frame_rate:g}")
    pose = _convert(path, markers, clip)
    _check_size(path, pose)
    start = 0 if len(pose) == clip.num_frames else int(markers.frames[0]) - 1 - clip.first_frame
    if not -len(pose) < start < clip.num_frames:
        rule = f"be some of {clip.first_frame} to {clip.first_frame + clip.num_frames - 1}"
        raise errors.RecordingError(path, "frames", rule, f"{len(pose)} others")
    placed = _shifted(pose, start, clip.num_frames)
    turned = _turned(placed, clip, viewpoint)
    known = placed if turned is None else turned
    return pose_clip.Track(name="reference", pose=known, is_reference=True), turned is not None


def compare(
    track: pose_clip.Track, reference: pose_clip.Track, clip: pose_clip.PoseClip, *, has_axes: bool
) -> Errors:
    """Measures how far a track of a clip is from a reference, which may be in the clip's axes.

    Raises:
        ValueError: If they share no frame, or less than three joints.
    """
    shared = reference.is_present.any(axis=0) & track.is_present.any(axis=0)
    is_known = (reference.is_present & track.is_present)[:, shared].all(axis=1)
    rule = "share frames and at least three joints with what was lifted"
    received = f"{shared.sum()} joints, {is_known.sum()} frames"
    errors.require(shared.sum() >= 3 and is_known.any(), "reference", rule, received)
    pose, target = track.pose[is_known][:, shared], reference.pose[is_known][:, shared]
    root = clip.parents.index(-1)
    mpjpe = None
    if has_axes and shared[root]:
        mpjpe = _mean_mm(pose, target, int(shared[:root].sum()))
    return Errors(
        mpjpe_mm=mpjpe,
        p_mpjpe_mm=_mean_mm(procrustes.align(pose, target), target, None),
        joints=tuple(np.array(clip.joint_names)[shared]),
        num_frames=int(is_known.sum()),
    )


def _mean_mm(pose: np.ndarray, target: np.ndarray, root: int | None) -> float:
    return float(joint_distances(pose, target, root).mean() * _MM_PER_METER)


def _convert(path: pathlib.Path, markers: trc.Markers, clip: pose_clip.PoseClip) -> np.ndarray:
    """Makes those of a clip's joints that the markers tell, `[T, J, 3]`; NaN for the others."""
    shape = (len(markers.points), len(clip.joint_names), 3)
    pose = np.full(shape, np.nan)
    for index, name in enumerate(clip.joint_names):
        try:
            converter = skeletons.Converter(markers.names, skeletons.Skeleton(name, (name,)))
        except ValueError:
            continue
        # A marker that is not part of the joint may be missing; 0 times NaN is NaN.
        used = converter.keypoints(np.eye(len(markers.names)))[0] > 0
        part = np.where(used[:, np.newaxis], markers.points, 0.0)
        pose[:, index] = converter.keypoints(part)[:, 0]
    if not np.isfinite(pose).any():
        rule = f"be some of which {', '.join(clip.joint_names)} can be made"
        raise errors.RecordingError(path, "markers", rule, ", ".join(markers.names)[:200])
    return pose


# Meters, from the joints' middle to the farthest: of people, a child or with arms raised.
_SIZES = (0.2, 2.5)


def _check_size(path: pathlib.Path, pose: np.ndarray) -> None:
    """Refuses poses `[T, J, 3]` that no person has, for the unit in the header is another."""
    shown = pose[np.isfinite(pose).all(axis=-1).sum(axis=-1) > 2]
    if not len(shown):
        return
    apart = np.linalg.norm(shown - np.nanmean(shown, axis=1, keepdims=True), axis=-1)
    size = float(np.median(np.nanmax(apart, axis=1)))
    least, most = _SIZES
    if not least <= size <= most:
        rule = "be the unit of the numbers below it, in which people are some meters tall"
        raise errors.RecordingError(path, "Units", rule, f"joints {size:.3g} m off their middle")


def _turned(
    pose_world: np.ndarray, clip: pose_clip.PoseClip, viewpoint: viewpoints.Viewpoint | None
) -> np.ndarray | None:
    """Turns poses from the world into the clip's axes; None where they are not known."""
    if clip.space == "world":
        return pose_world
    if viewpoint is None or viewpoint.rotation is None or viewpoint.center is None:
        return None
    camera = cameras.Camera(viewpoint.intrinsics, viewpoint.rotation, viewpoint.center)
    pose_camera = cameras.camera_from_world(pose_world, camera)
    return pose_camera if clip.space == "camera" else _around_root(pose_camera, clip)
