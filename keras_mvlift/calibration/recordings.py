"""Recordings to calibrate a rig from, whose extrinsics may be unknown."""

import pathlib
from typing import NamedTuple

import numpy as np
import tqdm

from keras_mvlift.datasets import manifests, pose2sim, rig_recordings, sequences
from keras_mvlift.datasets.calibrations import calibration as calibrations
from keras_mvlift.datasets.calibrations import qualisys
from keras_mvlift.geometry import cameras

_MAX_FRAMES = 1000


class Recordings(NamedTuple):
    """What a rig saw.

    Attributes:
        clips: At most a thousand frames of each, evenly spaced; with cameras at the origin where
            it is not known where they stand.
        calibration: The rig as its files have it, under the clips' names for the cameras.
    """

    clips: list[sequences.MultiViewSequence]
    calibration: calibrations.Calibration


def read(path: pathlib.Path, *, verbose: bool = False) -> Recordings:
    """Reads all clips.

    Args:
        path: A manifest, a folder that holds one, or a folder in Pose2Sim's layout.
        verbose: Whether to show progress.

    Raises:
        RecordingError: If a file is broken or missing.
    """
    is_described = path.is_file() or any((path / name).exists() for name in manifests.FILE_NAMES)
    return _described(path, verbose) if is_described else _pose2sim(path)


def _described(path: pathlib.Path, verbose: bool) -> Recordings:
    source = rig_recordings.RigSource(root=str(path))
    rig = source.rig
    clips = []
    for clip in tqdm.tqdm(source.manifest.clips, desc="clips", disable=not verbose):
        keypoints_2d, confidence = source.detections(clip.name)
        sequence = sequences.MultiViewSequence(
            name=clip.name,
            subject=clip.subject,
            action=clip.action,
            frame_rate=clip.frame_rate,
            camera_names=rig.names,
            camera=_placed(rig),
            keypoints_2d=keypoints_2d,
            confidence=confidence,
            distortion=rig.distortion,
        )
        clips.append(_thinned(sequence))
    return Recordings(clips, rig)


def _pose2sim(path: pathlib.Path) -> Recordings:
    (clip,) = pose2sim.Pose2SimSource(root=str(path))
    (file,) = (path / "calibration").glob("*.qca.txt")
    rig = qualisys.read(file)._replace(names=clip.camera_names)
    return Recordings([_thinned(clip)], rig)


def _placed(rig: calibrations.Calibration) -> cameras.Camera:
    """Gives the rig's cameras, at the origin if their places are unknown; clips need some."""
    if rig.has_extrinsics:
        return rig.camera
    num_views = len(rig.names)
    rotation, center = np.tile(np.eye(3), (num_views, 1, 1)), np.zeros((num_views, 3))
    return rig.camera._replace(rotation=rotation, center=center)


def _thinned(clip: sequences.MultiViewSequence) -> sequences.MultiViewSequence:
    if clip.num_frames <= _MAX_FRAMES:
        return clip
    return clip.frames(np.linspace(0, clip.num_frames - 1, _MAX_FRAMES).round().astype(int))
