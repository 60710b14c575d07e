"""The lifting network trained on poses, to compare with: 3D labels, or what stands in for them.

3D labels are seen only when asked for by name.
"""

import tensorflow as tf
from tensorflow import keras

from keras_mvlift.losses import reprojection
from keras_mvlift.training import multi_view_lifter


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
    """Sums the weighted distances of joints.

    Args:
        pose: `[B, J, 3]`, meters.
        pose_true: `[B, J, 3]`, meters.
        weight: `[B, J]`; without, 1 for each.

    Returns:
        `[B]`, meters times the unit of the weight.
    """
    error = reprojection.norm(pose - pose_true)
    return tf.reduce_sum(error if weight is None else weight * error, axis=-1)
