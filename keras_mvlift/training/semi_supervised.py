"""Few labeled views, and the label-free loss on all of them."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.training import multi_view_lifter, peers, pseudo_labels


class SemiSupervisedLifter(keras.Model):
    """Trains a lifter on the sum of its own loss and of that on labels.

    A batch is `(unlabeled, (View, pose, weight))`: what the lifter trains on by itself, and a batch
    of `pseudo_labels.Labels`, whose poses may as well be true.

    Args:
        lifter: What is trained; its own loss is in pixels.
        pixels_per_meter: Turns the loss on labels into pixels: focal length over distance.
        label_weight: Of the loss on labels.
    """

    def __init__(
        self,
        lifter: multi_view_lifter.MultiViewLifter,
        pixels_per_meter: float,
        label_weight: float = 1.0,
    ):
        super().__init__()
        self.lifter = lifter
        self.factor = pixels_per_meter * label_weight
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
            labels = self.factor * tf.reduce_mean(peers.pose_loss(pose, pose_true, weight))
            loss = label_free + labels
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for name, value in (("loss", loss), ("label_free", label_free), ("labels", labels)):
            self.loss_means[name].update_state(value)
        return {name: mean.result() for name, mean in self.loss_means.items()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the losses, reset at each epoch."""
        return list(self.loss_means.values())


def pixels_per_meter(labeled: pseudo_labels.Labels, rig_distance: float) -> float:
    """Gives how many pixels a meter across spans at the rig's distance, in the mean view."""
    focal = np.asarray(labeled.view.camera.intrinsics)[..., [0, 1], [0, 1]]
    return float(focal.mean() / rig_distance)
