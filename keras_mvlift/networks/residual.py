"""The residual backbone of the paper and of Martinez et al., and the layers it is made of."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras

# BatchNorm networks with Keras' usual output initialization start meters away from any pose.
OUTPUT_STDDEV = 0.002


def residual(
    num_outputs: int,
    *,
    name: str,
    seed: int,
    width: int = 1024,
    num_blocks: int = 4,
    layers_per_block: int = 2,
    dropout: float = 0.25,
    initializer: str = "fan_in_uniform",
    output_stddev: float = OUTPUT_STDDEV,
    num_joints: int = skeletons.H36M_17.num_joints,
) -> keras.Model:
    """Builds the network: a dense layer, residual blocks, a linear layer.

    Args:
        num_outputs: Numbers it gives per view.
        name: Of the model.
        seed: Of the initial weights and of the dropout masks.
        width: Units of each dense layer.
        num_blocks: Residual blocks; the paper has 4, ResLinear 2.
        layers_per_block: Dense layers per block, each with batch norm, ReLU and dropout.
        dropout: Share of units dropped in training.
        initializer: Keras' name of the dense layers' initialization.
        output_stddev: Standard deviation of the output layer's weights at the start.
        num_joints: Joints of the input.

    Returns:
        A model from joints `[B, J, 2]`, such as rays, to `[B, num_outputs]`.

    References:
        Li et al., section "Network"; Martinez et al., A simple yet effective baseline for 3d
        human pose estimation, ICCV 2017.
    """
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    def dense_layer(x: tf.Tensor, dtype: str | None = None) -> tf.Tensor:
        start = initial(initializer, next(seeds))
        x = keras.layers.Dense(width, kernel_initializer=start, dtype=dtype)(x)
        x = BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
        return Dropout(dropout, seed=next(seeds))(x)

    joints = keras.Input((num_joints, 2), name="joints")
    # In half precision a joint would be seen a pixel off.
    x = dense_layer(keras.layers.Flatten(dtype="float32")(joints), dtype="float32")
    for _ in range(num_blocks):
        shortcut = x
        for _ in range(layers_per_block):
            x = dense_layer(x)
        x = keras.layers.Add()([x, shortcut])
    near_zero = keras.initializers.RandomNormal(stddev=output_stddev, seed=next(seeds))
    outputs = keras.layers.Dense(num_outputs, kernel_initializer=near_zero, dtype="float32")(x)
    return keras.Model(joints, outputs, name=name)


def initial(name: str, seed: int) -> keras.initializers.Initializer:
    """Makes what draws the first weights of a dense layer.

    `name` is Keras' of an initializer, or `"fan_in_uniform"`, PyTorch's default: uniform within the
    inverse square root of the number of inputs.
    """
    if name == "fan_in_uniform":
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed)
    return keras.initializers.get({"class_name": name, "config": {"seed": seed}})


NUM_BLOCKS = {"paper": 4, "res_linear": 2}
"""The residual backbones by name."""

# PyTorch's defaults, in which the paper was written; its momentum of 0.1 is 0.9 in Keras' words.
# Keras' own 0.99 lags behind runs of a few hundred steps: the statistics that a model is tested
# with are then not those of the weights that it has.
MOMENTUM, EPSILON = 0.9, 1e-5


@keras.saving.register_keras_serializable("keras_mvlift")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch norm over all axes but the last, in about half its time in training.

    Outside of training, and where statistics are taken over several replicas, it is Keras' own, as
    are the arguments.

    Call arguments:
        inputs: `[..., C]`, of rank 2 or more.
        training: Whether to norm by the batch's statistics, and to learn from them.
    """

    def __init__(self, *, momentum: float = MOMENTUM, epsilon: float = EPSILON, **options: Any):
        super().__init__(momentum=momentum, epsilon=epsilon, **options)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the weights, and notes the shape, which Keras' own layer leaves out."""
        super().build(input_shape)
        keras.layers.Layer.build(self, input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.synchronized:
            return super().call(inputs, training=training)
        # An image of one pixel for each example.
        num_channels = inputs.shape[-1]
        pixels = tf.reshape(inputs, [-1, 1, 1, num_channels])
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            pixels, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        # The operation corrects for the degree of freedom that the mean took, Keras does not.
        count = tf.cast(tf.shape(pixels)[0], variance.dtype)
        self._learn(self.moving_mean, mean)
        self._learn(self.moving_variance, variance * (count - 1.0) / count)
        return tf.reshape(outputs, tf.shape(inputs))

    def _learn(self, moving: tf.Variable, now: tf.Tensor) -> None:
        moving.assign_sub((moving - now) * (1.0 - self.momentum))


# Values of a byte.
_NUM_BYTES = 256


@keras.saving.register_keras_serializable("keras_mvlift")
class Dropout(keras.layers.Layer):
    """Drops inputs at random in training, as `keras.layers.Dropout`.

    Keras keeps the random state of its own layer out of checkpoints, so that a run that resumes
    draws other masks than one that never stopped. This one tracks its generator. It also draws
    a byte for each input, or two, where Keras draws four: random numbers are most of its time. So a
    rate is met to the 65,536th, and what is left is scaled by the rate that is.

    Args:
        rate: Share of the inputs to drop, in [0, 1).
        seed: Of the masks.

    Call arguments:
        inputs: Any shape.
        training: Whether to drop.
    """

    def __init__(self, rate: float, seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        errors.require(0 <= rate < 1, "rate", "lie in [0, 1)", rate)
        self.rate, self.seed = rate, seed

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the generator inside whatever distribution strategy is in scope."""
        self.generator = tf.random.Generator.from_seed(self.seed)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.rate:
            return inputs
        seed = self.generator.make_seeds(1)[:, 0]
        draws, num_values = self._draw(tf.shape(inputs), seed)
        num_dropped = min(max(round(self.rate * num_values), 1), num_values - 1)
        scale = tf.constant(num_values / (num_values - num_dropped), inputs.dtype)
        return inputs * (tf.cast(draws >= num_dropped, inputs.dtype) * scale)

    def _draw(self, shape: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, int]:
        """Draws whole numbers, all of so many values equally likely."""
        dtype = tf.uint8 if (self.rate * _NUM_BYTES).is_integer() else tf.uint16
        num_words = -(-shape[-1] * dtype.size // tf.uint32.size)
        words_shape = tf.concat([shape[:-1], [num_words]], axis=0)
        words = tf.random.stateless_uniform(
            words_shape, seed, minval=None, maxval=None, dtype=tf.uint32
        )
        # Each word becomes an axis of its parts.
        parts = tf.reshape(tf.bitcast(words, dtype), tf.concat([shape[:-1], [-1]], axis=0))
        return parts[..., : shape[-1]], dtype.max + 1

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rate": self.rate, "seed": self.seed}


class Seen(NamedTuple):
    """What the networks see of views, and the axes in which they answer.

    Attributes:
        joints: What they take: `[B, J, 2]`, `[B, T, J, 2]` of a window, `[B, J + 1, 2]` where
            centered.
        rays: `[B, J, 2]`, of the frame that is lifted, in the axes of the answer; 0 where not seen.
        turn: `[B, 3, 3]`, from the camera's axes to those of the answer; None if they are the same.
    """

    joints: tf.Tensor
    rays: tf.Tensor
    turn: tf.Tensor | None = None

    def back(self, points: tf.Tensor) -> tf.Tensor:
        """Turns points `[B, N, 3]` from the axes of the answer to the camera's."""
        return points if self.turn is None else points @ self.turn


Input = Callable[[Any], Seen]


def ray_input(view: views.View) -> Seen:
    """Shows the viewing rays `[B, J, 2]`: each camera's intrinsics removed, 0 where not seen."""
    rays = view.rays
    return Seen(rays, rays)


def window_input(view: views.WindowedView) -> Seen:
    """Shows the viewing rays `[B, T, J, 2]` of a window, for a temporal network."""
    return Seen(view.window_rays, view.rays)


def screen_input(view: views.View, intrinsics: tf.Tensor) -> Seen:
    """Shows pixels scaled alike for all cameras, `[B, J, 2]`; the networks then depend on the lens.

    The scale is that of the intrinsics `[3, 3]`, pixels, of the mean camera of training.
    """
    scaled = cameras.rays(view.keypoints_2d, tf.cast(intrinsics, view.keypoints_2d.dtype))
    shown = tf.where(view.confidence[..., tf.newaxis] > 0, scaled, tf.zeros_like(scaled))
    return Seen(shown, view.rays)


# Of rays, squared: the size of a person some hundred meters away.
_MIN_SQUARE = 1e-5
# Brings sizes to about 1.
_SIZE_SCALE = 5.0


def centered_input(view: views.View) -> Seen:
    """Shows what each camera would see if it were turned towards the person.

    A camera that turns about its own center sees the same rays in other places. Lifted in the axes
    of the turned camera, and turned back, a pose does not depend on where in the image the person
    is. Of the person's size the networks are told by one number.

    Returns:
        Joints `[B, J + 1, 2]`: the turned camera's rays, scaled to a mean square of 1, and a row of
        that scale and 0; the rays as they are, and the turn.
    """
    weight = tf.cast(view.confidence > 0, tf.float32)[..., tf.newaxis]
    count = tf.maximum(tf.reduce_sum(weight, axis=1), 1.0)
    # Joints that are not seen have rays of 0.
    turn = _turn_towards(tf.reduce_sum(view.rays, axis=1) / count)
    points = tf.concat([view.rays, tf.ones_like(weight)], axis=-1)
    points = points @ tf.linalg.matrix_transpose(turn)
    rays = weight * points[..., :2] / tf.maximum(points[..., 2:], cameras.MIN_DEPTH)
    square = tf.reduce_sum(rays * rays, axis=[1, 2])[:, tf.newaxis] / count
    size = tf.sqrt(tf.maximum(square, _MIN_SQUARE))[..., tf.newaxis]
    row = tf.concat([_SIZE_SCALE * size, tf.zeros_like(size)], axis=-1)
    return Seen(tf.concat([rays / size, row], axis=1), rays, turn)


def _turn_towards(ray: tf.Tensor) -> tf.Tensor:
    """Returns the turn `[B, 3, 3]` to a camera that looks along a ray `[B, 2]`, its x level."""
    # In operations that the formats of others have, which lack a cross product.
    x, y = ray[:, 0], ray[:, 1]
    zero, one = tf.zeros_like(x), tf.ones_like(x)
    square = x * x + one
    across, length = tf.sqrt(square), tf.sqrt(square + y * y)
    rows = [[one, zero, -x], [-x * y, square, -y], [x, y, one]]
    sizes = tf.stack([across, across * length, length], axis=-1)
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2) / sizes[..., tf.newaxis]


def input_by_name(name: str, intrinsics: Any = None) -> Input:
    """Returns an input of `INPUTS` by name, or `"screen"`, which needs `intrinsics`, `[3, 3]`.

    Raises:
        ValueError: If `"screen"` is not given intrinsics.
    """
    if name in INPUTS:
        return INPUTS[name]
    is_given = intrinsics is not None
    errors.require(is_given, "intrinsics", f"be given for the input {name!r}", intrinsics)
    return functools.partial(screen_input, intrinsics=tf.constant(intrinsics, tf.float32))


INPUTS: dict[str, Input] = {"rays": ray_input, "windows": window_input, "centered": centered_input}
"""The inputs that need nothing but the view."""


_LOG_DEPTH_RANGE = 0.7
_OFFSET_RANGE = 0.1


@keras.saving.register_keras_serializable("keras_mvlift")
class LinearRoot(keras.layers.Layer):
    """The root position as the paper has it: the outputs themselves, in meters.

    Call arguments:
        inputs: Outputs `[B, 3]` and rays `[B, J, 2]`.
    """

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Returns the root position `[B, 3]`, meters, camera frame."""
        outputs, _ = inputs
        return outputs

    @property
    def numbers(self) -> dict[str, float]:
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
        errors.require(rig_distance > 0, "rig_distance", "be positive", rig_distance)
        self.rig_distance = rig_distance

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Returns the root position `[B, 3]`, meters, camera frame."""
        outputs, rays = inputs
        bounded = tf.tanh(outputs)
        depth = self.rig_distance * tf.exp(_LOG_DEPTH_RANGE * bounded[:, 2:])
        ray = rays[:, skeletons.ROOT] + _OFFSET_RANGE * bounded[:, :2]
        return tf.concat([ray * depth, depth], axis=-1)

    @property
    def numbers(self) -> dict[str, float]:
        return {"a": _LOG_DEPTH_RANGE, "b": _OFFSET_RANGE, "z_rig": self.rig_distance}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rig_distance": self.rig_distance}
