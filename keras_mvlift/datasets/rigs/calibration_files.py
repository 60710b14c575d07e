"""Every format of calibrations by name, read into meters and a world with z up.

Readers raise a `RecordingError` if a file is not such a calibration, has a lens that is not read,
or if a number in it is missing or cannot be.
"""

import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tomli_w
from scipy.spatial import transform

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.geometry import cameras
from keras_mvlift.untrusted import files, reading

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_opencv(path: pathlib.Path, unit: errors.Unit = errors.METERS) -> calibrations.Calibration:
    """Reads a file, or a folder of one file per camera, with translations of a unit."""
    contents = _opencv_contents(path)
    return calibrations.build(path, [_opencv_entry(path, *item) for item in contents], unit)


def read_toml(path: pathlib.Path, unit: errors.Unit = errors.METERS) -> calibrations.Calibration:
    """Reads a file with translations of a unit."""
    cameras_by_name = _toml_cameras(read_tables(path))
    entries = [from_table(path, name, table) for name, table in cameras_by_name.items()]
    return calibrations.build(path, entries, unit)


def read_tables(path: pathlib.Path, field: str = "calibration") -> dict[str, Any]:
    """Reads any TOML file; the field is what it holds, for errors."""
    text = files.read_text(path, field, files.MAX_MARKUP_BYTES)
    with errors.parsing(path, field, "be TOML"):
        return tomllib.loads(text)


READERS: dict[str, Callable[[pathlib.Path, errors.Unit], calibrations.Calibration]] = {
    "pose2sim": read_toml,
    "anipose": read_toml,
    "caliscope": read_toml,
    "opencv": read_opencv,
}
"""Formats that do not fix the unit of their translations."""

FORMATS = (*READERS, "qualisys")

SPACING = (0.05, 200.0)
"""Nobody films a person with cameras nearer to each other, or further apart; meters."""


def read(
    path: pathlib.Path, file_format: str, unit: str = "", up: str = "z"
) -> calibrations.Calibration:
    """Reads a calibration, in meters and a world with z up; its extrinsics may be unknown.

    Args:
        path: The file; with `"opencv"` also a folder with a file per camera.
        file_format: One of `FORMATS`.
        unit: The translations' unit, of `errors.UNITS`; empty for the format's own.
        up: The axis of the file's world that points up, of `calibrations.UP_AXES`.

    Raises:
        RecordingError: If the file is not such a calibration, or an argument does not fit.
    """
    with errors.told_by(path, ("format", "unit", "up")):
        errors.require_known("format", file_format, FORMATS)
        errors.require_known("unit", unit, ("", *errors.UNITS))
        errors.require_known("up", up, calibrations.UP_AXES)
    if file_format == "qualisys":
        if unit not in ("", errors.MILLIMETERS.name):
            raise errors.RecordingError(path, "unit", "be mm, as in all Qualisys files", unit)
        calibration = read_qualisys(path)
    else:
        calibration = READERS[file_format](path, errors.UNITS[unit or errors.METERS.name])
    return calibration._replace(camera=calibrations.turn_camera(calibration.camera, up))


def check_usable(path: pathlib.Path, calibration: calibrations.Calibration) -> None:
    """Refuses a rig, in meters, that nothing can be trained on.

    Raises:
        RecordingError: If there are fewer than two cameras, it is not known where they stand, or
            they stand so far apart or near together that the unit must be wrong.
    """
    names, (_, rotation, center) = calibration.names, calibration.camera
    errors.require_in(path, len(names) >= 2, "cameras", "be two or more", ", ".join(names))
    missing = ", ".join(np.array(names)[~np.isfinite(center).all(axis=-1)])
    rule = "have rotation and translation; run `keras-mvlift calibrate` to estimate them"
    errors.require_in(path, calibration.has_extrinsics, "cameras", rule, f"none of {missing}")
    check_spacing(path, calibration)
    places = [(*np.ravel(turn), *at) for turn, at in zip(rotation, center, strict=True)]
    same = ", ".join(names[i] for i, place in enumerate(places) if places.count(place) > 1)
    rule = "each have a rotation and translation of their own"
    errors.require_in(path, not same, "cameras", rule, f"the same of {same}")


