"""The paper's method: lift, join pose and root, move, project, compare.

`MultiViewLifter` trains on pairs of views, as in the paper, `InstantLifter` on all views of an
instant. What is saved and served are their two networks.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import reprojection, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.networks import residual
from keras_mvlift.training import batches, objectives, uncertainty

# Nearer than this the root's error counts: the solved root of an untrained pose can lie anywhere.
_MAX_ROOT_ERROR = 10.0


Joined = tuple[tf.Tensor, tf.Tensor]
"""Global poses `Ỹ`, `[B, J, 3]`, meters, frames of their own cameras; and what the root network
still has to learn, `[B]`, meters, zero where the poses' own loss teaches it."""


def predicted_root(lifted: objectives.Lifted, own: views.View, seen: views.View) -> Joined:
    """Joins pose and root as the networks predict them: `Ỹ = Y + r`.

    `lifted` is what the networks say of views `own`, fields `[B, ...]`; all views that show the
    same instants are `seen`, fields `[B, V, ...]`.
    """
    pose_camera = lifted.root_relative_pose + lifted.root_position[:, tf.newaxis]
    return pose_camera, tf.zeros_like(pose_camera[:, 0, 0])


def solved_root(lifted: objectives.Lifted, own: views.View, seen: views.View) -> Joined:
    """Joins each pose with the root that best explains it in all views, in closed form.

    The lifting network then never makes up for an error of the root network, which learns the
    solved root beside it. Arguments are those of `predicted_root`.
    """
    camera = cameras.Camera(*(field[:, tf.newaxis] for field in own.camera))
    rotation, center = cameras.relative_extrinsics(camera, seen.camera)
    root_position = triangulation.solve_root_position(
        lifted.root_relative_pose,
        rays=seen.rays,
        weights=seen.confidence,
        rotation=rotation,
        center=center,
    )
    error = reprojection.norm(lifted.root_position - tf.stop_gradient(root_position))
    pose_camera = lifted.root_relative_pose + root_position[:, tf.newaxis]
    return pose_camera, tf.minimum(error, _MAX_ROOT_ERROR)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A way to train the two networks; docs/method.md tells how they compare.

    Attributes:
        root_head: Makes the root network's last layer from the rig's distance in meters.
        join: Makes global poses of what the networks say, as `predicted_root` does.
        first_objective: What the first stage minimizes on view pairs: eq. (6), as in the paper;
            where the root is solved for, poses without extent agree by eq. (6), and it is eq. (7).
        has_free_root: Whether the root joint of a pose may lie off the predicted root, as in the
            paper. Were it pinned there, each error of the root network would be an offset of all
            other joints, which they would learn to make up for. A solved root fits the pose
            wherever its root joint is.
    """

    root_head: Callable[[float], keras.layers.Layer]
    join: Callable[[objectives.Lifted, views.View, views.View], Joined]
    first_objective: objectives.Objective
    has_free_root: bool


_PAPER = Recipe(
    root_head=lambda rig_distance: residual.LinearRoot(),
    join=predicted_root,
    first_objective=objectives.Consistency(),
    has_free_root=True,
)
RECIPES = {
    "paper": _PAPER,
    "ray_root": dataclasses.replace(_PAPER, root_head=residual.RayRoot),
    "solved_root": Recipe(
        root_head=residual.RayRoot,
        join=solved_root,
        first_objective=objectives.TransformReprojection(),
        has_free_root=False,
    ),
}


class MultiViewLifter(keras.Model):
    """Learns to lift single views from pairs of calibrated views, without 3D labels.

    Args:
        lifting_network: From what `network_input` shows to `[B, 3 J]`.
        root_network: From the same to `[B, 3]`.
        root_head: Turns the root network's outputs and the rays into a position.
        recipe: How pose and root are joined.
        objective: From global poses and their pair to named losses per example, as
            `objectives.Objective`.
        network_input: What the networks see of a view, and in which axes they answer.
        seed: Of what is drawn in training.
        changes: What is done to a batch before it is lifted, each made from the generator of random
            numbers, as `batches.Mirroring` is.

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
        >>> lifter.fit(tfrecords.load(files, 1024, seed=0), steps_per_epoch=100)
    """

    def __init__(
        self,
        lifting_network: keras.Model,
        root_network: keras.Model,
        root_head: keras.layers.Layer,
        recipe: Recipe,
        objective: Any,
        network_input: residual.Input = residual.ray_input,
        *,
        seed: int = 0,
        changes: Sequence[Callable[[tf.random.Generator], batches.Change]] = (),
    ):
        super().__init__()
        self.lifting_network = lifting_network
        self.root_network = root_network
        self.root_head = root_head
        self.recipe = recipe
        self.objective = objective
        self.network_input = network_input
        self.generator = tf.random.Generator.from_seed(seed)
        self.changes = tuple(make(self.generator) for make in changes)
        names = ("loss", *objective.parts, "root")
        self.loss_means = {name: keras.metrics.Mean(name) for name in names}
        self.uncertainty: uncertainty.JointUncertainty | None = None
        self.kept: tf.Tensor | None = None

    def keep(self, table: np.ndarray) -> None:
        """Copies views `[N, 72]` to where the weights are, a GPU if there is one.

        From now on a batch may be of pairs' rows in this table, 8 bytes a pair, instead of pairs.
        """
        self.kept = tf.constant(table)

    def predict_uncertainty(self, uncertainty: uncertainty.JointUncertainty) -> None:
        """Trains a prediction of how far off joints are along from now on; before `compile`."""
        self.uncertainty = uncertainty
        # A dictionary that is changed in place cannot be written to a checkpoint.
        means = {name: keras.metrics.Mean(name) for name in uncertainty.parts}
        self.loss_means = {**self.loss_means, **means}

    def call(self, view: views.View, training: bool = False) -> objectives.Lifted:
        seen = self.look(view, training)
        outputs = self.lifting_network(seen.joints, training=training)
        pose = tf.reshape(outputs, [-1, seen.rays.shape[-2], 3])
        root_joint = pose[:, skeletons.ROOT : skeletons.ROOT + 1]
        root_outputs = self.root_network(seen.joints, training=training)
        root_position = self.root_head((root_outputs, seen.rays))[:, tf.newaxis]
        if self.recipe.has_free_root:
            # The sum, `Ỹ = Y + r`, is what training compares: all of its joints can be learned.
            root_position += root_joint
        # Geometry knows the real camera alone.
        return objectives.Lifted(seen.back(pose - root_joint), seen.back(root_position)[:, 0])

    def lift(self, view: views.View) -> objectives.Lifted:
        """Lifts single views as a trained model does, and places poses by the rays that are seen.

        The root is solved for in closed form; the root network's stays where the rays do not tell
        it, as `triangulation.root_in_view` has it.
        """
        lifted = self(view, training=False)
        root_position = triangulation.root_in_view(
            lifted.root_relative_pose, view.rays, view.confidence, lifted.root_position
        )
        return lifted._replace(root_position=root_position)

    def look(self, view: views.View, training: bool) -> residual.Seen:
        """Returns what the networks see of views; a class may show less of them in training."""
        return self.network_input(view)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            losses = self.losses_of(data, training=True)
            loss = tf.add_n(list(losses.values()))
            # Replicas' gradients are summed; each sees its share of the batch.
            share = loss / tf.distribute.get_strategy().num_replicas_in_sync
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(share, variables), variables, strict=True))
        return self._report(losses | {"loss": loss})

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        losses = self.losses_of(data, training=False)
        return self._report(losses | {"loss": tf.add_n(list(losses.values()))})

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self.loss_means.values())

    def losses_of(self, data: Any, training: bool) -> objectives.Losses:
        """Returns the means over a batch of the parts of the loss.

        The batch is of `ViewPair`, or the rows `[B, 2]` of such in the views that are kept.
        """
        if isinstance(data, tf.Tensor):
            data = batches.take_pairs(self.kept, data)
        for change in self.changes:
            data = change(data, training)
        own, is_own, instants = self.show(data, training)
        lifted = self(own, training=training)
        pose_camera, root_loss = self.recipe.join(lifted, own, instants.seen)
        placed = objectives.Placed(lifted, pose_camera, root_loss, own, is_own, instants)
        losses = self.compare(placed, data)
        if self.uncertainty is not None:
            losses |= self.uncertainty.losses(placed, training)
        return {name: tf.reduce_mean(loss) for name, loss in losses.items()}

    def show(self, data: Any, training: bool) -> tuple[views.View, tf.Tensor, objectives.Instants]:
        """Returns the views to lift, which of all views they are, and all views, as in `Placed`.

        Of `B` pairs that are both, in one batch, which is faster than two and normalizes them
        alike.
        """
        own, other = (
            tf.nest.map_structure(lambda *fields: tf.concat(fields, axis=0), *sides)
            for sides in (data, data.swapped)
        )
        seen = tf.nest.map_structure(lambda *fields: tf.stack(fields, axis=1), own, other)
        is_own = tf.constant([1.0, 0.0]) + tf.zeros_like(seen.confidence[..., 0])
        return own, is_own, objectives.Instants(seen)

    def compare(self, placed: objectives.Placed, data: Any) -> objectives.Losses:
        """Moves, projects, compares: returns the parts of the loss, here `[B]` of each pair."""
        poses = tuple(tf.split(placed.pose_camera, 2))
        root_loss = tf.add_n(tf.split(placed.root_loss, 2))
        return self.objective(poses, data) | {"root": root_loss}

    def _report(self, losses: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        for name, loss in losses.items():
            self.loss_means[name].update_state(loss)
        return {name: mean.result() for name, mean in self.loss_means.items()}


# A view of fewer joints is not lifted from; it still is compared with.
MIN_JOINTS = 8


class InstantLifter(MultiViewLifter):
    """Learns to lift single views from all calibrated views of an instant, without 3D labels.

    Of each instant one view is drawn and lifted, its pose joined with its root, and the global
    pose compared with all views: the paper's method with as many cameras as there are. Arguments
    are those of `MultiViewLifter`; the objective compares with all views, and the views are drawn
    from the model's generator.

    Example:
        >>> lifter = lifters.build(
        ...     config, objectives.AllViewsReprojection(), 5.0, model=InstantLifter
        ... )
        >>> lifter.compile("adam")
        >>> lifter.fit(instants)  # batches of `View` with fields `[B, V, ...]`
    """

    def losses_of(self, data: Any, training: bool) -> objectives.Losses:
        """Takes batches of `View`, fields `[B, V, ...]`, or of `objectives.Instants`."""
        is_known = isinstance(data, objectives.Instants)
        return super().losses_of(data if is_known else objectives.Instants(data), training)

    def show(self, data: Any, training: bool) -> tuple[views.View, tf.Tensor, objectives.Instants]:
        confidence = data.seen.confidence
        surest = tf.reduce_sum(confidence, axis=-1)
        index = self._draw(confidence) if training else tf.argmax(surest, axis=-1)
        own = tf.nest.map_structure(lambda field: tf.gather(field, index, batch_dims=1), data.seen)
        is_own = tf.one_hot(index, confidence.shape[1], dtype=confidence.dtype)
        return own, is_own, data

    def compare(self, placed: objectives.Placed, data: Any) -> objectives.Losses:
        return self.objective(placed) | {"root": placed.root_loss}

    def _draw(self, confidence: tf.Tensor) -> tf.Tensor:
        """Draws one of each instant's usable views, all equally likely, `[B]`."""
        num_joints = tf.math.count_nonzero(confidence > 0, axis=-1, dtype=tf.int32)
        shape = tf.shape(num_joints)
        draw = tf.reshape(batches.uniform(self.generator, tf.reduce_prod(shape)), shape)
        return tf.argmax(tf.where(num_joints >= MIN_JOINTS, draw + 1.0, draw), axis=-1)
