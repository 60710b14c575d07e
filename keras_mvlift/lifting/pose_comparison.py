"""Puts results of several files, and references, side by side in one clip."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from keras_mvlift import errors
from keras_mvlift.lifting import pose_clip

# Files write frame rates with few digits.
_SAME_RATE = 1e-3


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
    named = {name: (clip, list(clip.tracks)) for name, clip in clips.items()}
    errors.require(bool(named), "clips", "hold at least one", "none")
    first = next(iter(clips.values()))
    start = min(clip.first_frame for clip in clips.values())
    stop = max(clip.first_frame + clip.num_frames for clip in clips.values())
    every = list(named.items())
    if reference is not None:
        every.append(("reference", (reference, _as_references(reference))))
    for name, (clip, _) in every:
        _require_same(name, clip, first)
    space = _space({name: clip for name, (clip, _) in every})
    tracks = [
        _placed(_moved(track, clip, space), clip.first_frame - start, stop - start)
        for _, (clip, kept) in every
        for track in kept
    ]
    names = _names(every, len(named) > 1)
    return dataclasses.replace(
        first,
        tracks=tuple(
            dataclasses.replace(track, name=name) for track, name in zip(tracks, names, strict=True)
        ),
        space=space,
        first_frame=start,
    )


def _as_references(clip: pose_clip.PoseClip) -> list[pose_clip.Track]:
    named = [track for track in clip.tracks if track.is_reference]
    return named or [dataclasses.replace(track, is_reference=True) for track in clip.tracks]


def _require_same(name: str, clip: pose_clip.PoseClip, first: pose_clip.PoseClip) -> None:
    is_same = (clip.joint_names, clip.parents) == (first.joint_names, first.parents)
    rule = f"have the first clip's joints, {', '.join(first.joint_names)}"
    errors.require(is_same, name, rule, ", ".join(clip.joint_names))
    is_same = abs(clip.frame_rate / first.frame_rate - 1) <= _SAME_RATE
    rule = f"have the first clip's frame rate, {first.frame_rate:g}"
    errors.require(is_same, name, rule, f"{clip.frame_rate:g}")


def _space(clips: Mapping[str, pose_clip.PoseClip]) -> str:
    spaces = {clip.space for clip in clips.values()}
    if len(spaces) == 1:
        return spaces.pop()
    if "world" in spaces:
        received = ", ".join(f"{name} in {clip.space}" for name, clip in clips.items())
        rule = "all be in the world or all in camera axes"
        raise errors.ArgumentError("clips", rule, received)
    return "root"


def _moved(track: pose_clip.Track, clip: pose_clip.PoseClip, space: str) -> pose_clip.Track:
    if clip.space == space:
        return track
    root = clip.parents.index(-1)
    return dataclasses.replace(track, pose=track.pose - track.pose[:, root : root + 1])


def _placed(track: pose_clip.Track, start: int, num_frames: int) -> pose_clip.Track:
    """Moves a track to frame `start` of `num_frames`; what lies outside them is cut off."""

    def place(values: np.ndarray | None, absent: float) -> np.ndarray | None:
        if values is None:
            return None
        placed = np.full((num_frames, *values.shape[1:]), absent, values.dtype)
        first, last = max(start, 0), min(start + len(values), num_frames)
        if first < last:
            placed[first:last] = values[first - start : last - start]
        return placed

    pose = place(track.pose, np.nan)
    return dataclasses.replace(
        track,
        pose=track.pose if pose is None else pose,
        confidence=place(track.confidence, 0.0),
        uncertainty=place(track.uncertainty, np.nan),
        keypoints_2d=place(track.keypoints_2d, np.nan),
        keypoint_confidence=place(track.keypoint_confidence, 0.0),
    )


def _names(
    every: list[tuple[str, tuple[pose_clip.PoseClip, list[pose_clip.Track]]]], has_several: bool
) -> list[str]:
    names: list[str] = []
    for name, (_, tracks) in every:
        for track in tracks:
            full = f"{name}: {track.name}" if has_several else track.name
            while full in names:
                full += "'"
            names.append(full)
    return names


# How far tracks are from the references beside them; joints that are absent are left out.


def joint_distances(pose: np.ndarray, reference: np.ndarray, root: int | None) -> np.ndarray:
    """Measures each joint's distance from the reference.

    Args:
        pose: `[T, J, 3]`, meters; NaN where absent.
        reference: As `pose`.
        root: The joint that is put on the reference's before, None for poses as they stand.

    Returns:
        `[T, J]`, meters; NaN where a joint, or the root that is needed, is absent.
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


def references_of(tracks: Sequence[pose_clip.Track], root: int | None) -> list[int | None]:
    """Finds for each track the reference that it is judged by: the nearest one on average.

    Args:
        tracks: References among them.
        root: As in `joint_distances`.

    Returns:
        For each track the index of its reference in `tracks`; None for references, and where no
        reference shares a joint with the track.
    """
    known = [index for index, track in enumerate(tracks) if track.is_reference]
    return [
        None if track.is_reference else _nearest(track, tracks, known, root) for track in tracks
    ]


def _nearest(
    track: pose_clip.Track, tracks: Sequence[pose_clip.Track], known: list[int], root: int | None
) -> int | None:
    errors = {
        index: float(mean_error(joint_distances(track.pose, tracks[index].pose, root)))
        for index in known
    }
    found = {index: error for index, error in errors.items() if np.isfinite(error)}
    return min(found, key=found.__getitem__) if found else None
