"""Human3.6M's cameras and lenses, and the checks that hold files against them.

Human3.6M's four cameras: one set of lenses, places that differ from subject to subject.

The figures are those of the release's calibration as the field's public loaders state them. S2, S3
and S4 have no published poses, and their extrinsics are not among these figures.
"""

import json
import pathlib
from importlib import resources
from typing import NamedTuple

import numpy as np
from scipy import optimize
from scipy.spatial import transform

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.human36m import protocol
from keras_mvlift.geometry import cameras
from keras_mvlift.untrusted import files

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
"""The cameras' names, in the order of the archives."""

IMAGE_SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))
"""Width and height of each camera's images, pixels."""

# Of each camera focal lengths and principal point, pixels, and distortion in the release's own
# model; by subject the rotations world from camera as quaternions (w, x, y, z), and centers in mm.
_FIGURES = json.loads(resources.files(__package__).joinpath("cameras.json").read_text())

DISTORTION = np.array([lens["distortion"] for lens in _FIGURES["lenses"]])
"""`[4, 5]`, lens distortion `(k1, k2, p1, p2, k3)` of each camera."""

SUBJECTS = tuple(_FIGURES["places"])
"""The subjects whose extrinsics are known: all that have poses."""


def camera(subject: str) -> cameras.Camera:
    """Returns the four cameras as they stood for a subject of `SUBJECTS`.

    Returns:
        NumPy arrays, fields `[4, ...]`, in the order of `CAMERAS`; the world has z up.

    Raises:
        ValueError: If the subject's extrinsics are not known.
    """
    errors.require_known("subject", subject, SUBJECTS)
    places = _FIGURES["places"][subject]
    intrinsics = np.tile(np.eye(3), (len(CAMERAS), 1, 1))
    for matrix, lens in zip(intrinsics, _FIGURES["lenses"], strict=True):
        matrix[[0, 1, 0, 1], [0, 1, 2, 2]] = lens["intrinsics"]
    # SciPy has w last.
    quaternion = np.array([place["rotation"] for place in places])[:, [1, 2, 3, 0]]
    world_from_camera = transform.Rotation.from_quat(quaternion)
    center = errors.MILLIMETERS.to_meters(np.array([place["center_mm"] for place in places]))
    return cameras.Camera(intrinsics, world_from_camera.inv().as_matrix(), center)


# The lenses of Human3.6M's cameras, in the release's own form of distortion.
#
# It is OpenCV's but for the tangential terms, which lack a factor of 2: half of p1 and p2, and a
# prism for the rest. With the release's coefficients taken for OpenCV's own the two differ by less
# than a pixel, and by nothing on the optical axis.


