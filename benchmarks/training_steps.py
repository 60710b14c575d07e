"""Training steps, and what they are compared with; `training_speed` times them."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import sequences, views
from keras_mvlift.networks import residual
from keras_mvlift.studio import synthetic
from keras_mvlift.training import lifters, multi_view_lifter, objectives, stages

RIG_DISTANCE = 5.0
ALL_VIEWS = "solved_root, all views"
RUNS = ("paper", "solved_root", ALL_VIEWS)
NUM_PRODUCTS = 10
_STEPS_PER_EPOCH = 1000


def filmed(num_instants: int) -> views.View:
    """Returns what four cameras see of the studio's people, fields `[T, 4, ...]`."""
    studio = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=num_instants)
    clip = studio.read(studio.clips()[0])
    return sequences.to_view(sequences.instants_of_sequence(clip, np.arange(num_instants)))


def build(
    run: str, width: int, *, dropout: float = 0.25, precision: str = "float32"
) -> multi_view_lifter.MultiViewLifter:
    """Builds what a run trains, compiled as a stage compiles it."""
    model = configs.ModelConfig(recipe=run.split(",")[0], width=width, dropout=dropout)
    config = configs.FinetuneConfig()
    if run == ALL_VIEWS:
        config = dataclasses.replace(config, **configs.finetuning(model))
    return compiled(model, config, precision)


def compiled(
    model: configs.ModelConfig, config: configs.FinetuneConfig, precision: str = "float32"
) -> multi_view_lifter.MultiViewLifter:
    """Builds what a stage trains, and compiles it as the stage does."""
    lifter = lifters.build(
        model,
        stages.objective(config, model.recipe),
        RIG_DISTANCE,
        model=stages.model(config),
        precision=precision,
    )
    lifter.compile(stages.build_optimizer(config, _STEPS_PER_EPOCH))
    stages.make_slots(lifter)
    return lifter


def batch_of(run: str, seen: views.View, batch_size: int) -> Any:
    """Returns a step's batch: pairs, or twice as many instants, as a stage takes of them."""
    if run == ALL_VIEWS:
        return tf.nest.map_structure(tf.constant, objectives.agreed_beforehand(seen))
    sides = (
        tf.nest.map_structure(lambda x, i=i: tf.constant(x[:batch_size, i]), seen) for i in range(2)
    )
    return views.ViewPair(*sides)


def stepper(lifter: multi_view_lifter.MultiViewLifter, batch: Any) -> Callable[[], float]:
    """Returns what takes a step as `fit` does, and its loss."""
    function = lifter.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())

    def step() -> float:
        lifter.reset_metrics()
        return float(function(batches)["loss"])

    return step


def loss_and_gradient(
    lifter: multi_view_lifter.MultiViewLifter, pair: views.ViewPair
) -> list[float]:
    """Returns the loss of a step not taken, and the norm of its gradient before clipping."""
    with tf.GradientTape() as tape:
        loss = tf.add_n([*lifter.losses_of(pair, training=True).values()])
    gradients = tape.gradient(loss, lifter.trainable_variables)
    return [float(loss), float(tf.linalg.global_norm(gradients))]


def networks_alone(
    lifter: multi_view_lifter.MultiViewLifter, num_views: int
) -> Callable[[], float]:
    """Returns what trains the networks towards zero: a step without any geometry."""
    joints = tf.random.stateless_normal(
        (num_views, *lifter.lifting_network.input_shape[1:]), [0, 0]
    )

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            outputs = [net(joints, training=True) for net in _networks(lifter)]
            loss = tf.add_n([tf.reduce_mean(tf.square(output)) for output in outputs])
        variables = lifter.trainable_variables
        lifter.optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return loss

    return lambda: float(step())


def products(num_views: int, width: int) -> Callable[[], float]:
    """Returns what multiplies matrices as a dense layer does, `NUM_PRODUCTS` times in a row."""
    inputs = tf.random.stateless_normal((num_views, width), [0, 0])
    kernel = tf.random.stateless_normal((width, width), [0, 1], stddev=width**-0.5)

    @tf.function
    def multiply(x: tf.Tensor) -> tf.Tensor:
        for _ in range(NUM_PRODUCTS):
            x = tf.linalg.matmul(x, kernel)
        return x[0, 0]

    return lambda: float(multiply(inputs))


def products_per_step(lifter: multi_view_lifter.MultiViewLifter, width: int) -> float:
    """Counts a step's multiplications, in matrix products `[B, width]` by `[width, width]`.

    A dense layer takes one to go forth, one for the gradient of its weights and one for that of
    its inputs; the first of a network needs no gradient of its inputs.
    """
    total = 0
    for network in _networks(lifter):
        layers = [x for x in network.layers if isinstance(x, keras.layers.Dense)]
        sizes = [layer.kernel.shape.num_elements() for layer in layers]
        total += 3 * sum(sizes) - sizes[0]
    return total / width**2


def write_start(
    lifter: multi_view_lifter.MultiViewLifter, pair: views.ViewPair, path: pathlib.Path
) -> None:
    """Writes what a step starts from, for one outside of TensorFlow: batch, weights, settings."""
    config, model = configs.FinetuneConfig(), configs.ModelConfig()
    both = tf.nest.map_structure(lambda *sides: np.concatenate(sides), *pair)
    start: dict[str, Any] = {"keypoints_2d": both.keypoints_2d, "confidence": both.confidence}
    start |= both.camera._asdict()
    for name, network in zip(("lifting", "root"), _networks(lifter), strict=True):
        layers = [x for x in network.layers if isinstance(x, keras.layers.Dense)]
        for number, layer in enumerate(layers):
            start[f"{name}.{number}.kernel"] = layer.kernel.numpy()
            start[f"{name}.{number}.bias"] = layer.bias.numpy()
    names = {recipe: name for name, recipe in multi_view_lifter.RECIPES.items()}
    start |= {
        "recipe": names[lifter.recipe],
        "num_blocks": residual.NUM_BLOCKS[model.backbone],
        "layers_per_block": model.layers_per_block,
        "dropout": model.dropout,
        "learning_rate": config.learning_rate,
        "clip_norm": config.clip_norm,
        **residual.RayRoot(RIG_DISTANCE).numbers,
    }
    np.savez(path, **start)


def _networks(lifter: multi_view_lifter.MultiViewLifter) -> tuple[keras.Model, keras.Model]:
    return lifter.lifting_network, lifter.root_network
