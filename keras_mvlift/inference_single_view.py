"""Lifting one view; NumPy is all it takes.

For a single view the time goes into reading the weights once, and into starting operations, and
NumPy takes less for both than TensorFlow; from two views on it takes more.
"""

import functools
import os
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import numpy as np

from keras_mvlift import inference_streams

FOLDED = "folded"
"""What a SavedModel calls the weights, and its description the notes."""

Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""Of each dense layer its kernel `[C', 1, C]`, outputs first, and its bias `[C']`."""


class SingleViewLifter:
    """Two residual networks and a root head, as `export.folded_lifters` left them in a SavedModel.

    Args:
        model: What `tf.saved_model.load` gave.
        notes: Of `folded_lifters.notes`.
        intrinsics: `[3, 3]`, pixels, of the mean camera of training.
    """

    def __init__(self, model: Any, notes: dict[str, Any], intrinsics: np.ndarray):
        self._model, self._root = model, notes["root"]
        self._layers_per_block: int = notes["layers_per_block"]
        # Models of before 0.2 have no such note.
        self._has_free_root: bool = notes.get("has_free_root", False)
        self._screen = intrinsics if notes["network_input"] == "screen" else None

    def lift(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lifts one view.

        Args:
            keypoints_2d: `[J, 2]`, pixels, without lens distortion.
            confidence: `[J]`, 0 for a joint that was not seen.
            intrinsics: `[3, 3]`, pixels.

        Returns:
            The pose `[J, 3]`, root at 0, and the root position `[3]`, meters.
        """
        rays = inference_streams.seen_rays(keypoints_2d, confidence, intrinsics)
        seen = rays
        if self._screen is not None:
            seen = inference_streams.seen_rays(keypoints_2d, confidence, self._screen)
        lifting_layers, root_layers = self._networks
        # Each network is read from memory by a core of its own.
        running = _helper().submit(self._run, root_layers, seen.ravel())
        outputs = self._run(lifting_layers, seen.ravel())
        root_outputs = running.result()
        pose = outputs.reshape(-1, 3)
        root_position = self._root_position(root_outputs, rays)
        if self._has_free_root:
            root_position = root_position + pose[0]
        return pose - pose[0], root_position

    @functools.cached_property
    def _networks(self) -> list[Layers]:
        """The lifting and the root network, laid out at the first call."""
        return [_layers(self._model.folded[name]) for name in ("lifting_network", "root_network")]

    def _run(self, layers: Layers, x: np.ndarray) -> np.ndarray:
        first, *inner, last = layers
        x = _dense_layer(x, *first)
        for start in range(0, len(inner), self._layers_per_block):
            shortcut = x
            for kernel, bias in inner[start : start + self._layers_per_block]:
                x = _dense_layer(x, kernel, bias)
            x = x + shortcut
        kernel, bias = last
        return _times(kernel, x) + bias

    def _root_position(self, outputs: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Reads the outputs `[3]` as `networks.root_heads` does."""
        if not self._root:
            return outputs
        bounded = np.tanh(outputs)
        depth = np.float32(self._root["z_rig"]) * np.exp(np.float32(self._root["a"]) * bounded[2:])
        ray = rays[0] + np.float32(self._root["b"]) * bounded[:2]
        return np.concatenate([ray * depth, depth])


def of(model: Any, description: dict[str, Any], intrinsics: np.ndarray) -> SingleViewLifter | None:
    """Gives what lifts single views with a model's weights; None where they are not at hand."""
    if FOLDED not in description or not hasattr(model, FOLDED):
        return None
    return SingleViewLifter(model, description[FOLDED], intrinsics)


@functools.cache
def _helper() -> futures.Executor:
    """Gives a second thread; NumPy lets it run beside the first."""
    return futures.ThreadPoolExecutor(1, "lift")


# A process that is forked off has the first thread alone.
os.register_at_fork(after_in_child=_helper.cache_clear)


def _layers(weights: Sequence[Any]) -> Layers:
    # Those of half precision are rounded already; the arithmetic is single.
    arrays = [np.ascontiguousarray(weight.numpy().astype(np.float32).T) for weight in weights]
    kernels = [array[:, np.newaxis] for array in arrays[::2]]
    return list(zip(kernels, arrays[1::2], strict=True))


def _dense_layer(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    sums = _times(kernel, x)
    sums += bias
    return np.maximum(sums, 0.0, out=sums)


def _times(kernel: np.ndarray, x: np.ndarray) -> np.ndarray:
    # Row by row: a matrix BLAS would share out among threads that wait for each other spinning,
    # which takes ten times as long where other processes have work, too.
    return (kernel @ x[:, np.newaxis])[:, 0, 0]
