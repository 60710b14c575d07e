"""Where a 2D keypoint detector puts joints in every image alike, beside the truth.

Datasets draw joints in other places than bodies have them, and what is learned from them is off
by the same amount again and again: so much for people seen from the front, so much from the side.
No averaging over frames removes it, and views from different sides do not agree about it.
"""

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import seeds

_RIGHT_HIP, _LEFT_HIP = (skeletons.H36M_17.joints.index(name) for name in ("right_hip", "left_hip"))
# A detector's habits are its own, whoever films: they depend on no studio's seed.
_SEED = 0
_NUM_TERMS = 3


def offsets(points_camera: np.ndarray) -> np.ndarray:
    """Gives the direction and relative size by which each joint is seen beside its place.

    Args:
        points_camera: `[V, T, J, 3]`, meters, camera frames.

    Returns:
        `[V, T, J, 2]`, right and down in the image; over joints and directions of view, zero on
        average, with a standard deviation of about 1 in each. Equal poses have equal offsets.
    """
    num_joints = points_camera.shape[-2]
    rng = seeds.generator(_SEED, "detector bias")
    # Half of the variance is the same from all sides; cosine and sine share the other half.
    habits = np.sqrt(0.5) * rng.standard_normal((_NUM_TERMS, num_joints, 2))
    return np.einsum("vtk,kjc->vtjc", _seen_from(points_camera), habits)


def _seen_from(points_camera: np.ndarray) -> np.ndarray:
    """Gives 1, and the cosine and sine of the hips' direction seen from above, `[V, T, 3]`."""
    hips = points_camera[..., _LEFT_HIP, :] - points_camera[..., _RIGHT_HIP, :]
    level = hips[..., [0, 2]]
    length = np.linalg.norm(level, axis=-1, keepdims=True)
    # Hips right above each other have no such direction.
    level = np.divide(level, length, out=np.zeros_like(level), where=length > 0)
    return np.concatenate([np.ones_like(length), level], axis=-1)