def check_spacing(path: pathlib.Path, calibration: calibrations.Calibration) -> None:
    """Refuses cameras that stand so far apart or near together that the unit must be wrong.

    Those of which it is not known where they stand do not count.
    """
    center = np.asarray(calibration.camera.center)
    center = center[np.isfinite(center).all(axis=-1)]
    if len(center) < 2:
        return
    first, second = np.triu_indices(len(center), 1)
    spacing = float(np.median(np.linalg.norm(center[first] - center[second], axis=-1)))
    least, most = SPACING
    if not least <= spacing <= most:
        guess = "meters read as millimeters"
        if spacing > most:
            # Rigs around a person are some 5 m wide.
            true = min(("cm", "mm"), key=lambda unit: abs(errors.UNITS[unit].meters * spacing - 5))
            guess = {"cm": "centimeters", "mm": "millimeters"}[true] + " read as meters"
        rule = f"stand {least} to {most} m apart; set the calibration's `unit` (--unit)"
        received = f"a median of {spacing:.4g} m, which looks like {guess}"
        raise errors.RecordingError(path, "cameras", rule, received)


# Calibrations in OpenCV's FileStorage, YAML, JSON or XML: one file a camera, or one of all. So are
# archives of one camera's arrays, as `numpy.savez(file, mtx=mtx, dist=dist)` writes them.
#
# In a folder each file is a camera, called like the file, but for EasyMocap's `intri` and `extri`.
# In a file of all, each camera is a mapping under its name, or in a list with it, as AIST++'s and
# the CMU Panoptic Studio's are. Programs call the same matrices by several names; all that are
# usual are read. ROS's `camera_info` is of the same form without rotation and translation, Kalibr's
# cameras chain stands in the frame of its first camera.

SUFFIXES = (".yaml", ".yml", ".json", ".xml")
"""Of OpenCV's files."""

_OPENCV_NAMES = {
    "intrinsics": ("camera_matrix", "cameraMatrix", "K", "intrinsics", "M", "matrix", "mtx"),
    "distortion": (
        *("distortion_coefficients", "dist_coeffs", "distCoeffs", "dist_coeff", "distCoef"),
        *("distortion", "distortions", "distortion_coeffs", "dist", "D"),
    ),
    "rotation": ("Rot", "R", "rotation", "rotation_matrix", "rvec"),
    "translation": ("T", "t", "translation", "translation_vector", "tvec"),
    "image_size": ("image_size", "imageSize", "size", "resolution"),
}
_EASYMOCAP = ("intri", "extri")
_KALIBR = "T_cn_cnm1"
_MODELS = ("distortion_model", "camera_model", "model")
_PINHOLE = ("plumb_bob", "pinhole", "opencv", "radtan")
_FISHEYE_FLAGS = ("fisheye_model", "fisheye")


def _opencv_contents(path: pathlib.Path) -> list[tuple[str, dict[str, Any]]]:
    if not path.is_dir():
        return _opencv_cameras(path, _opencv_content(path))
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    found = [file for file in found if not file.name.startswith(".")]
    contents = {file: _opencv_content(file) for file in found}
    if {file.stem for file in found} >= {*_EASYMOCAP}:
        merged: dict[str, Any] = {}
        for file, content in contents.items():
            merged |= content if file.stem in _EASYMOCAP and isinstance(content, dict) else {}
        return _opencv_cameras(path, merged)
    return [
        (file.stem, dict(_opencv_cameras(file, content)).get(file.stem, content))
        for file, content in contents.items()
    ]


