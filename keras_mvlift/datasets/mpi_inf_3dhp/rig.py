"""MPI-INF-3DHP's cameras, and whether its annotations agree with them.

The training set's `camera.calibration`, in Skeletool's text format.

A header line, then seven lines a camera: `name`, `sensor`, `size`, `animated`, `intrinsic` and
`extrinsic`, 4 x 4 numbers each, and `radial`. The extrinsics are OpenCV's, camera from world, with
the translation in millimeters; the world has y up. The images are free of lens distortion.
"""

import pathlib

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.untrusted import files

HEADER = "Skeletool Camera Calibration File V1.0"

# How many values follow each key of a camera, in the order of the file.
_NUM_VALUES = dict(name=1, sensor=2, size=2, animated=1, intrinsic=16, extrinsic=16, radial=1)


def read_calibration(
    path: pathlib.Path, indices: tuple[int, ...] | None = None
) -> calibrations.Calibration:
    """Reads the cameras of these numbers, in this order; all of the file without.

    Returns:
        A rig in a world with z up; its names are `"0"` to `"13"` in the release.

    Raises:
        RecordingError: If the file is not in the format, lacks a camera, or describes one that is
            no pinhole camera; names line and key.
    """
    lines = files.read_text(path, "file").rstrip().split("\n")
    is_known = lines[0].strip() == HEADER
    errors.require_in(path, is_known, "line 1", f"be {HEADER!r}", repr(lines[0][:60]))
    num_rows, num_keys = len(lines) - 1, len(_NUM_VALUES)
    is_whole = num_rows and num_rows % num_keys == 0
    rule = f"number {num_keys} a camera, behind the header"
    errors.require_in(path, is_whole, "lines", rule, num_rows)
    found: dict[str, tuple[np.ndarray, ...]] = {}
    for start in range(1, len(lines), num_keys):
        name, given = _camera(path, start + 1, lines[start : start + num_keys])
        errors.require_in(path, name not in found, f"line {start + 1}: name", "be new", name)
        found[name] = given
    names = tuple(found) if indices is None else tuple(str(index) for index in indices)
    for name in names:
        known = ", ".join(found)
        errors.require_in(path, name in found, "name", f"name a camera {name}", known)
    chosen = [found[name] for name in names]
    *extrinsics, sizes = (np.stack(parts) for parts in zip(*chosen, strict=True))
    camera = calibrations.turn_camera(cameras.from_opencv(*extrinsics), "y")
    return calibrations.Calibration(names, camera, np.zeros((len(names), 5)), sizes)


def _camera(
    path: pathlib.Path, first_line: int, rows: list[str]
) -> tuple[str, tuple[np.ndarray, ...]]:
    """Reads a camera's name, and its intrinsics, rotation, translation and image size."""
    values: dict[str, np.ndarray] = {}
    fields: dict[str, str] = {}
    for text, (key, count) in zip(rows, _NUM_VALUES.items(), strict=True):
        fields[key] = f"line {first_line + len(fields)}: {key}"
        words, received = text.split(), repr(text[:60])
        holds = len(words) == 1 + count and words[0] == key
        errors.require_in(path, holds, fields[key], f"be {key!r} and {count} numbers", received)
        with errors.parsing(path, fields[key], "hold numbers"):
            values[key] = np.array([float(word) for word in words[1:]])
        is_finite = np.isfinite(values[key]).all()
        errors.require_in(path, is_finite, fields[key], "hold finite numbers", received)

    intrinsic, extrinsic = (values[key].reshape(4, 4) for key in ("intrinsic", "extrinsic"))
    frame = intrinsic.copy()
    frame[[0, 1, 0, 1], [0, 1, 2, 2]] = 0
    is_pinhole = np.array_equal(frame, np.diag([0, 0, 1, 1])) and (intrinsic.diagonal() > 0).all()
    rotation, translation = extrinsic[:3, :3], errors.MILLIMETERS.to_meters(extrinsic[:3, 3])
    is_rigid = cameras.is_rotation(rotation) and np.array_equal(extrinsic[3], [0, 0, 0, 1])
    still = "be 0: cameras stand still and have no distortion"
    for key, fits, rule in (
        ("size", (values["size"] > 0).all(), "be positive"),
        ("animated", not values["animated"].any(), still),
        ("intrinsic", is_pinhole, "be a pinhole camera's: f 0 c 0 0 f c 0 0 0 1 0 0 0 0 1"),
        ("extrinsic", is_rigid, "be a rotation, a translation and 0 0 0 1"),
        ("radial", not values["radial"].any(), still),
    ):
        errors.require_in(path, fits, fields[key], rule, values[key].tolist())
    name = f"{values['name'][0]:g}"
    return name, (intrinsic[:3, :3], rotation, translation, values["size"])


