"""Detections of one's own in place of the annotated 2D joints, as an `.npz` file.

Plain arrays under flat keys, nothing pickled: `S1/Seq1/0/keypoints_2d`, `[F, 17, 2]`, pixels, and
`S1/Seq1/0/confidence`, `[F, 17]`, for sequence and camera; `TS1/keypoints_2d` and `TS1/confidence`
for the test set. The joints are those of `H36M_17`; row `f` is the video's frame `f`, from 0.
"""

import dataclasses
import pathlib

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import archives, sequences
from keras_mvlift.datasets.mpi_inf_3dhp import arrays, layouts


def replace(path: pathlib.Path, clip: layouts.Clip) -> sequences.MultiViewSequence:
    """Gives a clip with the detections of a file in place of its 2D joints.

    Args:
        path: The file of detections.
        clip: The clip.

    Raises:
        RecordingError: If the file lacks a view of the clip, has too few frames for it, or holds
            what is no detection.
    """
    fields = ("keypoints_2d", "confidence")
    names = tuple(f"{view}/{field}" for view in clip.views for field in fields)
    found = archives.read_npz(path, names)
    views = [_view(path, found, view, clip.frame) for view in clip.views]
    keypoints_2d, confidence = (np.stack(parts) for parts in zip(*views, strict=True))
    return dataclasses.replace(clip.sequence, keypoints_2d=keypoints_2d, confidence=confidence)


def _view(
    path: pathlib.Path, found: dict[str, object], view: str, frame: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gives a view's detections in the chosen frames, 0 where a joint is not seen."""
    num_joints = skeletons.H36M_17.num_joints
    name = f"{view}/confidence"
    confidence = arrays.checked(path, name, found[name], (None, num_joints))
    if len(confidence) <= frame.max():
        rule = f"have a row for each of the {frame.max() + 1} frames that are annotated"
        raise errors.RecordingError(path, name, rule, len(confidence))
    if not ((confidence >= 0) & (confidence <= 1)).all():
        limits = f"{confidence.min():g} to {confidence.max():g}"
        raise errors.RecordingError(path, name, "lie in [0, 1]", limits)
    name, shape = f"{view}/keypoints_2d", (len(confidence), num_joints, 2)
    keypoints_2d = arrays.checked(path, name, found[name], shape)
    keypoints_2d = np.where(confidence[..., np.newaxis] > 0, keypoints_2d, 0.0)[frame]
    arrays.require_finite(path, name, keypoints_2d)
    return keypoints_2d, confidence[frame]
