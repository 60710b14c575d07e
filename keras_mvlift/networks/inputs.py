"""What the networks see of a view; the paper does not say how it normalizes its input."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_mvlift.datasets import views, windowed_views
from keras_mvlift.geometry import cameras

Input = Callable[[Any], tf.Tensor]


def rays(view: views.View) -> tf.Tensor:
    """Gives the viewing rays `[B, J, 2]`: each camera's intrinsics removed, 0 where not seen."""
    return view.rays


def windows(view: windowed_views.WindowedView) -> tf.Tensor:
    """Gives the viewing rays `[B, T, J, 2]` of a window, for a temporal network."""
    return view.window_rays


def screen(view: views.View, intrinsics: tf.Tensor) -> tf.Tensor:
    """Gives pixels scaled alike for all cameras; the networks then depend on the lens.

    Args:
        view: The view.
        intrinsics: `[3, 3]`, pixels, of the mean camera of training.

    Returns:
        `[B, J, 2]`, 0 where not seen.
    """
    scaled = cameras.rays(view.keypoints_2d, tf.cast(intrinsics, view.keypoints_2d.dtype))
    return tf.where(view.confidence[..., tf.newaxis] > 0, scaled, tf.zeros_like(scaled))


def by_name(name: str, intrinsics: Any = None) -> Input:
    """Gives the input of that name: `"rays"`, `"windows"`, or `"screen"`, which needs `intrinsics`.

    Raises:
        ValueError: If `"screen"` is not given intrinsics.
    """
    if name == "rays":
        return rays
    if name == "windows":
        return windows
    if intrinsics is None:
        raise ValueError(f"`intrinsics` must be given for the input {name!r}. Received: None.")
    return functools.partial(screen, intrinsics=tf.constant(intrinsics, tf.float32))