# Whether poses, image points and calibration belong together.
#
# Each camera's file of poses is in that camera's frame. Moved to the world they must be one pose,
# and projected they must fall on the image points. A calibration of another day, or of cameras in
# another order, breaks one or the other.

# Ours. Users of the release report reprojection to less than a hundredth of a pixel; cameras that
# were touched, mixed up or calibrated anew are off by tens of pixels and of millimeters.
WORLD_TOLERANCE_MM = 5.0
IMAGE_TOLERANCE_PX = 1.0

_CHECKED_FRAMES = 200  # Triangulating these takes well under a second.


def agreed_pose_world(
    path: object,
    camera_names: tuple[str, ...],
    pose_camera: np.ndarray,
    keypoints_2d: np.ndarray,
    camera: cameras.Camera,
) -> np.ndarray:
    """Moves each camera's poses, `[V, T, J, 3]`, meters, to the world, where they must agree.

    They must project onto the keypoints, `[V, T, J, 2]`, pixels, too. Single frames may be off; the
    typical frame's worst joint must not be.

    Returns:
        `[T, J, 3]`, meters, world frame; the cameras' mean.

    Raises:
        RecordingError: If the calibration, of a file `path`, does not fit; names the worst camera.
    """
    camera = cameras.expand(camera, -1)
    seen = cameras.project(pose_camera, camera.intrinsics)
    off_px = _typical(np.linalg.norm(seen - keypoints_2d, axis=-1))
    _require(path, camera_names, off_px, IMAGE_TOLERANCE_PX, "px between annot3 and annot2")
    moved = cameras.world_from_camera(pose_camera, camera)
    _agree(path, camera_names, moved)
    return moved.mean(axis=0)


def require_meeting_rays(
    path: object, camera_names: tuple[str, ...], keypoints_2d: np.ndarray, camera: cameras.Camera
) -> None:
    """Checks a calibration on exact image points alone: what they triangulate reprojects.

    Arguments and errors are those of `agreed_pose_world`.
    """
    frame = sequences.spread(keypoints_2d.shape[1], _CHECKED_FRAMES)
    keypoints_2d = keypoints_2d[:, frame]
    by_frame = keypoints_2d.swapaxes(0, 1)
    rig = cameras.Camera(*(np.broadcast_to(field, (len(frame), *field.shape)) for field in camera))
    points, _ = triangulation.triangulate(by_frame, np.ones(by_frame.shape[:-1]), rig)
    seen = cameras.project_from_world(points, cameras.expand(camera, -1))
    off_px = _typical(np.linalg.norm(seen - keypoints_2d, axis=-1))
    _require(path, camera_names, off_px, IMAGE_TOLERANCE_PX, "px from where its rays meet others")


def require_equal_poses(
    path: object, camera_names: tuple[str, ...], pose_camera: np.ndarray, camera: cameras.Camera
) -> None:
    """Checks a calibration's rotations on poses of a size of their own; as `agreed_pose_world`."""
    relative = pose_camera - pose_camera[:, :, skeletons.ROOT, np.newaxis]
    _agree(path, camera_names, relative @ camera.rotation[:, np.newaxis])


def _agree(path: object, camera_names: tuple[str, ...], pose: np.ndarray) -> None:
    off = np.linalg.norm(pose - np.median(pose, axis=0), axis=-1)
    off_mm = errors.MILLIMETERS.from_meters(_typical(off))
    _require(path, camera_names, off_mm, WORLD_TOLERANCE_MM, "mm from the other cameras' pose")


def _typical(distance: np.ndarray) -> np.ndarray:
    """Returns, of distances `[V, T, J]`, the worst joint's in the middle frame, `[V]`."""
    return np.median(distance.max(axis=-1), axis=-1)


def _require(
    path: object, camera_names: tuple[str, ...], off: np.ndarray, most: float, what: str
) -> None:
    if not (off <= most).all():
        worst = int(np.argmax(off))
        received = f"camera {camera_names[worst]}: {off[worst]:.4g} {what}, {most:g} allowed"
        raise errors.RecordingError(path, "calibration", "fit the annotation", received)
