"""A view's pose and root as lifted, and a pair's poses once they are joined."""

from typing import NamedTuple

import tensorflow as tf


class Lifted(NamedTuple):
    """A view's pose before the root joins it. Their sum is the global pose `Ỹ`.

    Attributes:
        root_relative_pose: `[B, J, 3]`, meters, root joint at 0, camera axes: `Y - Y_root`.
        root_position: `[B, 3]`, meters, camera frame: where the root joint is, which is
            `r + Y_root` where a recipe leaves the root free, else the predicted root `r`.
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
