"""What the two networks say of a view."""

from typing import NamedTuple

import tensorflow as tf


class Lifted(NamedTuple):
    """A view's pose before the root joins it.

    Attributes:
        root_relative_pose: `[B, J, 3]`, meters, root at 0, camera axes.
        root_position: `[B, 3]`, meters, camera frame, as the root position network predicts it.
    """

    root_relative_pose: tf.Tensor
    root_position: tf.Tensor


class Joined(NamedTuple):
    """A pair's global poses, and what the root position network still has to learn.

    Attributes:
        poses: From source and target, `[B, J, 3]`, meters, each in its own camera's frame.
        root_loss: `[B]`, meters; zero where the poses' own loss teaches the root network.
    """

    poses: tuple[tf.Tensor, tf.Tensor]
    root_loss: tf.Tensor
