"""What training sees: views, and pairs of views of one instant. No 3D anywhere."""

from typing import NamedTuple

import tensorflow as tf

from keras_mvlift.geometry import cameras


class View(NamedTuple):
    """One calibrated view of a person, or a batch of them.

    Attributes:
        keypoints_2d: `[..., J, 2]`, pixels, without lens distortion; 0 where not seen.
        confidence: `[..., J]`, in [0, 1]; 0 where not seen.
        camera: Fields `[..., 3, 3]`, `[..., 3, 3]`, `[..., 3]`.
    """

    keypoints_2d: tf.Tensor
    confidence: tf.Tensor
    camera: cameras.Camera

    @property
    def rays(self) -> tf.Tensor:
        """The joints' viewing rays `[..., J, 2]`, 0 where not seen."""
        rays = cameras.rays(self.keypoints_2d, self.camera.intrinsics)
        return tf.where(self.confidence[..., tf.newaxis] > 0, rays, tf.zeros_like(rays))


class ViewPair(NamedTuple):
    """Two views of the same person at the same instant."""

    source: View
    target: View

    @property
    def swapped(self) -> "ViewPair":
        """The pair with source and target exchanged."""
        return ViewPair(self.target, self.source)
