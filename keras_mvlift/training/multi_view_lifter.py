"""The models that train on pairs of views or on all views of an instant.

What is saved and served are their two networks.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.losses import reprojection
from keras_mvlift.networks import residual
from keras_mvlift.training import augmentation, batches, objectives, uncertainty


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A way to train the two networks.

    Attributes:
        root_head: Makes the root network's last layer from the rig's distance in meters.
        join: Makes global poses of what the networks say of a pair.
        needs_pretraining: Whether it converges only from a pre-trained start.
        first_objective: What the first stage minimizes on view pairs: eq. (6), as in the paper;
            where the root is solved for, poses without extent agree by eq. (6), and it is eq. (7).
        has_free_root: Whether the root joint of a pose may lie off the predicted root, as in the
            paper. Were it pinned there, each error of the root network would be an offset of all
            other joints, which they would learn to make up for. A solved root fits the pose
            wherever its root joint is.
    """

    root_head: Callable[[float], keras.layers.Layer]
    join: Callable[[objectives.Lifted, objectives.Lifted, views.ViewPair], objectives.Joined]
    needs_pretraining: bool
    first_objective: objectives.Objective
    has_free_root: bool


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
        self.uncertainty: uncertainty.JointUncertainty | None = None

    def predict_uncertainty(self, uncertainty: uncertainty.JointUncertainty) -> None:
        """Trains a prediction of how far off joints are along from now on; before `compile`."""
        self.uncertainty = uncertainty
        self.loss_means["uncertainty"] = keras.metrics.Mean("uncertainty")

    def call(self, view: views.View, training: bool = False) -> objectives.Lifted:
        """Lifts single views."""
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

    def look(self, view: views.View, training: bool) -> residual.Seen:
        """Returns what the networks see of views; a class may show less of them in training."""
        del training
        return self.network_input(view)

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
        """Returns the means over a batch, here of `ViewPair`, of what training minimizes."""
        source, target = self._lift_both(pair, training)
        joined = self.recipe.join(source, target, pair)
        losses = self.objective(joined.poses, pair) | {"root": joined.root_loss}
        if self.uncertainty is not None:
            losses["uncertainty"] = self.uncertainty.pair_loss(joined.poses, pair, training)
        return {name: tf.reduce_mean(loss) for name, loss in losses.items()}

    def _lift_both(
        self, pair: views.ViewPair, training: bool
    ) -> tuple[objectives.Lifted, objectives.Lifted]:
        """Lifts both views in one batch, which is faster than two and normalizes them alike."""
        both = tf.nest.map_structure(lambda *sides: tf.concat(sides, axis=0), *pair)
        halves = tf.nest.map_structure(lambda x: tf.split(x, 2), self(both, training=training))
        source, target = (objectives.Lifted(*fields) for fields in zip(*halves, strict=True))
        return source, target

    def _report(self, losses: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        for name, loss in losses.items():
            self.loss_means[name].update_state(loss)
        return {name: mean.result() for name, mean in self.loss_means.items()}


# The model that trains on all views of an instant at once.

# A view of fewer joints is not lifted from; it still is compared with.
MIN_JOINTS = 8
# Nearer than this the root's error counts: the solved root of an untrained pose can lie anywhere.
_MAX_ROOT_ERROR = 10.0

# What a model that trains on instants does beyond eq. (7).

_CLOSED_FORM = objectives.RootSolver()
_NO_LOSSES = objectives.Auxiliaries()


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstantSwitches:
    """The switches that change a step; none does by default.

    Args:
        root_solver: How the root is solved for.
        extra_losses: Further losses.
        flip_augmentation: Whether instants are mirrored at random in training.
        agreement_weighting: Whether confidences are multiplied by how well the views agree.
        triangulation_epochs: Epochs in which the triangulated pose counts; 0 for all.
    """

    root_solver: objectives.RootSolver = _CLOSED_FORM
    extra_losses: objectives.Auxiliaries = _NO_LOSSES
    flip_augmentation: bool = False
    agreement_weighting: bool = False
    triangulation_epochs: int = 0

    @property
    def needs_agreement(self) -> bool:
        """Whether a step asks what the views agree on."""
        losses = self.extra_losses
        weights = (losses.bone_length_weight, losses.triangulation_weight)
        return self.agreement_weighting or any(weights)

    def find_agreement(
        self, seen: views.View | objectives.AgreedViews, share: tf.Tensor
    ) -> objectives.Agreement:
        """Finds what the views agree on, if anyone needs to know and it is not known.

        Args:
            seen: Fields `[B, V, ...]`.
            share: How much the triangulated pose counts, 0 for not at all.
        """
        if isinstance(seen, objectives.AgreedViews):
            return seen.found
        look = functools.partial(objectives.agreement_of, seen)
        if self.agreement_weighting or self.extra_losses.bone_length_weight:
            return look()
        look_away = functools.partial(objectives.no_agreement, seen)
        if not self.extra_losses.triangulation_weight:
            return look_away()
        return tf.cond(share > 0, look, look_away) if self.triangulation_epochs else look()


_NO_SWITCHES = InstantSwitches()


class InstantLifter(MultiViewLifter):
    """Learns to lift single views from all calibrated views of an instant, without 3D labels.

    Of each instant one view is drawn and lifted. The root of its pose is solved in closed form
    from all views, and the global pose compared with all of them: recipe `solved_root`, with as
    many cameras as there are.

    Args:
        lifting_network: From what `network_input` shows to `[B, 3 J]`.
        root_network: From the same to `[B, 3]`.
        root_head: Turns the root network's outputs and the rays into a position.
        objective: From global poses and all views to named losses per instant.
        options: Those of `MultiViewLifter`.
        seed: Of the views that are drawn, and of the instants that are mirrored.
        switches: What it does beyond that.

    Call arguments:
        view: A batch of `View`, fields `[B, ...]`.
        training: Whether to drop units and update batch statistics.

    Returns:
        `Lifted`: root-relative poses `[B, J, 3]` and root positions `[B, 3]`, meters.

    Example:
        >>> lifter = lifters.build(
        ...     config, objectives.AllViewsReprojection(), 5.0, model=InstantLifter
        ... )
        >>> lifter.compile("adam")
        >>> lifter.fit(instants)  # batches of `View` with fields `[B, V, ...]`
    """

    def __init__(
        self,
        lifting_network: keras.Model,
        root_network: keras.Model,
        root_head: keras.layers.Layer,
        recipe: Recipe,
        objective: objectives.AllViewsReprojection,
        *options: Any,
        seed: int = 0,
        switches: InstantSwitches = _NO_SWITCHES,
    ):
        super().__init__(lifting_network, root_network, root_head, recipe, objective, *options)
        self.generator = tf.random.Generator.from_seed(seed)
        self.switches = switches
        # A dictionary that is changed in place cannot be written to a checkpoint.
        more = {name: keras.metrics.Mean(name) for name in switches.extra_losses.parts}
        self.loss_means = {**self.loss_means, **more}
        self.triangulation_share = tf.Variable(1.0, trainable=False, name="triangulation_share")
        self.refinement: augmentation.CameraRefinement | None = None

    def refine_extrinsics(self, refinement: augmentation.CameraRefinement) -> None:
        """Trains corrections of the cameras along from now on; before `compile`."""
        self.refinement = refinement
        self.loss_means = {**self.loss_means, "extrinsics": keras.metrics.Mean("extrinsics")}

    def fit(
        self, *args: Any, callbacks: Sequence[keras.callbacks.Callback] = (), **options: Any
    ) -> keras.callbacks.History:
        """Trains as any model does, and ends what counts in the first epochs alone."""
        callbacks = [*callbacks]
        if self.switches.triangulation_epochs:
            num_epochs = self.switches.triangulation_epochs
            callbacks.append(WarmUp(self.triangulation_share, num_epochs))
        return super().fit(*args, callbacks=callbacks, **options)

    def losses_of(
        self, data: views.View | objectives.AgreedViews, training: bool
    ) -> dict[str, tf.Tensor]:
        """Returns the means over a batch of instants of what training minimizes the sum of.

        Args:
            data: All views of each instant, fields `[B, V, ...]`; confidence 0 throughout for a
                view that an instant lacks. With them, if it is known, what they agree on.
            training: Whether a view is drawn at random, and units dropped; else the view is the
                one with the greatest sum of confidences.
        """
        if self.refinement is not None:
            data = self.refinement(_views_of(data))
        if training and self.switches.flip_augmentation:
            num_instants = tf.shape(_views_of(data).confidence)[0]
            is_mirrored = batches.uniform(self.generator, num_instants) < 0.5
            data = augmentation.mirrored_where(is_mirrored, data)
        seen = _views_of(data)
        index = self._draw(seen.confidence) if training else _surest(seen.confidence)
        own = _take(seen, index)
        result = self(own, training=training)
        found = self.switches.find_agreement(data, self.triangulation_share)
        if self.switches.agreement_weighting:
            seen = objectives.weighted_by_agreement(seen, found)
            own = _take(seen, index)
        root_position = self.switches.root_solver(result.root_relative_pose, own, seen)
        pose_camera = result.root_relative_pose + root_position[:, tf.newaxis]
        is_own = tf.one_hot(index, seen.confidence.shape[1], dtype=pose_camera.dtype)
        losses = self.objective(pose_camera, own, seen, is_own)
        losses |= self.switches.extra_losses(result, own, found, self.triangulation_share)
        losses |= {"root": _root_loss(result, root_position)}
        if self.uncertainty is not None:
            weights = seen.confidence * (1.0 - is_own)[..., tf.newaxis]
            losses["uncertainty"] = self.uncertainty.loss(pose_camera, own, seen, weights, training)
        if self.refinement is not None:
            losses["extrinsics"] = self.refinement.prior()
        return {name: tf.reduce_mean(loss) for name, loss in losses.items()}

    def _draw(self, confidence: tf.Tensor) -> tf.Tensor:
        """Draws one of each instant's usable views, all equally likely, `[B]`."""
        num_joints = tf.math.count_nonzero(confidence > 0, axis=-1, dtype=tf.int32)
        shape = tf.shape(num_joints)
        draw = batches.uniform(self.generator, tf.reduce_prod(shape))
        draw = tf.reshape(draw, shape)
        return tf.argmax(tf.where(num_joints >= MIN_JOINTS, draw + 1.0, draw), axis=-1)


def _views_of(data: views.View | objectives.AgreedViews) -> views.View:
    return data.seen if isinstance(data, objectives.AgreedViews) else data


def _take(seen: views.View, index: tf.Tensor) -> views.View:
    return tf.nest.map_structure(lambda field: tf.gather(field, index, batch_dims=1), seen)


def _surest(confidence: tf.Tensor) -> tf.Tensor:
    return tf.argmax(tf.reduce_sum(confidence, axis=-1), axis=-1)


def _root_loss(result: objectives.Lifted, root_position: tf.Tensor) -> tf.Tensor:
    error = reprojection.norm(result.root_position - tf.stop_gradient(root_position))
    return tf.minimum(error, _MAX_ROOT_ERROR)


# The model that draws its pairs out of views that lie where it trains.

Keep = Callable[[np.ndarray], None]


class ResidentLifter(MultiViewLifter):
    """A `MultiViewLifter` that may be told by numbers which pairs to train on.

    With `keep` the views are copied once to where its weights are, a GPU if there is one. What
    comes from the CPU in each step is then the pairs' rows, 8 bytes for each of them.

    Args:
        arguments: Those of `MultiViewLifter`.

    Call arguments:
        view: A batch of `View`.
        training: Whether to drop units and update batch statistics.

    Returns:
        `Lifted`: root-relative poses `[B, J, 3]` and root positions `[B, 3]`, meters.

    Example:
        >>> lifter = lifters.build(config, objective, 5.0, model=ResidentLifter)
        >>> lifter.compile("adam")
        >>> pairs = batches.read_pairs(files, max_bytes=2e9)
        >>> lifter.keep(pairs.views)
        >>> lifter.fit(batches.load_pairs(pairs, 1024, seed=0), steps_per_epoch=100)
    """

    kept: tf.Tensor | None = None

    def keep(self, table: np.ndarray) -> None:
        """Copies the views `[N, 72]` that rows speak of from now on."""
        self.kept = tf.constant(table)

    def train_step(self, data: views.ViewPair | tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes one step on a batch of pairs, or of their rows `[B, 2]`."""
        if isinstance(data, tf.Tensor):
            data = batches.take_pairs(self.kept, data)
        return super().train_step(data)


def keeper(lifter: keras.Model) -> Keep | None:
    """Returns what takes views to where a model trains; None for one that takes whole pairs alone.

    Replicas share the rows of a batch, and each would need the views of all of them.
    """
    if not isinstance(lifter, ResidentLifter):
        return None
    return lifter.keep if lifter.distribute_strategy.num_replicas_in_sync == 1 else None


# The three ways to join a pose and a root position, and what each needs.
#
# docs/method.md tells how they compare.


def predicted_root(
    source: objectives.Lifted, target: objectives.Lifted, pair: views.ViewPair
) -> objectives.Joined:
    """Joins pose and root as the networks predict them: `Ỹ = Y + r`."""
    del pair
    poses = tuple(
        view.root_relative_pose + view.root_position[:, tf.newaxis] for view in (source, target)
    )
    return objectives.Joined(poses, tf.zeros_like(poses[0][:, 0, 0]))


def solved_root(
    source: objectives.Lifted, target: objectives.Lifted, pair: views.ViewPair
) -> objectives.Joined:
    """Joins each pose with the root that best explains it in both views, in closed form.

    The lifting network then never makes up for an error of the root position network, which
    learns the solved root beside it.
    """
    poses, root_loss = [], 0.0
    for view, (own, other) in ((source, pair), (target, pair.swapped)):
        root_position = _solve(view.root_relative_pose, own, other)
        poses.append(view.root_relative_pose + root_position[:, tf.newaxis])
        error = view.root_position - tf.stop_gradient(root_position)
        # The solved root of an untrained pose can lie anywhere; nearer than this is what counts.
        root_loss += tf.minimum(reprojection.norm(error), _MAX_ROOT_ERROR)
    return objectives.Joined(tuple(poses), root_loss)


def _solve(root_relative_pose: tf.Tensor, own: views.View, other: views.View) -> tf.Tensor:
    rotation, center = cameras.relative_extrinsics(own.camera, other.camera)
    identity = tf.eye(3, dtype=rotation.dtype) + tf.zeros_like(rotation)
    return triangulation.solve_root_position(
        root_relative_pose,
        rays=tf.stack([own.rays, other.rays], axis=1),
        weights=tf.stack([own.confidence, other.confidence], axis=1),
        rotation=tf.stack([identity, rotation], axis=1),
        center=tf.stack([tf.zeros_like(center), center], axis=1),
    )


RECIPES = {
    "paper": Recipe(
        root_head=lambda rig_distance: residual.LinearRoot(),
        join=predicted_root,
        needs_pretraining=True,
        first_objective=objectives.Consistency(),
        has_free_root=True,
    ),
    "ray_root": Recipe(
        root_head=residual.RayRoot,
        join=predicted_root,
        needs_pretraining=False,
        first_objective=objectives.Consistency(),
        has_free_root=True,
    ),
    "solved_root": Recipe(
        root_head=residual.RayRoot,
        join=solved_root,
        needs_pretraining=False,
        first_objective=objectives.TransformReprojection(),
        has_free_root=False,
    ),
}


def of_config(config: configs.FinetuneSwitches) -> InstantSwitches:
    """Returns what a config asks for."""
    return InstantSwitches(
        root_solver=objectives.RootSolver(
            robust_steps=config.robust_steps,
            gauss_newton_steps=config.gauss_newton_steps,
            robust_kernel=config.robust_kernel,
            robust_scale_px=config.robust_scale_px,
            image_space=config.image_space,
        ),
        extra_losses=objectives.Auxiliaries(
            triangulation_weight=config.triangulation_weight,
            symmetry_weight=config.symmetry_weight,
            bone_length_weight=config.bone_length_weight,
        ),
        flip_augmentation=config.flip_augmentation,
        agreement_weighting=config.agreement_weighting,
        triangulation_epochs=config.triangulation_epochs,
    )


# What counts in the first epochs alone.


class WarmUp(keras.callbacks.Callback):
    """Sets a variable to 1 for the first epochs and to 0 for the others, resumed ones too.

    Args:
        share: The variable.
        num_epochs: How many are the first.
    """

    def __init__(self, share: tf.Variable, num_epochs: int):
        super().__init__()
        self.share, self.num_epochs = share, num_epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets it."""
        del logs
        self.share.assign(float(epoch < self.num_epochs))
