"""What a camera would see if it were turned towards the person: where they stand does not matter.

A camera that turns about its own center sees the same rays in other places. Lifted in the axes of
the turned camera, and turned back, a pose is the same wherever in the image the person is; and of
the size at which they appear the network is told by one number.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras

# Of rays, squared: the size of a person some hundred meters away.
_MIN_SQUARE = 1e-5
# Brings sizes to about 1.
_SIZE_SCALE = 5.0


class Centered(NamedTuple):
    """What the turned camera sees.

    Attributes:
        turn: `[B, 3, 3]`, from the real camera's axes to those of the turned one.
        rays: `[B, J, 2]`, in the turned camera, 0 where not seen.
        size: `[B, 1]`, the root of the mean square of the rays that are seen.
    """

    turn: tf.Tensor
    rays: tf.Tensor
    size: tf.Tensor

    @property
    def network_input(self) -> tf.Tensor:
        """The rays as large as all people's, and one row more, the size, `[B, J + 1, 2]`."""
        size = tf.concat([_SIZE_SCALE * self.size, tf.zeros_like(self.size)], axis=-1)
        return tf.concat([self.rays / self.size[..., tf.newaxis], size[:, tf.newaxis]], axis=1)

    def rolled(self, angle: tf.Tensor) -> "Centered":
        """Rolls the turned cameras about their optical axes, by angles `[B]`, radians."""
        cosine, sine = tf.cos(angle), tf.sin(angle)
        zero, one = tf.zeros_like(angle), tf.ones_like(angle)
        rows = [[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]]
        roll = tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)
        rays = self.rays @ tf.linalg.matrix_transpose(roll[:, :2, :2])
        return Centered(roll @ self.turn, rays, self.size)

    def back(self, points: tf.Tensor) -> tf.Tensor:
        """Turns points `[B, N, 3]` back to the real camera's axes."""
        return points @ self.turn


def of(view: views.View) -> Centered:
    """Turns cameras towards the middle of what they see of a person.

    Args:
        view: A batch, fields `[B, ...]`.
    """
    weight = tf.cast(view.confidence > 0, tf.float32)[..., tf.newaxis]
    count = tf.maximum(tf.reduce_sum(weight, axis=1), 1.0)
    rays = view.rays
    one = tf.ones_like(count)
    ahead = tf.concat([tf.reduce_sum(weight * rays, axis=1) / count, one], axis=-1)
    up = tf.concat([0 * one, -one, 0 * one], axis=-1)
    identity = tf.eye(3, batch_shape=tf.shape(one)[:1])
    turn = cameras.look_at(identity, tf.zeros_like(ahead), ahead, up).rotation
    points = tf.concat([rays, tf.ones_like(rays[..., :1])], axis=-1)
    points = points @ tf.linalg.matrix_transpose(turn)
    turned = weight * points[..., :2] / tf.maximum(points[..., 2:], cameras.MIN_DEPTH)
    square = tf.reduce_sum(turned * turned, axis=[1, 2])[:, tf.newaxis] / count
    return Centered(turn, turned, tf.sqrt(tf.maximum(square, _MIN_SQUARE)))
