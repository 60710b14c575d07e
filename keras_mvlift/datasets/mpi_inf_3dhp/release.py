"""MPI-INF-3DHP's own folders, clip by clip: annotations, cameras, detections."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import protocol
from keras_mvlift.datasets.mpi_inf_3dhp import rig as mpi_inf_3dhp_rig
from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.geometry import cameras
from keras_mvlift.untrusted import files, reading


@dataclasses.dataclass(frozen=True, kw_only=True)
class OriginalFolders:
    """Folders `S1/Seq1` and `TS1` below a root, as they are downloaded.

    Reading raises a `RecordingError` if a file is missing or not as it must be.
    """

    root: files.AnyPath
    cameras: tuple[int, ...]  # The numbers of the training cameras.
    first_frames: str | int  # As of `protocol.first_frames`.

    def training_clip(self, subject: str, sequence: str) -> protocol.Clip:
        """Reads a sequence of the training set; its reference is metric."""
        folder = protocol.training_folder(self.root, subject, sequence)
        num_frames = protocol.first_frames(subject, sequence, self.first_frames)
        rig, keypoints_2d, pose_world = read_training_take(folder, self.cameras, num_frames)
        frame_rate = protocol.TAKES[subject, sequence].frame_rate
        return training_clip(subject, sequence, rig, frame_rate, keypoints_2d, pose_world)

    def test_clips(self, subject: str) -> list[str]:
        """Returns the name of a clip for each activity.

        Of a file that cannot be read, there is one clip of the subject's name, so that reading it
        tells why.
        """
        try:
            numbers = test_activities(self._test_annotation(subject))
        except errors.RecordingError:
            return [subject]
        return [f"{subject}_{protocol.ACTIVITIES[number]}" for number in numbers]

    def test_clip(self, subject: str, name: str) -> protocol.Clip:
        """Reads the valid frames of an activity; the reference is of universal size."""
        path = self._test_annotation(subject)
        annotation = read_test_annotation(path)
        camera = fit_camera(path, annotation)
        action = name.removeprefix(f"{subject}_")
        shown = np.array([protocol.ACTIVITIES[int(number)] for number in annotation.activity])
        chosen = np.flatnonzero(shown == action)
        rule, received = f"show {name} in some valid frame", ", ".join(np.unique(shown))
        errors.require_in(path, len(chosen), "activity_annotation", rule, received)
        seen = annotation.keypoints_2d[chosen], annotation.universal_pose[chosen]
        clip = test_sequence(subject, action, camera, *seen)
        return protocol.Clip(clip, annotation.frame[chosen], (subject,))

    def _test_annotation(self, subject: str) -> pathlib.Path:
        return protocol.test_folder(self.root, subject) / TEST_ANNOTATION


def training_clip(
    subject: str,
    sequence: str,
    rig: calibrations.Calibration,
    frame_rate: float,
    keypoints_2d: np.ndarray,
    pose_world: np.ndarray | None = None,
) -> protocol.Clip:
    """Makes a training clip of exact image points `[V, T, 17, 2]`, and of a pose `[T, 17, 3]`."""
    clip = sequences.MultiViewSequence(
        name=f"{subject}_{sequence}",
        subject=subject,
        action=sequence,
        frame_rate=frame_rate,
        camera_names=tuple(f"camera_{name}" for name in rig.names),
        camera=rig.camera,
        keypoints_2d=keypoints_2d,
        confidence=np.ones(keypoints_2d.shape[:-1]),
        pose_world=pose_world,
    )
    views = tuple(f"{subject}/{sequence}/{name}" for name in rig.names)
    return protocol.Clip(clip, np.arange(clip.num_frames), views)


# The training set as it is released: `S1/Seq1/annot.mat` beside `camera.calibration`.

TRAINING_ANNOTATION = "annot.mat"
CALIBRATION = "camera.calibration"


def read_training_take(
    folder: pathlib.Path, cameras: tuple[int, ...], num_frames: int | None
) -> tuple[calibrations.Calibration, np.ndarray, np.ndarray]:
    """Reads a sequence, from its start on, as seen by cameras of these numbers.

    Returns:
        The rig of the `V` cameras; `annot2`, exact projections, `[V, T, 17, 2]`, pixels; and
        `annot3`, metric, `[T, 17, 3]`, meters, world with z up.

    Raises:
        RecordingError: If a file is missing or not as it must be, has too few frames, or if the
            calibration does not fit the annotation.
    """
    rig = mpi_inf_3dhp_rig.read_calibration(folder / CALIBRATION, cameras)
    path = folder / TRAINING_ANNOTATION
    cells = reading.matlab(path, ("annot2", "annot3"))
    image = [_cell(path, cells, "annot2", index, 2) for index in cameras]
    space = [_cell(path, cells, "annot3", index, 3) for index in cameras]
    keypoints_2d, pose_mm = first_of_all(path, "frames", (image, space), num_frames)
    for view, index in enumerate(cameras):
        files.require_finite(path, f"annot2{{{index}}}", keypoints_2d[view])
        files.require_finite(path, f"annot3{{{index}}}", pose_mm[view])
    pose_camera = errors.MILLIMETERS.to_meters(pose_mm)
    pose_world = mpi_inf_3dhp_rig.agreed_pose_world(
        folder / CALIBRATION, rig.names, pose_camera, keypoints_2d, rig.camera
    )
    return rig, keypoints_2d, pose_world


def first_of_all(
    path: object, field: str, variables: Sequence[Sequence[np.ndarray]], wanted: int | None
) -> Iterator[np.ndarray]:
    """Yields of each variable, `V` arrays, the first frames of all of them, `[V, T, ...]`.

    Raises:
        RecordingError: If they have other numbers of frames, or fewer than wanted.
    """
    lengths = [len(values) for views in variables for values in views]
    is_even = len(set(lengths)) == 1
    errors.require_in(path, is_even, field, "have as many frames in every camera", lengths)
    rule = f"number {wanted} or more; `first_frames` may ask for fewer, or for 'all'"
    errors.require_in(path, lengths[0] >= (wanted or 0), field, rule, lengths[0])
    return (np.stack([values[:wanted] for values in views]) for views in variables)


def _cell(
    path: pathlib.Path, cells: dict[str, np.ndarray], name: str, index: int, size: int
) -> np.ndarray:
    """Returns the joints of `H36M_17` of one camera's cell, `[T, 17, size]`."""
    variable, shape = cells[name], (protocol.NUM_CAMERAS, 1)
    is_cell = variable.dtype == object and variable.shape == shape
    received = f"{variable.dtype} {variable.shape}"
    errors.require_in(path, is_cell, name, f"be a cell array of shape {shape}", received)
    width = len(protocol.ALL_28) * size
    rows = files.checked_array(path, f"{name}{{{index}}}", variable[index, 0], (None, width))
    return rows.reshape(len(rows), -1, size)[:, protocol.H36M_FROM_28]


