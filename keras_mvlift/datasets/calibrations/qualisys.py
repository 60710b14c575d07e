"""Qualisys Track Manager's camera calibration files, `*.qca.txt`.

They are XML. The rotation is written with y and z of the camera flipped against OpenCV's axes,
the position is the camera's center in the world in millimeters, focal lengths and centers are in
64ths of a pixel.
"""

import pathlib
from xml.etree import ElementTree

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import xml_files
from keras_mvlift.datasets.calibrations import calibration as calibrations
from keras_mvlift.geometry import cameras

_SUBPIXELS = 64.0
# Qualisys cameras look along -z with y up; ours look along +z with y down.
_FLIP = np.diag([1.0, -1.0, -1.0])


def read(path: pathlib.Path) -> calibrations.Calibration:
    """Reads a calibration.

    Raises:
        RecordingError: If the file is not such a calibration, or a number in it is missing.
    """
    elements = xml_files.read(path, "calibration").findall(".//camera")
    if not elements:
        raise errors.RecordingError(path, "camera", "exist", "no such element")
    intrinsics, rotation, center, distortion, sizes = (
        np.stack(values) for values in zip(*(_camera(path, e) for e in elements), strict=True)
    )
    names = tuple(element.get("serial", str(i)) for i, element in enumerate(elements, start=1))
    if len(set(names)) < len(names):
        raise errors.RecordingError(path, "serial", "be each camera's own", ", ".join(names))
    camera = cameras.Camera(intrinsics, rotation, center)
    return calibrations.Calibration(names, camera, distortion, sizes)


def _camera(path: pathlib.Path, element: ElementTree.Element) -> tuple[np.ndarray, ...]:
    def numbers(tag: str, *names: str) -> np.ndarray:
        return np.array([_number(path, element, tag, name) for name in names])

    focal = numbers("intrinsic", "focalLengthU", "focalLengthV") / _SUBPIXELS
    if (focal <= 0).any():
        field = f"{element.get('serial')}/intrinsic"
        raise errors.RecordingError(path, field, "have positive focal lengths", focal.tolist())
    corner = numbers("fov_video", "left", "top")
    size = numbers("fov_video", "right", "bottom") + 1.0 - corner
    principal_point = numbers("intrinsic", "centerPointU", "centerPointV") / _SUBPIXELS - corner
    intrinsics = np.diag([*focal, 1.0])
    intrinsics[:2, 2] = principal_point
    entries = numbers("transform", *(f"r{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3)))
    rotation = entries.reshape(3, 3)
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4) or np.linalg.det(rotation) < 0:
        field = f"{element.get('serial')}/transform"
        raise errors.RecordingError(path, field, "hold a rotation in r11 to r33", entries.tolist())
    center = errors.MILLIMETERS.to_meters(numbers("transform", "x", "y", "z"))
    lens = [f"radialDistortion{i}" for i in (1, 2)] + [f"tangentalDistortion{i}" for i in (1, 2)]
    distortion = numbers("intrinsic", *lens, "radialDistortion3")
    return intrinsics, _FLIP @ rotation, center, distortion, size


def _number(path: pathlib.Path, element: ElementTree.Element, tag: str, name: str) -> float:
    child = element.find(tag)
    text = None if child is None else child.get(name)
    try:
        value = float(text or "")
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        field = f"{element.get('serial')}/{tag}/{name}"
        raise errors.RecordingError(path, field, "be a finite number", text)
    return value
