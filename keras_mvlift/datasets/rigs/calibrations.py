"""A calibrated rig, and the one door through which a file's cameras become one.

Every reader hands over the numbers as they stand in its file, as entries; what they must be is
checked here, for all formats alike.
"""

import pathlib
import re
import warnings
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import transform

from keras_mvlift import errors
from keras_mvlift.geometry import cameras

_NUM_COEFFICIENTS = 5
# The length of a rotation vector: who fits one may turn it once too often.
_MOST_RADIANS = 4 * np.pi


class Calibration(NamedTuple):
    """A rig with lenses."""

    names: tuple[str, ...]  # `V` camera names, each once.
    # Fields [V, ...]; rotation and center are NaN where a file does not say them.
    camera: cameras.Camera
    distortion: np.ndarray  # [V, 5], OpenCV's `(k1, k2, p1, p2, k3)`.
    image_sizes: np.ndarray  # [V, 2], width and height, pixels; 0 where a file does not say them.

    @property
    def has_extrinsics(self) -> bool:
        """Tells whether it is known of every camera where it stands and looks."""
        known = np.isfinite(self.camera.rotation).all() and np.isfinite(self.camera.center).all()
        return bool(known)

    @property
    def lens(self) -> tuple[np.ndarray, np.ndarray]:
        """Intrinsics `[V, 1, 3, 3]` and distortion `[V, 1, 5]`, for clips `[V, T, K, 2]`."""
        return self.camera.intrinsics[:, np.newaxis], self.distortion[:, np.newaxis]

    def called(self, path: object, names: Collection[str]) -> "Calibration":
        """Returns the rig under names that others have for its cameras.

        Names are joined that differ in no more than upper case, what stands between letters and
        numbers, leading zeros and `camera` for `cam`, where that is one to one. A warning says
        which, unless all stand in the same order.

        Args:
            path: The calibration's file, to be told.
            names: The cameras' names elsewhere; those that are none's here are left out.
        """
        keys = [[_key(name) for name in each] for each in (self.names, names)]
        others = dict(zip(keys[1], names, strict=True))
        joined = {
            own: others[key]
            for own, key in zip(self.names, keys[0], strict=True)
            if keys[0].count(key) == keys[1].count(key) == 1 and own != others[key]
        }
        found = tuple(joined.get(name, name) for name in self.names)
        if joined and found != tuple(names):
            told = ", ".join(f"{own} is {other}" for own, other in joined.items())
            warnings.warn(f"{path}: cameras are joined by name: {told}.", errors.InputWarning, 2)
        return self._replace(names=found)

    def select(self, names: Sequence[str]) -> "Calibration":
        """Returns the rig of the named cameras, in their order.

        Raises:
            ValueError: If there is no camera of a name.
        """
        known = ", ".join(self.names)
        for name in names:
            errors.require(name in self.names, "names", f"be some of {known}", repr(name))
        index = [self.names.index(name) for name in names]
        camera = cameras.Camera(*(np.asarray(value)[index] for value in self.camera))
        return Calibration(tuple(names), camera, self.distortion[index], self.image_sizes[index])


_SAME_WORDS = {"camera": "cam"}


def _key(name: str) -> str:
    """Returns what is the same of `cam1`, `Cam_01` and `camera 1`."""
    words = re.findall(r"[^\W\d_]+|\d+", name.lower())
    return " ".join(_SAME_WORDS.get(word, word.lstrip("0") or word[:1]) for word in words)


class Entry(NamedTuple):
    """A camera as its file states it, unchecked; None is what the file does not say."""

    name: str  # The camera's name.
    intrinsics: Any  # 3 × 3, pixels.
    distortion: Any  # OpenCV's coefficients.
    rotation: Any = None  # Camera from world, 3 × 3 or a rotation vector.
    translation: Any = None  # OpenCV's, camera frame, in the file's unit.
    image_size: Any = None  # Width and height, pixels.


def build(path: pathlib.Path, entries: Sequence[Entry], unit: errors.Unit) -> Calibration:
    """Makes a calibration of a file's cameras, whose translations are of a unit.

    Raises:
        RecordingError: If there is no camera, two have one name, or a number is missing or
            cannot be; names the camera and its field.
    """
    errors.require_in(path, entries, "cameras", "be there", "none")
    names = tuple(entry.name for entry in entries)
    for index, name in enumerate(names):
        errors.require_in(path, name not in names[:index], "name", "be each camera's own", name)
    parts = (_intrinsics, _distortion, _rotation, _translation, _image_size)
    intrinsics, distortion, rotation, translation, sizes = (
        np.stack([part(path, entry) for entry in entries]) for part in parts
    )
    camera = cameras.from_opencv(intrinsics, rotation, unit.to_meters(translation))
    return Calibration(names, camera, distortion, sizes)


