"""Random cameras with people in front of them, made by NumPy alone, for oracles in tests."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.geometry import cameras

ARRAYS = pytest.mark.parametrize(
    "array",
    [np.asarray, lambda values: tf.constant(np.asarray(values))],
    ids=["numpy", "tensorflow"],
)
"""A formula of both: of NumPy arrays, and of tensors."""


def rotation(rng, *batch):
    """Draws rotations `[*batch, 3, 3]`."""
    matrix = np.linalg.qr(rng.normal(size=(*batch, 3, 3)))[0]
    return matrix * np.sign(np.linalg.det(matrix))[..., np.newaxis, np.newaxis]


def intrinsics(rng, *batch):
    """Draws intrinsics `[*batch, 3, 3]` whose focal lengths and center all differ."""
    matrix = np.zeros((*batch, 3, 3))
    matrix[..., 0, 0] = rng.uniform(900, 1200, batch)
    matrix[..., 1, 1] = rng.uniform(1300, 1600, batch)
    matrix[..., 0, 2] = rng.uniform(400, 600, batch)
    matrix[..., 1, 2] = rng.uniform(700, 900, batch)
    matrix[..., 2, 2] = 1.0
    return matrix


def opencv_extrinsics(rng, *batch):
    """Draws rotation and OpenCV's translation with the world's origin 3 to 6 m in front."""
    aside = rng.uniform(-0.5, 0.5, (*batch, 2))
    depth = rng.uniform(3.0, 6.0, (*batch, 1))
    return rotation(rng, *batch), np.concatenate([aside, depth], axis=-1)


def camera(rng, *batch, dtype=np.float64):
    """Draws cameras, fields `[*batch, ...]`, that see the world's origin."""
    turned, translation = opencv_extrinsics(rng, *batch)
    center = -np.einsum("...ji,...j->...i", turned, translation)
    fields = (intrinsics(rng, *batch), turned, center)
    return cameras.Camera(*(np.asarray(value, dtype) for value in fields))


def points(rng, *batch, dtype=np.float64):
    """Draws points `[*batch, 3]` within a meter of the origin along each axis."""
    return rng.uniform(-1.0, 1.0, (*batch, 3)).astype(dtype)


def move(points_world, camera):
    """Moves `[J, 3]` into the frame of one camera, a point at a time."""
    return np.array([camera.rotation @ (point - camera.center) for point in points_world])


def project(points_camera, camera):
    """Projects `[J, 3]` onto the image of one camera, a point at a time."""
    homogeneous = np.array([camera.intrinsics @ point for point in points_camera])
    return homogeneous[:, :2] / homogeneous[:, 2:]


def one(fields, index):
    """Takes one camera, or any other tuple of arrays, out of a batch."""
    return type(fields)(*(np.asarray(value)[index] for value in fields))
