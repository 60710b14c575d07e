"""The temporal backbone of Pavllo et al.: from a window of 2D poses to one of its frames' pose.

A convolution over `w` frames is a dense layer on `w` frames laid side by side. So the network that
lifts one frame of each window, for training, and the one that lifts every frame of a clip, by
dilated convolutions, are made of the very same layers; they only lay other frames side by side.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs, skeletons
from keras_mvlift.networks import residual as dropouts


def temporal(
    num_outputs: int,
    *,
    name: str,
    seed: int,
    filter_widths: Sequence[int] = configs.ModelConfig.filter_widths,
    is_causal: bool = False,
    width: int = 1024,
    dropout: float = 0.25,
    initializer: str = "fan_in_uniform",
    output_stddev: float = dropouts.OUTPUT_STDDEV,
    num_joints: int = skeletons.H36M_17.num_joints,
) -> keras.Model:
    """Builds the network that lifts one frame of each window, for training.

    `filter_widths` are frames of each of two or more convolutions: odd, and more than one, or one
    in all of them. A window has their product; of its frames the middle one is lifted, or the last
    if it `is_causal`. Layers have `width` channels; the rest is as of `residual.residual`.

    Returns:
        A model from joints `[B, T, J, 2]`, such as rays, to `[B, num_outputs]`.

    Raises:
        ValueError: If the filter widths are not such.

    References:
        Pavllo et al., 3D human pose estimation in video with temporal convolutions and
        semi-supervised training, CVPR 2019, section 3.
    """
    configs.filter_widths("filter_widths", filter_widths)
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))
    layers: dict[str, keras.layers.Layer] = {}
    for number in range(2 * len(filter_widths) - 1):
        parts = _dense_layer(number, width, dropout, initializer, seeds)
        layers |= {layer.name: layer for layer in parts}
    for block, size in enumerate(filter_widths[1:], start=1):
        index = size - 1 if is_causal else size // 2
        layers[f"shortcut_{block}"] = PickFrame(index, size, name=f"shortcut_{block}")
    near_zero = keras.initializers.RandomNormal(stddev=output_stddev, seed=next(seeds))
    layers["outputs"] = keras.layers.Dense(
        num_outputs, kernel_initializer=near_zero, dtype="float32", name="outputs"
    )
    joints = keras.Input((math.prod(filter_widths), num_joints, 2), name="joints")
    first, *others = filter_widths
    # In half precision a joint would be seen a pixel off.
    stacks = [StackFrames(first, stride=first, dtype="float32")]
    stacks += [StackFrames(size, stride=size) for size in others]
    outputs = _connect(joints, stacks, layers)
    only = keras.layers.Reshape((num_outputs,), dtype="float32")(outputs)
    return keras.Model(joints, only, name=name)


def dilated(model: keras.Model) -> keras.Model:
    """Builds the network that lifts all frames of a clip at once, of layers of a `temporal` one.

    It shares the variables of `model`: what one learns the other knows.

    Returns:
        A model from joints `[B, T, J, 2]` of clips of any length to `[B, T, num_outputs]`. As
        many frames as a window lacks at the clip's ends are repetitions of its first and last.
    """
    joints = keras.Input((None, *model.input_shape[2:]), name="joints")
    layers = {layer.name: layer for layer in model.layers}
    sizes = filter_widths(model)
    num_lacking = math.prod(sizes) - 1
    after = 0 if is_causal(model) else num_lacking // 2
    whole = ReplicateEdges(num_lacking - after, after)(joints)
    stacks = [
        StackFrames(size, dilation=math.prod(sizes[:level])) for level, size in enumerate(sizes)
    ]
    outputs = _connect(whole, stacks, layers)
    return keras.Model(joints, outputs, name=model.name)


def filter_widths(model: keras.Model) -> tuple[int, ...]:
    """Returns the frames of each convolution of what `temporal` built."""
    stacks = [layer for layer in model.layers if isinstance(layer, StackFrames)]
    return tuple(stack.size for stack in stacks)


def is_causal(model: keras.Model) -> bool:
    """Tells whether what `temporal` built lifts a window's last frame."""
    shortcuts = [layer for layer in model.layers if isinstance(layer, PickFrame)]
    return any(layer.index == layer.size - 1 for layer in shortcuts if layer.size > 1)


