"""Trained models as they are served: every batch norm folded into the layer before it.

Their weights lie beside the SavedModel, too, where `trained_models` reads them, with notes.
"""

import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs, errors, inference, trained_models
from keras_mvlift.datasets import views
from keras_mvlift.networks import temporal
from keras_mvlift.training import lifters, objectives


def fold_temporal(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns what streaming needs of what `temporal.temporal` built.

    Returns:
        `filter_widths` `[K]` and `is_causal` `[]`; `kernel_<n>` `[w C, C]` and `bias_<n>` `[C]` of
        the `2 K - 1` layers before their ReLUs, the batch norms included as outside of training;
        `kernel_outputs` and `bias_outputs` of the last.
    """
    sizes = temporal.filter_widths(model)
    arrays = {"filter_widths": np.array(sizes), "is_causal": np.array(temporal.is_causal(model))}
    for number in range(2 * len(sizes) - 1):
        (kernel,) = model.get_layer(f"dense_{number}").get_weights()
        folded = _folded(kernel, np.zeros(()), model.get_layer(f"norm_{number}"))
        arrays[f"kernel_{number}"], arrays[f"bias_{number}"] = folded
    kernel, bias = model.get_layer("outputs").get_weights()
    return arrays | {"kernel_outputs": kernel, "bias_outputs": bias}


class FoldedResidual(tf.Module):
    """What a residual network says outside of training, in a fifth of its operations.

    Weights of what `residual.residual` built are rounded to `dtype` and reckoned with in single
    precision. It takes joints `[B, J, 2]`, such as rays.

    Attributes:
        layers_per_block: Dense layers of a residual block.
        weights: Of each dense layer in turn its kernel `[C, C']` and its bias `[C']`, the batch
            norm behind it included.
    """

    def __init__(self, model: keras.Model, dtype: tf.DType = tf.float32):
        super().__init__()
        arrays = fold_layers(model)
        self.layers_per_block = layers_per_block(model)
        self.weights = [tf.Variable(tf.cast(array, dtype), trainable=False) for array in arrays]

    def __call__(self, joints: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the output of the network."""
        errors.require(not training, "training", "be False: nothing is learned here", "True")
        weights = [tf.cast(weight, tf.float32) for weight in self.weights]
        first, *inner, last = zip(weights[::2], weights[1::2], strict=True)
        x = shortcut = tf.nn.relu(_dense(tf.reshape(joints, [-1, first[0].shape[0]]), *first))
        for number, layer in enumerate(inner, start=1):
            x = tf.nn.relu(_dense(x, *layer))
            if number % self.layers_per_block == 0:
                x = shortcut = x + shortcut
        return _dense(x, *last)


def unfold(
    model: keras.Model, weights: Sequence[np.ndarray], joints: tf.Tensor | None = None
) -> None:
    """Sets a residual network to say what its folded form says, and be trainable again.

    `weights` are those of its `FoldedResidual`. Batch norms change nothing outside of training. In
    training they norm by a batch, which changes little where that is like `joints`, `[N, J, 2]`,
    and everything where none were given.
    """
    remaining = iter(weights)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.set_weights([next(remaining), next(remaining)])
        if isinstance(layer, keras.layers.BatchNormalization):
            one, zero = np.ones(layer.gamma.shape), np.zeros(layer.gamma.shape)
            layer.set_weights([one, zero, zero, one - layer.epsilon])
    if joints is None:
        return
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    outputs = keras.Model(model.input, [norm.input for norm in norms])(joints)
    for norm, x in zip(norms, outputs, strict=True):
        mean, variance = (moment.numpy() for moment in tf.nn.moments(x, axes=[0]))
        norm.set_weights([np.sqrt(variance + norm.epsilon), mean, mean, variance])


def layers_per_block(model: keras.Model) -> int:
    """Returns the dense layers of a residual block of what `residual.residual` built."""
    kinds = keras.layers.Dense, keras.layers.Add
    num_layers, num_blocks = (sum(isinstance(x, kind) for x in model.layers) for kind in kinds)
    # Beside those of the blocks there are the first and the last.
    return (num_layers - 2) // num_blocks


def _dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(x, kernel), bias)


