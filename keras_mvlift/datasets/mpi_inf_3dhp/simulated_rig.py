"""The simulated release's fourteen cameras: at the real ones' heights, in places of our own."""

import numpy as np

from keras_mvlift.datasets import seeds
from keras_mvlift.datasets.mpi_inf_3dhp import calibration, p_stmo, protocol
from keras_mvlift.geometry import cameras

HEIGHTS = (1.54, 1.99, 1.49, 1.6, 1.12, 0.82, 2.47, 1.17, 1.39, 1.7, 2.2, 3.2, 3.1, 3.3)
"""Meters over the floor; those of cameras 3 and 9 to 13 are ours."""

FOCAL_LENGTH = 1498.0
_FOCAL_SPREAD, _PRINCIPAL_POINT_SPREAD = 1.5, 15.0
# The chest-height set, 0, 2, 4, 7 and 8, stands evenly around the room; degrees.
_ANGLES = (0, 30, 72, 100, 144, 165, 190, 216, 288, 310, 340, 20, 140, 260)
_DISTANCE, _CEILING_DISTANCE = 4.0, 2.2
_TEST_DISTANCE, _TEST_HEIGHT = 4.2, 1.4
_AIM = (0.0, 0.0, 0.95)
_AIM_SPREAD = 0.15


def training_rig(seed: int) -> calibration.Calibration:
    """Puts up the training set's cameras, the same for all subjects.

    Args:
        seed: Not negative.
    """
    rng = seeds.generator(seed, "rig")
    distance = np.full(protocol.NUM_CAMERAS, _DISTANCE)
    distance[list(protocol.CAMERA_SETS["ceiling"])] = _CEILING_DISTANCE
    angle = np.radians(_ANGLES)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * distance[:, np.newaxis]
    focal = rng.normal(FOCAL_LENGTH, _FOCAL_SPREAD, (protocol.NUM_CAMERAS, 2))
    middle = np.array(protocol.IMAGE_SIZE) / 2
    point = middle + rng.normal(0.0, _PRINCIPAL_POINT_SPREAD, focal.shape)
    center = np.concatenate([around, np.array(HEIGHTS)[:, np.newaxis]], axis=-1)
    names = tuple(str(index) for index in range(protocol.NUM_CAMERAS))
    sizes = np.tile(np.array(protocol.IMAGE_SIZE, float), (protocol.NUM_CAMERAS, 1))
    return calibration.Calibration(names, sizes, _aimed(focal, point, center, rng))


def test_camera(seed: int, subject: str) -> cameras.Camera:
    """Puts up the one camera of a test clip, level, with a lens like the real one's.

    Args:
        seed: Not negative.
        subject: One of `protocol.TEST_SUBJECTS`.

    Returns:
        NumPy arrays, fields `[1, ...]`.
    """
    rng = seeds.generator(seed, "rig", subject)
    fx, fy, cx, cy = p_stmo.TEST_LENSES[subject]
    angle = rng.uniform(0, 2 * np.pi)
    center = [_TEST_DISTANCE * np.cos(angle), _TEST_DISTANCE * np.sin(angle), _TEST_HEIGHT]
    lens = np.array([[fx, fy], [cx, cy]]) + rng.normal(0.0, 1.0, (2, 2))
    return _aimed(lens[:1], lens[1:], np.array([center]), rng)


def _aimed(
    focal: np.ndarray, point: np.ndarray, center: np.ndarray, rng: np.random.Generator
) -> cameras.Camera:
    """Turns cameras to the middle of the room, each a little past it."""
    intrinsics = np.tile(np.eye(3), (len(center), 1, 1))
    intrinsics[:, [0, 1], [0, 1]], intrinsics[:, :2, 2] = focal, point
    target = np.array(_AIM) + rng.normal(0.0, _AIM_SPREAD, center.shape)
    up = np.tile((0.0, 0.0, 1.0), (len(center), 1))
    camera = cameras.look_at(intrinsics, center, target, up)
    return cameras.Camera(*(np.asarray(value) for value in camera))
