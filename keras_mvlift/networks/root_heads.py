"""What the root position network's three outputs mean."""

from typing import Any

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons

_LOG_DEPTH_RANGE = 0.7
_OFFSET_RANGE = 0.1


@keras.saving.register_keras_serializable("keras_mvlift")
class LinearRoot(keras.layers.Layer):
    """The root position as the paper has it: the outputs themselves, in meters.

    Call arguments:
        inputs: Outputs `[B, 3]` and rays `[B, J, 2]`.
    """

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Gives the root position `[B, 3]`, meters, camera frame."""
        outputs, _ = inputs
        return outputs

    @property
    def numbers(self) -> dict[str, float]:
        """Gives the numbers of the formula: none."""
        return {}


@keras.saving.register_keras_serializable("keras_mvlift")
class RayRoot(keras.layers.Layer):
    """The root position near the root joint's ray, at a depth around the rig's own distance.

    `xy = (ray + b tanh(q_xy)) z`, `z = z_rig exp(a tanh(q_z))`.

    Args:
        rig_distance: `z_rig`, meters, from the cameras to the meeting point of their axes.

    Call arguments:
        inputs: Outputs `q` `[B, 3]` and rays `[B, J, 2]`.
    """

    def __init__(self, rig_distance: float, **kwargs: Any):
        super().__init__(**kwargs)
        if not rig_distance > 0:
            raise ValueError(f"`rig_distance` must be positive. Received: {rig_distance}.")
        self.rig_distance = rig_distance

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Gives the root position `[B, 3]`, meters, camera frame."""
        outputs, rays = inputs
        bounded = tf.tanh(outputs)
        depth = self.rig_distance * tf.exp(_LOG_DEPTH_RANGE * bounded[:, 2:])
        ray = rays[:, skeletons.ROOT] + _OFFSET_RANGE * bounded[:, :2]
        return tf.concat([ray * depth, depth], axis=-1)

    @property
    def numbers(self) -> dict[str, float]:
        """Gives the numbers of the formula: `a`, `b` and `z_rig`."""
        return {"a": _LOG_DEPTH_RANGE, "b": _OFFSET_RANGE, "z_rig": self.rig_distance}

    def get_config(self) -> dict[str, Any]:
        """Gives the constructor's arguments."""
        return super().get_config() | {"rig_distance": self.rig_distance}
