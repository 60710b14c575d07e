"""The lifting network trained on poses, to compare with: 3D labels, or what stands in for them.

3D labels are seen only when asked for by name.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import errors, reprojection, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import triangulation
from keras_mvlift.training import multi_view_lifter, objectives


class SupervisedLifter(keras.Model):
    """Trains the lifting network of a lifter on poses.

    A batch is `(View, pose)` or `(View, pose, weight)`: root-relative poses `[B, J, 3]`, meters,
    and the weight `[B, J]` of each joint, 0 where the pose does not know it.

    Args:
        lifter: Its lifting network is trained; its root network is left alone.
    """

    def __init__(self, lifter: multi_view_lifter.MultiViewLifter):
        super().__init__()
        self.lifter = lifter
        self.loss_mean = keras.metrics.Mean("loss")

    def train_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Takes one step on a batch."""
        view, pose_true, weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = self.lifter.lifting_network.trainable_variables
        with tf.GradientTape() as tape:
            pose = self.lifter(view, training=True).root_relative_pose
            loss = tf.reduce_mean(pose_loss(pose, pose_true, weight))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.loss_mean.update_state(loss)
        return {"loss": self.loss_mean.result()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running mean of the loss, reset at each epoch."""
        return [self.loss_mean]


def pose_loss(pose: tf.Tensor, pose_true: tf.Tensor, weight: tf.Tensor | None = None) -> tf.Tensor:
    """Sums the distances of joints, meters, of poses `[B, J, 3]`, times weights `[B, J]` or 1."""
    error = reprojection.norm(pose - pose_true)
    return tf.reduce_sum(error if weight is None else weight * error, axis=-1)


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
    return np.asarray(points), np.asarray(is_seen)


def _weighted(seen: views.View) -> Points:
    points, is_seen = triangulation.triangulate(seen.keypoints_2d, seen.confidence, seen.camera)
    return np.asarray(points), np.asarray(is_seen)


def _robust(seen: views.View) -> Points:
    found = objectives.agreement_of(seen)
    return found.points.numpy(), found.is_known.numpy()


LABELINGS: dict[str, Callable[[views.View], Points]] = {
    "plain": _plain,
    "weighted": _weighted,
    "robust": _robust,
}
"""By name: all detections alike, weighted by confidence, and weighted by how well they agree, too;
where no two views agree about a joint, the last gives no label."""


def triangulate_labels(
    seen: views.View, variant: str = "weighted", min_confidence: float = 0.0
) -> Points:
    """Triangulates the joints of instants from detections that are sure enough.

    Returns:
        `[T, J, 3]`, meters, world frame, and `[T, J]`, whether the joint's place is known.
    """
    errors.require_known("variant", variant, LABELINGS)
    confidence = np.asarray(seen.confidence)
    sure = seen._replace(confidence=np.where(confidence >= min_confidence, confidence, 0.0))
    sure = sure._replace(confidence=sure.confidence.astype(confidence.dtype))
    parts = []
    for start in range(0, len(confidence), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        part = tf.nest.map_structure(lambda field, rows=rows: tf.constant(field[rows]), sure)
        parts.append(LABELINGS[variant](part))
    points, is_known = (np.concatenate(fields) for fields in zip(*parts, strict=True))
    return points, is_known


def pseudo_labels(
    seen: views.View,
    variant: str = "weighted",
    min_confidence: float = 0.0,
    min_joints: int = 8,
) -> Labels:
    """Labels every view of instants by triangulation.

    No 3D label is needed, as for the method of the paper; but whatever is wrong with the detections
    or the calibration is in the labels, too.

    Args:
        seen: All views of each instant, fields `[T, V, ...]`; confidence 0 throughout for a view
            that an instant lacks.
        variant: A name of `LABELINGS`.
        min_confidence: Detections below it are left out of triangulation.
        min_joints: Joints that a view must show, and whose places must be known, for a label.

    Returns:
        The views that can be labeled, instant by instant. Those of an instant whose root is not
        known cannot be.

    Raises:
        ValueError: If there is no such variant.

    References:
        Kocabas et al., Self-supervised learning of 3D human pose using multi-view geometry, CVPR
        2019.
    """
    points, is_known = triangulate_labels(seen, variant, min_confidence)
    root = points[:, skeletons.ROOT : skeletons.ROOT + 1]
    relative = np.where(is_known[..., np.newaxis], points - root, 0.0)
    is_labeled = is_known[:, skeletons.ROOT] & (is_known.sum(axis=-1) >= min_joints)
    is_shown = np.count_nonzero(np.asarray(seen.confidence) > 0, axis=-1) >= min_joints
    instant, column = np.nonzero(is_shown & is_labeled[:, np.newaxis])
    view = tf.nest.map_structure(lambda field: np.asarray(field)[instant, column], seen)
    pose = relative[instant] @ view.camera.rotation.swapaxes(-1, -2)
    return Labels(view, pose.astype(np.float32), is_known[instant].astype(np.float32))


class SemiSupervisedLifter(keras.Model):
    """Trains a lifter on the sum of its own loss and of that on labels.

    A batch is `(unlabeled, (View, pose, weight))`: what the lifter trains on by itself, and a batch
    of `Labels`, whose poses may as well be true.

    Args:
        lifter: What is trained; its own loss is in pixels.
        pixels_per_meter: Turns the loss on labels into pixels: focal length over distance.
    """

    def __init__(
        self,
        lifter: multi_view_lifter.MultiViewLifter,
        pixels_per_meter: float,
    ):
        super().__init__()
        self.lifter = lifter
        self.factor = pixels_per_meter
        self.loss_means = {
            name: keras.metrics.Mean(name) for name in ("loss", "label_free", "labels")
        }

    def train_step(self, data: tuple[Any, tuple[tf.Tensor, ...]]) -> dict[str, tf.Tensor]:
        """Takes one step on two batches."""
        unlabeled, (view, pose_true, weight) = data
        variables = self.lifter.trainable_variables
        with tf.GradientTape() as tape:
            label_free = tf.add_n(list(self.lifter.losses_of(unlabeled, training=True).values()))
            pose = self.lifter(view, training=True).root_relative_pose
            labels = self.factor * tf.reduce_mean(pose_loss(pose, pose_true, weight))
            loss = label_free + labels
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for name, value in (("loss", loss), ("label_free", label_free), ("labels", labels)):
            self.loss_means[name].update_state(value)
        return {name: mean.result() for name, mean in self.loss_means.items()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the losses, reset at each epoch."""
        return list(self.loss_means.values())


def pixels_per_meter(labeled: Labels, rig_distance: float) -> float:
    """Returns how many pixels a meter across spans at the rig's distance, in the mean view."""
    focal = np.asarray(labeled.view.camera.intrinsics)[..., [0, 1], [0, 1]]
    return float(focal.mean() / rig_distance)
