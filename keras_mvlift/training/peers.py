"""Baselines that are trained. They see 3D labels, and are made only when asked for by name."""

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.losses import distances
from keras_mvlift.training import multi_view_lifter, optimizers


class SupervisedLifter(keras.Model):
    """The lifting network trained on 3D labels, to compare with.

    Args:
        lifter: Its lifting network is trained; its root network is left alone.
    """

    def __init__(self, lifter: multi_view_lifter.MultiViewLifter):
        super().__init__()
        self.lifter = lifter
        self.loss_mean = keras.metrics.Mean("loss")

    def train_step(self, data: tuple[views.View, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes one step on views and their root-relative poses `[B, J, 3]`, meters."""
        view, pose_true = data
        variables = self.lifter.lifting_network.trainable_variables
        with tf.GradientTape() as tape:
            pose = self.lifter(view, training=True).root_relative_pose
            loss = tf.reduce_mean(tf.reduce_sum(distances.norm(pose - pose_true), axis=-1))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.loss_mean.update_state(loss)
        return {"loss": self.loss_mean.result()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running mean of the loss, reset at each epoch."""
        return [self.loss_mean]


def train_supervised(
    lifter: multi_view_lifter.MultiViewLifter,
    config: configs.StageConfig,
    view: views.View,
    pose: tf.Tensor,
    steps_per_epoch: int,
) -> None:
    """Trains the lifting network in place on labeled views, with a stage's settings.

    Args:
        lifter: The model.
        config: Epochs, optimizer, seed; a batch holds `2 * batch_size` views, as many as that
            many pairs.
        view: All labeled views, fields `[N, ...]`.
        pose: Their root-relative poses, `[N, J, 3]`, meters, camera axes.
        steps_per_epoch: Steps per epoch.
    """
    supervised = SupervisedLifter(lifter)
    supervised.compile(optimizers.build(config, steps_per_epoch))
    labeled = tf.data.Dataset.from_tensor_slices((view, pose))
    shuffled = labeled.shuffle(len(pose), seed=config.seed).repeat()
    batches = shuffled.batch(2 * config.batch_size, drop_remainder=True)
    supervised.fit(batches, steps_per_epoch=steps_per_epoch, epochs=config.num_epochs, verbose=0)