def fold_layers(model: keras.Model) -> list[np.ndarray]:
    """Returns kernels and biases by turns of dense layers, the batch norms behind them included."""
    arrays: list[np.ndarray] = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            arrays += layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            arrays[-2:] = _folded(arrays[-2], arrays[-1], layer)
    return arrays


def _folded(
    kernel: np.ndarray, bias: np.ndarray, norm: keras.layers.BatchNormalization
) -> tuple[np.ndarray, np.ndarray]:
    # In double precision, so that the weights are rounded once.
    gamma, beta, mean, variance = (array.astype(np.float64) for array in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return (kernel * scale).astype(np.float32), ((bias - mean) * scale + beta).astype(np.float32)


def fold(lifter: lifters.Model, dtype: tf.DType = tf.float32) -> lifters.Model:
    """Returns a model in `dtype` that lifts as one of single frames does, and cannot be trained."""
    return lifters.Model(
        FoldedResidual(lifter.lifting_network, dtype),
        FoldedResidual(lifter.root_network, dtype),
        lifter.root_head,
        lifter.recipe,
        lifter.objective,
        lifter.network_input,
    )


def notes(lifter: lifters.Model, network_input: str) -> dict[str, Any]:
    """Returns what must be known to use the weights of a trained model, beside them, as JSON.

    `root` are the numbers of the root head; `has_free_root` tells whether the pose's own root joint
    adds to the predicted root.
    """
    return {
        "layers_per_block": layers_per_block(lifter.lifting_network),
        "network_input": network_input,
        "root": lifter.root_head.numbers,
        "has_free_root": lifter.recipe.has_free_root,
    }


def save_networks(
    weights: Mapping[str, Sequence[tf.Variable | np.ndarray]], folder: pathlib.Path
) -> None:
    """Writes networks, by name a `FoldedResidual`'s weights, for `trained_models.FrameLifter`.

    Of a dense layer there are `kernel_<n>` `[C, C']` and `bias_<n>` `[C']`. A SavedModel without
    such files gets them by

        save_networks(trained_models.open_model(path).folded, path / lifters.FOLDER)
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, layers in weights.items():
        pairs = zip(layers[::2], layers[1::2], strict=True)
        arrays: dict[str, np.ndarray] = {}
        for number, (kernel, bias) in enumerate(pairs):
            arrays[f"kernel_{number}"], arrays[f"bias_{number}"] = map(np.asarray, (kernel, bias))
        np.savez(folder / f"{name}.npz", **arrays)


def halved(lifter: lifters.Model) -> lifters.Model:
    """Returns a model that lifts alike from weights of half the size; it cannot be trained.

    Raises:
        ValueError: If it sees windows of frames, or predicts uncertainties.
    """
    is_temporal = len(lifter.lifting_network.input_shape) > 3
    if is_temporal or lifter.uncertainty is not None:
        what = "sees windows of frames" if is_temporal else "predicts uncertainties"
        raise errors.ArgumentError("half_precision", f"be False for a model that {what}", "True")
    return fold(lifter, tf.float16)


def reopened(
    model: inference.Lifter,
    objective: Any,
    make: lifters.Make = lifters.Model,
    seen: Callable[[], views.View] | None = None,
) -> lifters.Model:
    """Returns a model that lifts alike, to train on, from one that `saved_model.save` wrote.

    `model` is of `load_model`, with its weights, and `make` the class to make. If it was halved, it
    is of single frames, and its batch norms are those of `unfold`, for views that `seen`, if it is
    given, returns, fields `[N, ...]`.
    """
    if (model.path / lifters.WEIGHTS).is_file():
        return lifters.load(model.path / lifters.FOLDER, objective, make)[0]
    config = configs.ModelConfig(**model.description["model"])
    distance = model.description["rig_distance"]
    lifter = lifters.build(config, objective, distance, model.intrinsics, model=make)
    weights = trained_models.open_model(model.path).folded
    joints = None if seen is None else lifter.network_input(seen()).joints
    for network in (lifter.lifting_network, lifter.root_network):
        unfold(network, [variable.numpy() for variable in weights[network.name]], joints)
    return lifter


# The last, linear layer of a trained model's lifting network: read, fed, and written anew. A pose
# is `h V`, turned to the camera's axes if the network sees another camera: `h` are the last hidden
# features of a view and a one, `V` the layer's kernel over its bias. Whatever stands before it, a
# model with another `V` is a model of the same form.

# Views that are fed at once, whose features stay in a processor's cache.
_FED_AT_ONCE = 256


class LastLayer:
    """The last layer of a model of single frames.

    Attributes:
        weights: `[C, 3 J]`, meters; the last row is the bias.

    Raises:
        ValueError: If the model lifts a frame by those around it, or does not hold its weights.
    """

    def __init__(self, model: inference.Lifter):
        saved = trained_models.open_model(model.path)
        networks = trained_models.frame_lifter(model.path, model.description, model.intrinsics)
        if networks is None or not hasattr(saved, trained_models.FOLDED):
            received = "one of windows" if "window" in model.description else "one without weights"
            rule = "be one of single frames, with its weights"
            raise errors.ArgumentError("model", rule, received)
        self._model, self._saved, self._networks = model, saved, networks
        lifting, *_ = trained_models.NETWORKS
        self._variables: list[tf.Variable] = list(saved.folded[lifting][-2:])
        self.weights = np.vstack([variable.numpy() for variable in self._variables])
        self.weights = self.weights.astype(np.float64)

    def features(self, view: views.View) -> tuple[np.ndarray, np.ndarray]:
        """Feeds views, fields `[N, ...]`, to the network.

        Returns:
            The layer's input `[N, C]`, ones in its last column, and the rotations `[N, 3, 3]` by
            which poses of the network, as rows, are turned: `pose_camera = pose @ rotation`.
        """
        given = (view.keypoints_2d, view.confidence, view.camera.intrinsics)
        parts = [
            self._networks.features(
                *(np.asarray(field[start : start + _FED_AT_ONCE], np.float32) for field in given)
            )
            for start in range(0, len(view.confidence), _FED_AT_ONCE)
        ]
        hidden, rotation = (np.concatenate(part) for part in zip(*parts, strict=True))
        return np.hstack([hidden, np.ones_like(hidden[:, :1])]), rotation

    def write(self, weights: np.ndarray, notes: dict[str, Any], folder: pathlib.Path) -> None:
        """Writes the model with another last layer, and without joint mixes, which fit the old one.

        Weights are `[C, 3 J]`, rounded to half precision where the model's are; notes are added to
        its description. The folder is made, or a FileExistsError tells that it is there.
        """
        if folder.exists():
            raise FileExistsError(f"{folder} is there already.")
        for variable, part in zip(self._variables, (weights[:-1], weights[-1]), strict=True):
            variable.assign(tf.cast(part, variable.dtype))
        tf.saved_model.save(self._saved, str(folder), signatures=dict(self._saved.signatures))
        beside = trained_models.DESCRIPTION.parts[0]
        shutil.copytree(self._model.path / beside, folder / beside)
        path = folder / lifters.FOLDER
        save_networks(self._saved.folded, path)
        if any(path.glob("*.h5")):
            lifter, _ = lifters.load(path, objectives.TransformReprojection())
            rounded = [variable.numpy() for variable in self._variables]
            lifter.lifting_network.layers[-1].set_weights(rounded)
            lifters.save(lifter, self._model.description, path)
        about = self._model.description | notes
        # A new layer makes them untrue.
        about.pop(trained_models.JOINT_MIXES, None)
        lifters.save_description(about, path)
