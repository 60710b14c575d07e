"""What every array out of a Human3.6M file must be, whatever the file's format."""

from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import rig

# Meters. What a pelvis is from a thorax, and from the middle of the room's floor, half of a clip
# at least; generous, to find wrong units and not wrong people.
_TORSO_LENGTHS = (0.2, 1.0)
_ROOM_RADIUS = 6.0
_NUM_JOINTS = skeletons.H36M_17.num_joints
_THORAX = skeletons.H36M_17.joints.index("thorax")
# Pixels over which half of the joints seen in a clip must spread, or they are no pixels.
_MIN_SPREAD = 10.0

MAX_CONFIDENCE = 1.2
MIN_CONFIDENCE = -0.05
"""How far confidences may leave [0, 1], as peaks of heat maps do, to be cut back to it."""


class Detections(NamedTuple):
    """What one camera saw in one take.

    Attributes:
        path: The file it comes from.
        field: Where in the file.
        keypoints_2d: `[T, J, 2]`, pixels, with lens distortion; 0 where not seen.
        confidence: `[T, J]`, in [0, 1]; 0 where not seen.
    """

    path: object
    field: str
    keypoints_2d: np.ndarray
    confidence: np.ndarray


def pose(path: object, field: str, points: np.ndarray, unit: str) -> np.ndarray:
    """Checks poses read from a file, `[T, J, 3]`, which should by now be in meters.

    Args:
        path: The file.
        field: Where in the file.
        points: What was read, in meters if the file holds what it should.
        unit: The file's unit, for the error.

    Returns:
        The same in double precision.

    Raises:
        RecordingError: If the shape or a value cannot be, or the unit is not what it should be.
    """
    points = array(path, field, points, (_NUM_JOINTS, 3))
    torso = np.median(np.linalg.norm(points[:, _THORAX] - points[:, skeletons.ROOT], axis=-1))
    if not _TORSO_LENGTHS[0] <= torso <= _TORSO_LENGTHS[1]:
        rule = f"be in {unit}, of people of human size"
        raise errors.RecordingError(path, field, rule, f"a torso of {torso:.6g} m")
    distance = np.median(np.linalg.norm(points[:, skeletons.ROOT], axis=-1))
    if distance > _ROOM_RADIUS:
        rule = f"be in {unit} and the world frame, within {_ROOM_RADIUS} m of its origin"
        raise errors.RecordingError(path, field, rule, f"a pelvis {distance:.6g} m away")
    return points


def detections(
    path: object, field: str, keypoints_2d: np.ndarray, confidence: np.ndarray | None = None
) -> Detections:
    """Checks what one camera saw.

    Args:
        path: The file.
        field: Where in the file.
        keypoints_2d: `[T, J, 2]`, pixels; x and y 0 for a joint that was not found.
        confidence: `[T, J]`; without, 1 for every joint that was found.

    Raises:
        RecordingError: If a shape or value cannot be.
    """
    keypoints_2d = array(path, field, keypoints_2d, (_NUM_JOINTS, 2))
    is_found = (keypoints_2d != 0).any(axis=-1)
    if confidence is None:
        confidence = is_found.astype(np.float64)
    else:
        confidence = _confidence(path, f"{field} confidence", confidence)
        if len(confidence) != len(keypoints_2d):
            rule = f"have as many frames as the keypoints, {len(keypoints_2d)}"
            raise errors.RecordingError(path, f"{field} confidence", rule, len(confidence))
    is_seen = (confidence > 0) & is_found
    _check_pixels(path, field, keypoints_2d[is_seen])
    keypoints_2d = np.where(is_seen[..., np.newaxis], keypoints_2d, 0.0)
    return Detections(path, field, keypoints_2d, np.where(is_seen, confidence, 0.0))


def array(path: object, field: str, values: object, shape: tuple[int, ...]) -> np.ndarray:
    """Checks an array `[T, *shape]` of finite real numbers; gives it in double precision.

    Raises:
        RecordingError: If it is something else.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        received = getattr(values, "dtype", type(values).__name__)
        raise errors.RecordingError(path, field, "be an array of real numbers", received)
    if values.shape[1:] != shape or not values.size:
        expected = ", ".join(map(str, ("T", *shape)))
        raise errors.RecordingError(path, field, f"have shape ({expected})", values.shape)
    if not np.isfinite(values).all():
        frame = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise errors.RecordingError(path, field, "be finite", f"NaN or infinity, frame {frame}")
    return values.astype(np.float64)


def _confidence(path: object, field: str, confidence: object) -> np.ndarray:
    checked = array(path, field, confidence, (_NUM_JOINTS,))
    low, high = checked.min(), checked.max()
    if low < MIN_CONFIDENCE or high > MAX_CONFIDENCE:
        rule = f"lie in [0, 1], or in [{MIN_CONFIDENCE}, {MAX_CONFIDENCE}] to be cut to it"
        raise errors.RecordingError(path, field, rule, f"{low:.6g} to {high:.6g}")
    return np.clip(checked, 0.0, 1.0)


def _check_pixels(path: object, field: str, seen: np.ndarray) -> None:
    if not len(seen):
        return
    size = np.max(rig.IMAGE_SIZES)
    middle = np.median(seen, axis=0)
    spread = np.diff(np.percentile(seen, [25, 75], axis=0), axis=0).max()
    is_inside = ((middle >= 0) & (middle <= size)).all()
    if not is_inside or spread < _MIN_SPREAD:
        rule = f"be in pixels of images of {size} x {size}"
        received = f"half of the joints within {spread:.6g} around {middle.round(3).tolist()}"
        raise errors.RecordingError(path, field, rule, received)