def _intrinsics(path: pathlib.Path, entry: Entry) -> np.ndarray:
    field = f"{entry.name}/matrix"
    matrix = _numbers(path, field, entry.intrinsics)
    rule = "be 3 by 3 with positive focal lengths"
    holds = matrix.shape == (3, 3) and (np.diagonal(matrix)[:2] > 0).all()
    errors.require_in(path, holds, field, rule, matrix.tolist())
    zeros = np.abs([matrix[0, 1], *matrix[1:, 0], matrix[2, 1], matrix[2, 2] - 1.0])
    rule = "have no skew, and 0, 0, 1 as last row"
    errors.require_in(path, (zeros <= 1e-6 * matrix[0, 0]).all(), field, rule, matrix.tolist())
    return matrix


def _distortion(path: pathlib.Path, entry: Entry) -> np.ndarray:
    field = f"{entry.name}/distortions"
    given = _numbers(path, field, entry.distortion).ravel()
    rule = "be OpenCV's 4 or 5 coefficients k1, k2, p1, p2, k3; a rational, thin-prism or fisheye "
    rule += "lens is not read"
    holds = len(given) >= _NUM_COEFFICIENTS - 1 and not given[_NUM_COEFFICIENTS:].any()
    errors.require_in(path, holds, field, rule, given.tolist())
    return np.append(given, 0.0)[:_NUM_COEFFICIENTS]


def _rotation(path: pathlib.Path, entry: Entry) -> np.ndarray:
    field = f"{entry.name}/rotation"
    missing = [part for part in ("rotation", "translation") if getattr(entry, part) is None]
    rule = "be there together with the translation, or neither"
    errors.require_in(path, len(missing) != 1, field, rule, f"no {''.join(missing)}")
    if entry.rotation is None:
        return np.full((3, 3), np.nan)
    given = _numbers(path, field, entry.rotation)
    if given.size == 3:
        rule, received = "be a rotation vector in radians", f"{given.tolist()}, as of degrees"
        errors.require_in(path, np.linalg.norm(given) <= _MOST_RADIANS, field, rule, received)
        return transform.Rotation.from_rotvec(given.ravel()).as_matrix()
    rule = "be a rotation vector or a 3 by 3 matrix"
    errors.require_in(path, given.shape == (3, 3), field, rule, given.tolist())
    errors.require_in(path, cameras.is_rotation(given), field, "hold a rotation", given.tolist())
    return given


def _translation(path: pathlib.Path, entry: Entry) -> np.ndarray:
    if entry.translation is None:
        return np.full(3, np.nan)
    field = f"{entry.name}/translation"
    given = _numbers(path, field, entry.translation)
    errors.require_in(path, given.size == 3, field, "hold 3 numbers", given.tolist())
    return given.ravel()


def _image_size(path: pathlib.Path, entry: Entry) -> np.ndarray:
    if entry.image_size is None:
        return np.zeros(2)
    field = f"{entry.name}/size"
    given = _numbers(path, field, entry.image_size).ravel()
    holds = len(given) == 2 and (given >= 0).all()
    errors.require_in(path, holds, field, "hold width and height", given.tolist())
    return given


def _numbers(path: pathlib.Path, field: str, value: object) -> np.ndarray:
    """Returns a finite array; nothing else comes out of a file."""
    errors.require_in(path, value is not None, field, "be there", "nothing")
    with errors.parsing(path, field, "hold numbers"):
        numbers = np.asarray(value, np.float64)
    errors.require_in(path, np.isfinite(numbers).all(), field, "be finite", numbers.tolist())
    return numbers


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
    return cameras.turn_world(camera, _WORLD_FROM_FILE[up])


def turn_camera_back(camera: cameras.Camera, up: str) -> cameras.Camera:
    """Turns cameras, fields `[V, ...]`, of our world into a file's; inverts `turn_camera`."""
    return cameras.turn_world(camera, _WORLD_FROM_FILE[up].T)
