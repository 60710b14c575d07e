"""The paper's baseline Reproj+ADV: single views, and a critic that has seen other people's poses.

It uses 3D data: `unpaired_poses`, which the label-free recipes do not have. They are of other
clips and other people than the views, and nothing says which pose belongs to which view.
"""

import math
from collections.abc import Callable

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs, errors, reprojection, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.training import multi_view_lifter

# Of the gradient penalty; Gulrajani et al.'s.
_PENALTY_WEIGHT = 10.0
# Radians by which skeletons lean, beside being turned about the vertical axis.
_MAX_TILT = 0.1


class AdversarialLifter(keras.Model):
    """Trains a lifter's two networks on single views against a critic.

    A step first improves the critic, then both networks on eq. (2) of the one view plus the
    critic's opinion of the turned skeleton, whether it looks like a person from every side: a pose
    that is right in its own image alone, flat or flipped in depth, gives itself away. The losses
    are those of a WGAN-GP, of skeletons in upright axes, z up. No second view is read; of the
    extrinsics only the camera's rotation is, which says where up is.

    Args:
        lifter: Its networks are trained in place; its recipe and objective are left alone.
        critic: From skeletons `[B, J, 3]` to scores `[B]`.
        unpaired_poses: `[M, J, 3]`, meters, upright axes, root at 0: true 3D poses of other
            clips and people.
        critic_weight: Weight of the critic's opinion beside eq. (2), pixels per meter; this and
            the next are unknown in the paper.
        num_critic_steps: Steps of the critic per step of the lifter.
        distance: A name of `reprojection.DISTANCES`.
        least_depth: Meters, as of `cameras.project`.
        seed: Of the poses drawn, the turns, and the points of the penalty.

    Example:
        >>> adversary = AdversarialLifter(lifter, critic(seed=0), unpaired_poses)
        >>> adversary.compile(keras.optimizers.legacy.Adam(1e-3))
        >>> adversary.fit(single_views, steps_per_epoch=100)
    """

    def __init__(
        self,
        lifter: multi_view_lifter.MultiViewLifter,
        critic: keras.Model,
        unpaired_poses: tf.Tensor,
        *,
        critic_weight: float = 300.0,
        num_critic_steps: int = 2,
        distance: str = "norm",
        least_depth: float = configs.LEAST_DEPTH,
        seed: int = 0,
    ):
        super().__init__()
        unpaired_poses = tf.convert_to_tensor(unpaired_poses, tf.float32)
        shape = unpaired_poses.shape
        holds = shape.rank == 3 and 0 not in shape
        errors.require(holds, "unpaired_poses", "have shape [M, J, 3]", shape)
        configs.at_least("critic_weight", critic_weight, 0)
        configs.at_least("num_critic_steps", num_critic_steps, 1)
        errors.require_known("distance", distance, reprojection.DISTANCES)
        self.lifter, self.critic = lifter, critic
        self.unpaired_poses = unpaired_poses
        self.critic_weight, self.num_critic_steps = critic_weight, num_critic_steps
        self.distance, self.least_depth = reprojection.DISTANCES[distance], least_depth
        self.generator = tf.random.Generator.from_seed(seed)
        names = ("loss", "reprojection", "adversarial", "critic", "penalty")
        self.loss_means = {name: keras.metrics.Mean(name) for name in names}

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer,
        judge: keras.optimizers.legacy.Optimizer | None = None,
    ) -> None:
        """Takes the optimizer of the lifter's networks, and the critic's if not the usual one."""
        super().compile(optimizer)
        self.critic_optimizer = judge or critic_optimizer()
        # Made before the first step, so that checkpoints restore them and it is traced once.
        self.critic_optimizer._create_all_weights(self.critic.trainable_variables)

    def train_step(self, view: views.View) -> dict[str, tf.Tensor]:
        """Takes some steps of the critic and one of the lifter on a batch of single views."""
        networks = (self.lifter.lifting_network, self.lifter.root_network)
        variables = [weight for network in networks for weight in network.trainable_variables]
        with tf.GradientTape() as tape:
            lifted = self.lifter(view, training=True)
            pose = lifted.root_relative_pose
            upright = cameras.rotate(pose, cameras.inverse(view.camera.rotation))
            # Each step of the critic turns the skeletons anew and draws new real ones.
            for _ in range(self.num_critic_steps):
                losses = self._critic_step(tf.stop_gradient(upright))
            pose_camera = pose + lifted.root_position[:, tf.newaxis]
            error = reprojection.error(
                pose_camera, view, view.confidence, self.distance, self.least_depth
            )
            losses["reprojection"] = tf.reduce_mean(error)
            score = self.critic(self._turned(upright))
            losses["adversarial"] = self.critic_weight * tf.reduce_mean(-score)
            losses["loss"] = losses["reprojection"] + losses["adversarial"]
        gradients = tape.gradient(losses["loss"], variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        for name, loss in losses.items():
            self.loss_means[name].update_state(loss)
        return {name: mean.result() for name, mean in self.loss_means.items()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the losses, reset at each epoch."""
        return list(self.loss_means.values())

    def _critic_step(self, upright: tf.Tensor) -> dict[str, tf.Tensor]:
        predicted, count = self._turned(upright), [tf.shape(upright)[0]]
        limit = len(self.unpaired_poses)
        index = tf.random.stateless_uniform(count, self._seed(), 0, limit, tf.int32)
        real = self._turned(tf.gather(self.unpaired_poses, index))
        share = tf.random.stateless_uniform(tf.shape(real)[:1], self._seed())
        variables = self.critic.trainable_variables
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self.critic(predicted) - self.critic(real))
            penalty = tf.reduce_mean(gradient_penalty(self.critic, real, predicted, share))
            total = loss + _PENALTY_WEIGHT * penalty
        gradients = tape.gradient(total, variables)
        self.critic_optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {"critic": loss, "penalty": penalty}

    def _turned(self, upright: tf.Tensor) -> tf.Tensor:
        return turned(upright, self._seed(), _MAX_TILT)

    def _seed(self) -> tf.Tensor:
        return self.generator.make_seeds(1)[:, 0]


def critic_optimizer() -> keras.optimizers.legacy.Optimizer:
    """Returns the critic's Adam, without momentum, as usual against a moving target."""
    return keras.optimizers.legacy.Adam(1e-3, beta_1=0.0, beta_2=0.9)


def kinematic_chains(pose: tf.Tensor, bones: tuple[tuple[int, int], ...]) -> tf.Tensor:
    """Computes inner products of all bones with each other: their lengths and angles between them.

    Of skeletons `[B, J, 3]`, meters, with `K` bones, pairs (parent, child) of joint indices, these
    are the upper triangle of a Gram matrix row by row, `[B, K (K + 1) / 2]`, square meters; the
    same for a turned skeleton.

    References:
        Wandt and Rosenhahn, RepNet, CVPR 2019, section 3.2.
    """
    parents, children = zip(*bones, strict=True)
    bone = tf.gather(pose, children, axis=1) - tf.gather(pose, parents, axis=1)
    products = tf.matmul(bone, bone, transpose_b=True)
    size = len(bones)
    upper = [row * size + column for row in range(size) for column in range(row, size)]
    return tf.gather(tf.reshape(products, [-1, size * size]), upper, axis=1)


def critic(*, seed: int, width: int = 128) -> keras.Model:
    """Builds the critic: two ways of dense residual layers, on coordinates and on bones.

    It has no batch norm, which would make a skeleton's score depend on the others of its batch
    and break the gradient penalty, and runs in float32 under any policy: the penalty
    differentiates twice.

    Returns:
        A model from root-relative skeletons `[B, J, 3]`, meters, upright axes, to scores `[B]`.
    """
    skeleton = skeletons.H36M_17
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    def dense(x: tf.Tensor, units: int = width) -> tf.Tensor:
        start = keras.initializers.HeNormal(seed=next(seeds))
        return keras.layers.Dense(units, kernel_initializer=start, dtype="float32")(x)

    def activated(x: tf.Tensor) -> tf.Tensor:
        return keras.layers.LeakyReLU(0.2, dtype="float32")(dense(x))

    def residual(x: tf.Tensor) -> tf.Tensor:
        x = activated(x)
        return keras.layers.Add(dtype="float32")([x, activated(activated(x))])

    pose = keras.Input((skeleton.num_joints, 3), name="root_relative_pose", dtype="float32")
    coordinates = residual(keras.layers.Flatten(dtype="float32")(pose))
    chains = keras.layers.Lambda(
        kinematic_chains, arguments={"bones": skeleton.bones}, dtype="float32"
    )
    both = keras.layers.Concatenate(dtype="float32")([coordinates, residual(chains(pose))])
    scores = dense(activated(both), units=1)
    return keras.Model(pose, keras.layers.Reshape((), dtype="float32")(scores), name="critic")


def gradient_penalty(
    critic: Callable[[tf.Tensor], tf.Tensor],
    real: tf.Tensor,
    predicted: tf.Tensor,
    share: tf.Tensor,
) -> tf.Tensor:
    """Computes `(‖∇D(x)‖ - 1)²`, `[B]`, at a point `x` between skeletons `[B, J, 3]`.

    With it the critic's scores are meters: it rises by at most one per meter of all joints.
    `share`, `[B]`, in [0, 1], tells where between `predicted` and `real` to look. The gradient is
    finite, also where the critic is flat or both coincide.

    References:
        Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017, eq. (3).
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
    """Draws rotations `[B, 3, 3]` by any angle about the vertical axis, then tilts them a little.

    The angle by which the vertical axis leans, any way, is uniform up to `max_tilt`, radians.
    """
    heading, direction, tilt = tf.unstack(tf.random.stateless_uniform([3, num], seed))
    heading, direction, tilt = 2 * math.pi * heading, 2 * math.pi * direction, max_tilt * tilt
    zero = tf.zeros_like(heading)
    turn = tf.stack([zero, zero, heading], axis=-1)
    lean = tf.stack([tilt * tf.cos(direction), tilt * tf.sin(direction), zero], axis=-1)
    return tf.matmul(*map(cameras.from_rotation_vector, (lean, turn)))


def turned(root_relative_pose: tf.Tensor, seed: tf.Tensor, max_tilt: float = 0.0) -> tf.Tensor:
    """Turns each upright skeleton `[B, J, 3]`, root at 0, by a random rotation of its own."""
    rotation = random_rotations(tf.shape(root_relative_pose)[0], seed, max_tilt)
    return cameras.rotate(root_relative_pose, rotation)
