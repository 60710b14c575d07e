"""Poses that are triangulated from the detections, as labels to train on.

No 3D label is needed for them, as for the method of the paper; but whatever is wrong with the
detections or the calibration is in the labels, too.

References:
    Kocabas et al., Self-supervised learning of 3D human pose using multi-view geometry, CVPR 2019.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import triangulation
from keras_mvlift.training import objectives

# Instants that are triangulated at once: robust triangulation keeps every pair of views in memory.
_BATCH_SIZE = 1024


class Labels(NamedTuple):
    """Views with poses to train on.

    Attributes:
        view: Fields `[N, ...]`.
        pose: `[N, J, 3]`, meters, camera axes, root at 0.
        weight: `[N, J]`, 1 for a joint whose place is known, else 0.
    """

    view: views.View
    pose: np.ndarray
    weight: np.ndarray

    def select(self, index: np.ndarray) -> "Labels":
        """Takes the chosen views."""
        return tf.nest.map_structure(lambda field: np.asarray(field)[index], self)


Points = tuple[np.ndarray, np.ndarray]


def _plain(seen: views.View) -> Points:
    weights = tf.cast(seen.confidence > 0, seen.keypoints_2d.dtype)
    points, is_seen = triangulation.triangulate(seen.keypoints_2d, weights, seen.camera)
    return points.numpy(), is_seen.numpy()


def _weighted(seen: views.View) -> Points:
    points, is_seen = triangulation.triangulate(seen.keypoints_2d, seen.confidence, seen.camera)
    return points.numpy(), is_seen.numpy()


def _robust(seen: views.View) -> Points:
    found = objectives.agreement_of(seen)
    return found.points.numpy(), found.is_known.numpy()


VARIANTS: dict[str, Callable[[views.View], Points]] = {
    "plain": _plain,
    "weighted": _weighted,
    "robust": _robust,
}
"""By name: all detections alike, weighted by confidence, and weighted by how well they agree, too;
where no two views agree about a joint, the last gives no label."""


def triangulate(seen: views.View, variant: str = "weighted", min_confidence: float = 0.0) -> Points:
    """Triangulates the joints of instants.

    Args:
        seen: All views of each instant, fields `[T, V, ...]`.
        variant: A name of `VARIANTS`.
        min_confidence: Detections below it are left out.

    Returns:
        `[T, J, 3]`, meters, world frame, and `[T, J]`, whether the joint's place is known.

    Raises:
        ValueError: If there is no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"`variant` must be one of {', '.join(VARIANTS)}. Received: {variant!r}.")
    confidence = np.asarray(seen.confidence)
    sure = seen._replace(confidence=np.where(confidence >= min_confidence, confidence, 0.0))
    sure = sure._replace(confidence=sure.confidence.astype(confidence.dtype))
    parts = []
    for start in range(0, len(confidence), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        part = tf.nest.map_structure(lambda field, rows=rows: tf.constant(field[rows]), sure)
        parts.append(VARIANTS[variant](part))
    points, is_known = (np.concatenate(fields) for fields in zip(*parts, strict=True))
    return points, is_known


def labels(
    seen: views.View,
    variant: str = "weighted",
    min_confidence: float = 0.0,
    min_joints: int = 8,
) -> Labels:
    """Labels every view of instants by triangulation.

    Args:
        seen: All views of each instant, fields `[T, V, ...]`; confidence 0 throughout for a view
            that an instant lacks.
        variant: A name of `VARIANTS`.
        min_confidence: Detections below it are left out of triangulation.
        min_joints: Joints that a view must show, and whose places must be known, for a label.

    Returns:
        The views that can be labeled, instant by instant. Those of an instant whose root is not
        known cannot be.

    Raises:
        ValueError: If there is no such variant.
    """
    points, is_known = triangulate(seen, variant, min_confidence)
    root = points[:, skeletons.ROOT : skeletons.ROOT + 1]
    relative = np.where(is_known[..., np.newaxis], points - root, 0.0)
    is_labeled = is_known[:, skeletons.ROOT] & (is_known.sum(axis=-1) >= min_joints)
    is_shown = np.count_nonzero(np.asarray(seen.confidence) > 0, axis=-1) >= min_joints
    instant, column = np.nonzero(is_shown & is_labeled[:, np.newaxis])
    view = tf.nest.map_structure(lambda field: np.asarray(field)[instant, column], seen)
    pose = relative[instant] @ view.camera.rotation.swapaxes(-1, -2)
    return Labels(view, pose.astype(np.float32), is_known[instant].astype(np.float32))
