"""The last, linear layer of a trained model's lifting network: read, fed, and written anew.

A pose is `h V`, turned to the camera's axes if the network sees another camera: `h` are the last
hidden features of a view and a one, `V` the layer's kernel over its bias. Whatever stands before
it, a model with another `V` is a model of the same form.
"""

import json
import pathlib
import shutil
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from keras_mvlift import inference, model_files, numpy_networks
from keras_mvlift.datasets import views
from keras_mvlift.export import compact
from keras_mvlift.training import lifters, objectives

_LIFT = "lift_camera"
_LIFTING_NETWORK = "lifting_network"
# Of the description, what a new layer makes untrue.
_OF_LAYER = (model_files.JOINT_MIXES,)
# Views that are fed at once.
_FED_AT_ONCE = 4096


class LastLayer:
    """The last layer of a model of single frames.

    Args:
        model: Of `load_model`.

    Attributes:
        weights: `[C, 3 J]`, meters; the last row is the bias.

    Raises:
        ValueError: If the model lifts a frame by those around it, or does not hold its weights.
    """

    def __init__(self, model: inference.Lifter):
        saved = model_files.open_model(model.path)
        if isinstance(model, inference.ClipLifter) or not hasattr(saved, numpy_networks.FOLDED):
            received = "one of windows" if "window" in model.description else "one without weights"
            raise ValueError(
                f"`model` must be one of single frames, with its weights. Received: {received}."
            )
        self._model, self._saved = model, saved
        self.weights = np.vstack([variable.numpy() for variable in self._variables(saved)])
        self.weights = self.weights.astype(np.float64)
        self._feed = _feed(saved.signatures[_LIFT], self.weights.shape[1])

    def features(self, view: views.View) -> tuple[np.ndarray, np.ndarray]:
        """Feeds views to the network.

        Args:
            view: Fields `[N, ...]`.

        Returns:
            The layer's input `[N, C]`, ones in its last column, and the rotations `[N, 3, 3]` by
            which poses of the network, as rows, are turned: `pose_camera = pose @ rotation`.
        """
        given = (view.keypoints_2d, view.confidence, view.camera.intrinsics)
        parts = [
            self._feed(*(np.asarray(field[start : start + _FED_AT_ONCE]) for field in given))
            for start in range(0, len(view.confidence), _FED_AT_ONCE)
        ]
        hidden, outputs, pose_camera = (np.concatenate(part) for part in zip(*parts, strict=True))
        pose = outputs.reshape(pose_camera.shape).astype(np.float64)
        pose -= pose[:, :1]
        # The same pose in both axes, to the last digit: no fit, the rotation itself.
        left = pose.swapaxes(-1, -2) @ pose
        rotation = np.linalg.solve(left, pose.swapaxes(-1, -2) @ pose_camera)
        return np.hstack([hidden, np.ones_like(hidden[:, :1])]), rotation.astype(np.float32)

    def write(self, weights: np.ndarray, notes: dict[str, Any], folder: pathlib.Path) -> None:
        """Writes the model with another last layer, and without joint mixes, which fit the old one.

        Args:
            weights: `[C, 3 J]`, as `weights`; rounded to half precision where the model's are.
            notes: Added to the model's description.
            folder: A SavedModel's folder to make.

        Raises:
            FileExistsError: If the folder is there.
        """
        if folder.exists():
            raise FileExistsError(f"{folder} is there already.")
        rounded = [
            tf.cast(part, variable.dtype)
            for part, variable in zip(
                (weights[:-1], weights[-1]), self._variables(self._saved), strict=True
            )
        ]
        for variable, value in zip(self._variables(self._saved), rounded, strict=True):
            variable.assign(value)
        tf.saved_model.save(self._saved, str(folder), signatures=dict(self._saved.signatures))
        beside = model_files.DESCRIPTION.parts[0]
        shutil.copytree(self._model.path / beside, folder / beside)
        path = folder / lifters.FOLDER
        compact.save_networks(getattr(self._saved, numpy_networks.FOLDED), path)
        if any(path.glob("*.h5")):
            lifter, _ = lifters.load(path, objectives.TransformReprojection())
            lifter.lifting_network.layers[-1].set_weights([value.numpy() for value in rounded])
            lifters.save(lifter, self._model.description, path)
        about = {name: x for name, x in self._model.description.items() if name not in _OF_LAYER}
        told = json.dumps(about | notes, indent=2, sort_keys=True)
        (folder / model_files.DESCRIPTION).write_text(told + "\n")

    @staticmethod
    def _variables(saved: Any) -> list[tf.Variable]:
        return list(getattr(saved, numpy_networks.FOLDED)[_LIFTING_NETWORK][-2:])


def _feed(signature: Any, num_outputs: int) -> Any:
    """Makes what gives hidden features, outputs and poses of a batch, NumPy arrays."""
    # One flat graph, in which the layer can be found; its variables become constants.
    frozen = convert_to_constants.convert_variables_to_constants_v2(signature)
    (product,) = (
        node
        for node in frozen.graph.get_operations()
        if node.type == "MatMul" and node.inputs[1].shape[-1] == num_outputs
    )
    (outputs,) = product.outputs[0].consumers()
    names = sorted(signature.structured_outputs)
    pose = dict(zip(names, frozen.outputs, strict=True))["root_relative_pose"]
    inputs = {tensor.op.name: tensor for tensor in frozen.inputs}
    order = [inputs[name] for name in ("keypoints_2d", "confidence", "intrinsics")]
    pruned = frozen.prune(order, [product.inputs[0], outputs.outputs[0], pose])
    return lambda *given: [
        found.numpy() for found in pruned(*(tf.constant(value, tf.float32) for value in given))
    ]
