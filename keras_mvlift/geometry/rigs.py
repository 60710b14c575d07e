"""Camera rigs around the synthetic studio's room: z up, the floor at 0, its center the origin."""

import numpy as np

from keras_mvlift.geometry import cameras

IMAGE_SIZE = (1000, 1000)
"""Width and height of an image, pixels."""

FOCAL_LENGTH = 1145.0
# Where Human3.6M's four cameras stand, to the nearest decimeter or two.
_H36M_CENTERS = (
    (1.8, 5.0, 1.55),
    (1.8, -5.0, 1.6),
    (-1.8, 5.2, 1.5),
    (-1.8, -3.8, 1.55),
)
NUM_H36M_CAMERAS = len(_H36M_CENTERS)
# Cameras look at a standing person's hips, meters.
_AIM = (0.0, 0.0, 0.95)
# With jitter, cameras roll, and lenses differ, by these standard deviations.
_ROLL_SPREAD = np.radians(1.0)
_FOCAL_SPREAD = 3.0
_PRINCIPAL_POINT_SPREAD = 8.0


def h36m_like(jitter: float = 0.0, rng: np.random.Generator | None = None) -> cameras.Camera:
    """Puts four cameras where Human3.6M's are: near the corners, 4 to 5.5 m from the center.

    Args:
        jitter: Standard deviation of the cameras' places and aims, meters. With any, lenses and
            roll differ too.
        rng: Random numbers; needed with `jitter`.

    Returns:
        NumPy arrays, fields `[4, ...]`.
    """
    return _aimed(np.array(_H36M_CENTERS), jitter, rng)


def ring(
    num_cameras: int,
    *,
    radius: float = 4.5,
    height: float = 1.5,
    jitter: float = 0.0,
    rng: np.random.Generator | None = None,
) -> cameras.Camera:
    """Puts cameras on a circle around the room, evenly spaced, looking inwards.

    Args:
        num_cameras: `V`.
        radius: The circle's radius, meters.
        height: The cameras' height over the floor, meters.
        jitter: As of `h36m_like`.
        rng: Random numbers; needed with `jitter`.

    Returns:
        NumPy arrays, fields `[V, ...]`.

    Raises:
        ValueError: If `num_cameras` or `radius` is not positive.
    """
    if num_cameras < 1:
        raise ValueError(f"`num_cameras` must be positive. Received: num_cameras={num_cameras}.")
    if radius <= 0:
        raise ValueError(f"`radius` must be positive. Received: radius={radius}.")
    angle = 2 * np.pi * (np.arange(num_cameras) + 0.5) / num_cameras
    around = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return _aimed(np.insert(around, 2, height, axis=-1), jitter, rng)


def _aimed(center: np.ndarray, jitter: float, rng: np.random.Generator | None) -> cameras.Camera:
    if jitter < 0 or (jitter > 0 and rng is None):
        rule = "`jitter` must not be negative, and needs `rng` unless it is 0"
        raise ValueError(f"{rule}. Received: jitter={jitter}, rng={rng}.")
    num_cameras = len(center)
    target, up = np.tile(_AIM, (num_cameras, 1)), np.tile((0.0, 0.0, 1.0), (num_cameras, 1))
    intrinsics = np.tile(np.diag([FOCAL_LENGTH, FOCAL_LENGTH, 1.0]), (num_cameras, 1, 1))
    intrinsics[:, :2, 2] = np.array(IMAGE_SIZE) / 2
    if rng is not None and jitter > 0:
        center = center + rng.normal(0.0, jitter, center.shape)
        target += rng.normal(0.0, jitter, center.shape)
        up += rng.normal(0.0, _ROLL_SPREAD, center.shape)
        focal = rng.normal(FOCAL_LENGTH, _FOCAL_SPREAD, num_cameras)
        intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal
        intrinsics[:, :2, 2] += rng.normal(0.0, _PRINCIPAL_POINT_SPREAD, (num_cameras, 2))
    return cameras.look_at(intrinsics, center, target, up)
