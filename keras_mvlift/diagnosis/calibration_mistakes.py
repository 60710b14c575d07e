"""Mistakes in what a calibration says of where a camera stands and how it is turned."""

import numpy as np

from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import mistakes


def _transposed(footage: footages.Footage) -> np.ndarray:
    return footage.camera.rotation.swapaxes(-1, -2)


def _times(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return np.einsum("vij,vj->vi", matrix, vector)


def _rotation_transposed(footage: footages.Footage) -> footages.Footage:
    return footage.replace_camera(rotation=_transposed(footage))


def _rotation_transposed_before_center(footage: footages.Footage) -> footages.Footage:
    # center = -R^T t was computed with the transposed R, so t = -R center; t was right.
    rotation, center = footage.camera.rotation, footage.camera.center
    right = _times(rotation, _times(rotation, center))
    return footage.replace_camera(rotation=_transposed(footage), center=right)


def _extrinsics_inverted(footage: footages.Footage) -> footages.Footage:
    # What was taken for t is the center, and the rotation turns from the camera to the world.
    center = -_times(footage.camera.rotation, footage.camera.center)
    return footage.replace_camera(rotation=_transposed(footage), center=center)


def _translation_for_center(footage: footages.Footage) -> footages.Footage:
    return footage.replace_camera(center=-_times(_transposed(footage), footage.camera.center))


def _center_for_translation(footage: footages.Footage) -> footages.Footage:
    return footage.replace_camera(center=-_times(footage.camera.rotation, footage.camera.center))


def _opengl_axes(footage: footages.Footage) -> footages.Footage:
    flip = np.diag([1.0, -1.0, -1.0])
    return footage.replace_camera(rotation=flip @ footage.camera.rotation)


def _scaled(factor: float) -> mistakes.Undo:
    return lambda footage: footage.replace_camera(center=factor * footage.camera.center)


MISTAKES = (
    mistakes.Mistake(
        "rotation_transposed",
        "the rotation is transposed: it turns from the camera to the world",
        "Transpose the rotation; the library wants camera from world.",
        _rotation_transposed,
    ),
    mistakes.Mistake(
        "rotation_transposed_before_center",
        "the rotation is transposed, and the center was computed with it from the translation",
        "Transpose the rotation, then compute center = -R^T t.",
        _rotation_transposed_before_center,
    ),
    mistakes.Mistake(
        "extrinsics_inverted",
        "the extrinsics are inverted: the camera's pose in the world was read as [R | t]",
        "Invert them: R = R_pose^T, and the center is the pose's position.",
        _extrinsics_inverted,
    ),
    mistakes.Mistake(
        "translation_for_center",
        "the translation t was taken for the center",
        "Compute the center from it: center = -R^T t.",
        _translation_for_center,
    ),
    mistakes.Mistake(
        "center_for_translation",
        "the center was taken for the translation t",
        "Use it as it is: it is the center already.",
        _center_for_translation,
    ),
    mistakes.Mistake(
        "opengl_axes",
        "the camera's axes are those of OpenGL: y up, looking along -z",
        "Multiply the rotation from the left by diag(1, -1, -1).",
        _opengl_axes,
    ),
    mistakes.Mistake(
        "millimeters_for_meters",
        "millimeters were taken for meters",
        "Divide the positions by 1000.",
        _scaled(1e-3),
    ),
    mistakes.Mistake(
        "centimeters_for_meters",
        "centimeters were taken for meters",
        "Divide the positions by 100.",
        _scaled(1e-2),
    ),
    mistakes.Mistake(
        "meters_for_millimeters",
        "meters were taken for millimeters",
        "Multiply the positions by 1000.",
        _scaled(1e3),
    ),
    mistakes.Mistake(
        "meters_for_centimeters",
        "meters were taken for centimeters",
        "Multiply the positions by 100.",
        _scaled(1e2),
    ),
)
