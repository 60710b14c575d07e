"""Writes calibrations as the programs of each format do, for simulated rigs."""

import pathlib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tomli_w
from scipy.spatial import transform

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files, calibrations

_SUBPIXELS = 64.0


def _pose2sim(folder: pathlib.Path, calibration: calibrations.Calibration) -> dict[str, str]:
    calibration_files.write_toml(folder / "Calib.toml", calibration)
    return {"file": "Calib.toml"}


def _anipose(folder: pathlib.Path, calibration: calibrations.Calibration) -> dict[str, str]:
    """As aniposelib, which has the unit of the board it was shown: millimeters, mostly."""
    tables = {
        f"cam_{index}": {"name": name, **table}
        for index, (name, table) in enumerate(_tables(calibration, errors.MILLIMETERS).items())
    }
    metadata = {"metadata": {"adjusted": False, "error": 0.31}}
    (folder / "calibration.toml").write_text(tomli_w.dumps(tables | metadata))
    return {"file": "calibration.toml", "unit": "mm"}


def _caliscope(folder: pathlib.Path, calibration: calibrations.Calibration) -> dict[str, str]:
    """As caliscope, whose cameras are numbers; a camera that is ignored is among them."""
    tables: dict[str, Any] = {"0": {"port": 0, "rotation_count": 0, "ignore": True}}
    for name, table in _tables(calibration, errors.METERS).items():
        port = name.removeprefix("cam_")
        about = {"port": int(port), "rotation_count": 0, "error": 0.4, "ignore": False}
        tables[port] = about | table
    content = {"cameras": tables, "charuco": {"columns": 4, "rows": 5}}
    (folder / "camera_array.toml").write_text(tomli_w.dumps(content))
    return {"file": "camera_array.toml"}


def _qualisys(folder: pathlib.Path, calibration: calibrations.Calibration) -> dict[str, str]:
    root = ElementTree.Element("calibration")
    group = ElementTree.SubElement(root, "cameras")
    for index, name in enumerate(calibration.names):
        element = ElementTree.SubElement(group, "camera", serial=name, active="1")
        for tag, values in _qualisys_values(calibration, index).items():
            attributes = {key: repr(float(value)) for key, value in values.items()}
            ElementTree.SubElement(element, tag, attributes)
    ElementTree.ElementTree(root).write(folder / "Calib.qca.txt", xml_declaration=True)
    return {"file": "Calib.qca.txt"}


def _qualisys_values(
    calibration: calibrations.Calibration, index: int
) -> dict[str, dict[str, float]]:
    intrinsics, rotation, center = (np.asarray(value)[index] for value in calibration.camera)
    # Its cameras look along -z with y up.
    turned = rotation * [[1.0], [-1.0], [-1.0]]
    transforms = {f"r{i + 1}{j + 1}": turned[i, j] for i, j in np.ndindex(3, 3)}
    place = dict(zip("xyz", errors.MILLIMETERS.from_meters(center), strict=True))
    width, height = calibration.image_sizes[index]
    lens = (
        *("radialDistortion1", "radialDistortion2"),
        *("tangentalDistortion1", "tangentalDistortion2", "radialDistortion3"),
    )
    return {
        "fov_video": {"left": 0, "top": 0, "right": width - 1, "bottom": height - 1},
        "transform": place | transforms,
        "intrinsic": {
            "focalLengthU": _SUBPIXELS * intrinsics[0, 0],
            "focalLengthV": _SUBPIXELS * intrinsics[1, 1],
            "centerPointU": _SUBPIXELS * intrinsics[0, 2],
            "centerPointV": _SUBPIXELS * intrinsics[1, 2],
            **dict(zip(lens, calibration.distortion[index], strict=True)),
        },
    }


def _opencv(folder: pathlib.Path, calibration: calibrations.Calibration) -> dict[str, str]:
    """As OpenCV's FileStorage, a file a camera."""
    (folder / "intrinsics").mkdir()
    for name, table in _tables(calibration, errors.METERS).items():
        width, height = table["size"]
        rotation = transform.Rotation.from_rotvec(table["rotation"]).as_matrix()
        matrices = {
            "camera_matrix": table["matrix"],
            "distortion_coefficients": [table["distortions"]],
            "R": rotation,
            "T": np.reshape(table["translation"], (3, 1)),
        }
        lines = ["%YAML:1.0", "---", f"image_width: {width:.0f}", f"image_height: {height:.0f}"]
        for key, matrix in matrices.items():
            rows, columns = np.shape(matrix)
            data = ", ".join(repr(float(value)) for value in np.ravel(matrix))
            lines += [f"{key}: !!opencv-matrix", f"   rows: {rows}", f"   cols: {columns}"]
            lines += ["   dt: d", f"   data: [ {data} ]"]
        (folder / "intrinsics" / f"{name}.yml").write_text("\n".join(lines) + "\n")
    return {"file": "intrinsics"}


def _tables(calibration: calibrations.Calibration, unit: errors.Unit) -> dict[str, dict[str, Any]]:
    """Returns the numbers that the TOML formats share, by camera."""
    tables = calibration_files.to_tables(calibration, unit)
    return {
        table.pop("name"): table | {"size": [int(side) for side in table["size"]]}
        for table in tables
    }


Writer = Callable[[pathlib.Path, calibrations.Calibration], dict[str, str]]

WRITERS: dict[str, Writer] = {
    "pose2sim": _pose2sim,
    "anipose": _anipose,
    "caliscope": _caliscope,
    "qualisys": _qualisys,
    "opencv": _opencv,
}
"""By format: writes cameras called `cam_<n>` below a folder; gives the manifest's `calibration`."""
