"""Known poses of a marker file, `.trc`, and how far lifted ones are from them.

They come in their own world. Where it is known how the camera stands in that world they are turned
into the axes of what was lifted; else only what no turn changes, the P-MPJPE, can be told.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.rigs import trc
from keras_mvlift.geometry import cameras, procrustes
from keras_mvlift.lifting import pose_clip, viewpoints

NAME = "reference"
_MM_PER_METER = 1000.0
# Files write frame rates with few digits.
_SAME_RATE = 1e-3


class Errors(NamedTuple):
    """How far a track is from the reference.

    Attributes:
        mpjpe_mm: Mean distance of joints, pelvis on pelvis; None where axes are not the same.
        p_mpjpe_mm: The same after the best turn, shift and scale of each pose.
        joints: Names of the joints that are compared.
        num_frames: The number of frames in which all of them are known.
    """

    mpjpe_mm: float | None
    p_mpjpe_mm: float
    joints: tuple[str, ...]
    num_frames: int


def read(
    path: pathlib.Path, clip: pose_clip.PoseClip, viewpoint: viewpoints.Viewpoint | None = None
) -> tuple[pose_clip.Track, bool]:
    """Reads the reference of a clip.

    Args:
        path: A `.trc` file in the world in which the camera is calibrated. If it has as many
            frames as the clip they are the same ones; else its frame numbers, counted from 1, tell.
        clip: What was lifted.
        viewpoint: The camera.

    Returns:
        The track, with the clip's frames and joints, NaN where it does not tell one; and whether it
        is in the clip's axes. If it is not, it is in its own world.

    Raises:
        RecordingError: If the file is missing or no marker file, or its frame rate, frames or
            joints have nothing to do with the clip's.
    """
    if path.suffix.lower() != ".trc":
        raise errors.RecordingError(path, "reference", "end in .trc", path.name)
    table, markers = trc.read_table(path), trc.read(path)
    if abs(markers.frame_rate / clip.frame_rate - 1) > _SAME_RATE:
        rule = f"be {clip.frame_rate:g} per second, as of what was lifted"
        raise errors.RecordingError(path, "frame rate", rule, f"{markers.frame_rate:g}")
    pose = _convert(path, markers, clip)
    _check_size(path, pose)
    start = 0 if len(pose) == clip.num_frames else int(table.frames[0]) - 1 - clip.first_frame
    placed = np.full((clip.num_frames, *pose.shape[1:]), np.nan)
    first, last = max(start, 0), min(start + len(pose), clip.num_frames)
    if first >= last:
        rule = f"be some of {clip.first_frame} to {clip.first_frame + clip.num_frames - 1}"
        raise errors.RecordingError(path, "frames", rule, f"{len(pose)} others")
    placed[first:last] = pose[first - start : last - start]
    turned = _turned(placed, clip, viewpoint)
    track = pose_clip.Track(name=NAME, pose=placed if turned is None else turned, is_reference=True)
    return track, turned is not None


def compare(
    track: pose_clip.Track, reference: pose_clip.Track, clip: pose_clip.PoseClip, *, has_axes: bool
) -> Errors:
    """Measures how far a track is from the reference.

    Args:
        track: Of `clip`.
        reference: Of `read`.
        clip: What was lifted.
        has_axes: Whether the reference is in the clip's axes, as `read` says.

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
        at = int(shared[:root].sum())
        mpjpe = _mean_mm(pose - pose[:, [at]], target - target[:, [at]])
    return Errors(
        mpjpe_mm=mpjpe,
        p_mpjpe_mm=_mean_mm(procrustes.align(pose, target), target),
        joints=tuple(np.array(clip.joint_names)[shared]),
        num_frames=int(is_known.sum()),
    )


def _mean_mm(pose: np.ndarray, target: np.ndarray) -> float:
    return float(np.linalg.norm(pose - target, axis=-1).mean() * _MM_PER_METER)


def _convert(path: pathlib.Path, markers: trc.Markers, clip: pose_clip.PoseClip) -> np.ndarray:
    """Makes those of a clip's joints that the markers tell, `[T, J, 3]`; NaN for the others."""
    shape = (len(markers.points_world), len(clip.joint_names), 3)
    pose = np.full(shape, np.nan)
    for index, name in enumerate(clip.joint_names):
        try:
            converter = skeletons.Converter(markers.names, skeletons.Skeleton(name, (name,)))
        except ValueError:
            continue
        # A marker that is not part of the joint may be missing; 0 times NaN is NaN.
        used = converter.keypoints(np.eye(len(markers.names)))[0] > 0
        part = np.where(used[:, np.newaxis], markers.points_world, 0.0)
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
    if clip.space == "camera":
        return pose_camera
    root = clip.parents.index(-1)
    return pose_camera - pose_camera[:, root : root + 1]
