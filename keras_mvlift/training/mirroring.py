"""A mirrored person before mirrored cameras: twice the data, and no geometry bent.

With `S = diag(-1, 1, 1)`, let the world be mirrored, `x' = S x`, and each camera's own axes, too:

    R' = S R S,   c' = S c,   so that   R' (x' - c') = S R (x - c).

`R'` is a rotation again. A mirrored point has its ray at `-x` and its keypoint mirrored about the
column of the principal point. A mirrored left side looks like a right one, so they change names.
"""

import tensorflow as tf

from keras_mvlift import mirror_images, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.training import agreement

Seen = views.View | agreement.AgreedViews

_ORDER = mirror_images.of(skeletons.H36M_17.joints)
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


def mirrored_agreement(found: agreement.Agreement) -> agreement.Agreement:
    """Gives what mirrored views agree on."""
    return agreement.Agreement(
        mirrored_pose(found.points),
        tf.gather(found.is_known, _ORDER, axis=-1),
        tf.gather(found.trust, _ORDER, axis=-1),
    )


def mirrored_where(is_mirrored: tf.Tensor, seen: Seen) -> Seen:
    """Mirrors the instants of a batch that are marked.

    Args:
        is_mirrored: `[B]`, which.
        seen: All views of each instant, fields `[B, V, ...]`, or these and what they agree on.
    """

    def choose(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
        shape = [-1, *([1] * (len(old.shape) - 1))]
        return tf.where(tf.reshape(is_mirrored, shape), new, old)

    if isinstance(seen, agreement.AgreedViews):
        both = agreement.AgreedViews(mirrored(seen.seen), mirrored_agreement(seen.found))
        return tf.nest.map_structure(choose, both, seen)
    return tf.nest.map_structure(choose, mirrored(seen), seen)


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
