"""Cameras of calibration files, and joints freed from their lenses' distortion.

These need SciPy, which lifting does without.
"""

import pathlib

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import calibration_files, calibrations
from keras_mvlift.geometry import cameras
from keras_mvlift.lifting import viewpoints

# Format by the ending; the formats in TOML read alike.
_FORMATS = {".toml": "pose2sim", ".txt": "qualisys", ".yaml": "opencv", ".yml": "opencv"}
_FORMATS |= {".json": "opencv", ".xml": "opencv"}


def read(
    path: pathlib.Path, name: str | None = None, file_format: str = ""
) -> viewpoints.Viewpoint:
    """Reads a camera of a calibration.

    Args:
        path: A file, or a folder of OpenCV's.
        name: The camera; None for the only one.
        file_format: Of `calibration_files.FORMATS`; empty to tell it from the ending.

    Raises:
        RecordingError: If it is no calibration, or has no such camera.
    """
    told = file_format or _FORMATS.get(path.suffix.lower(), "opencv" if path.is_dir() else "")
    if not told:
        rule = f"end in {', '.join(_FORMATS)}"
        raise errors.RecordingError(path, "calibration", rule, path.name)
    calibration = calibration_files.read(path, told)
    if name is None and len(calibration.names) > 1:
        rule = f"be one of {', '.join(calibration.names)}"
        raise errors.RecordingError(path, "camera", rule, "nothing")
    with errors.parsing(path, "camera", f"be one of {', '.join(calibration.names)}"):
        chosen = calibration.select([name or calibration.names[0]])
    width, height = (int(side) for side in chosen.image_sizes[0])
    is_placed = chosen.has_extrinsics
    return viewpoints.Viewpoint(
        intrinsics=np.asarray(chosen.camera.intrinsics[0], np.float64),
        distortion=chosen.distortion[0] if chosen.distortion.any() else None,
        rotation=np.asarray(chosen.camera.rotation[0], np.float64) if is_placed else None,
        center=np.asarray(chosen.camera.center[0], np.float64) if is_placed else None,
        image_size=(width, height) if width and height else None,
        origin=f"camera {chosen.names[0]} of {path.name}",
    )


def straighten(
    keypoints_2d: np.ndarray, confidence: np.ndarray, viewpoint: viewpoints.Viewpoint
) -> tuple[np.ndarray, np.ndarray]:
    """Removes a lens's distortion.

    Args:
        keypoints_2d: `[P, T, K, 2]`, pixels, as detected.
        confidence: `[P, T, K]`, 0 where not seen.
        viewpoint: The camera.

    Returns:
        Keypoints and confidence, both 0 where a joint was not seen, or seen where the lens bends no
        ray to.
    """
    if viewpoint.distortion is None:
        return keypoints_2d, confidence
    intrinsics = viewpoint.intrinsics[np.newaxis]
    unknown = np.full((1, 3, 3), np.nan), np.full((1, 3), np.nan)
    camera = cameras.Camera(intrinsics, *unknown)
    lens = viewpoint.distortion[np.newaxis]
    calibration = calibrations.Calibration(("camera",), camera, lens, np.zeros((1, 2)))
    shape = confidence.shape
    flat = (
        keypoints_2d.reshape(1, -1, *keypoints_2d.shape[-2:]),
        confidence.reshape(1, -1, shape[-1]),
    )
    straight, seen = calibrations.straighten(*flat, calibration)
    return straight.reshape(keypoints_2d.shape), seen.reshape(shape)
