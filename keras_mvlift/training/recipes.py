"""The three ways to join a pose and a root position, and what each needs.

docs/method.md tells how they compare.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf
from tensorflow import keras

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.losses import reprojection
from keras_mvlift.networks import residual
from keras_mvlift.training import lifted, objectives


def predicted_root(
    source: lifted.Lifted, target: lifted.Lifted, pair: views.ViewPair
) -> lifted.Joined:
    """Joins pose and root as the networks predict them: `Ỹ = Y + r`."""
    del pair
    poses = tuple(
        view.root_relative_pose + view.root_position[:, tf.newaxis] for view in (source, target)
    )
    return lifted.Joined(poses, tf.zeros_like(poses[0][:, 0, 0]))


def solved_root(
    source: lifted.Lifted, target: lifted.Lifted, pair: views.ViewPair
) -> lifted.Joined:
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
    return lifted.Joined(tuple(poses), root_loss)


_MAX_ROOT_ERROR = 10.0


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
    join: Callable[[lifted.Lifted, lifted.Lifted, views.ViewPair], lifted.Joined]
    needs_pretraining: bool
    first_objective: objectives.Objective
    has_free_root: bool


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
