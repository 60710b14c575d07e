"""OpenSim's marker files, `*.trc`: tab-separated, y up."""

import pathlib
import warnings
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.untrusted import files

_NUM_HEADER_LINES = 5
_RULE = "have a TRC header and a full row of numbers for each frame"
# OpenSim's (x, y, z) with y up is our world's (y, z, x) with z up.
_WORLD_FROM_OPENSIM = [2, 0, 1]
_UNITS = {"meters": "m", "centimeters": "cm", "millimeters": "mm"}  # Units, spelled out.
# Times are written with few decimals.
_RATE_TOLERANCE = 0.05


class Markers(NamedTuple):
    """Marker trajectories."""

    names: tuple[str, ...]  # `K` joint names, as in `skeletons`.
    frame_rate: float  # Frames per second.
    points: np.ndarray  # [T, K, 3]; NaN where missing.
    frames: np.ndarray  # [T], frame numbers.
    unit: str  # The symbol of the points' unit of length.


def read(path: pathlib.Path) -> Markers:
    """Reads a marker file, in meters and a world with z up.

    What lies at the very origin is missing.

    Raises:
        RecordingError: If the header or a row does not have the form of the format.
    """
    table = read_table(path)
    unit = _UNITS.get(table.unit.lower(), table.unit)
    rule = f"be one of {', '.join((*errors.UNITS, *_UNITS))}"
    errors.require_in(path, unit in errors.UNITS, "Units", rule, table.unit)
    # Many programs write zeros for a marker that they lost.
    points = np.where((table.points == 0).all(axis=-1, keepdims=True), np.nan, table.points)
    points = errors.UNITS[unit].to_meters(points)[..., _WORLD_FROM_OPENSIM]
    return table._replace(points=points, unit=errors.METERS.name)


def read_table(path: pathlib.Path) -> Markers:
    """Reads a marker file as it stands, in its own unit and axes.

    Raises:
        RecordingError: If the header or a row does not have the form of the format.
    """
    lines = files.read_text(path, "header").splitlines()
    with errors.parsing(path, "header", _RULE):
        header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
        unit, frame_rate = header["Units"].strip(), float(header["DataRate"])
        names = [name for name in lines[3].split("\t")[2:] if name.strip()]
        rows = [line.rstrip("\n").split("\t") for line in lines[_NUM_HEADER_LINES:] if line.strip()]
        width = 2 + 3 * len(names)
        values = np.array([[float(cell or "nan") for cell in row[:width]] for row in rows])
        points = values[:, 2:].reshape(len(rows), len(names), 3)
    _warn_of_header(path, header, len(rows), len(names), values[:, 1])
    return Markers(tuple(map(_joint, names)), frame_rate, points, values[:, 0], unit)


def _warn_of_header(
    path: pathlib.Path, header: dict[str, str], num_frames: int, num_markers: int, time: np.ndarray
) -> None:
    """Warns where a header says other than what stands below it, as in a file that was cut off."""
    found = {"NumFrames": float(num_frames), "NumMarkers": float(num_markers)}
    if num_frames > 1 and time[-1] > time[0]:
        found["DataRate"] = (num_frames - 1) / (time[-1] - time[0])
    for name, count in found.items():
        with errors.parsing(path, name, "be a number"):
            told = float(header.get(name) or count)
        tolerance = _RATE_TOLERANCE * count if name == "DataRate" else 0
        if told and abs(told - count) > tolerance:
            said = f"{path.name}: `{name}` is {told:g}, but {count:.4g} by what stands below it."
            warnings.warn(said, errors.InputWarning, stacklevel=3)


def _joint(marker: str) -> str:
    """Turns OpenSim's `RBigToe` into `right_big_toe`, whosever it is."""
    person, colon, joint = marker.rpartition(":")
    return person + colon + skeletons.joint_name(joint)
