"""Random calibrations, for tests of their readers and writers."""

import numpy as np

from keras_mvlift.datasets.rigs import calibrations
from tests import random_scenes

LENS = (0.1, 0.05, 1e-3, 1e-3, 0.01)


def draw(seed=0, num_cameras=3, lens=LENS):
    """Draws a calibration with lenses and images of different sizes."""
    rng = np.random.default_rng(seed)
    names = tuple(f"cam_{index + 1}" for index in range(num_cameras))
    camera = random_scenes.camera(rng, num_cameras)
    distortion = rng.normal(0.0, 1.0, (num_cameras, 5)) * lens
    sizes = rng.integers(900, 2000, (num_cameras, 2)).astype(float)
    return calibrations.Calibration(names, camera, distortion, sizes)


def without_extrinsics(calibration):
    camera = calibration.camera
    unknown = camera._replace(
        rotation=np.full_like(camera.rotation, np.nan), center=np.full_like(camera.center, np.nan)
    )
    return calibration._replace(camera=unknown)


def assert_same(read, written, atol=1e-12):
    """Fails unless two calibrations agree in all their numbers."""
    assert read.names == written.names
    for field, expected in zip(read.camera, written.camera, strict=True):
        np.testing.assert_allclose(field, expected, atol=atol)
    np.testing.assert_allclose(read.distortion, written.distortion, atol=atol)
    np.testing.assert_allclose(read.image_sizes, written.image_sizes)
