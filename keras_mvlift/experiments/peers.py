"""The lifting network trained on poses, to compare with: 3D labels, or what stands in for them.

3D labels are seen only when asked for by name.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import reprojection, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.training import multi_view_lifter, objectives


class SupervisedLifter(keras.Model):
    """Trains the lifting network of a lifter on poses; its root network is left alone.

    A batch is `(View, pose)` or `(View, pose, weight)`: root-relative poses `[B, J, 3]`, meters,
    and the weight `[B, J]` of each joint, 0 where the pose does not know it.
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
    """Views, fields `[N, ...]`, and poses to train on, `[N, J, 3]`, meters, camera axes, root at 0.

    `weight`, `[N, J]`, is 1 for a joint whose place is known, else 0.
    """

    view: views.View
    pose: np.ndarray
    weight: np.ndarray


def pseudo_labels(seen: views.View, min_confidence: float = 0.0) -> Labels:
    """Labels every view of instants by where their detections, at least so sure, agree.

    No 3D label is needed, as for the method of the paper; but whatever is wrong with the detections
    or the calibration is in the labels, too. All else is as of `labels_of`.

    References:
        Kocabas et al., Self-supervised learning of 3D human pose using multi-view geometry, CVPR
        2019.
    """
    confidence = np.asarray(seen.confidence)
    sure = np.where(confidence >= min_confidence, confidence, np.zeros_like(confidence))
    parts = []
    for start in range(0, len(sure), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        given = seen._replace(confidence=sure)
        part = tf.nest.map_structure(lambda field, rows=rows: tf.constant(field[rows]), given)
        parts.append(objectives.agreement_of(part))
    return labels_of(seen, *(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def labels_of(
    seen: views.View, points: np.ndarray, is_known: np.ndarray, min_joints: int = 8
) -> Labels:
    """Labels views by what was triangulated of their instants.

    Args:
        seen: All views of each instant, fields `[T, V, ...]`; confidence 0 throughout for a view
            that an instant lacks.
        points: `[T, J, 3]`, meters, world frame.
        is_known: `[T, J]`, whether a joint's place is known.
        min_joints: Joints that a view must show, and whose places must be known, for a label.

    Returns:
        The views that can be labeled, instant by instant. Those of an instant whose root is not
        known cannot be.
    """
    root = points[:, skeletons.ROOT : skeletons.ROOT + 1]
    relative = np.where(is_known[..., np.newaxis], points - root, 0.0)
    is_labeled = is_known[:, skeletons.ROOT] & (is_known.sum(axis=-1) >= min_joints)
    is_shown = np.count_nonzero(np.asarray(seen.confidence) > 0, axis=-1) >= min_joints
    instant, column = np.nonzero(is_shown & is_labeled[:, np.newaxis])
    view = tf.nest.map_structure(lambda field: np.asarray(field)[instant, column], seen)
    pose = relative[instant] @ view.camera.rotation.swapaxes(-1, -2)
    return Labels(view, pose.astype(np.float32), is_known[instant].astype(np.float32))
