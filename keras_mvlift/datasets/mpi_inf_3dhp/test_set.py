"""The test set as it is released: `TS1/annot_data.mat`, MATLAB 7.3; one camera, no calibration.

Poses are in the camera's frame. The metric ones, `annot3`, project onto `annot2`, which is what
the intrinsics are fitted to. The field's figures are about `univ_annot3`, poses scaled to one
common skeleton, which do not.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import matlab, sequences
from keras_mvlift.datasets.mpi_inf_3dhp import arrays, joints, protocol
from keras_mvlift.geometry import cameras

ANNOTATION = "annot_data.mat"

# How many coordinates a point has in each variable of points; one number a frame in the others.
_POINT_VARIABLES = {"annot2": 2, "annot3": 3, "univ_annot3": 3}
_FRAME_VARIABLES = ("valid_frame", "activity_annotation")

# Outdoors, where joints were marked by hand, annot3 does not project exactly onto annot2. Joints
# in a wrong order are off by hundreds of pixels.
FIT_TOLERANCE_PX = 10.0

ROTATION = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Camera from world: a world with z up where a level camera looks along y. Where these cameras
stand is not published."""


class Annotation(NamedTuple):
    """The valid frames of a clip.

    Attributes:
        keypoints_2d: `[T, 17, 2]`, pixels.
        pose_camera: `[T, 17, 3]`, meters, camera frame; metric.
        universal_pose: `[T, 17, 3]`, meters, camera frame; scaled to the universal skeleton.
        activity: `[T]`, numbers of `protocol.ACTIVITIES`.
        frame: `[T]`, the frames' indices in the file.
    """

    keypoints_2d: np.ndarray
    pose_camera: np.ndarray
    universal_pose: np.ndarray
    activity: np.ndarray
    frame: np.ndarray


def activities(path: pathlib.Path) -> list[int]:
    """Gives the numbers of the activities that a file's valid frames show, sorted.

    Raises:
        RecordingError: If the file does not say it as it must.
    """
    _, activity = _valid_and_activity(path, matlab.read(path, _FRAME_VARIABLES))
    return sorted({int(number) for number in activity})


def read(path: pathlib.Path) -> Annotation:
    """Reads the valid frames of a file, joints of `H36M_17`.

    Raises:
        RecordingError: If a variable is missing or not as it must be.
    """
    variables = matlab.read(path, (*_POINT_VARIABLES, *_FRAME_VARIABLES))
    frame, activity = _valid_and_activity(path, variables)
    num_frames = variables["valid_frame"].size
    points = []
    for name, size in _POINT_VARIABLES.items():
        # MATLAB's axes run the other way round than the file's.
        shape = (size, len(joints.TEST_17), 1, num_frames)
        value = arrays.checked(path, name, variables[name], shape).T[frame, 0]
        arrays.require_finite(path, name, value)
        points.append(value[:, joints.H36M_FROM_TEST])
    pose, universal = (errors.MILLIMETERS.to_meters(value) for value in points[1:])
    return Annotation(points[0], pose, universal, activity, frame)


def fit_camera(path: pathlib.Path, annotation: Annotation) -> cameras.Camera:
    """Fits the intrinsics that project the metric poses onto the image points.

    Least squares in pixels, for focal length and principal point of each axis.

    Returns:
        Fields `[1, ...]`; the camera is the origin of the world, which has z up if it is level.

    Raises:
        RecordingError: If no camera projects the poses onto the points.
    """
    pose, keypoints_2d = annotation.pose_camera, annotation.keypoints_2d
    if not (pose[..., 2] > cameras.MIN_DEPTH).all():
        nearest = f"{pose[..., 2].min():g} m"
        raise errors.RecordingError(path, "annot3", "lie in front of the camera", nearest)
    intrinsics, residuals = np.eye(3), []
    for axis in (0, 1):
        ray = (pose[..., axis] / pose[..., 2]).ravel()
        design = np.stack([ray, np.ones_like(ray)], axis=-1)
        target = keypoints_2d[..., axis].ravel()
        focal, center = np.linalg.lstsq(design, target, rcond=None)[0]
        intrinsics[axis, axis], intrinsics[axis, 2] = focal, center
        residuals.append(design @ [focal, center] - target)
    off = float(np.median(np.hypot(*residuals)))
    if not (off <= FIT_TOLERANCE_PX and intrinsics[0, 0] > 0 and intrinsics[1, 1] > 0):
        rule = f"project onto annot2 by a pinhole camera, within {FIT_TOLERANCE_PX:g} px"
        received = f"a median of {off:.4g} px"
        raise errors.RecordingError(path, "annot3", rule, received)
    return camera(intrinsics)


def camera(intrinsics: np.ndarray) -> cameras.Camera:
    """Makes the one camera of a test clip, fields `[1, ...]`, of intrinsics `[3, 3]`."""
    return cameras.Camera(intrinsics[np.newaxis], ROTATION[np.newaxis], np.zeros((1, 3)))


def valid_frames(path: pathlib.Path, field: str, valid: np.ndarray) -> np.ndarray:
    """Gives the indices of the frames that are marked valid, 1 and not 0, in `[T]`.

    Raises:
        RecordingError: If there is another mark, or none is valid.
    """
    if not np.isin(valid, [0, 1]).all():
        raise errors.RecordingError(path, field, "be 0 or 1", np.unique(valid)[:5])
    if not valid.any():
        raise errors.RecordingError(path, field, "be 1 in some frame", "none")
    return np.flatnonzero(valid)


def sequence(
    subject: str,
    action: str,
    camera: cameras.Camera,
    keypoints_2d: np.ndarray,
    universal_pose: np.ndarray,
) -> sequences.MultiViewSequence:
    """Makes a test clip: one view, and the universal pose as its reference.

    Args:
        subject: One of `protocol.TEST_SUBJECTS`.
        action: What is done; empty for all of the subject's.
        camera: Fields `[1, ...]`.
        keypoints_2d: `[T, 17, 2]`, pixels.
        universal_pose: `[T, 17, 3]`, meters, camera frame.
    """
    return sequences.MultiViewSequence(
        name=f"{subject}_{action}" if action else subject,
        subject=subject,
        action=action or "all",
        frame_rate=protocol.TEST_FRAME_RATE,
        camera_names=("camera",),
        camera=camera,
        keypoints_2d=keypoints_2d[np.newaxis],
        confidence=np.ones((1, *keypoints_2d.shape[:-1])),
        pose_world=universal_pose @ ROTATION,
    )


def _valid_and_activity(
    path: pathlib.Path, variables: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Gives the indices of the valid frames and the activity of each."""
    valid = arrays.checked(path, "valid_frame", variables["valid_frame"], (1, None))[0]
    frame = valid_frames(path, "valid_frame", valid)
    shape = (1, len(valid))
    activity = arrays.checked(path, "activity_annotation", variables["activity_annotation"], shape)
    chosen = activity[0, frame]
    if not np.isin(chosen, list(protocol.ACTIVITIES)).all():
        rule = f"be one of {', '.join(map(str, protocol.ACTIVITIES))} in every valid frame"
        raise errors.RecordingError(path, "activity_annotation", rule, np.unique(chosen)[:9])
    return frame, chosen