# The test set as it is released: `TS1/annot_data.mat`, MATLAB 7.3; one camera, no calibration.
#
# Poses are in the camera's frame. The metric ones, `annot3`, project onto `annot2`, which is what
# the intrinsics are fitted to. The field's figures are about `univ_annot3`, poses scaled to one
# common skeleton, which do not.

TEST_ANNOTATION = "annot_data.mat"

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
    """The valid frames of a clip."""

    keypoints_2d: np.ndarray  # [T, 17, 2], pixels.
    pose_camera: np.ndarray  # [T, 17, 3], meters, camera frame; metric.
    # [T, 17, 3], meters, camera frame; scaled to the universal skeleton.
    universal_pose: np.ndarray
    activity: np.ndarray  # [T], numbers of `protocol.ACTIVITIES`.
    frame: np.ndarray  # [T], the frames' indices in the file.


def test_activities(path: pathlib.Path) -> list[int]:
    """Returns the numbers of the activities that a file's valid frames show, sorted.

    Raises:
        RecordingError: If the file does not say it as it must.
    """
    _, activity = _valid_and_activity(path, reading.matlab(path, _FRAME_VARIABLES))
    return sorted({int(number) for number in activity})


def read_test_annotation(path: pathlib.Path) -> Annotation:
    """Reads the valid frames of a file, joints of `H36M_17`.

    Raises:
        RecordingError: If a variable is missing or not as it must be.
    """
    variables = reading.matlab(path, (*_POINT_VARIABLES, *_FRAME_VARIABLES))
    frame, activity = _valid_and_activity(path, variables)
    num_frames = variables["valid_frame"].size
    points = []
    for name, size in _POINT_VARIABLES.items():
        # MATLAB's axes run the other way round than the file's.
        shape = (size, len(protocol.TEST_17), 1, num_frames)
        value = files.checked_array(path, name, variables[name], shape).T[frame, 0]
        files.require_finite(path, name, value)
        points.append(value[:, protocol.H36M_FROM_TEST])
    pose, universal = (errors.MILLIMETERS.to_meters(value) for value in points[1:])
    return Annotation(points[0], pose, universal, activity, frame)


