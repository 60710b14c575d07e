"""Where reprojection errors are measured: in each view's own pixels, or in rays.

A pixel of a long lens is a smaller angle than one of a short lens. In rays, an angle counts the
same in all views. They are scaled to the pixels of one camera of the mean focal length, so that a
loss keeps its size, and with it λ, the clipping of gradients and every other weight their meaning.
"""

from collections.abc import Callable

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras

Views = tuple[views.View, ...]


def pixels(*seen: views.View) -> Views:
    """Leaves views as they are."""
    return seen


def rays(*seen: views.View) -> Views:
    """Gives the views that cameras of one focal length, looking through the middle, would have.

    Args:
        seen: Views, fields `[..., ...]`. The focal length is the mean over all of them that show
            anything, and both axes.

    Returns:
        The same, with other keypoints and intrinsics.
    """
    focal = _mean_focal_length(seen)
    intrinsics = tf.linalg.diag(tf.stack([focal, focal, tf.ones_like(focal)]))
    return tuple(_at(view, focal, intrinsics) for view in seen)


IMAGE_SPACES: dict[str, Callable[..., Views]] = {"pixels": pixels, "rays": rays}
"""By name."""


def _at(view: views.View, focal: tf.Tensor, intrinsics: tf.Tensor) -> views.View:
    camera = view.camera
    return views.View(
        focal * view.rays,
        view.confidence,
        cameras.Camera(
            tf.broadcast_to(intrinsics, tf.shape(camera.intrinsics)),
            camera.rotation,
            camera.center,
        ),
    )


def _mean_focal_length(seen: Views) -> tf.Tensor:
    total, count = 0.0, 0.0
    for view in seen:
        lengths = tf.linalg.diag_part(view.camera.intrinsics)[..., :2]
        shows = tf.reduce_any(view.confidence > 0, axis=-1, keepdims=True)
        weight = tf.cast(shows, lengths.dtype) + tf.zeros_like(lengths)
        total += tf.reduce_sum(weight * lengths)
        count += tf.reduce_sum(weight)
    return tf.math.divide_no_nan(total, count)
