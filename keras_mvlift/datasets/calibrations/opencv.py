"""Calibrations in OpenCV's FileStorage, YAML or JSON: one file a camera, or one of all.

In a folder each file is a camera, called like the file. In a file of all, each camera is a mapping
under its name. Programs call the same matrices by several names; all that are usual are read.
ROS's `camera_info` is of the same form without rotation and translation.
"""

import pathlib
from typing import Any

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import files, yaml_files
from keras_mvlift.datasets.calibrations import calibration as calibrations

_SUFFIXES = (".yaml", ".yml", ".json")
_NAMES = {
    "intrinsics": ("camera_matrix", "cameraMatrix", "K", "intrinsics", "M", "matrix"),
    "distortion": (
        *("distortion_coefficients", "dist_coeffs", "distCoeffs", "dist_coeff"),
        *("distortion", "dist", "D"),
    ),
    "rotation": ("R", "rotation", "rotation_matrix", "rvec"),
    "translation": ("T", "t", "translation", "translation_vector", "tvec"),
    "image_size": ("image_size", "imageSize", "size"),
}
_MODELS = ("distortion_model", "camera_model", "model")
_PINHOLE = ("plumb_bob", "pinhole", "opencv", "radtan")
_FISHEYE_FLAGS = ("fisheye_model", "fisheye")


def read(path: pathlib.Path, unit: errors.Unit = errors.METERS) -> calibrations.Calibration:
    """Reads a calibration.

    Args:
        path: The file, or the folder of one file per camera.
        unit: The unit of its translations.

    Raises:
        RecordingError: If a file is not such a calibration, has a lens that is not read, or a
            number in it is missing or cannot be.
    """
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
        contents = [(file.stem, _read(file)) for file in found]
    else:
        content = _read(path)
        is_one = any(name in content for name in _NAMES["intrinsics"])
        contents = [(path.stem, content)] if is_one else _cameras(content)
    return calibrations.build(path, [_entry(path, *item) for item in contents], unit)


def _read(path: pathlib.Path) -> dict[str, Any]:
    is_json = path.suffix == ".json"
    tags = {"tag:yaml.org,2002:opencv-matrix": dict}
    content = (
        files.read_json(path, "calibration")
        if is_json
        else yaml_files.read(path, "calibration", tags)
    )
    if not isinstance(content, dict):
        rule = "be a mapping of OpenCV's matrices"
        raise errors.RecordingError(path, "calibration", rule, type(content).__name__)
    return content


def _cameras(content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, value)
        for name, value in content.items()
        if isinstance(value, dict) and any(key in value for key in _NAMES["intrinsics"])
    ]


def _entry(path: pathlib.Path, name: str, content: dict[str, Any]) -> calibrations.Entry:
    for key in _FISHEYE_FLAGS:
        if content.get(key):
            rule = "be 0; a fisheye lens is not read"
            raise errors.RecordingError(path, f"{name}/{key}", rule, content[key])
    for key in _MODELS:
        if key in content and str(content[key]).lower() not in _PINHOLE:
            rule = f"be one of {', '.join(_PINHOLE)}; another lens is not read"
            raise errors.RecordingError(path, f"{name}/{key}", rule, content[key])
    found = {
        field: _matrix(path, f"{name}/{key}", content[key])
        for field, keys in _NAMES.items()
        for key in reversed(keys)
        if key in content
    }
    if "image_width" in content and "image_height" in content:
        found["image_size"] = [content["image_width"], content["image_height"]]
    missing = {"intrinsics": None, "distortion": None}
    return calibrations.Entry(name=name, **(missing | found))


def _matrix(path: pathlib.Path, field: str, value: Any) -> Any:
    """Gives the array of a matrix as FileStorage writes it; anything else as it is."""
    if not isinstance(value, dict):
        return value
    rule = "be a matrix of `rows` by `cols` with as many numbers as `data`"
    with errors.parsing(path, field, rule):
        data = np.asarray(value["data"], np.float64)
        return data.reshape(value["rows"], value["cols"])
