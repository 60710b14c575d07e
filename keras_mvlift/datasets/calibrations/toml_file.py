"""Calibrations in TOML, a table a camera: Pose2Sim's, aniposelib's and caliscope's.

The three share their keys: `matrix`, `distortions`, `rotation` and `translation` camera from world
as OpenCV has them, `size`, `fisheye`. Where a camera's table has a `name` that is its name, else
the table's own, or `cam_<n>` for caliscope's `[cameras.<n>]`. caliscope's `rotation_count` turns
pictures on the screen; detections and calibration are of the picture as it was recorded.
"""

import os
import pathlib
import sys
from typing import Any

import numpy as np
import tomli_w
from scipy.spatial import transform

from keras_mvlift import errors
from keras_mvlift.datasets import files
from keras_mvlift.datasets.calibrations import calibration as calibrations

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_CAMERAS = "cameras"


def read(path: pathlib.Path, unit: errors.Unit = errors.METERS) -> calibrations.Calibration:
    """Reads a calibration.

    Args:
        path: The file.
        unit: The unit of its translations.

    Raises:
        RecordingError: If the file is not such a calibration, has a fisheye lens, or a number in
            it is missing or cannot be.
    """
    text = files.read_text(path, "calibration")
    with errors.parsing(path, "calibration", "be TOML"):
        tables = tomllib.loads(text)
    entries = [_entry(path, name, table) for name, table in _cameras(tables).items()]
    return calibrations.build(path, entries, unit)


def write(path: pathlib.Path, calibration: calibrations.Calibration) -> None:
    """Writes a calibration as Pose2Sim does, whole or not at all; meters.

    Cameras whose place is not known are written without rotation and translation. What is read
    back is the same up to the rounding of the rotation's vector.
    """
    tables = {
        f"cam_{index + 1:02d}": _table(calibration, index)
        for index in range(len(calibration.names))
    }
    metadata = {"metadata": {"adjusted": False, "error": 0.0}}
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(tomli_w.dumps(tables | metadata).encode())
    os.replace(partial, path)


def _cameras(tables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Finds the cameras' tables; those of boards, volumes and metadata are none."""
    if isinstance(tables.get(_CAMERAS), dict):
        found = {f"cam_{key}": table for key, table in tables[_CAMERAS].items()}
    else:
        found = {
            key: table
            for key, table in tables.items()
            if isinstance(table, dict) and (key.startswith("cam") or "matrix" in table)
        }
    return {
        key: table
        for key, table in found.items()
        if not (isinstance(table, dict) and table.get("ignore"))
    }


def _entry(path: pathlib.Path, key: str, table: Any) -> calibrations.Entry:
    if not isinstance(table, dict):
        raise errors.RecordingError(path, key, "be a table", table)
    name = str(table.get("name", key))
    if table.get("fisheye"):
        rule = "be false; a fisheye lens is not read"
        raise errors.RecordingError(path, f"{name}/fisheye", rule, table["fisheye"])
    return calibrations.Entry(
        name=name,
        intrinsics=table.get("matrix"),
        distortion=table.get("distortions"),
        rotation=table.get("rotation"),
        translation=table.get("translation"),
        image_size=table.get("size"),
    )


def _table(calibration: calibrations.Calibration, index: int) -> dict[str, Any]:
    intrinsics, rotation, center = (np.asarray(value)[index] for value in calibration.camera)
    distortion = calibration.distortion[index]
    # Pose2Sim writes four coefficients; the fifth is told only where it is needed.
    table = {
        "name": calibration.names[index],
        "size": calibration.image_sizes[index].tolist(),
        "matrix": intrinsics.tolist(),
        "distortions": (distortion if distortion[4] else distortion[:4]).tolist(),
    }
    if np.isfinite(rotation).all() and np.isfinite(center).all():
        table["rotation"] = transform.Rotation.from_matrix(rotation).as_rotvec().tolist()
        table["translation"] = (-rotation @ center).tolist()
    return table | {"fisheye": False}
