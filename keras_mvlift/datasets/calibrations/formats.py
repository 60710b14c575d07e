"""Every format of calibrations by name, read into meters and a world with z up."""

import pathlib
from collections.abc import Callable

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets.calibrations import calibration as calibrations
from keras_mvlift.datasets.calibrations import opencv, qualisys, toml_file, worlds

Reader = Callable[[pathlib.Path, errors.Unit], calibrations.Calibration]

READERS: dict[str, Reader] = {
    "pose2sim": toml_file.read,
    "anipose": toml_file.read,
    "caliscope": toml_file.read,
    "opencv": opencv.read,
}
"""Formats that do not fix the unit of their translations."""

FORMATS = (*READERS, "qualisys")

# Nobody films a person with cameras further apart, or nearer to each other, than this.
_SPACING = (0.05, 200.0)


def read(
    path: pathlib.Path, file_format: str, unit: str = "", up: str = "z"
) -> calibrations.Calibration:
    """Reads a calibration.

    Args:
        path: The file; with `"opencv"` also a folder with a file per camera.
        file_format: One of `FORMATS`.
        unit: The translations' unit, of `errors.UNITS`; empty for the format's own.
        up: The axis of the file's world that points up, of `worlds.AXES`.

    Returns:
        The rig, in meters and a world with z up; its extrinsics may be unknown.

    Raises:
        RecordingError: If the file is not such a calibration, or an argument does not fit.
    """
    for field, value, known in (
        ("format", file_format, FORMATS),
        ("unit", unit, ("", *errors.UNITS)),
        ("up", up, worlds.AXES),
    ):
        if value not in known:
            raise errors.RecordingError(path, field, f"be one of {', '.join(known)}", value)
    if file_format == "qualisys":
        if unit not in ("", errors.MILLIMETERS.name):
            raise errors.RecordingError(path, "unit", "be mm, as in all Qualisys files", unit)
        calibration = qualisys.read(path)
    else:
        calibration = READERS[file_format](path, errors.UNITS[unit or errors.METERS.name])
    return calibration._replace(camera=worlds.turn_camera(calibration.camera, up))


def check_usable(path: pathlib.Path, calibration: calibrations.Calibration) -> None:
    """Refuses a rig that nothing can be trained on.

    Args:
        path: The file it was read from, for errors.
        calibration: In meters.

    Raises:
        RecordingError: If there are fewer than two cameras, it is not known where they stand, or
            they stand so far apart or near together that the unit must be wrong.
    """
    names = ", ".join(calibration.names)
    if len(calibration.names) < 2:
        raise errors.RecordingError(path, "cameras", "be two or more", names)
    if not calibration.has_extrinsics:
        is_known = np.isfinite(calibration.camera.center).all(axis=-1)
        missing = [
            name for name, known in zip(calibration.names, is_known, strict=True) if not known
        ]
        rule = "have rotation and translation; run `keras-mvlift calibrate` to estimate them"
        received = f"none of {', '.join(missing)}"
        raise errors.RecordingError(path, "cameras", rule, received)
    center = calibration.camera.center
    first, second = np.triu_indices(len(center), 1)
    spacing = float(np.median(np.linalg.norm(center[first] - center[second], axis=-1)))
    least, most = _SPACING
    if not least <= spacing <= most:
        guess = "millimeters read as meters" if spacing > most else "meters read as millimeters"
        rule = f"stand {least} to {most} m apart; set the calibration's `unit`"
        received = f"a median of {spacing:.4g} m, which looks like {guess}"
        raise errors.RecordingError(path, "cameras", rule, received)
