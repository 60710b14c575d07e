"""Where triangulated joints lie, and how far from there each camera sees them."""

from typing import NamedTuple

import numpy as np

from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.geometry import triangulation


class Reprojection(NamedTuple):
    """Joints in space and their distances from what the cameras saw.

    Attributes:
        points: `[T, J, 3]`, meters, world frame.
        is_seen: `[T, J]`, whether two or more cameras saw the joint.
        residual: `[V, T, J, 2]`, pixels, seen minus projected; NaN where a camera did not see
            the joint or it could not be triangulated.
        depth: `[V, T, J]`, meters along the optical axis; NaN as above.
    """

    points: np.ndarray
    is_seen: np.ndarray
    residual: np.ndarray
    depth: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """The residuals' lengths, `[V, T, J]`, pixels."""
        return np.linalg.norm(self.residual, axis=-1)


def of_all(footage: footages.Footage) -> Reprojection:
    """Triangulates each joint from all cameras that see it, and projects it into all."""
    points, is_seen = _triangulated(footage, footage.confidence)
    return Reprojection(points, is_seen, *_projected(footage, points, is_seen))


def leaving_one_out(footage: footages.Footage) -> np.ndarray:
    """Measures how far each camera sees joints from where the others put them.

    Returns:
        `[V, T, J]`, pixels; NaN where the camera or two others did not see the joint, which is
        everywhere with two cameras.
    """
    errors = np.full(footage.confidence.shape, np.nan)
    if footage.num_views > 2:
        for view in range(footage.num_views):
            weights = footage.confidence.copy()
            weights[view] = 0.0
            residual, _ = _projected(footage, *_triangulated(footage, weights))
            errors[view] = np.linalg.norm(residual[view], axis=-1)
    return errors


def _triangulated(footage: footages.Footage, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points, is_seen = triangulation.triangulate(
        footage.keypoints_2d.swapaxes(0, 1), weights.swapaxes(0, 1), footage.camera
    )
    return points.numpy(), is_seen.numpy()


def _projected(
    footage: footages.Footage, points: np.ndarray, is_seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    rotation, center = footage.camera.rotation, footage.camera.center
    offset = points - center[:, np.newaxis, np.newaxis]
    in_camera = offset @ rotation.swapaxes(-1, -2)[:, np.newaxis]
    known = is_seen & (footage.confidence > 0)
    depth = np.where(known, in_camera[..., 2], np.nan)
    intrinsics = footage.camera.intrinsics[:, np.newaxis, np.newaxis]
    # Not cut off at small depths: a point behind a camera is a finding, not a nuisance.
    safe = np.where(np.abs(in_camera[..., 2:]) > 1e-9, in_camera[..., 2:], 1e-9)
    image = in_camera[..., :2] / safe * intrinsics[..., [0, 1], [0, 1]] + intrinsics[..., :2, 2]
    return np.where(known[..., np.newaxis], footage.keypoints_2d - image, np.nan), depth
