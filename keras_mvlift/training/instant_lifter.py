"""The model that trains on all views of an instant at once."""

from typing import Any

import tensorflow as tf
from tensorflow import keras

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.losses import distances
from keras_mvlift.training import lifted, multi_view_lifter, objectives, recipes

# A view of fewer joints is not lifted from; it still is compared with.
MIN_JOINTS = 8
# Nearer than this the root's error counts: the solved root of an untrained pose can lie anywhere.
_MAX_ROOT_ERROR = 10.0


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
        seed: Of the views that are drawn.
        options: Those of `MultiViewLifter`.

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
    ):
        super().__init__(lifting_network, root_network, root_head, recipe, objective, *options)
        self.generator = tf.random.Generator.from_seed(seed)

    def losses_of(self, seen: views.View, training: bool) -> dict[str, tf.Tensor]:
        """Gives the means over a batch of instants of what training minimizes the sum of.

        Args:
            seen: All views of each instant, fields `[B, V, ...]`; confidence 0 throughout for a
                view that an instant lacks.
            training: Whether a view is drawn at random, and units dropped; else the view is the
                one with the greatest sum of confidences.
        """
        index = self._draw(seen.confidence) if training else _surest(seen.confidence)
        own = tf.nest.map_structure(lambda field: tf.gather(field, index, batch_dims=1), seen)
        result = self(own, training=training)
        root_position = solve_root(result.root_relative_pose, own, seen)
        pose_camera = result.root_relative_pose + root_position[:, tf.newaxis]
        is_own = tf.one_hot(index, seen.confidence.shape[1], dtype=pose_camera.dtype)
        losses = self.objective(pose_camera, own, seen, is_own)
        losses |= {"root": _root_loss(result, root_position)}
        return {name: tf.reduce_mean(loss) for name, loss in losses.items()}

    def _draw(self, confidence: tf.Tensor) -> tf.Tensor:
        """Draws one of each instant's usable views, all equally likely, `[B]`."""
        num_joints = tf.math.count_nonzero(confidence > 0, axis=-1, dtype=tf.int32)
        draw = self.generator.uniform(tf.shape(num_joints))
        return tf.argmax(tf.where(num_joints >= MIN_JOINTS, draw + 1.0, draw), axis=-1)


def solve_root(root_relative_pose: tf.Tensor, own: views.View, seen: views.View) -> tf.Tensor:
    """Finds the roots that best explain poses in all views of their instants, in closed form.

    Args:
        root_relative_pose: `[B, J, 3]`, meters, axes of their own cameras.
        own: The views that they were lifted from, fields `[B, ...]`.
        seen: All views of their instants, fields `[B, V, ...]`.

    Returns:
        `[B, 3]`, meters, frames of their own cameras.
    """
    first = cameras.Camera(*(field[:, tf.newaxis] for field in own.camera))
    rotation, center = cameras.relative_extrinsics(first, seen.camera)
    return triangulation.solve_root_position(
        root_relative_pose,
        rays=seen.rays,
        weights=seen.confidence,
        rotation=rotation,
        center=center,
    )


def _surest(confidence: tf.Tensor) -> tf.Tensor:
    return tf.argmax(tf.reduce_sum(confidence, axis=-1), axis=-1)


def _root_loss(result: lifted.Lifted, root_position: tf.Tensor) -> tf.Tensor:
    error = distances.norm(result.root_position - tf.stop_gradient(root_position))
    return tf.minimum(error, _MAX_ROOT_ERROR)
