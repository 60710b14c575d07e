"""Views with the frames around them, which is what a temporal network sees."""

from typing import NamedTuple

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras


class WindowedView(NamedTuple):
    """A `View` and the frames of its window; stands where a `View` does, in pairs and in models.

    Attributes:
        keypoints_2d: `[..., J, 2]`, pixels, of the frame that is lifted.
        confidence: `[..., J]`, in [0, 1], of that frame.
        camera: Fields `[..., 3, 3]`, `[..., 3, 3]`, `[..., 3]`.
        window_keypoints_2d: `[..., T, J, 2]`, pixels, 0 where not seen. A frame that is missing
            repeats the one before it, or at a clip's start the one behind it.
        window_confidence: `[..., T, J]`, in [0, 1]; 0 where not seen, and in repetitions.
    """

    keypoints_2d: tf.Tensor
    confidence: tf.Tensor
    camera: cameras.Camera
    window_keypoints_2d: tf.Tensor
    window_confidence: tf.Tensor

    @property
    def view(self) -> views.View:
        """The frame that is lifted, alone."""
        return views.View(self.keypoints_2d, self.confidence, self.camera)

    @property
    def rays(self) -> tf.Tensor:
        """The viewing rays `[..., J, 2]` of the frame that is lifted, 0 where not seen."""
        return self.view.rays

    @property
    def window_rays(self) -> tf.Tensor:
        """The viewing rays `[..., T, J, 2]` of all frames, repetitions too; 0 where not seen."""
        keypoints_2d = tf.convert_to_tensor(self.window_keypoints_2d)
        rays = cameras.rays(keypoints_2d, self.camera.intrinsics[..., tf.newaxis, :, :])
        # The confidence cannot tell what was not seen from what is repeated; the keypoint can.
        is_seen = tf.reduce_any(keypoints_2d != 0, axis=-1, keepdims=True)
        return tf.where(is_seen, rays, tf.zeros_like(rays))