def opencv_lens(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns OpenCV's form of the release's lens, `[..., 5]` and `[..., 2]`.

    They are coefficients `(k1, k2, p1, p2, k3)` and prism, as `lenses.distort` takes them. The
    release's lens takes a ray (x, y) with r² = x² + y² to

        x (1 + k1 r² + k2 r⁴ + k3 r⁶ + p1 y + p2 x) + p2 r²
        y (1 + k1 r² + k2 r⁴ + k3 r⁶ + p1 y + p2 x) + p1 r².

    References:
        The camera model of the Human3.6M release's code; VideoPose3D, common/camera.py.
    """
    halved = coefficients * np.array([1.0, 1.0, 0.5, 0.5, 1.0])
    return halved, halved[..., [3, 2]]


# What every array out of a Human3.6M file must be, whatever the file's format.

# Meters. What a pelvis is from the middle of the room's floor, half of a clip at least; generous,
# to find wrong units and not wrong people.
_ROOM_RADIUS = 6.0
_NUM_JOINTS = skeletons.H36M_17.num_joints
# Pixels over which half of the joints seen in a clip must spread, or they are no pixels.
_MIN_SPREAD = 10.0

MIN_CONFIDENCE, MAX_CONFIDENCE = -0.05, 1.2
"""How far confidences may leave [0, 1], as peaks of heat maps do, to be cut back to it."""


class Detections(NamedTuple):
    """What one camera saw in one take."""

    path: object  # The file it comes from.
    field: str  # Where in the file.
    keypoints_2d: np.ndarray  # [T, J, 2], pixels, with lens distortion; 0 where not seen.
    confidence: np.ndarray  # [T, J], in [0, 1]; 0 where not seen.


class DetectionReader:
    """A set of detections, in a file or a folder of any layout."""

    is_projected = False
    """Whether they are the motion capture's own projections, frame by frame."""

    def __init__(self, path: pathlib.Path):
        self._path = path

    def subjects(self) -> list[str]:
        """Returns the subjects of which there are detections."""
        raise NotImplementedError

    def takes(self, subject: str) -> list[str]:
        """Returns the names of a subject's takes, as the files have them."""
        raise NotImplementedError

    def read(self, subject: str, label: str) -> list[Detections]:
        """Reads what the four cameras saw; `label` is the take's name in the one spelling.

        Raises:
            RecordingError: If a file is missing, damaged, or holds something else.
        """
        named = {protocol.action_label(name): name for name in self.takes(subject)}
        return self._views(subject, named.get(label, label))

    def _views(self, subject: str, name: str) -> list[Detections]:
        raise NotImplementedError


def check_pose(path: object, field: str, points: np.ndarray, unit: str) -> np.ndarray:
    """Returns poses `[T, J, 3]`, which should by now be in meters, in double precision.

    Raises:
        RecordingError: If shape or values cannot be, or the file's unit is not what it should be.
    """
    points = check_array(path, field, points, (_NUM_JOINTS, 3))
    sequences.require_human_size(path, field, points, unit)
    away = np.median(np.linalg.norm(points[:, skeletons.ROOT], axis=-1))
    rule = f"be in {unit} and the world frame, within {_ROOM_RADIUS} m of its origin"
    errors.require_in(path, away <= _ROOM_RADIUS, field, rule, f"a pelvis {away:.6g} m away")
    return points


MAX_OFF_PX = 30.0
"""From so far off the projected poses no detector sees joints, of a person 400 pixels tall."""

_MIN_CHECKED_FRAMES, _MAX_CHECKED_FRAMES = 5, 200
_BETTER = 1.5  # Exchanged cameras, put right, are better by so much.


def require_agreement(
    path: object,
    pose_world: np.ndarray,
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
    camera: cameras.Camera,
) -> None:
    """Refuses detections that are not of the poses: cameras exchanged, or other joints.

    Poses are `[T, J, 3]`, meters, keypoints `[V, T, J, 2]`, pixels, and the camera has fields
    `[V, ...]`. Joints are compared about the pelvis, as some takes' motion capture is shifted.

    Raises:
        RecordingError: If the poses do not project there; names the order of cameras that fits.
    """
    if len(pose_world) < _MIN_CHECKED_FRAMES:
        # One blunder may be all that there is.
        return
    frame = sequences.spread(len(pose_world), _MAX_CHECKED_FRAMES)
    each = cameras.Camera(*(np.asarray(field)[:, np.newaxis] for field in camera))
    points = cameras.camera_from_world(pose_world[frame], each)
    image = np.asarray(cameras.project(points, each.intrinsics))
    image, seen = (part - part[..., :1, :] for part in (image, keypoints_2d[:, frame]))
    known = (confidence[:, frame] > 0) & (confidence[:, frame, :1] > 0)
    # off[v, w]: of what camera w saw from where camera v sees the poses.
    distance = np.linalg.norm(image[:, np.newaxis] - seen, axis=-1)
    off = np.array(
        [
            [np.median(d[k]) if k.any() else 0.0 for d, k in zip(row, known, strict=True)]
            for row in distance
        ]
    )
    order = optimize.linear_sum_assignment(off)[1]
    now, then = off.diagonal().mean(), off[np.arange(len(off)), order].mean()
    if now > _BETTER * then and (order != np.arange(len(off))).any():
        rule = "be of the cameras in the order of the poses' files"
        named = ", ".join(str(int(view) + 1) for view in order)
        received = f"{now:.0f} px off, and {then:.0f} px with the cameras in the order {named}"
        raise errors.RecordingError(path, "detections", rule, received)
    most, rule = off.diagonal().max(), f"lie within {MAX_OFF_PX:g} px of the poses' projections"
    received = f"a median of {most:.0f} px, of other joints or other takes"
    errors.require_in(path, most <= MAX_OFF_PX, "detections", rule, received)


def check_detections(
    path: object, field: str, keypoints_2d: np.ndarray, confidence: np.ndarray | None = None
) -> Detections:
    """Checks what one camera saw, `[T, J, 2]`, pixels, 0 for a joint that was not found.

    Without confidence, `[T, J]`, every joint that was found has 1.

    Raises:
        RecordingError: If a shape or value cannot be.
    """
    keypoints_2d = check_array(path, field, keypoints_2d, (_NUM_JOINTS, 2))
    is_seen = (keypoints_2d != 0).any(axis=-1)
    if confidence is None:
        confidence = is_seen.astype(np.float64)
    else:
        about = f"{field} confidence"
        confidence = check_array(path, about, confidence, (_NUM_JOINTS,))
        low, high = confidence.min(), confidence.max()
        is_near = MIN_CONFIDENCE <= low and high <= MAX_CONFIDENCE
        rule = f"lie in [0, 1], or in [{MIN_CONFIDENCE}, {MAX_CONFIDENCE}] to be cut to it"
        errors.require_in(path, is_near, about, rule, f"{low:.6g} to {high:.6g}")
        num_frames, given = len(keypoints_2d), len(confidence)
        rule = f"have as many frames as the keypoints, {num_frames}"
        errors.require_in(path, given == num_frames, about, rule, given)
        confidence = np.clip(confidence, 0.0, 1.0)
        is_seen &= confidence > 0
    if is_seen.any():
        _check_pixels(path, field, keypoints_2d[is_seen])
    keypoints_2d = np.where(is_seen[..., np.newaxis], keypoints_2d, 0.0)
    return Detections(path, field, keypoints_2d, np.where(is_seen, confidence, 0.0))


def check_array(path: object, field: str, values: object, shape: tuple[int, ...]) -> np.ndarray:
    """Returns an array `[T, *shape]` of finite numbers in double precision.

    Raises:
        RecordingError: If it is something else.
    """
    checked = files.checked_array(path, field, values, (None, *shape))
    is_finite = np.isfinite(checked).reshape(len(checked), -1).all(axis=1)
    received = f"NaN or infinity, frame {np.argmin(is_finite)}"
    errors.require_in(path, is_finite.all(), field, "be finite", received)
    return checked


def _check_pixels(path: object, field: str, seen: np.ndarray) -> None:
    size, middle = np.max(IMAGE_SIZES), np.median(seen, axis=0)
    spread = np.diff(np.percentile(seen, [25, 75], axis=0), axis=0).max()
    holds = ((middle >= 0) & (middle <= size)).all() and spread >= _MIN_SPREAD
    rule = f"be in pixels of images of {size} x {size}"
    received = f"half of the joints within {spread:.6g} around {middle.round(3).tolist()}"
    errors.require_in(path, holds, field, rule, received)
