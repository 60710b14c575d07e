"""Layers that say which frames of a clip a temporal network looks at."""

from typing import Any

import tensorflow as tf
from tensorflow import keras


@keras.saving.register_keras_serializable("keras_mvlift")
class StackFrames(keras.layers.Layer):
    """Lays the frames that one filter covers side by side: a dense layer on it is a convolution.

    Args:
        size: Frames of the filter.
        stride: Frames from one place of the filter to the next.
        dilation: Frames from one tap of the filter to the next.

    Call arguments:
        inputs: `[B, T, C]`.

    Returns:
        `[B, T', size C]`, the earliest frame first, for every place where the filter fits.
    """

    def __init__(self, size: int, stride: int = 1, dilation: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.size, self.stride, self.dilation = size, stride, dilation

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Slices and concatenates; frames that no two filters share are only laid out anew."""
        num_channels = inputs.shape[-1]
        if self.stride == self.size and self.dilation == 1:
            num_places = tf.shape(inputs)[1] // self.size
            whole = inputs[:, : num_places * self.size]
            stacked = tf.reshape(whole, [-1, num_places, self.size * num_channels])
        else:
            starts = [tap * self.dilation for tap in range(self.size)]
            end = tf.shape(inputs)[1] - starts[-1]
            taps = [inputs[:, start : end + start : self.stride] for start in starts]
            stacked = tf.concat(taps, axis=-1)
        return tf.ensure_shape(stacked, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        """Gives `[B, T', size C]`, with `T'` unknown where `T` is."""
        batch, num_frames, num_channels = input_shape
        if num_frames is not None:
            num_frames = (num_frames - (self.size - 1) * self.dilation - 1) // self.stride + 1
        return tf.TensorShape([batch, num_frames, self.size * num_channels])

    def get_config(self) -> dict[str, Any]:
        """Gives the constructor's arguments."""
        own = {"size": self.size, "stride": self.stride, "dilation": self.dilation}
        return super().get_config() | own


@keras.saving.register_keras_serializable("keras_mvlift")
class PickFrame(keras.layers.Layer):
    """Takes one of the frames that `StackFrames` laid side by side.

    Args:
        index: Which, the earliest being 0.
        size: Frames of the filter.

    Call arguments:
        inputs: `[B, T, size C]`.

    Returns:
        `[B, T, C]`.
    """

    def __init__(self, index: int, size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.index, self.size = index, size

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Slices."""
        num_channels = inputs.shape[-1] // self.size
        return inputs[..., self.index * num_channels : (self.index + 1) * num_channels]

    def get_config(self) -> dict[str, Any]:
        """Gives the constructor's arguments."""
        return super().get_config() | {"index": self.index, "size": self.size}


@keras.saving.register_keras_serializable("keras_mvlift")
class ReplicateEdges(keras.layers.Layer):
    """Repeats the first and the last frame of a clip.

    Args:
        before: How often the first is put before it.
        after: How often the last is put behind it.

    Call arguments:
        inputs: `[B, T, ...]`, with at least one frame.

    Returns:
        `[B, before + T + after, ...]`.
    """

    def __init__(self, before: int, after: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.before, self.after = before, after

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Repeats."""
        last = tf.shape(inputs)[1] - 1
        frame = tf.clip_by_value(tf.range(-self.before, last + self.after + 1), 0, last)
        return tf.gather(inputs, frame, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Gives the constructor's arguments."""
        return super().get_config() | {"before": self.before, "after": self.after}
