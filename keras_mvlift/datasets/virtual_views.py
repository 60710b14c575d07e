"""Data augmentation by virtual cameras on the rig's sphere, without any 3D label.

The points they see are triangulated from the 2D detections of the real views.
"""

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import instants
from keras_mvlift.geometry import cameras

# Real cameras are not all at one height; virtual ones spread a little beyond them, radians.
ELEVATION_MARGIN = 0.09


def add(
    views: instants.Instants,
    num_views: int,
    min_confidence: float,
    rng: np.random.Generator,
    *,
    points: np.ndarray | None = None,
    elevation_margin: float = ELEVATION_MARGIN,
) -> instants.Instants:
    """Adds virtual views of the triangulated joints to the real ones.

    At each instant the virtual cameras stand around the person: at an azimuth drawn at random
    from the full circle, at an elevation and a distance drawn from the range of the real ones.

    Args:
        views: The real cameras' views.
        num_views: Virtual views per instant.
        min_confidence: Detections below it are left out of the triangulation.
        rng: The source of the draws.
        points: `[T, J, 3]`, meters, world frame, NaN where unknown: what the virtual cameras see
            instead of triangulated joints. It makes 3D labels part of the training.
        elevation_margin: Radians by which virtual cameras may stand higher or lower.

    Returns:
        The real views followed by the virtual ones. A joint that could not be triangulated has
        confidence 0 there; the others have the mean confidence of the views that saw them.

    References:
        Li et al., section "Data augmentation", after Fang et al. 2018; there the projected
        points are 3D poses.
    """
    points, is_seen = _points(views, min_confidence, points)
    subject = _subject_position(points, is_seen)
    camera = _place(views.camera, subject, num_views, rng, elevation_margin)
    points_camera = cameras.camera_from_world(points[:, np.newaxis], camera).numpy()
    keypoints_2d = cameras.project(points_camera, camera.intrinsics).numpy()
    is_used = (views.confidence >= min_confidence) & (views.confidence > 0)
    confidence = np.where(is_used, views.confidence, 0.0).sum(1) / np.maximum(is_used.sum(1), 1)
    in_front = points_camera[..., 2] > cameras.MIN_DEPTH
    is_visible = is_seen[:, np.newaxis] & in_front
    virtual = instants.Instants(
        views.frame,
        tuple(f"virtual_{index}" for index in range(num_views)),
        np.where(is_visible[..., np.newaxis], keypoints_2d, 0.0),
        np.where(is_visible, confidence[:, np.newaxis], 0.0),
        camera,
    )
    return instants.concatenate_views(views, virtual)


def _points(
    views: instants.Instants, min_confidence: float, given: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    if given is None:
        return instants.triangulate(views, min_confidence)
    is_known = np.isfinite(given).all(axis=-1)
    return np.where(is_known[..., np.newaxis], given, 0.0), is_known


def _subject_position(points: np.ndarray, is_seen: np.ndarray) -> np.ndarray:
    """Gives `[T, 3]`: the root, or the mean of what was seen, or the clip's mean."""
    count = is_seen.sum(axis=1)[:, np.newaxis]
    mean = (points * is_seen[..., np.newaxis]).sum(axis=1) / np.maximum(count, 1)
    mean = np.where(count > 0, mean, mean[count[:, 0] > 0].mean(axis=0) if count.any() else 0.0)
    return np.where(is_seen[:, skeletons.ROOT, np.newaxis], points[:, skeletons.ROOT], mean)


def _place(
    real: cameras.Camera,
    subject: np.ndarray,
    num_views: int,
    rng: np.random.Generator,
    elevation_margin: float,
) -> cameras.Camera:
    """Draws cameras `[T, num_views]` on the sphere of the real ones around the subject."""
    offset = np.asarray(real.center) - subject[:, np.newaxis]
    distance = np.linalg.norm(offset, axis=-1)
    elevation = np.arcsin(np.clip(offset[..., 2] / distance, -1.0, 1.0))
    azimuth = rng.uniform(0.0, 2 * np.pi, (len(subject), num_views))
    up = _draw(elevation, num_views, rng, elevation_margin)
    away = np.stack([np.cos(azimuth) * np.cos(up), np.sin(azimuth) * np.cos(up), np.sin(up)], -1)
    center = subject[:, np.newaxis] + _draw(distance, num_views, rng)[..., np.newaxis] * away
    intrinsics = np.asarray(real.intrinsics).mean(axis=1, keepdims=True)
    intrinsics = np.broadcast_to(intrinsics, (*azimuth.shape, 3, 3))
    target = np.broadcast_to(subject[:, np.newaxis], center.shape)
    placed = cameras.look_at(intrinsics, center, target, np.array([0.0, 0.0, 1.0]))
    return cameras.Camera(*(value.numpy() for value in placed))


def _draw(
    values: np.ndarray, num_views: int, rng: np.random.Generator, margin: float = 0.0
) -> np.ndarray:
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    return rng.uniform(low - margin, high + margin, (len(values), num_views))