def _opencv_content(path: pathlib.Path) -> Any:
    if path.suffix == ".json":
        return files.read_json(path, "calibration")
    if path.suffix == ".npz":
        known = {name for names in _OPENCV_NAMES.values() for name in names}
        arrays = reading.npz(path, [name for name in reading.npz_names(path) if name in known])
        return {name: np.asarray(array).tolist() for name, array in arrays.items()}
    if path.suffix != ".xml":
        return reading.yaml(path, "calibration", ("tag:yaml.org,2002:opencv-matrix",))
    elements = files.read_xml(path, "calibration")
    with errors.parsing(path, "calibration", "be OpenCV's XML"):
        return {element.tag: _of_xml(element) for element in elements}


def _of_xml(element: ElementTree.Element) -> Any:
    """Returns a matrix as FileStorage's YAML has it, a number or a text."""
    text = (element.text or "").strip()
    if len(element):
        parts = {child.tag: (child.text or "").split() for child in element}
        return {"rows": int(parts["rows"][0]), "cols": int(parts["cols"][0])} | {
            "data": [float(number) for number in parts["data"]]
        }
    return float(text) if re.fullmatch(r"[-+.0-9eE]+", text) else text


def _opencv_cameras(path: pathlib.Path, content: Any) -> list[tuple[str, dict[str, Any]]]:
    """Finds the cameras in a file of one or of all."""
    names = _OPENCV_NAMES["intrinsics"]
    if _is_map(content) and {"d", "k", "width", "height"} <= {*content}:
        # ROS's message; its `r` turns images, not the camera.
        size = [content["width"], content["height"]]
        content = {"K": content["k"], "D": content["d"], "image_size": size}
    listed = content.get("cameras", content) if isinstance(content, dict) else content
    if isinstance(listed, list):
        listed = {str(each.get("name", n)): each for n, each in enumerate(listed) if _is_map(each)}
    if _is_map(content) and any(name in content for name in names):
        return [(path.stem, content)]
    rule = "be a mapping of OpenCV's matrices"
    errors.require_in(path, _is_map(listed), "calibration", rule, type(content).__name__)
    listed = _easymocap_cameras(listed) or listed
    found = {
        name: value
        for name, value in listed.items()
        if _is_map(value) and any(key in value for key in names)
    }
    rule = f"hold a matrix of each: {', '.join(names)}"
    what = " of EasyMocap's extri without its intri" if "R_1" in content else ""
    received = f"{', '.join(map(str, list(content)[:6]))}{what}" if content else "none"
    errors.require_in(path, found, "cameras", rule, received)
    return list(_kalibr_places(path, found).items())


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _easymocap_cameras(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Gathers `K_<name>`, `dist_<name>`, `Rot_<name>` and `T_<name>`; nothing of other files."""
    names = [key[2:] for key in content if str(key).startswith("K_")]
    parts = ("K", "dist", "Rot", "R", "T")
    cameras_by_name = {
        name: {part: content[f"{part}_{name}"] for part in parts if f"{part}_{name}" in content}
        for name in names
    }
    for camera in cameras_by_name.values():
        if "Rot" in camera:
            camera.pop("R", None)
    return cameras_by_name


def _kalibr_places(path: pathlib.Path, found: dict[str, Any]) -> dict[str, Any]:
    """Places a chain of cameras, each in the frame of the one before, in the first one's."""
    if not any(_KALIBR in camera for camera in list(found.values())[1:]):
        return found
    placed: dict[str, Any] = {}
    pose = np.eye(4)
    for name, camera in found.items():
        if placed:
            with errors.parsing(path, f"{name}/{_KALIBR}", "be 4 by 4"):
                pose = np.asarray(camera[_KALIBR], np.float64).reshape(4, 4) @ pose
        placed[name] = camera | {"R": pose[:3, :3].tolist(), "T": pose[:3, 3].tolist()}
    return placed


def _opencv_entry(path: pathlib.Path, name: str, content: dict[str, Any]) -> calibrations.Entry:
    rule = "be 0 or false; a fisheye lens is not read"
    for key in _FISHEYE_FLAGS:
        errors.require_in(path, not content.get(key), f"{name}/{key}", rule, content.get(key))
    rule = f"be one of {', '.join(_PINHOLE)}; another lens is not read"
    for key in (key for key in _MODELS if key in content):
        is_read = str(content[key]).lower() in _PINHOLE
        errors.require_in(path, is_read, f"{name}/{key}", rule, content[key])
    found = {
        field: _matrix(path, f"{name}/{key}", content[key])
        for field, keys in _OPENCV_NAMES.items()
        for key in reversed(keys)
        if key in content
    }
    if "image_width" in content and "image_height" in content:
        found["image_size"] = [content["image_width"], content["image_height"]]
    with errors.parsing(path, f"{name}/matrix", "hold numbers"):
        flat = np.ravel(np.asarray(found.get("intrinsics"), np.float64))
    if len(flat) == 4:
        # Kalibr's focal lengths and center.
        found["intrinsics"] = [[flat[0], 0, flat[2]], [0, flat[1], flat[3]], [0, 0, 1]]
    elif len(flat) == 9:
        # ROS's, row by row.
        found["intrinsics"] = flat.reshape(3, 3)
    with errors.parsing(path, f"{name}/distortion", "hold numbers"):
        lens = np.ravel(np.asarray(found.get("distortion", ()), np.float64))
    # A lens of which nothing is said bends nothing.
    found["distortion"] = lens if len(lens) else [0.0] * 5
    return calibrations.Entry(name=name, **({"intrinsics": None} | found))


def _matrix(path: pathlib.Path, field: str, value: Any) -> Any:
    """Returns the array of a matrix as FileStorage writes it; anything else as it is."""
    if not isinstance(value, dict):
        return value
    rule = "be a matrix of `rows` by `cols` with as many numbers as `data`"
    with errors.parsing(path, field, rule):
        data = np.asarray(value["data"], np.float64)
        return data.reshape(value["rows"], value["cols"])


# Qualisys Track Manager's camera calibration files, `*.qca.txt`.
#
# They are XML. The rotation is written with y and z of the camera flipped against OpenCV's axes,
# the position is the camera's center in the world in millimeters, focal lengths and centers are in
# 64ths of a pixel.

_SUBPIXELS = 64.0
# Qualisys cameras look along -z with y up; ours look along +z with y down.
_FLIP = np.diag([1.0, -1.0, -1.0])


def read_qualisys(path: pathlib.Path) -> calibrations.Calibration:
    """Reads a file, whose unit is the millimeter."""
    elements = files.read_xml(path, "calibration").findall(".//camera")
    errors.require_in(path, elements, "camera", "exist", "no such element")
    names = tuple(element.get("serial", str(i)) for i, element in enumerate(elements, start=1))
    rule, is_own = "be each camera's own", len({*names}) == len(names)
    errors.require_in(path, is_own, "serial", rule, ", ".join(names))
    parts = zip(*(_qualisys_camera(path, element) for element in elements), strict=True)
    intrinsics, rotation, center, distortion, sizes = map(np.stack, parts)
    camera = cameras.Camera(intrinsics, rotation, center)
    return calibrations.Calibration(names, camera, distortion, sizes)


def _qualisys_camera(path: pathlib.Path, element: ElementTree.Element) -> tuple[np.ndarray, ...]:
    def numbers(tag: str, *names: str) -> np.ndarray:
        return np.array([_qualisys_number(path, element, tag, name) for name in names])

    focal = numbers("intrinsic", "focalLengthU", "focalLengthV") / _SUBPIXELS
    field, rule = f"{element.get('serial')}/intrinsic", "have positive focal lengths"
    errors.require_in(path, (focal > 0).all(), field, rule, focal.tolist())
    corner = numbers("fov_video", "left", "top")
    size = numbers("fov_video", "right", "bottom") + 1.0 - corner
    principal_point = numbers("intrinsic", "centerPointU", "centerPointV") / _SUBPIXELS - corner
    intrinsics = np.diag([*focal, 1.0])
    intrinsics[:2, 2] = principal_point
    entries = numbers("transform", *(f"r{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3)))
    rotation = entries.reshape(3, 3)
    field, rule = f"{element.get('serial')}/transform", "hold a rotation in r11 to r33"
    errors.require_in(path, cameras.is_rotation(rotation), field, rule, entries.tolist())
    center = errors.MILLIMETERS.to_meters(numbers("transform", "x", "y", "z"))
    lens = [f"radialDistortion{i}" for i in (1, 2)] + [f"tangentalDistortion{i}" for i in (1, 2)]
    distortion = numbers("intrinsic", *lens, "radialDistortion3")
    return intrinsics, _FLIP @ rotation, center, distortion, size


def _qualisys_number(
    path: pathlib.Path, element: ElementTree.Element, tag: str, name: str
) -> float:
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


# Calibrations in TOML, a table a camera: Pose2Sim's, aniposelib's and caliscope's.
#
# The three share their keys: `matrix`, `distortions`, `rotation` and `translation` camera from
# world as OpenCV has them, `size`, `fisheye`. Where a camera's table has a `name` that is its name,
# else the table's own, or `cam_<n>` for caliscope's `[cameras.<n>]`. caliscope's `rotation_count`
# turns pictures on the screen; detections and calibration are of the picture as it was recorded.

_CAMERAS = "cameras"


def write_toml(path: pathlib.Path, calibration: calibrations.Calibration) -> None:
    """Writes a calibration as Pose2Sim does, whole or not at all; meters.

    Cameras whose place is not known are written without rotation and translation. What is read
    back is the same up to the rounding of the rotation's vector.
    """
    tables = {
        f"cam_{number:02d}": table | {"fisheye": False}
        for number, table in enumerate(to_tables(calibration), start=1)
    }
    metadata = {"metadata": {"adjusted": False, "error": 0.0}}
    with files.replacing(path) as partial:
        partial.write_bytes(tomli_w.dumps(tables | metadata).encode())


def _toml_cameras(tables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Finds the cameras' tables; those of boards, volumes and metadata are none."""
    if isinstance(tables.get(_CAMERAS), dict):
        found = {f"cam_{key}": table for key, table in tables[_CAMERAS].items()}
    else:
        named = {key: table for key, table in tables.items() if _is_map(table)}
        found = {key: t for key, t in named.items() if key.startswith("cam") or "matrix" in t}
    return {key: t for key, t in found.items() if not (_is_map(t) and t.get("ignore"))}


def from_table(path: pathlib.Path, key: str, table: Any) -> calibrations.Entry:
    """Returns a camera of `to_tables`, unchecked; the key is its name if it has no other."""
    errors.require_in(path, _is_map(table), key, "be a table", table)
    return _opencv_entry(path, str(table.get("name", key)), table)


def to_tables(
    calibration: calibrations.Calibration, unit: errors.Unit = errors.METERS
) -> list[dict[str, Any]]:
    """Returns each camera's numbers under the keys that Pose2Sim, aniposelib and others share.

    Cameras whose place is not known get neither rotation nor translation; these are of the unit.
    """
    camera = calibration.camera
    translation = unit.from_meters(cameras.translation(camera))
    tables = []
    for index, name in enumerate(calibration.names):
        lens = calibration.distortion[index]
        # Pose2Sim writes four coefficients; the fifth is told only where it is needed.
        table = {
            "name": name,
            "size": calibration.image_sizes[index].tolist(),
            "matrix": np.asarray(camera.intrinsics)[index].tolist(),
            "distortions": (lens if lens[4] else lens[:4]).tolist(),
        }
        # What is not known of a place is NaN in the translation, too.
        if np.isfinite(translation[index]).all():
            rotation = transform.Rotation.from_matrix(camera.rotation[index])
            table["rotation"] = rotation.as_rotvec().tolist()
            table["translation"] = translation[index].tolist()
        tables.append(table)
    return tables
