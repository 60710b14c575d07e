"""A calibrated rig, and the one door through which a file's cameras become one.

Every reader hands over the numbers as they stand in its file, as entries; what they must be is
checked here, for all formats alike.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import transform

from keras_mvlift import errors
from keras_mvlift.geometry import cameras

_NUM_COEFFICIENTS = 5
# Files hold rotations in single precision, or rounded.
_ROTATION_TOLERANCE = 1e-4


class Calibration(NamedTuple):
    """A rig with lenses.

    Attributes:
        names: `V` camera names, each once.
        camera: Fields `[V, ...]`; rotation and center are NaN where a file does not say them.
        distortion: `[V, 5]`, OpenCV's `(k1, k2, p1, p2, k3)`.
        image_sizes: `[V, 2]`, width and height, pixels; 0 where a file does not say them.
    """

    names: tuple[str, ...]
    camera: cameras.Camera
    distortion: np.ndarray
    image_sizes: np.ndarray

    @property
    def has_extrinsics(self) -> bool:
        """Tells whether it is known of every camera where it stands and looks."""
        known = np.isfinite(self.camera.rotation).all() and np.isfinite(self.camera.center).all()
        return bool(known)

    def select(self, names: Sequence[str]) -> "Calibration":
        """Returns the rig of the named cameras, in their order.

        Raises:
            ValueError: If there is no camera of a name.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            known = ", ".join(self.names)
            raise ValueError(f"`names` must be some of {known}. Received: {unknown[0]!r}.")
        index = [self.names.index(name) for name in names]
        camera = cameras.Camera(*(np.asarray(value)[index] for value in self.camera))
        return Calibration(tuple(names), camera, self.distortion[index], self.image_sizes[index])


class Entry(NamedTuple):
    """A camera as its file states it, unchecked.

    Attributes:
        name: The camera's name.
        intrinsics: 3 × 3, pixels.
        distortion: OpenCV's coefficients.
        rotation: Camera from world, 3 × 3 or a rotation vector; None if the file has none.
        translation: OpenCV's, camera frame, in the file's unit; None if the file has none.
        image_size: Width and height, pixels; None if the file has none.
    """

    name: str
    intrinsics: Any
    distortion: Any
    rotation: Any = None
    translation: Any = None
    image_size: Any = None


def build(path: pathlib.Path, entries: Sequence[Entry], unit: errors.Unit) -> Calibration:
    """Makes a calibration of a file's cameras.

    Args:
        path: The file, for errors.
        entries: Its cameras, in its order.
        unit: The unit of the translations.

    Raises:
        RecordingError: If there is no camera, two have one name, or a number is missing or
            cannot be; names the camera and its field.
    """
    if not entries:
        raise errors.RecordingError(path, "cameras", "be there", "none")
    names = tuple(entry.name for entry in entries)
    for index, name in enumerate(names):
        if name in names[:index]:
            raise errors.RecordingError(path, "name", "be each camera's own", name)
    intrinsics = np.stack([_intrinsics(path, entry) for entry in entries])
    distortion = np.stack([_distortion(path, entry) for entry in entries])
    rotation = np.stack([_rotation(path, entry) for entry in entries])
    translation = np.stack([_translation(path, entry) for entry in entries])
    center = -np.einsum("vji,vj->vi", rotation, unit.to_meters(translation))
    sizes = np.stack([_image_size(path, entry) for entry in entries])
    return Calibration(names, cameras.Camera(intrinsics, rotation, center), distortion, sizes)


def _intrinsics(path: pathlib.Path, entry: Entry) -> np.ndarray:
    field = f"{entry.name}/matrix"
    matrix = _numbers(path, field, entry.intrinsics)
    if matrix.shape != (3, 3) or (np.diagonal(matrix)[:2] <= 0).any():
        rule = "be 3 by 3 with positive focal lengths"
        raise errors.RecordingError(path, field, rule, matrix.tolist())
    zeros = np.abs([matrix[0, 1], *matrix[1:, 0], matrix[2, 1], matrix[2, 2] - 1.0])
    if (zeros > 1e-6 * matrix[0, 0]).any():
        rule = "have no skew, and 0, 0, 1 as last row"
        raise errors.RecordingError(path, field, rule, matrix.tolist())
    return matrix


