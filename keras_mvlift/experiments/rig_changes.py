"""Training cameras that are few, or that stand or look otherwise than methods are told."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial import transform

from keras_mvlift.calibration import extrinsics
from keras_mvlift.datasets import sequences
from keras_mvlift.experiments import variants
from keras_mvlift.geometry import cameras

Clips = Sequence[sequences.MultiViewSequence]


def believed(clips: Clips, settings: variants.DataSettings) -> list[cameras.Camera]:
    """Gives what methods without labels are told of each clip's cameras.

    Args:
        clips: Training clips, with their true cameras.
        settings: Whether extrinsics are known, and how wrong they are.

    Returns:
        A rig for each clip, fields `[V, ...]`.

    Raises:
        RecordingError: If the detections do not determine an unknown rig.
    """
    rigs = [clip.camera for clip in clips]
    if not settings.has_extrinsics:
        rigs = _per_rig(clips, recovered)
    if settings.calibration_error:
        rigs = [turned(camera, settings.calibration_error) for camera in rigs]
    return rigs


def first_cameras(
    clip: sequences.MultiViewSequence, num_cameras: int
) -> sequences.MultiViewSequence:
    """Gives a clip as its first cameras saw it; 0 for all of them."""
    if not num_cameras:
        return clip
    names = clip.camera_names[:num_cameras]
    return dataclasses.replace(
        clip,
        camera_names=names,
        camera=cameras.Camera(*(field[:num_cameras] for field in clip.camera)),
        keypoints_2d=clip.keypoints_2d[:num_cameras],
        confidence=clip.confidence[:num_cameras],
        distortion=None if clip.distortion is None else clip.distortion[:num_cameras],
        absent=tuple(name for name in clip.absent if name in names),
    )


def turned(camera: cameras.Camera, degrees: float) -> cameras.Camera:
    """Turns each camera where it stands, about an axis of its own, the same for all rigs.

    Args:
        camera: Fields `[V, ...]`.
        degrees: How far.
    """
    rng = sequences.seeded_generator(0, "calibration error")
    axis = rng.normal(size=(len(camera.center), 3))
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    turn = transform.Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()
    return camera._replace(rotation=turn @ camera.rotation)


def recovered(clips: Clips) -> cameras.Camera:
    """Finds where a rig's cameras are from what they saw, and from how far the first two are apart.

    Args:
        clips: All by the same rig, of whose extrinsics only that distance is looked at.
    """
    first = clips[0]
    distance = float(np.linalg.norm(first.camera.center[0] - first.camera.center[1]))
    return extrinsics.estimate(clips, {first.camera_names[:2]: distance}).camera  # type: ignore[dict-item]


def _per_rig(clips: Clips, change: Callable[[Clips], cameras.Camera]) -> list[cameras.Camera]:
    """Asks once for each of the rigs that filmed the clips."""
    keys = [b"".join(np.asarray(field).tobytes() for field in clip.camera) for clip in clips]
    found = {
        key: change([clip for clip, own in zip(clips, keys, strict=True) if own == key])
        for key in dict.fromkeys(keys)
    }
    return [found[key] for key in keys]
