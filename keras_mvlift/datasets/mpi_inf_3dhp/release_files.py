"""Writes files with the byte layout of the real release's, for the simulated one."""

import pathlib
from typing import Any

import h5py
import numpy as np
import scipy.io

from keras_mvlift import errors
from keras_mvlift.datasets.mpi_inf_3dhp import calibration

# MATLAB puts a text of its own before HDF5's first byte.
_USER_BLOCK = 512
_MATLAB_TEXT = "MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: a simulation HDF5 schema 1.00 ."
_MATLAB_TEXT_LENGTH = 116
# Eight bytes of no subsystem, version 2.0, and the byte order.
_MATLAB_VERSION = bytes(8) + b"\x00\x02IM"


def write_calibration(path: pathlib.Path, rig: calibration.Calibration) -> None:
    """Writes a `camera.calibration`, seven digits a number.

    Args:
        path: The file.
        rig: Cameras in a world with z up.
    """
    lines = [calibration.HEADER]
    for index, (name, size) in enumerate(zip(rig.names, rig.sizes, strict=True)):
        intrinsic, extrinsic = np.eye(4), np.eye(4)
        intrinsic[:3, :3] = rig.camera.intrinsics[index]
        rotation, center = rig.camera.rotation[index], rig.camera.center[index]
        # The file's world has y up: its (x, y, z) are our (y, z, x).
        extrinsic[:3, :3] = rotation[:, [1, 2, 0]]
        extrinsic[:3, 3] = errors.MILLIMETERS.from_meters(-rotation @ center)
        lines += [
            f"name          {name}",
            "  sensor      10 10",
            f"  size        {size[0]:.0f} {size[1]:.0f}",
            "  animated    0",
            f"  intrinsic   {_digits(intrinsic)} ",
            f"  extrinsic   {_digits(extrinsic)} ",
            "  radial      0",
        ]
    path.write_text("\n".join(lines) + "\n")


def write_annotation(path: pathlib.Path, variables: dict[str, np.ndarray]) -> None:
    """Writes an `annot.mat`, MATLAB 5: a cell a camera of a row a frame.

    Args:
        path: The file.
        variables: `annot2`, `[V, T, 28, 2]`, pixels; `annot3` and `univ_annot3`, `[V, T, 28, 3]`,
            millimeters, camera frames.
    """
    num_views, num_frames = next(iter(variables.values())).shape[:2]
    content: dict[str, np.ndarray] = {
        "cameras": np.arange(float(num_views))[np.newaxis],
        "frames": np.arange(float(num_frames))[:, np.newaxis],
    }
    for name, value in variables.items():
        content[name] = np.empty((num_views, 1), dtype=object)
        for view, points in enumerate(value):
            content[name][view, 0] = points.reshape(len(points), -1)
    scipy.io.savemat(path, content, do_compression=True)


def write_test_annotation(path: pathlib.Path, variables: dict[str, np.ndarray]) -> None:
    """Writes an `annot_data.mat`, MATLAB 7.3, which is HDF5 behind a text.

    Args:
        path: The file.
        variables: `annot2`, `[T, 1, 17, 2]`, pixels; `annot3` and `univ_annot3`, `[T, 1, 17, 3]`,
            millimeters; `valid_frame` and `activity_annotation`, `[T, 1]`. HDF5 has the axes in
            this order, MATLAB in the opposite one.
    """
    with h5py.File(path, "w", userblock_size=_USER_BLOCK) as file:
        for name, value in variables.items():
            dataset = file.create_dataset(name, data=value.astype(np.float64))
            dataset.attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as stream:
        text = _MATLAB_TEXT.ljust(_MATLAB_TEXT_LENGTH).encode() + _MATLAB_VERSION
        stream.write(text.ljust(_USER_BLOCK, b"\x00"))


def write_archive(path: pathlib.Path, data: dict[str, Any]) -> None:
    """Writes an archive of P-STMO's: a pickled dictionary in an `.npz` file."""
    np.savez_compressed(path, data=np.array(data, dtype=object))


def _digits(matrix: np.ndarray) -> str:
    return " ".join(f"{value:.7g}" for value in matrix.ravel())
