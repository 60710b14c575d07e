"""A world with z up and the floor at 0, found from people who stand in it."""

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.calibration import observations
from keras_mvlift.geometry import cameras

_SIDES = ("left", "right")
# So far over the floor an adult's ankle joint is, when the foot is flat on it; meters.
_ANKLE_HEIGHT = 0.08
# Ankles are taken to be on the floor in this share of the frames: a heel leaves it, a detection
# falls below it.
_LOWEST_PERCENT = 10.0
# Of the mean of unit vectors from ankles to shoulders: 1 if people stand, 0 if they lie around.
_MIN_UPRIGHTNESS = 0.8
_MIN_FRAMES = 5


def upright(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations
) -> cameras.Camera:
    """Turns and shifts a world so that people stand on its floor.

    Up is the mean direction from the middle of the ankles to that of the shoulders, the floor is
    below the lowest ankles, the origin below the mean of all points, and x to the right in the
    first camera's image.

    Args:
        camera: The rig, meters, fields `[V, ...]`, NumPy arrays.
        points: `[N, 3]`, meters, world frame; NaN where unknown.
        seen: The observations that the points are from.

    Returns:
        The rig in the new world.

    Raises:
        RecordingError: If too few frames show ankles and shoulders, or people mostly do not stand.
    """
    ankles, shoulders = (_middles(points, seen, joint) for joint in ("ankle", "shoulder"))
    body = shoulders - ankles
    body = body[np.isfinite(body).all(axis=-1)]
    if len(body) < _MIN_FRAMES:
        rule = f"show ankles and shoulders in {_MIN_FRAMES} frames or more"
        raise errors.RecordingError("The recording", "keypoints_2d", rule, len(body))
    body /= np.linalg.norm(body, axis=-1, keepdims=True)
    mean = body.mean(axis=0)
    uprightness = np.linalg.norm(mean)
    if uprightness < _MIN_UPRIGHTNESS:
        rule = "show people who stand or walk, from whom up and down can be told"
        raise errors.RecordingError("The recording", "keypoints_2d", rule, f"{uprightness:.2f}")
    rotation = _axes(mean / uprightness, camera)
    ankle = points[np.isin(seen.joint, [_index(side, "ankle") for side in _SIDES])] @ rotation[2]
    floor = np.nanpercentile(ankle, _LOWEST_PERCENT) - _ANKLE_HEIGHT
    origin = rotation @ np.nanmean(points, axis=0)
    origin[2] = floor
    turned = camera.rotation @ rotation.T
    return cameras.Camera(camera.intrinsics, turned, camera.center @ rotation.T - origin)


def _axes(up: np.ndarray, camera: cameras.Camera) -> np.ndarray:
    """Gives the new world's axes in the old one, `[3, 3]`."""
    right, down = camera.rotation[0, 0], camera.rotation[0, 1]
    # A camera rolled by a quarter turn has its x axis along up; its y axis then is not.
    across = right if np.abs(right @ up) < np.abs(down @ up) else down
    x = across - (across @ up) * up
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(up, x), up])


def _middles(points: np.ndarray, seen: observations.Observations, joint: str) -> np.ndarray:
    """Gives, per frame, the middle of the left and the right joint, `[T, 3]`; NaN if unknown."""
    frames, row = np.unique(seen.frame, return_inverse=True)
    sides = []
    for side in _SIDES:
        position = np.full((len(frames), 3), np.nan)
        is_joint = seen.joint == _index(side, joint)
        position[row[is_joint]] = points[is_joint]
        sides.append(position)
    return np.mean(sides, axis=0)


def _index(side: str, joint: str) -> int:
    return skeletons.H36M_17.joints.index(f"{side}_{joint}")
