"""The training set as it is released: `S1/Seq1/annot.mat` beside `camera.calibration`."""

import pathlib
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import matlab
from keras_mvlift.datasets.mpi_inf_3dhp import agreement, arrays, calibration, joints, protocol

ANNOTATION = "annot.mat"
CALIBRATION = "camera.calibration"


class Take(NamedTuple):
    """A sequence's annotation.

    Attributes:
        rig: The chosen cameras, `V` of them.
        keypoints_2d: `[V, T, 17, 2]`, pixels; `annot2`, exact projections of `annot3`.
        pose_world: `[T, 17, 3]`, meters, world with z up; `annot3`, metric.
    """

    rig: calibration.Calibration
    keypoints_2d: np.ndarray
    pose_world: np.ndarray


def read(folder: pathlib.Path, cameras: tuple[int, ...], num_frames: int | None) -> Take:
    """Reads a sequence.

    Args:
        folder: The sequence's.
        cameras: The cameras' numbers.
        num_frames: How many frames to read from the start; None for all.

    Raises:
        RecordingError: If a file is missing or not as it must be, has too few frames, or if the
            calibration does not fit the annotation.
    """
    rig = calibration.read(folder / CALIBRATION, cameras)
    path = folder / ANNOTATION
    cells = matlab.read(path, ("annot2", "annot3"))
    image = [_cell(path, cells, "annot2", index, 2) for index in cameras]
    space = [_cell(path, cells, "annot3", index, 3) for index in cameras]
    lengths = [len(points) for points in (*image, *space)]
    if len(set(lengths)) > 1:
        rule = "have as many frames in annot2 and annot3 of every camera"
        raise errors.RecordingError(path, "frames", rule, lengths)
    num_frames = enough(path, "frames", lengths[0], num_frames)
    keypoints_2d = np.stack([points[:num_frames] for points in image])
    pose_camera = errors.MILLIMETERS.to_meters(np.stack([points[:num_frames] for points in space]))
    for view, index in enumerate(cameras):
        arrays.require_finite(path, f"annot2{{{index}}}", keypoints_2d[view])
        arrays.require_finite(path, f"annot3{{{index}}}", space[view][:num_frames])
    pose_world = agreement.pose_world(
        folder / CALIBRATION, rig.names, pose_camera, keypoints_2d, rig.camera
    )
    return Take(rig, keypoints_2d, pose_world)


def enough(path: object, field: str, available: int, wanted: int | None) -> int:
    """Gives how many frames to read of those there are: all, without a wish.

    Raises:
        RecordingError: If there are fewer than wanted.
    """
    if wanted is not None and available < wanted:
        rule = f"number {wanted} or more; `first_frames` may ask for fewer, or for 'all'"
        raise errors.RecordingError(path, field, rule, available)
    return available if wanted is None else wanted


def _cell(
    path: pathlib.Path, cells: dict[str, np.ndarray], name: str, index: int, size: int
) -> np.ndarray:
    """Gives the joints of `H36M_17` of one camera's cell, `[T, 17, size]`."""
    variable = cells[name]
    shape = (protocol.NUM_CAMERAS, 1)
    if variable.dtype != object or variable.shape != shape:
        received = f"{variable.dtype} {variable.shape}"
        raise errors.RecordingError(path, name, f"be a cell array of shape {shape}", received)
    width = len(joints.ALL_28) * size
    rows = arrays.checked(path, f"{name}{{{index}}}", variable[index, 0], (None, width))
    return rows.reshape(len(rows), -1, size)[:, joints.H36M_FROM_28]