def _dense_layer(
    number: int, width: int, dropout: float, initializer: str, seeds: Iterator[int]
) -> list[keras.layers.Layer]:
    return [
        # The batch norm takes any bias away.
        keras.layers.Dense(
            width,
            use_bias=False,
            kernel_initializer=dropouts.initial(initializer, next(seeds)),
            dtype=None if number else "float32",
            name=f"dense_{number}",
        ),
        dropouts.BatchNormalization(name=f"norm_{number}"),
        keras.layers.ReLU(name=f"relu_{number}"),
        dropouts.Dropout(dropout, seed=next(seeds), name=f"dropout_{number}"),
    ]


def _connect(
    joints: tf.Tensor,
    stacks: Sequence[keras.layers.Layer],
    layers: Mapping[str, keras.layers.Layer],
) -> tf.Tensor:
    """Returns the outputs `[B, T', num_outputs]` for every place where all filters fit."""

    def dense_layer(x: tf.Tensor, number: int) -> tf.Tensor:
        for part in ("dense", "norm", "relu", "dropout"):
            x = layers[f"{part}_{number}"](x)
        return x

    num_inputs = joints.shape[-2] * joints.shape[-1]
    flat = keras.layers.Reshape((-1, num_inputs), dtype="float32")(joints)
    x = dense_layer(stacks[0](flat), 0)
    for block, stack in enumerate(stacks[1:], start=1):
        stacked = stack(x)
        x = dense_layer(dense_layer(stacked, 2 * block - 1), 2 * block)
        x = keras.layers.Add()([x, layers[f"shortcut_{block}"](stacked)])
    return layers["outputs"](x)


@keras.saving.register_keras_serializable("keras_mvlift")
class StackFrames(keras.layers.Layer):
    """Lays the frames that one filter covers side by side: a dense layer on it is a convolution.

    From `[B, T, C]` it gives `[B, T', size C]`, the earliest frame first, for every place where the
    filter fits.

    Args:
        size: Frames of the filter.
        stride: Frames from one place of the filter to the next.
        dilation: Frames from one tap of the filter to the next.
    """

    def __init__(self, size: int, stride: int = 1, dilation: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.size, self.stride, self.dilation = size, stride, dilation

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        num_channels = inputs.shape[-1]
        # Frames that no two filters share are only laid out anew.
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
        """Returns `[B, T', size C]`, with `T'` unknown where `T` is."""
        batch, num_frames, num_channels = input_shape
        if num_frames is not None:
            num_frames = (num_frames - (self.size - 1) * self.dilation - 1) // self.stride + 1
        return tf.TensorShape([batch, num_frames, self.size * num_channels])

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "stride": self.stride, "dilation": self.dilation}
        return super().get_config() | own


@keras.saving.register_keras_serializable("keras_mvlift")
class PickFrame(keras.layers.Layer):
    """Takes one of the frames that `StackFrames` laid out: `[B, T, C]` of `[B, T, size C]`.

    Args:
        index: Which, the earliest being 0.
        size: Frames of the filter.
    """

    def __init__(self, index: int, size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.index, self.size = index, size

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        num_channels = inputs.shape[-1] // self.size
        return inputs[..., self.index * num_channels : (self.index + 1) * num_channels]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"index": self.index, "size": self.size}


@keras.saving.register_keras_serializable("keras_mvlift")
class ReplicateEdges(keras.layers.Layer):
    """Repeats the first frame of clips `[B, T, ...]` before, and the last behind them, so often."""

    def __init__(self, before: int, after: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.before, self.after = before, after

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        last = tf.shape(inputs)[1] - 1
        frame = tf.clip_by_value(tf.range(-self.before, last + self.after + 1), 0, last)
        return tf.gather(inputs, frame, axis=1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"before": self.before, "after": self.after}