def fit_camera(path: pathlib.Path, annotation: Annotation) -> cameras.Camera:
    """Fits the intrinsics that project the metric poses onto the image points, by least squares.

    Returns:
        Fields `[1, ...]`; the camera is the origin of the world, which has z up if it is level.

    Raises:
        RecordingError: If no camera projects the poses onto the points.
    """
    pose, keypoints_2d = annotation.pose_camera, annotation.keypoints_2d
    nearest = pose[..., 2].min()
    is_ahead = nearest > cameras.MIN_DEPTH
    errors.require_in(path, is_ahead, "annot3", "lie in front of the camera", f"{nearest:g} m")
    intrinsics, residuals = np.eye(3), []
    for axis in (0, 1):
        ray = (pose[..., axis] / pose[..., 2]).ravel()
        design = np.stack([ray, np.ones_like(ray)], axis=-1)
        target = keypoints_2d[..., axis].ravel()
        focal, center = np.linalg.lstsq(design, target, rcond=None)[0]
        intrinsics[axis, axis], intrinsics[axis, 2] = focal, center
        residuals.append(design @ [focal, center] - target)
    off = float(np.median(np.hypot(*residuals)))
    fits = off <= FIT_TOLERANCE_PX and (intrinsics.diagonal() > 0).all()
    rule = f"project onto annot2 by a pinhole camera, within {FIT_TOLERANCE_PX:g} px"
    errors.require_in(path, fits, "annot3", rule, f"a median of {off:.4g} px")
    return test_camera(intrinsics)


def test_camera(intrinsics: np.ndarray) -> cameras.Camera:
    """Makes the one camera of a test clip, fields `[1, ...]`, of intrinsics `[3, 3]`."""
    return cameras.Camera(intrinsics[np.newaxis], ROTATION[np.newaxis], np.zeros((1, 3)))


def valid_frames(path: pathlib.Path, field: str, valid: np.ndarray) -> np.ndarray:
    """Returns the indices of the frames that are marked valid, 1 and not 0, in `[T]`.

    Raises:
        RecordingError: If there is another mark, or none is valid.
    """
    errors.require_in(path, np.isin(valid, [0, 1]).all(), field, "be 0 or 1", np.unique(valid)[:5])
    errors.require_in(path, valid.any(), field, "be 1 in some frame", "none")
    return np.flatnonzero(valid)


def test_sequence(
    subject: str,
    action: str,
    camera: cameras.Camera,
    keypoints_2d: np.ndarray,
    universal_pose: np.ndarray,
) -> sequences.MultiViewSequence:
    """Makes a test clip: one view, and the universal pose, `[T, 17, 3]`, as its reference.

    That is in meters and the camera's frame; joints `[T, 17, 2]` are in pixels, and the camera has
    fields `[1, ...]`. Without action it is of all of the subject's.
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
    valid = files.checked_array(path, "valid_frame", variables["valid_frame"], (1, None))[0]
    frame = valid_frames(path, "valid_frame", valid)
    name, known = "activity_annotation", list(protocol.ACTIVITIES)
    chosen = files.checked_array(path, name, variables[name], (1, len(valid)))[0, frame]
    rule = f"be one of {', '.join(map(str, known))} in every valid frame"
    errors.require_in(path, np.isin(chosen, known).all(), name, rule, np.unique(chosen)[:9])
    return frame, chosen


# Detections of one's own in place of the annotated 2D joints, as an `.npz` file.
#
# Plain arrays under flat keys, nothing pickled: `S1/Seq1/0/keypoints_2d`, `[F, 17, 2]`, pixels, and
# `S1/Seq1/0/confidence`, `[F, 17]`, for sequence and camera; `TS1/keypoints_2d` and
# `TS1/confidence` for the test set. The joints are those of `H36M_17`; row `f` is the video's frame
# `f`, from 0.


def replace_detections(path: pathlib.Path, clip: protocol.Clip) -> sequences.MultiViewSequence:
    """Returns a clip with the detections of a file in place of its 2D joints.

    Raises:
        RecordingError: If the file lacks a view of the clip, has too few frames for it, or holds
            what is no detection.
    """
    fields = ("keypoints_2d", "confidence")
    names = tuple(f"{view}/{field}" for view in clip.views for field in fields)
    found = reading.npz(path, names)
    views = [_detected_view(path, found, view, clip.frame) for view in clip.views]
    keypoints_2d, confidence = (np.stack(parts) for parts in zip(*views, strict=True))
    return dataclasses.replace(clip.sequence, keypoints_2d=keypoints_2d, confidence=confidence)


def _detected_view(
    path: pathlib.Path, found: dict[str, object], view: str, frame: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a view's detections in the chosen frames, 0 where a joint is not seen."""
    num_joints = skeletons.H36M_17.num_joints
    name = f"{view}/confidence"
    confidence = files.checked_array(path, name, found[name], (None, num_joints))
    num_frames, (low, high) = len(confidence), (confidence.min(), confidence.max())
    rule = f"have a row for each of the {frame.max() + 1} frames that are annotated"
    errors.require_in(path, num_frames > frame.max(), name, rule, num_frames)
    received = f"{low:g} to {high:g}"
    errors.require_in(path, low >= 0 and high <= 1, name, "lie in [0, 1]", received)
    name, shape = f"{view}/keypoints_2d", (len(confidence), num_joints, 2)
    keypoints_2d = files.checked_array(path, name, found[name], shape)
    keypoints_2d = np.where(confidence[..., np.newaxis] > 0, keypoints_2d, 0.0)[frame]
    files.require_finite(path, name, keypoints_2d)
    return keypoints_2d, confidence[frame]
