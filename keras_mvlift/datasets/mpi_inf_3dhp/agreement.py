"""Whether poses, image points and calibration belong together.

Each camera's file of poses is in that camera's frame. Moved to the world they must be one pose,
and projected they must fall on the image points. A calibration of another day, or of cameras in
another order, breaks one or the other.
"""

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.geometry import cameras, rigs, triangulation

# Ours. Users of the release report reprojection to less than a hundredth of a pixel; cameras that
# were touched, mixed up or calibrated anew are off by tens of pixels and of millimeters.
WORLD_TOLERANCE_MM = 5.0
IMAGE_TOLERANCE_PX = 1.0

# Triangulating these takes well under a second.
_CHECKED_FRAMES = 200

FIELD, RULE = "calibration", "fit the annotation"


def pose_world(
    path: object,
    camera_names: tuple[str, ...],
    pose_camera: np.ndarray,
    keypoints_2d: np.ndarray,
    camera: cameras.Camera,
) -> np.ndarray:
    """Moves each camera's poses to the world, where they must agree.

    Single frames may be off; the typical frame's worst joint must not be.

    Args:
        path: The calibration's file.
        camera_names: `V` names.
        pose_camera: `[V, T, J, 3]`, meters, camera frames.
        keypoints_2d: `[V, T, J, 2]`, pixels.
        camera: Fields `[V, ...]`.

    Returns:
        `[T, J, 3]`, meters, world frame; the cameras' mean.

    Raises:
        RecordingError: If the calibration does not fit; names the worst camera.
    """
    seen = rigs.project(pose_camera, camera)
    off_px = _typical(np.linalg.norm(seen - keypoints_2d, axis=-1))
    _require(path, camera_names, off_px, IMAGE_TOLERANCE_PX, "px between annot3 and annot2")
    moved = world_from_camera(pose_camera, camera)
    _agree(path, camera_names, moved)
    return moved.mean(axis=0)


def require_meeting_rays(
    path: object, camera_names: tuple[str, ...], keypoints_2d: np.ndarray, camera: cameras.Camera
) -> None:
    """Checks a calibration on exact image points alone: what they triangulate reprojects.

    Args:
        path: The calibration's file.
        camera_names: `V` names.
        keypoints_2d: `[V, T, J, 2]`, pixels.
        camera: Fields `[V, ...]`.

    Raises:
        RecordingError: If the calibration does not fit; names the worst camera.
    """
    num_frames = keypoints_2d.shape[1]
    frame = np.linspace(0, num_frames - 1, min(num_frames, _CHECKED_FRAMES)).astype(int)
    keypoints_2d = keypoints_2d[:, frame]
    by_frame = keypoints_2d.swapaxes(0, 1)
    rig = cameras.Camera(*(np.broadcast_to(field, (len(frame), *field.shape)) for field in camera))
    points, _ = triangulation.triangulate(by_frame, np.ones(by_frame.shape[:-1]), rig)
    seen = rigs.project(rigs.camera_from_world(points.numpy(), camera), camera)
    off_px = _typical(np.linalg.norm(seen - keypoints_2d, axis=-1))
    _require(path, camera_names, off_px, IMAGE_TOLERANCE_PX, "px from where its rays meet others")


def require_equal_poses(
    path: object, camera_names: tuple[str, ...], pose_camera: np.ndarray, camera: cameras.Camera
) -> None:
    """Checks a calibration's rotations on poses of a size of their own.

    Args:
        path: The calibration's file.
        camera_names: `V` names.
        pose_camera: `[V, T, J, 3]`, meters, camera frames.
        camera: Fields `[V, ...]`.

    Raises:
        RecordingError: If the calibration does not fit; names the worst camera.
    """
    relative = pose_camera - pose_camera[:, :, skeletons.ROOT, np.newaxis]
    _agree(path, camera_names, relative @ camera.rotation[:, np.newaxis])


def world_from_camera(pose_camera: np.ndarray, camera: cameras.Camera) -> np.ndarray:
    """Moves `[V, T, J, 3]`, meters, from each camera's frame to the world."""
    return pose_camera @ camera.rotation[:, np.newaxis] + camera.center[:, np.newaxis, np.newaxis]


def _agree(path: object, camera_names: tuple[str, ...], pose: np.ndarray) -> None:
    off = np.linalg.norm(pose - np.median(pose, axis=0), axis=-1)
    off_mm = errors.MILLIMETERS.from_meters(_typical(off))
    _require(path, camera_names, off_mm, WORLD_TOLERANCE_MM, "mm from the other cameras' pose")


def _typical(distance: np.ndarray) -> np.ndarray:
    """Gives, of distances `[V, T, J]`, the worst joint's in the middle frame, `[V]`."""
    return np.median(distance.max(axis=-1), axis=-1)


def _require(
    path: object, camera_names: tuple[str, ...], off: np.ndarray, most: float, what: str
) -> None:
    if not (off <= most).all():
        worst = int(np.argmax(off))
        received = f"camera {camera_names[worst]}: {off[worst]:.4g} {what}, {most:g} allowed"
        raise errors.RecordingError(path, FIELD, RULE, received)
