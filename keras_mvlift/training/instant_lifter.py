"""The model that trains on all views of an instant at once."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow import keras

from keras_mvlift.datasets import views
from keras_mvlift.losses import reprojection
from keras_mvlift.training import (
    agreement,
    camera_refinement,
    instant_switches,
    lifted,
    mirroring,
    multi_view_lifter,
    objectives,
    recipes,
    shared_batches,
    warm_up,
)

# A view of fewer joints is not lifted from; it still is compared with.
MIN_JOINTS = 8
# Nearer than this the root's error counts: the solved root of an untrained pose can lie anywhere.
_MAX_ROOT_ERROR = 10.0
_NO_SWITCHES = instant_switches.InstantSwitches()


class InstantLifter(multi_view_lifter.MultiViewLifter):
    """Learns to lift single views from all calibrated views of an instant, without 3D labels.

    Of each instant one view is drawn and lifted. The root of its pose is solved in closed form
    from all views, and the global pose compared with all of them: recipe `solved_root`, with as
    many cameras as there are.

    Args:
        lifting_network: From the input `[B, J, 2]` to `[B, 3 J]`.
        root_network: From the input `[B, J, 2]` to `[B, 3]`.
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
        recipe: recipes.Recipe,
        objective: objectives.AllViewsReprojection,
        *options: Any,
        seed: int = 0,
        switches: instant_switches.InstantSwitches = _NO_SWITCHES,
    ):
        super().__init__(lifting_network, root_network, root_head, recipe, objective, *options)
        self.generator = tf.random.Generator.from_seed(seed)
        self.switches = switches
        # A dictionary that is changed in place cannot be written to a checkpoint.
        more = {name: keras.metrics.Mean(name) for name in switches.extra_losses.parts}
        self.loss_means = {**self.loss_means, **more}
        self.triangulation_share = tf.Variable(1.0, trainable=False, name="triangulation_share")
        self.refinement: camera_refinement.CameraRefinement | None = None

    def refine_extrinsics(self, refinement: camera_refinement.CameraRefinement) -> None:
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
            callbacks.append(warm_up.WarmUp(self.triangulation_share, num_epochs))
        return super().fit(*args, callbacks=callbacks, **options)

    def losses_of(
        self, data: views.View | agreement.AgreedViews, training: bool
    ) -> dict[str, tf.Tensor]:
        """Gives the means over a batch of instants of what training minimizes the sum of.

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
            is_mirrored = shared_batches.uniform(self.generator, num_instants) < 0.5
            data = mirroring.mirrored_where(is_mirrored, data)
        seen = _views_of(data)
        index = self._draw(seen.confidence) if training else _surest(seen.confidence)
        own = _take(seen, index)
        result = self(own, training=training)
        found = self.switches.find_agreement(data, self.triangulation_share)
        if self.switches.agreement_weighting:
            seen = agreement.weighted(seen, found)
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
        draw = shared_batches.uniform(self.generator, tf.reduce_prod(shape))
        draw = tf.reshape(draw, shape)
        return tf.argmax(tf.where(num_joints >= MIN_JOINTS, draw + 1.0, draw), axis=-1)


def _views_of(data: views.View | agreement.AgreedViews) -> views.View:
    return data.seen if isinstance(data, agreement.AgreedViews) else data


def _take(seen: views.View, index: tf.Tensor) -> views.View:
    return tf.nest.map_structure(lambda field: tf.gather(field, index, batch_dims=1), seen)


def _surest(confidence: tf.Tensor) -> tf.Tensor:
    return tf.argmax(tf.reduce_sum(confidence, axis=-1), axis=-1)


def _root_loss(result: lifted.Lifted, root_position: tf.Tensor) -> tf.Tensor:
    error = reprojection.norm(result.root_position - tf.stop_gradient(root_position))
    return tf.minimum(error, _MAX_ROOT_ERROR)
