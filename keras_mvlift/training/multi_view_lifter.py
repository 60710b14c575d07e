"""The model that trains on pairs of views. What is saved and served are its two networks."""

from typing import Any

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons
from keras_mvlift.datasets import views
from keras_mvlift.networks import residual
from keras_mvlift.training import joint_uncertainty, lifted, recipes


class MultiViewLifter(keras.Model):
    """Learns to lift single views from pairs of calibrated views, without 3D labels.

    Args:
        lifting_network: From the input `[B, J, 2]` to `[B, 3 J]`.
        root_network: From the input `[B, J, 2]` to `[B, 3]`.
        recipe: How pose and root are joined.
        root_head: Turns the root network's outputs and the rays into a position.
        objective: From global poses and their pair to named losses per example, as
            `objectives.Objective`.
        network_input: What the networks see of a view.

    Call arguments:
        view: A batch of `View`.
        training: Whether to drop units and update batch statistics.

    Returns:
        `Lifted`: root-relative poses `[B, J, 3]` and root positions `[B, 3]`, meters.

    Example:
        >>> lifter = lifters.build(
        ...     configs.ModelConfig(), objectives.TransformReprojection(), rig_distance=5.0
        ... )
        >>> lifter.compile("adam")
        >>> lifter.fit(view_pairs.load(files, 1024, seed=0), steps_per_epoch=100)
    """

    def __init__(
        self,
        lifting_network: keras.Model,
        root_network: keras.Model,
        root_head: keras.layers.Layer,
        recipe: recipes.Recipe,
        objective: Any,
        network_input: residual.Input = residual.ray_input,
    ):
        super().__init__()
        self.lifting_network = lifting_network
        self.root_network = root_network
        self.root_head = root_head
        self.recipe = recipe
        self.objective = objective
        self.network_input = network_input
        names = ("loss", *objective.parts, "root")
        self.loss_means = {name: keras.metrics.Mean(name) for name in names}
        self.uncertainty: joint_uncertainty.JointUncertainty | None = None

    def predict_uncertainty(self, uncertainty: joint_uncertainty.JointUncertainty) -> None:
        """Trains a prediction of how far off joints are along from now on; before `compile`."""
        self.uncertainty = uncertainty
        self.loss_means["uncertainty"] = keras.metrics.Mean("uncertainty")

    def call(self, view: views.View, training: bool = False) -> lifted.Lifted:
        """Lifts single views."""
        seen = self.network_input(view)
        outputs = self.lifting_network(seen, training=training)
        pose = tf.reshape(outputs, [-1, seen.shape[-2], 3])
        root_joint = pose[:, skeletons.ROOT]
        root_outputs = self.root_network(seen, training=training)
        root_position = self.root_head((root_outputs, view.rays))
        if self.recipe.has_free_root:
            # The sum, `Ỹ = Y + r`, is what training compares: all of its joints can be learned.
            root_position += root_joint
        return lifted.Lifted(pose - root_joint[:, tf.newaxis], root_position)

    def train_step(self, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Takes one step on a batch of pairs."""
        with tf.GradientTape() as tape:
            losses = self.losses_of(pair, training=True)
            loss = tf.add_n(list(losses.values()))
            # Replicas' gradients are summed; each sees its share of the batch.
            share = loss / tf.distribute.get_strategy().num_replicas_in_sync
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(share, variables), variables, strict=True))
        return self._report(losses | {"loss": loss})

    def test_step(self, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Measures the loss on a batch of pairs."""
        losses = self.losses_of(pair, training=False)
        return self._report(losses | {"loss": tf.add_n(list(losses.values()))})

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the losses, reset at each epoch."""
        return list(self.loss_means.values())

    def losses_of(self, pair: Any, training: bool) -> dict[str, tf.Tensor]:
        """Gives the means over a batch, here of `ViewPair`, of what training minimizes."""
        source, target = self._lift_both(pair, training)
        joined = self.recipe.join(source, target, pair)
        losses = self.objective(joined.poses, pair) | {"root": joined.root_loss}
        if self.uncertainty is not None:
            losses["uncertainty"] = self.uncertainty.pair_loss(joined.poses, pair, training)
        return {name: tf.reduce_mean(loss) for name, loss in losses.items()}

    def _lift_both(
        self, pair: views.ViewPair, training: bool
    ) -> tuple[lifted.Lifted, lifted.Lifted]:
        """Lifts both views in one batch, which is faster than two and normalizes them alike."""
        both = tf.nest.map_structure(lambda *sides: tf.concat(sides, axis=0), *pair)
        halves = tf.nest.map_structure(lambda x: tf.split(x, 2), self(both, training=training))
        source, target = (lifted.Lifted(*fields) for fields in zip(*halves, strict=True))
        return source, target

    def _report(self, losses: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        for name, loss in losses.items():
            self.loss_means[name].update_state(loss)
        return {name: mean.result() for name, mean in self.loss_means.items()}