def _distortion(path: pathlib.Path, entry: Entry) -> np.ndarray:
    field = f"{entry.name}/distortions"
    given = _numbers(path, field, entry.distortion).ravel()
    if len(given) < _NUM_COEFFICIENTS - 1 or given[_NUM_COEFFICIENTS:].any():
        rule = (
            "be OpenCV's 4 or 5 coefficients k1, k2, p1, p2, k3; a rational, thin-prism or fisheye "
            "lens is not read"
        )
        raise errors.RecordingError(path, field, rule, given.tolist())
    return np.append(given, 0.0)[:_NUM_COEFFICIENTS]


def _rotation(path: pathlib.Path, entry: Entry) -> np.ndarray:
    field = f"{entry.name}/rotation"
    if (entry.rotation is None) != (entry.translation is None):
        rule = "be there together with the translation, or neither"
        received = "no rotation" if entry.rotation is None else "no translation"
        raise errors.RecordingError(path, field, rule, received)
    if entry.rotation is None:
        return np.full((3, 3), np.nan)
    given = _numbers(path, field, entry.rotation)
    if given.size == 3:
        return transform.Rotation.from_rotvec(given.ravel()).as_matrix()
    if given.shape != (3, 3):
        rule = "be a rotation vector or a 3 by 3 matrix"
        raise errors.RecordingError(path, field, rule, given.tolist())
    is_orthogonal = np.allclose(given @ given.T, np.eye(3), atol=_ROTATION_TOLERANCE)
    if not is_orthogonal or np.linalg.det(given) < 0:
        raise errors.RecordingError(path, field, "hold a rotation", given.tolist())
    return given


def _translation(path: pathlib.Path, entry: Entry) -> np.ndarray:
    if entry.translation is None:
        return np.full(3, np.nan)
    field = f"{entry.name}/translation"
    given = _numbers(path, field, entry.translation)
    if given.size != 3:
        raise errors.RecordingError(path, field, "hold 3 numbers", given.tolist())
    return given.ravel()


def _image_size(path: pathlib.Path, entry: Entry) -> np.ndarray:
    if entry.image_size is None:
        return np.zeros(2)
    field = f"{entry.name}/size"
    given = _numbers(path, field, entry.image_size).ravel()
    if len(given) != 2 or (given < 0).any():
        raise errors.RecordingError(path, field, "hold width and height", given.tolist())
    return given


def _numbers(path: pathlib.Path, field: str, value: object) -> np.ndarray:
    """Returns a finite array; nothing else comes out of a file."""
    if value is None:
        raise errors.RecordingError(path, field, "be there", "nothing")
    with errors.parsing(path, field, "hold numbers"):
        numbers = np.asarray(value, np.float64)
    if not np.isfinite(numbers).all():
        raise errors.RecordingError(path, field, "be finite", numbers.tolist())
    return numbers


# Keypoints freed from the distortion of the lenses that saw them.

# In the plane at distance 1; at a focal length of 1000 pixels a hundred-thousandth of a pixel.
_LENS_TOLERANCE = 1e-8
_NUM_STEPS = 30
_DIFFERENCE = 1e-6


