"""Worlds whose up is another axis, turned so that it is z."""

import numpy as np

from keras_mvlift.geometry import cameras

# For each axis that may point up, the rotation to ours; y goes as OpenSim's does in `trc`.
_WORLD_FROM_FILE = {
    "z": np.eye(3),
    "-z": np.diag([1.0, -1.0, -1.0]),
    "y": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "-y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    "-x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]),
}

AXES = tuple(_WORLD_FROM_FILE)
"""The axes that may point up in a file; `"-y"` does where the first camera is the world."""


def turn_points(points: np.ndarray, up: str) -> np.ndarray:
    """Turns points `[..., 3]` of a file's world into ours with z up, in their unit."""
    return points @ _WORLD_FROM_FILE[up].T


def turn_points_back(points: np.ndarray, up: str) -> np.ndarray:
    """Turns points `[..., 3]` of our world into a file's; inverts `turn_points`."""
    return points @ _WORLD_FROM_FILE[up]


def turn_camera(camera: cameras.Camera, up: str) -> cameras.Camera:
    """Turns cameras, fields `[V, ...]`, of a file's world into ours with z up."""
    return _turned(camera, _WORLD_FROM_FILE[up])


def turn_camera_back(camera: cameras.Camera, up: str) -> cameras.Camera:
    """Turns cameras, fields `[V, ...]`, of our world into a file's; inverts `turn_camera`."""
    return _turned(camera, _WORLD_FROM_FILE[up].T)


def _turned(camera: cameras.Camera, turn: np.ndarray) -> cameras.Camera:
    rotation, center = np.asarray(camera.rotation), np.asarray(camera.center)
    return cameras.Camera(camera.intrinsics, rotation @ turn.T, center @ turn.T)
