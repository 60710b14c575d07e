"""Every view of every instant of a clip, as arrays: what pairs and test views are drawn from."""

from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets import sequences, views
from keras_mvlift.geometry import cameras, triangulation


class Instants(NamedTuple):
    """The views of `T` instants.

    Attributes:
        frame: `[T]`, frame numbers within the clip.
        camera_names: `V` names.
        keypoints_2d: `[T, V, J, 2]`, pixels.
        confidence: `[T, V, J]`, 0 where not seen.
        camera: Fields `[T, V, ...]`; a virtual camera may move from instant to instant.
    """

    frame: np.ndarray
    camera_names: tuple[str, ...]
    keypoints_2d: np.ndarray
    confidence: np.ndarray
    camera: cameras.Camera

    def is_used(self, min_joints: int) -> np.ndarray:
        """Tells which views `[T, V]` show enough joints."""
        return np.count_nonzero(self.confidence > 0, axis=-1) >= min_joints

    def select(self, index: np.ndarray) -> "Instants":
        """Gives the chosen instants."""
        camera = cameras.Camera(*(value[index] for value in self.camera))
        return Instants(
            self.frame[index],
            self.camera_names,
            self.keypoints_2d[index],
            self.confidence[index],
            camera,
        )


def of_sequence(sequence: sequences.MultiViewSequence, frame: np.ndarray) -> Instants:
    """Takes the chosen frames of a clip."""
    camera = cameras.Camera(
        *(np.broadcast_to(value, (len(frame), *value.shape)) for value in sequence.camera)
    )
    keypoints_2d = sequence.keypoints_2d[:, frame].swapaxes(0, 1)
    confidence = sequence.confidence[:, frame].swapaxes(0, 1)
    return Instants(frame, sequence.camera_names, keypoints_2d, confidence, camera)


def triangulate(instants: Instants, min_confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangulates every joint from all views that are sure enough of it.

    Args:
        instants: Views of real cameras.
        min_confidence: Detections below it are left out.

    Returns:
        `[T, J, 3]`, meters, world frame, and `[T, J]`, whether two or more views saw the joint.
    """
    weights = np.where(instants.confidence >= min_confidence, instants.confidence, 0.0)
    points, is_seen = triangulation.triangulate(instants.keypoints_2d, weights, instants.camera)
    return points.numpy(), is_seen.numpy()


def concatenate_views(first: Instants, second: Instants) -> Instants:
    """Puts the views of the same instants side by side."""
    camera = cameras.Camera(
        *(np.concatenate(pair, axis=1) for pair in zip(first.camera, second.camera, strict=True))
    )
    return Instants(
        first.frame,
        first.camera_names + second.camera_names,
        np.concatenate([first.keypoints_2d, second.keypoints_2d], axis=1),
        np.concatenate([first.confidence, second.confidence], axis=1),
        camera,
    )


def to_view(seen: Instants, num_views: int = 0) -> views.View:
    """Gives all views of each instant as one batch for training.

    Args:
        seen: `T` instants.
        num_views: Views to fill up to, with such as see nothing; 0 for none.

    Returns:
        NumPy arrays in single precision, fields `[T, V, ...]`.
    """
    missing = max(num_views - len(seen.camera_names), 0)

    def filled(values: np.ndarray, filling: np.ndarray) -> np.ndarray:
        values = np.asarray(values, np.float32)
        shape = (len(values), missing, *values.shape[2:])
        return np.concatenate([values, np.broadcast_to(filling.astype(np.float32), shape)], axis=1)

    zero, identity = np.zeros(()), np.eye(3)
    camera = cameras.Camera(
        filled(seen.camera.intrinsics, identity),
        filled(seen.camera.rotation, identity),
        filled(seen.camera.center, zero),
    )
    return views.View(filled(seen.keypoints_2d, zero), filled(seen.confidence, zero), camera)
