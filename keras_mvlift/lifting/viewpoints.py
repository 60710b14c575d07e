"""What is known of the camera that saw what is to be lifted."""

import dataclasses
import functools
import importlib
import math
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mvlift import errors
from keras_mvlift.geometry import cameras
from keras_mvlift.lifting import pose_clip

# Of whoever gives a field of view. Beyond it a lens is a fisheye, of which this knows nothing.
_MAX_DEGREES = 170.0

_ROTATION_TOLERANCE = 1e-2  # Of calibrations that were written with few decimals.
# Format by the ending; the formats in TOML read alike.
_FORMATS = {".toml": "pose2sim", ".txt": "qualisys", ".yaml": "opencv", ".yml": "opencv"}
_FORMATS |= {".json": "opencv", ".xml": "opencv", ".npz": "opencv"}


def _is_pinhole(matrix: np.ndarray) -> bool:
    return bool((matrix[[0, 1], [0, 1]] > 0).all() and (matrix[2] == [0, 0, 1]).all())


_is_rotation = functools.partial(cameras.is_rotation, tolerance=_ROTATION_TOLERANCE)

_PINHOLE = "be [3, 3], pixels, with positive focal lengths and 0, 0, 1 as last row"
# Of a camera's numbers, which are finite: their shape, the rule, and what else must hold.
_RULES: dict[str, tuple[tuple[int, ...], str, Callable[[np.ndarray], Any]]] = {
    "intrinsics": ((3, 3), _PINHOLE, _is_pinhole),
    "distortion": ((5,), "be OpenCV's k1, k2, p1, p2, k3", lambda _: True),
    "rotation": ((3, 3), "be [3, 3], a rotation, camera from world", _is_rotation),
    "center": ((3,), "be [3], finite, meters", lambda _: True),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Viewpoint:
    """A camera.

    Attributes:
        intrinsics: `[3, 3]`, pixels.
        distortion: `[5]`, OpenCV's `(k1, k2, p1, p2, k3)`; None for a lens that bends nothing.
        rotation: `[3, 3]`, camera from world; None where it is not known.
        center: `[3]`, meters, world, z up; None where it is not known.
        image_size: Width and height, pixels; None where it is not known.
        origin: How it is known, in words.

    Raises:
        ValueError: If a number is not as stated above.
    """

    intrinsics: np.ndarray
    distortion: np.ndarray | None = None
    rotation: np.ndarray | None = None
    center: np.ndarray | None = None
    image_size: tuple[int, int] | None = None
    origin: str = "given"

    def __post_init__(self) -> None:
        for name, (shape, rule, holds) in _RULES.items():
            value = getattr(self, name)
            if value is not None or name == "intrinsics":
                array = errors.numbers(name, value, np.float64)
                object.__setattr__(self, name, array)
                is_right = array.shape == shape and np.isfinite(array).all() and holds(array)
                errors.require(bool(is_right), name, rule, array.tolist())
        is_whole = (self.rotation is None) == (self.center is None)
        errors.require(is_whole, "rotation and center", "be given together", "one")
        if self.image_size is not None:
            pose_clip.check_image_size(self.image_size)

    @property
    def has_place(self) -> bool:
        """Tells whether it is known where the camera stands and looks."""
        return self.rotation is not None

    def as_data(self) -> dict[str, Any]:
        """Returns its numbers as JSON values; those that are not known are left out."""
        told = {name: getattr(self, name) for name in _RULES}
        return {name: value.tolist() for name, value in told.items() if value is not None}

    def world_from_camera(self, points: np.ndarray) -> np.ndarray:
        """Turns points `[..., 3]`, meters, from the camera's frame into the world's.

        Raises:
            ValueError: If it is not known where the camera stands.
        """
        if self.rotation is None or self.center is None:
            rule = "be known, with rotation and center, for world coordinates"
            raise errors.ArgumentError("camera", rule, self.origin)
        return points @ self.rotation + self.center


def of_data(told: dict[str, Any]) -> Viewpoint:
    """Makes a camera of what `Viewpoint.as_data` gave.

    Raises:
        ValueError: If that is no camera.
    """
    return Viewpoint(**{name: told.get(name) for name in _RULES})  # type: ignore[arg-type]


def from_intrinsics(
    focal_x: float,
    focal_y: float,
    center_x: float,
    center_y: float,
    distortion: tuple[float, ...] = (),
) -> Viewpoint:
    """Makes a camera of OpenCV's numbers: pixels, and k1, k2, p1, p2 and k3 or the first of them.

    Raises:
        ValueError: If a focal length is not positive, or there are more coefficients.
    """
    matrix = np.array([[focal_x, 0.0, center_x], [0.0, focal_y, center_y], [0.0, 0.0, 1.0]])
    distortion = tuple(errors.numbers("distortion", distortion, np.float64).ravel())
    rule = "be at most k1, k2, p1, p2, k3"
    errors.require(len(distortion) <= 5, "distortion", rule, list(distortion))
    padded = np.array([*distortion, *[0.0] * (5 - len(distortion))])
    return Viewpoint(intrinsics=matrix, distortion=padded if padded.any() else None)


def from_field_of_view(degrees: float, image_size: tuple[int, int]) -> Viewpoint:
    """Makes a camera that looks through the middle of its image, pixels, with square pixels.

    The field of view is the horizontal one.

    Raises:
        ValueError: If there is no such camera.
    """
    rule = f"be above 0 and at most {_MAX_DEGREES:g} degrees"
    errors.require(0 < errors.number("fov", degrees) <= _MAX_DEGREES, "fov", rule, degrees)
    pose_clip.check_image_size(image_size)
    if degrees < math.pi:
        told = f"The field of view is {degrees:g} degrees: are they radians?"
        warnings.warn(told, errors.InputWarning, stacklevel=2)
    width, _ = image_size
    focal = 0.5 * width / math.tan(math.radians(degrees) / 2)
    return _centered(focal, image_size, f"horizontal field of view {degrees:g} degrees")


def _centered(focal: float, image_size: tuple[int, int], origin: str) -> Viewpoint:
    width, height = image_size
    matrix = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return Viewpoint(intrinsics=matrix, image_size=image_size, origin=origin)


def like_training(intrinsics: np.ndarray, image_size: tuple[int, int] | None) -> Viewpoint:
    """Takes a camera like those of training, of mean intrinsics `[3, 3]`, for an unknown one.

    With the image's size the longer side is seen under the angle that the longer side was in
    training, its principal point being in the middle; else the intrinsics are taken as they are.
    """
    known = np.asarray(intrinsics, np.float64)
    if image_size is None:
        origin = f"the mean camera of training, focal length {known[0, 0]:.0f} px"
        return Viewpoint(intrinsics=known, origin=origin)
    sides = 2.0 * known[[0, 1], 2]
    focal = known[[0, 1], [0, 1]].mean() * max(image_size) / sides.max()
    origin = f"a field of view like training's, focal length {focal:.0f} px"
    return _centered(focal, image_size, origin)


def read(path: pathlib.Path, name: str | None = None, *, unit: str = "", up: str = "") -> Viewpoint:
    """Reads a camera of a calibration.

    Args:
        path: A calibration's file, a folder of OpenCV's or EasyMocap's, or a rig's manifest or the
            folder that holds it.
        name: The camera, as of `Calibration.called`; None for the only one.
        unit: The unit of its translations, of `errors.UNITS`; empty for the format's own. A
            manifest tells it itself.
        up: The axis of its world that points up, of `calibrations.UP_AXES`; empty for z, or what
            the manifest tells.

    Raises:
        RecordingError: If it is no calibration, has no such camera, or its cameras stand further
            apart or nearer together than any unit but another one explains.
    """
    names = _module("manifests").FILE_NAMES
    if path.name in names or any((path / known).is_file() for known in names):
        rule, received = "be told by the manifest itself", f"{unit or up} with {path.name}"
        errors.require(not (unit or up), "unit and up", rule, received)
        calibration = _module("recordings").RigSource(root=str(path)).rig
    else:
        calibration = _calibration(path, unit, up)
    _module("calibration_files").check_spacing(path, calibration)
    calibration = calibration.called(path, [name] if name else [])
    known = ", ".join(calibration.names)
    if name is None and len(calibration.names) > 1:
        raise errors.RecordingError(path, "camera", f"be said by --camera: {known}", "nothing")
    if name is not None and name not in calibration.names:
        received = f"{name}{errors.nearest(name, calibration.names)}"
        raise errors.RecordingError(path, "camera", f"be one of {known}", received)
    chosen = calibration.select([name or calibration.names[0]])
    width, height = (int(side) for side in chosen.image_sizes[0])
    is_placed, camera = chosen.has_extrinsics, chosen.camera
    return Viewpoint(
        intrinsics=camera.intrinsics[0],
        distortion=chosen.distortion[0] if chosen.distortion.any() else None,
        rotation=camera.rotation[0] if is_placed else None,
        center=camera.center[0] if is_placed else None,
        image_size=(width, height) if width and height else None,
        origin=f"camera {chosen.names[0]} of {path.name}",
    )


def _calibration(path: pathlib.Path, unit: str, up: str) -> Any:
    files = _module("calibration_files")
    if path.is_dir() and not any(each.suffix in files.SUFFIXES for each in path.iterdir()):
        pose2sim = _module("pose2sim")
        # Its `calibration` itself, too.
        is_inner = path.name in pose2sim.FOLDERS
        path = pose2sim.calibration_file(path.parent if is_inner else path)
    told = _FORMATS.get(path.suffix.lower(), "opencv" if path.is_dir() else "")
    if not told:
        rule, received = f"end in {', '.join(_FORMATS)}", path.name
        if not path.exists():
            rule, received = "exist", "nothing there"
        elif path.suffix in (".pickle", ".pkl"):
            received = "a pickle, which may run programs, such as OpenCap's"
        raise errors.RecordingError(path, "calibration", rule, received)
    return files.read(path, told, unit, up or "z")


def _module(name: str) -> Any:
    return importlib.import_module(f"keras_mvlift.datasets.rigs.{name}")
