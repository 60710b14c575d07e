"""A mirrored person before mirrored cameras: twice the data, and no geometry bent.

With `S = diag(-1, 1, 1)`, let the world be mirrored, `x' = S x`, and each camera's own axes, too:

    R' = S R S,   c' = S c,   so that   R' (x' - c') = S R (x - c).

`R'` is a rotation again. A mirrored point has its ray at `-x` and its keypoint mirrored about the
column of the principal point. A mirrored left side looks like a right one, so they change names.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.training import batches, objectives

Change = Callable[[Any, bool], Any]
"""From a batch, and whether it is trained on, to a batch of the same kind."""
_Seen = TypeVar("_Seen", views.View, views.WindowedView)

_ORDER = skeletons.mirror_images(skeletons.H36M_17.joints)
_SIGNS = (-1.0, 1.0, 1.0)


def mirrored(seen: _Seen) -> _Seen:
    """Mirrors views, and the windows around them.

    Args:
        seen: Fields `[..., ...]`. All views of an instant must be mirrored, or none.

    Returns:
        The same, of the mirrored person. The intrinsics stay as they are.
    """
    intrinsics = seen.camera.intrinsics
    result = seen._replace(
        keypoints_2d=_mirrored_keypoints(seen.keypoints_2d, intrinsics),
        confidence=tf.gather(seen.confidence, _ORDER, axis=-1),
        camera=_mirrored_camera(seen.camera),
    )
    if not isinstance(result, views.WindowedView):
        return result
    of_frames = intrinsics[..., tf.newaxis, :, :]
    return result._replace(
        window_keypoints_2d=_mirrored_keypoints(result.window_keypoints_2d, of_frames),
        window_confidence=tf.gather(result.window_confidence, _ORDER, axis=-1),
    )


def mirrored_pose(pose: tf.Tensor) -> tf.Tensor:
    """Mirrors poses `[..., J, 3]`, in camera axes or the world's; again gives them back."""
    return tf.gather(pose, _ORDER, axis=-2) * tf.constant(_SIGNS, pose.dtype)


def mirrored_where(is_mirrored: tf.Tensor, data: Any) -> Any:
    """Mirrors the instants of a batch that are marked.

    Args:
        is_mirrored: `[B]`, which.
        data: `ViewPair`, of views or of windows, or `objectives.Instants`, fields `[B, ...]`.
    """

    def choose(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
        shape = [-1, *([1] * (len(old.shape) - 1))]
        return tf.where(tf.reshape(is_mirrored, shape), new, old)

    if isinstance(data, views.ViewPair):
        sides = (tf.nest.map_structure(choose, mirrored(side), side) for side in data)
        return views.ViewPair(*sides)
    seen, agreed = data
    chosen = objectives.Instants(tf.nest.map_structure(choose, mirrored(seen), seen))
    if agreed is None:
        return chosen
    points, is_known = agreed
    other = (mirrored_pose(points), tf.gather(is_known, _ORDER, axis=-1))
    return chosen._replace(agreed=objectives.Agreement(*map(choose, other, agreed)))


class Mirroring:
    """Mirrors each pair or instant with probability 1/2 in training.

    Args:
        generator: Of the draws.
    """

    def __init__(self, generator: tf.random.Generator):
        self.generator = generator

    def __call__(self, data: Any, training: bool) -> Any:
        """Returns the pairs or instants, some of them mirrored."""
        if not training:
            return data
        seen = data.source if isinstance(data, views.ViewPair) else data.seen
        num_instants = tf.shape(seen.confidence)[0]
        return mirrored_where(batches.uniform(self.generator, num_instants) < 0.5, data)


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
