"""A mirrored person before mirrored cameras: twice the data, and no geometry bent.

With `S = diag(-1, 1, 1)`, let the world be mirrored, `x' = S x`, and each camera's own axes, too:

    R' = S R S,   c' = S c,   so that   R' (x' - c') = S R (x - c).

`R'` is a rotation again. A mirrored point has its ray at `-x` and its keypoint mirrored about the
column of the principal point. A mirrored left side looks like a right one, so they change names.
"""

from collections.abc import Callable

import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.training import batches, objectives

Change = Callable[[objectives.Instants, bool], objectives.Instants]
"""From a batch of instants, and whether it is trained on, to what a view is drawn of."""

_ORDER = skeletons.mirror_images(skeletons.H36M_17.joints)
_SIGNS = (-1.0, 1.0, 1.0)


def mirrored(seen: views.View) -> views.View:
    """Mirrors views.

    Args:
        seen: Fields `[..., ...]`. All views of an instant must be mirrored, or none.

    Returns:
        The same, of the mirrored person. The intrinsics stay as they are.
    """
    return views.View(
        _mirrored_keypoints(seen.keypoints_2d, seen.camera.intrinsics),
        tf.gather(seen.confidence, _ORDER, axis=-1),
        _mirrored_camera(seen.camera),
    )


def mirrored_pose(pose: tf.Tensor) -> tf.Tensor:
    """Mirrors poses `[..., J, 3]`, in camera axes or the world's; again gives them back."""
    return tf.gather(pose, _ORDER, axis=-2) * tf.constant(_SIGNS, pose.dtype)


def mirrored_where(is_mirrored: tf.Tensor, instants: objectives.Instants) -> objectives.Instants:
    """Mirrors the instants of a batch that are marked.

    Args:
        is_mirrored: `[B]`, which.
        instants: Fields `[B, ...]`.
    """

    def choose(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
        shape = [-1, *([1] * (len(old.shape) - 1))]
        return tf.where(tf.reshape(is_mirrored, shape), new, old)

    seen, agreed = instants
    chosen = objectives.Instants(tf.nest.map_structure(choose, mirrored(seen), seen))
    if agreed is None:
        return chosen
    points, is_known = agreed
    other = (mirrored_pose(points), tf.gather(is_known, _ORDER, axis=-1))
    return chosen._replace(agreed=objectives.Agreement(*map(choose, other, agreed)))


class Mirroring:
    """Mirrors each instant with probability 1/2 in training.

    Args:
        generator: Of the draws.
    """

    def __init__(self, generator: tf.random.Generator):
        self.generator = generator

    def __call__(self, instants: objectives.Instants, training: bool) -> objectives.Instants:
        """Returns the instants, some of them mirrored."""
        if not training:
            return instants
        num_instants = tf.shape(instants.seen.confidence)[0]
        return mirrored_where(batches.uniform(self.generator, num_instants) < 0.5, instants)


def _mirrored_keypoints(keypoints_2d: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    exchanged = tf.gather(keypoints_2d, _ORDER, axis=-2)
    column = intrinsics[..., tf.newaxis, 0, 2]
    turned = tf.stack([2 * column - exchanged[..., 0], exchanged[..., 1]], axis=-1)
    # What was not seen is at 0 and must stay there.
    is_seen = tf.reduce_any(exchanged != 0, axis=-1, keepdims=True)
    return tf.where(is_seen, turned, tf.zeros_like(turned))


def _mirrored_camera(camera: cameras.Camera) -> cameras.Camera:
    signs = tf.constant(_SIGNS, camera.rotation.dtype)
    return camera._replace(
        rotation=camera.rotation * signs[:, tf.newaxis] * signs,
        center=camera.center * signs,
    )