def undistort(keypoints_2d: np.ndarray, calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Removes lens distortion.

    Args:
        keypoints_2d: `[V, T, K, 2]`, pixels, as detected.
        calibration: Its camera's fields are `[V, ...]`; the extrinsics may be unknown.

    Returns:
        Keypoints `[V, T, K, 2]`, pixels, and `[V, T, K]`, whether the lens bends the ray of that
        keypoint there: far outside the image the model may turn back on itself, and no ray is.
    """
    intrinsics = calibration.camera.intrinsics[:, np.newaxis]
    rays = cameras.rays(keypoints_2d, intrinsics).numpy()
    coefficients = np.broadcast_to(
        calibration.distortion[:, np.newaxis, np.newaxis], (*rays.shape[:-1], 5)
    )
    ideal = np.array(cameras.undistort(rays, calibration.distortion[:, np.newaxis]))
    with np.errstate(all="ignore"):
        is_undone = _solves(ideal, rays, coefficients)
        # The fixed-point iteration is slow for strong lenses, and may leave the right branch.
        rest = ~is_undone
        if rest.any():
            ideal[rest] = _newton(rays[rest], coefficients[rest])
            is_undone[rest] = _solves(ideal[rest], rays[rest], coefficients[rest])
    focal = np.diagonal(intrinsics, axis1=-2, axis2=-1)[..., np.newaxis, :2]
    pixels = ideal * focal + intrinsics[..., np.newaxis, :2, 2]
    return pixels, is_undone & np.isfinite(pixels).all(axis=-1)


def straighten(
    keypoints_2d: np.ndarray, confidence: np.ndarray, calibration: Calibration
) -> tuple[np.ndarray, np.ndarray]:
    """Removes lens distortion of what was seen, as `undistort`.

    Args:
        keypoints_2d: `[V, T, K, 2]`, pixels, as detected.
        confidence: `[V, T, K]`, 0 where not seen.
        calibration: Its camera's fields are `[V, ...]`.

    Returns:
        Keypoints and confidence, both 0 where a joint was not seen, or seen where the lens bends
        no ray to.
    """
    is_seen = confidence > 0
    center = calibration.camera.intrinsics[:, np.newaxis, np.newaxis, :2, 2]
    straight, is_undone = undistort(
        np.where(is_seen[..., np.newaxis], keypoints_2d, center), calibration
    )
    is_seen &= is_undone
    return np.where(is_seen[..., np.newaxis], straight, 0.0), np.where(is_seen, confidence, 0.0)


def distort(keypoints_2d: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Bends keypoints `[V, T, K, 2]`, pixels, as the lenses do; the inverse of `undistort`."""
    intrinsics = calibration.camera.intrinsics[:, np.newaxis]
    rays = cameras.rays(keypoints_2d, intrinsics)
    bent = cameras.distort(rays, calibration.distortion[:, np.newaxis]).numpy()
    focal = np.diagonal(intrinsics, axis1=-2, axis2=-1)[..., np.newaxis, :2]
    return bent * focal + intrinsics[..., np.newaxis, :2, 2]


def _solves(ideal: np.ndarray, rays: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Tells `[...]` which ideal rays `[..., 2]` the lens bends to `rays` as a real lens would.

    Far out the model may turn back, and even cross the axis; a lens does neither.
    """
    is_near = (
        np.abs(_distort(ideal, coefficients) - rays).max(axis=-1, initial=0.0) < _LENS_TOLERANCE
    )
    goes_out = np.linalg.det(_jacobian(ideal, coefficients)) > 0
    return is_near & goes_out & ((ideal * rays).sum(axis=-1) >= 0)


def _newton(rays: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Solves for the ideal rays `[N, 2]`, from the center outwards so as to stay on its branch."""
    ideal = np.zeros_like(rays)
    for step in range(_NUM_STEPS):
        target = rays * min(1.0, 2 * (step + 1) / _NUM_STEPS)
        residual = _distort(ideal, coefficients) - target
        ideal = ideal - _solve(_jacobian(ideal, coefficients), residual)
    return ideal


def _jacobian(ideal: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Returns `[..., 2, 2]`, by central differences; the last axis is what is differentiated by."""
    steps = _DIFFERENCE * np.eye(2)
    columns = [
        _distort(ideal + step, coefficients) - _distort(ideal - step, coefficients)
        for step in steps
    ]
    return np.stack(columns, axis=-1) / (2 * _DIFFERENCE)


def _solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    (a, b), (c, d) = np.moveaxis(matrix, 0, -1)
    x, y = vector.T
    return np.stack([d * x - b * y, a * y - c * x], axis=-1) / (a * d - b * c)[:, np.newaxis]


def _distort(rays: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """As `cameras.distort`, with coefficients of each ray, `[..., 5]`."""
    return cameras.distort(rays[..., np.newaxis, :], coefficients).numpy()[..., 0, :]


# Worlds whose up is another axis, turned so that it is z.

# For each axis that may point up, the rotation to ours; y goes as OpenSim's does in `trc`.
_WORLD_FROM_FILE = {
    "z": np.eye(3),
    "-z": np.diag([1.0, -1.0, -1.0]),
    "y": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "-y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    "-x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]),
}

UP_AXES = tuple(_WORLD_FROM_FILE)
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
