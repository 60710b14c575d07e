"""What a rig saw, as a calibration needs it: points seen by several views, and how surely."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tqdm

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import calibrations, manifests, pose2sim, recordings
from keras_mvlift.geometry import cameras, triangulation

LIMBS = tuple(
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""The joints that detectors find from any side; most others are made of them."""


class Observations(NamedTuple):
    """Points in space as each view saw them."""

    keypoints_2d: np.ndarray  # [V, N, 2], pixels, without lens distortion; 0 where not seen.
    weights: np.ndarray  # [V, N], the confidence, in [0, 1]; 0 where not seen or not surely enough.
    frame: np.ndarray  # [N], which frame, counted over all clips.
    joint: np.ndarray  # [N], which joint, an index of `skeletons.H36M_17`.

    def select(self, tracks: np.ndarray) -> "Observations":
        """Returns the chosen of the N points."""
        by_view, told = (values[:, tracks] for values in self[:2]), self[2:]
        return Observations(*by_view, *(values[tracks] for values in told))

    def views(self, index: Sequence[int]) -> "Observations":
        """Returns the observations of the chosen views."""
        chosen = list(index)
        return self._replace(keypoints_2d=self.keypoints_2d[chosen], weights=self.weights[chosen])


MIN_CONFIDENCE = 0.3  # Less sure detections are left out.
MAX_FRAMES = 100  # So many, evenly spaced over all clips, are used at most.


def gather(
    clips: Sequence[sequences.MultiViewSequence], max_frames: int = MAX_FRAMES
) -> Observations:
    """Collects the points that two or more views saw, in `max_frames` evenly spaced frames.

    Raises:
        ValueError: If there is no clip.
        RecordingError: If clips have other cameras, or no frame shows a point to two views.
    """
    errors.require(bool(clips), "clips", "hold one clip or more", "none")
    first = clips[0]
    for clip in clips[1:]:
        is_same = clip.camera_names == first.camera_names and np.array_equal(
            clip.camera.intrinsics, first.camera.intrinsics
        )
        rule, names = f"be those of clip {first.name!r}", ", ".join(clip.camera_names)
        errors.require_in(f"Clip {clip.name!r}", is_same, "camera", rule, names)
    joints = np.array([skeletons.H36M_17.joints.index(name) for name in LIMBS])
    keypoints_2d = np.concatenate([clip.keypoints_2d[:, :, joints] for clip in clips], axis=1)
    confidence = np.concatenate([clip.confidence[:, :, joints] for clip in clips], axis=1)
    weights = np.where(confidence > MIN_CONFIDENCE, confidence, 0.0)
    is_shared = np.count_nonzero(weights, axis=0) >= 2
    frames = np.flatnonzero(is_shared.any(axis=-1))
    if not len(frames):
        rule = f"be above {MIN_CONFIDENCE} for a joint in two views at once"
        raise errors.RecordingError(f"Clip {first.name!r}", "confidence", rule, "none")
    frames = frames[sequences.spread(len(frames), max_frames)]
    frame, joint = np.nonzero(is_shared[frames])
    frame = frames[frame]
    return Observations(
        keypoints_2d[:, frame, joint], weights[:, frame, joint], frame, joints[joint]
    )


def triangulate(camera: cameras.Camera, seen: Observations) -> np.ndarray:
    """Triangulates what a rig, fields `[V, ...]`, observed, weighted by confidence.

    Returns:
        `[N, 3]`, meters, world frame; NaN where fewer than two views saw the point.
    """
    points, is_seen = triangulation.triangulate(seen.keypoints_2d, seen.weights, camera)
    return np.where(is_seen[:, np.newaxis], points, np.nan)


def errors_px(
    camera: cameras.Camera, seen: Observations, points: np.ndarray | None = None
) -> np.ndarray:
    """Measures the distance of each observation from the point's projection.

    Points, `[N, 3]`, meters, world frame, are triangulated here where they are not given.

    Returns:
        `[V, N]`, pixels; NaN where a view did not see the point, or no two views did.
    """
    points = triangulate(camera, seen) if points is None else points
    projected = cameras.project_from_world(points, camera)
    distance = np.linalg.norm(projected - seen.keypoints_2d, axis=-1)
    return np.where(seen.weights > 0, distance, np.nan)


# Recordings to calibrate a rig from, whose extrinsics may be unknown.

_MAX_CLIP_FRAMES = 1000


class Recordings(NamedTuple):
    """What a rig saw, and the rig as its files have it, under the clips' names for the cameras.

    Of each clip there are at most a thousand frames, evenly spaced; cameras whose place is not
    known are at the origin.
    """

    clips: list[sequences.MultiViewSequence]
    calibration: calibrations.Calibration


def read_recordings(path: pathlib.Path, *, verbose: bool = False) -> Recordings:
    """Reads all clips of a manifest, a folder that holds one, or one in Pose2Sim's layout.

    A file that is broken or missing is a RecordingError.
    """
    is_described = path.is_file() or any((path / name).exists() for name in manifests.FILE_NAMES)
    if is_described:
        return _described(path, verbose)
    source = pose2sim.Pose2SimSource(root=str(path), tells_apart=False)
    return Recordings([_thinned(clip) for clip in source], source.rig)


def _described(path: pathlib.Path, verbose: bool) -> Recordings:
    source = recordings.RigSource(root=str(path))
    rig, clips = source.rig, []
    camera = rig.camera
    if not rig.has_extrinsics:
        # Clips need some.
        rotation = np.broadcast_to(np.eye(3), camera.rotation.shape)
        camera = camera._replace(rotation=rotation, center=np.zeros(camera.center.shape))
    for clip in tqdm.tqdm(source.manifest.clips, desc="clips", disable=None if verbose else True):
        keypoints_2d, confidence = source.detections(clip.name)
        sequence = sequences.MultiViewSequence(
            name=clip.name,
            subject=clip.subject,
            action=clip.action,
            frame_rate=clip.frame_rate,
            camera_names=rig.names,
            camera=camera,
            keypoints_2d=keypoints_2d,
            confidence=confidence,
            distortion=rig.distortion,
        )
        clips.append(_thinned(sequence))
    return Recordings(clips, rig)


def _thinned(clip: sequences.MultiViewSequence) -> sequences.MultiViewSequence:
    """Returns at most a thousand frames of a clip, evenly spaced."""
    return clip.frames(sequences.spread(clip.num_frames, _MAX_CLIP_FRAMES))
