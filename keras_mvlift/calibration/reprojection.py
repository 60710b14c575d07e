"""How far from its detections a rig sees the points that it triangulates."""

import numpy as np

from keras_mvlift.calibration import observations
from keras_mvlift.geometry import cameras, triangulation


def triangulate(camera: cameras.Camera, seen: observations.Observations) -> np.ndarray:
    """Triangulates observations, weighted by confidence.

    Args:
        camera: The rig, fields `[V, ...]`.
        seen: Its observations.

    Returns:
        `[N, 3]`, meters, world frame; NaN where fewer than two views saw the point.
    """
    points, is_seen = triangulation.triangulate(seen.keypoints_2d, seen.weights, camera)
    return np.where(is_seen.numpy()[:, np.newaxis], points.numpy(), np.nan)


def errors_px(
    camera: cameras.Camera, seen: observations.Observations, points: np.ndarray | None = None
) -> np.ndarray:
    """Measures the distance of each observation from the point's projection.

    Args:
        camera: The rig, fields `[V, ...]`.
        seen: Its observations.
        points: `[N, 3]`, meters, world frame; triangulated here, without.

    Returns:
        `[V, N]`, pixels; NaN where a view did not see the point, or no two views did.
    """
    points = triangulate(camera, seen) if points is None else points
    projected = cameras.project(cameras.camera_from_world(points, camera), camera.intrinsics)
    distance = np.linalg.norm(projected.numpy() - seen.keypoints_2d, axis=-1)
    return np.where(seen.weights > 0, distance, np.nan)
