"""Does a predicted skeleton look like a person from every side? The losses of a WGAN-GP.

The critic scores root-relative skeletons in upright axes, z up. Before it sees one, the skeleton is
turned at random, so that a pose that is right in its own image alone, flat or flipped in depth,
gives itself away.
"""

import math
from collections.abc import Callable

import tensorflow as tf

from keras_mvlift.geometry import cameras
from keras_mvlift.losses import reprojection

Critic = Callable[[tf.Tensor], tf.Tensor]


def critic_loss(score_real: tf.Tensor, score_predicted: tf.Tensor) -> tf.Tensor:
    """Computes what the critic minimizes: `D(predicted) - D(real)`, `[B]`, without the penalty.

    References:
        Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017, eq. (3).
    """
    return score_predicted - score_real


def generator_loss(score_predicted: tf.Tensor) -> tf.Tensor:
    """Computes what the lifting network minimizes: `-D(predicted)`, `[B]`."""
    return -score_predicted


def gradient_penalty(
    critic: Critic, real: tf.Tensor, predicted: tf.Tensor, share: tf.Tensor
) -> tf.Tensor:
    """Computes `(‖∇D(x)‖ - 1)²` at a point `x` between each real and predicted skeleton.

    With it the critic's scores are meters: it rises by at most one per meter of all joints.

    Args:
        critic: From skeletons `[B, J, 3]` to scores `[B]`.
        real: `[B, J, 3]`, meters.
        predicted: `[B, J, 3]`, meters; may coincide with `real`.
        share: `[B]`, in [0, 1], where between `predicted` and `real` to look.

    Returns:
        `[B]`. Its gradient is finite, also where the critic is flat.

    References:
        Gulrajani et al., eq. (3).
    """
    real, predicted, share = (tf.convert_to_tensor(x) for x in (real, predicted, share))
    tf.debugging.assert_shapes(
        [(real, ("B", "J", 3)), (predicted, ("B", "J", 3)), (share, ("B",))],
        message="adversarial.gradient_penalty",
    )
    between = predicted + share[:, tf.newaxis, tf.newaxis] * (real - predicted)
    with tf.GradientTape() as tape:
        tape.watch(between)
        scores = critic(between)
    gradient = tape.gradient(scores, between, unconnected_gradients="zero")
    slope = reprojection.norm(tf.reshape(gradient, [tf.shape(gradient)[0], -1]))
    return tf.square(slope - 1.0)


def random_rotations(num: int | tf.Tensor, seed: tf.Tensor, max_tilt: float = 0.0) -> tf.Tensor:
    """Draws rotations by any angle about the vertical axis, then tilts them a little.

    Args:
        num: `B`, how many.
        seed: `[2]`, integers; the same rotations for the same seed.
        max_tilt: Radians; the angle by which the vertical axis leans is uniform up to it, and it
            leans any way.

    Returns:
        `[B, 3, 3]`, z up before and nearly so after.
    """
    angles = tf.random.stateless_uniform([3, num], seed)
    heading, direction = 2 * math.pi * angles[0], 2 * math.pi * angles[1]
    zero = tf.zeros_like(heading)
    vertical = tf.stack([zero, zero, zero + 1.0], axis=-1)
    level = tf.stack([tf.cos(direction), tf.sin(direction), zero], axis=-1)
    turn = cameras.from_axis_angle(vertical, heading)
    return tf.matmul(cameras.from_axis_angle(level, max_tilt * angles[2]), turn)


def turned(root_relative_pose: tf.Tensor, seed: tf.Tensor, max_tilt: float = 0.0) -> tf.Tensor:
    """Turns each upright skeleton by a random rotation of its own.

    Args:
        root_relative_pose: `[B, J, 3]`, meters, upright axes, root at 0.
        seed: `[2]`, integers.
        max_tilt: Radians.

    Returns:
        `[B, J, 3]`.
    """
    rotation = random_rotations(tf.shape(root_relative_pose)[0], seed, max_tilt)
    return cameras.rotate(root_relative_pose, rotation)
