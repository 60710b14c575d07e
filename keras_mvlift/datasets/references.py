"""The 3D poses that some recordings come with; for evaluation only."""

import pathlib

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import archives, trc


def read(path: pathlib.Path, num_frames: int, frame_rate: float) -> np.ndarray:
    """Reads the reference of a clip.

    Args:
        path: OpenSim's `*.trc`, or an `.npz` file with `pose_world` `[T, 17, 3]`, meters.
        num_frames: `T`, the clip's.
        frame_rate: The clip's frames per second; an `.npz` file says nothing of it.

    Returns:
        `[T, 17, 3]`, meters, in the file's world (of a `*.trc`, turned z up); NaN where unknown.

    Raises:
        RecordingError: If the file is missing, or of other joints, frames or rate.
    """
    if not path.is_file():
        raise errors.RecordingError(path, "reference", "be a file", "nothing there")
    if path.suffix == ".npz":
        return _of_arrays(path, num_frames)
    markers = trc.read(path)
    if len(markers.points_world) != num_frames or markers.frame_rate != frame_rate:
        rule = f"have {num_frames} frames at {frame_rate} Hz, as the detections"
        received = f"{len(markers.points_world)} at {markers.frame_rate} Hz"
        raise errors.RecordingError(path, "frames", rule, received)
    try:
        converter = skeletons.Converter(markers.names)
    except ValueError as error:
        rule = "allow to build the joints of h36m_17"
        raise errors.RecordingError(path, "markers", rule, ", ".join(markers.names)) from error
    return converter.keypoints(markers.points_world)


def _of_arrays(path: pathlib.Path, num_frames: int) -> np.ndarray:
    content = archives.read_npz(path, ("pose_world",))
    with errors.parsing(path, "pose_world", "hold numbers"):
        pose_world = np.asarray(content["pose_world"], np.float64)
    expected = (num_frames, skeletons.H36M_17.num_joints, 3)
    if pose_world.shape != expected:
        rule = f"have shape {expected}, frames as the detections"
        raise errors.RecordingError(path, "pose_world", rule, pose_world.shape)
    if np.isinf(pose_world).any():
        raise errors.RecordingError(path, "pose_world", "be finite or NaN", "infinity")
    return pose_world
