"""Trained networks in NumPy alone: streams of frames, and single views.

Lifting a video frame by frame as it comes, with a temporal network; NumPy is all it takes.

A dilated convolution needs a few earlier inputs of its own, not the frames of the whole window. So
each keeps its latest inputs in a ring, and a frame costs one step of each layer, however long the
window is. The poses are those of the whole clip.
"""

import collections
import functools
import os
from collections.abc import Mapping, Sequence
from concurrent import futures
from typing import Any

import numpy as np

from keras_mvlift.geometry import triangulation

Arrays = Mapping[str, np.ndarray]
"""A temporal network, as of `networks.folded.fold`."""


def read(path: str | os.PathLike[str]) -> Arrays:
    """Reads what `networks.folded.save` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


class OutputStream:
    """A temporal network that is given one frame at a time.

    Before the first frame the clip is taken to have stood still, and so it is after the last, as
    a temporal network takes it for the ends of a clip.

    Args:
        arrays: The network.

    Attributes:
        delay: By how many frames outputs come later: 0 for a causal network, else half a window.

    Example:
        >>> stream = OutputStream(read("lifting_network.npz"))
        >>> outputs = [stream.push(rays) for rays in clip]  # None for the first `delay`
        >>> outputs += stream.finish()
    """

    def __init__(self, arrays: Arrays):
        self._arrays = arrays
        sizes = [int(size) for size in arrays["filter_widths"]]
        self._is_causal = bool(arrays["is_causal"])
        self.delay = 0 if self._is_causal else (int(np.prod(sizes)) - 1) // 2
        self._sizes = sizes
        self._latest: np.ndarray | None = None
        self._start()

    def push(self, joints: np.ndarray, is_first: np.ndarray | None = None) -> np.ndarray | None:
        """Takes the next frame.

        Args:
            joints: What the network sees, `[..., J, 2]`, such as rays; leading axes, for several
                people or cameras at once, stay the same from frame to frame.
            is_first: `[...]`, of whom this is the first frame that counts: all before is then taken
                to have been like it.

        Returns:
            `[..., num_outputs]` of the frame that came `delay` frames before, None if none did.
        """
        latest = np.asarray(joints, np.float32)
        self._latest = latest
        self._num_pushed += 1
        is_first = np.zeros(latest.shape[:-2], bool) if is_first is None else is_first
        outputs = self._step(latest.reshape(*latest.shape[:-2], -1), is_first)
        return outputs if self._num_pushed > self.delay else None

    def finish(self) -> list[np.ndarray]:
        """Returns the outputs `[..., num_outputs]` of frames still due; a new clip may follow."""
        due = []
        if self._latest is not None:
            due = [self.push(self._latest) for _ in range(self.delay)]
        self._start()
        return [outputs for outputs in due if outputs is not None]

    def _start(self) -> None:
        dilations = np.cumprod([1, *self._sizes[:-1]])
        self._rings = [
            _Ring(size, int(dilation))
            for size, dilation in zip(self._sizes, dilations, strict=True)
        ]
        self._latest = None
        self._num_pushed = 0

    def _step(self, x: np.ndarray, is_first: np.ndarray) -> np.ndarray:
        x = self._dense_layer(_flat(self._rings[0].push(x, is_first)), 0)
        for block, ring in enumerate(self._rings[1:], start=1):
            taps = ring.push(x, is_first)
            shortcut = taps[..., -1 if self._is_causal else ring.size // 2, :]
            inner = self._dense_layer(_flat(taps), 2 * block - 1)
            x = shortcut + self._dense_layer(inner, 2 * block)
        return x @ self._arrays["kernel_outputs"] + self._arrays["bias_outputs"]

    def _dense_layer(self, x: np.ndarray, number: int) -> np.ndarray:
        sums = x @ self._arrays[f"kernel_{number}"] + self._arrays[f"bias_{number}"]
        return np.maximum(sums, 0.0)


class PoseStream:
    """Lifts one person, or several side by side, frame by frame.

    Args:
        lifting_network: The network of the poses.
        root_network: The network of the root positions; None for none.
        root_head: Turns the root network's outputs `[B, 3]` and the rays `[B, J, 2]` into positions
            `[B, 3]`, as the model's own does; needed with `root_network`.
        has_free_root: Whether the pose's own root joint adds to that position.

    Attributes:
        delay: By how many frames poses come later.
    """

    def __init__(
        self,
        lifting_network: Arrays,
        root_network: Arrays | None = None,
        root_head: Any = None,
        *,
        has_free_root: bool = False,
    ):
        if (root_network is None) != (root_head is None):
            raise ValueError("`root_network` and `root_head` must be given together.")
        self._poses = OutputStream(lifting_network)
        self._roots = None if root_network is None else OutputStream(root_network)
        self._root_head = root_head
        self._has_free_root = has_free_root
        self.delay = self._poses.delay
        self._seen: collections.deque[tuple[np.ndarray, np.ndarray]] = collections.deque(
            maxlen=self.delay + 1
        )
        self._was_seen: np.ndarray | None = None

    def push(
        self, keypoints_2d: Any, confidence: Any, intrinsics: Any
    ) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Takes the next frame.

        Args:
            keypoints_2d: `[..., J, 2]`, pixels, without lens distortion.
            confidence: `[..., J]`, 0 for a joint that was not seen. A frame in which nobody was
                seen repeats the one before; those before anybody was seen repeat the first in
                which somebody was, as far as they are still to come.
            intrinsics: `[3, 3]` or `[..., 3, 3]`, pixels.

        Returns:
            Of the frame that came `delay` frames before the pose, `[..., J, 3]`, meters, root at 0,
            camera axes, and the root position `[..., 3]`, meters, camera frame, by
            `triangulation.root_in_view`; None without its network. None if no frame did.
        """
        confidence = np.array(confidence, np.float32)
        rays = seen_rays(keypoints_2d, confidence, intrinsics)
        is_seen = (confidence > 0).any(axis=-1)
        is_first = is_seen if self._was_seen is None else is_seen & ~self._was_seen
        self._was_seen = is_seen if self._was_seen is None else is_seen | self._was_seen
        if self._seen:
            before, sure_before = self._seen[-1]
            rays = np.where(is_seen[..., np.newaxis, np.newaxis], rays, before)
            confidence = np.where(is_seen[..., np.newaxis], confidence, sure_before)
        for earlier, sure in self._seen:
            earlier[is_first], sure[is_first] = rays[is_first], confidence[is_first]
        self._seen.append((rays, confidence))
        outputs = self._poses.push(rays, is_first)
        root_outputs = None if self._roots is None else self._roots.push(rays, is_first)
        return None if outputs is None else self._posed(outputs, root_outputs, self._seen[0])

    def finish(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Returns the poses still due, as `push` does; a new clip may follow."""
        due = self._poses.finish()
        roots = [None] * len(due) if self._roots is None else self._roots.finish()
        seen = list(self._seen)[len(self._seen) - len(due) :]
        self._seen.clear()
        self._was_seen = None
        return [self._posed(*frame) for frame in zip(due, roots, seen, strict=True)]

    def _posed(
        self,
        outputs: np.ndarray,
        root_outputs: np.ndarray | None,
        seen: tuple[np.ndarray, np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray | None]:
        rays, confidence = seen
        pose = outputs.reshape(*rays.shape[:-1], 3)
        root_position = None
        if root_outputs is not None:
            flat = root_outputs.reshape(-1, 3), rays.reshape(-1, *rays.shape[-2:])
            root_position = np.asarray(self._root_head(flat)).reshape(root_outputs.shape)
            if self._has_free_root:
                root_position = root_position + pose[..., 0, :]
        pose = pose - pose[..., :1, :]
        if root_position is not None:
            root_position = triangulation.root_in_view(pose, rays, confidence, root_position)
        return pose, root_position


class _Ring:
    """The latest inputs of a dilated convolution.

    Args:
        size: Its taps.
        dilation: Frames from one to the next.
    """

    def __init__(self, size: int, dilation: int):
        self.size = size
        self._ages = dilation * np.arange(size - 1, -1, -1)
        self._inputs: np.ndarray | None = None
        self._index = 0

    def push(self, x: np.ndarray, is_first: np.ndarray) -> np.ndarray:
        """Takes `[..., C]`; gives the taps `[..., size, C]`, the earliest first."""
        length = self._ages[0] + 1
        if self._inputs is None:
            self._inputs = np.repeat(x[np.newaxis], length, axis=0)
        # All frames before the first are like it, and so are all layers' outputs for them.
        self._inputs[:, is_first] = x[is_first]
        self._index = (self._index + 1) % length
        self._inputs[self._index] = x
        return np.moveaxis(self._inputs[(self._index - self._ages) % length], 0, -2)


def _flat(taps: np.ndarray) -> np.ndarray:
    return taps.reshape(*taps.shape[:-2], -1)


def seen_rays(keypoints_2d: Any, confidence: Any, intrinsics: Any) -> np.ndarray:
    """Returns the viewing rays `[..., J, 2]` of a view, 0 for joints that were not seen."""
    matrix = np.asarray(intrinsics, np.float32)
    focal = np.stack([matrix[..., 0, 0], matrix[..., 1, 1]], axis=-1)[..., np.newaxis, :]
    center = matrix[..., np.newaxis, :2, 2]
    rays = (np.asarray(keypoints_2d, np.float32) - center) / focal
    return np.where(np.asarray(confidence)[..., np.newaxis] > 0, rays, np.float32(0.0))


# As of `networks.residual.centered_input`.
_MIN_SQUARE, _SIZE_SCALE, _MIN_DEPTH = np.float32(1e-5), np.float32(5.0), np.float32(0.1)


def centered(rays: np.ndarray, is_seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns a camera towards the person that it sees.

    Args:
        rays: `[J, 2]`, 0 where not seen.
        is_seen: `[J]`.

    Returns:
        What networks with centered views take, `[J + 1, 2]`; the rays `[J, 2]` of the turned
        camera, 0 where not seen; and the turn `[3, 3]`, from the real camera's axes to its own.
    """
    count = max(np.count_nonzero(is_seen), 1)
    x, y = rays.sum(axis=0) / np.float32(count)
    across, length = np.hypot(x, 1), np.sqrt(x * x + y * y + 1)
    right = np.array([1, 0, -x]) / across
    forward = np.array([x, y, 1]) / length
    # The cross product of the two.
    down = np.array([-x * y, x * x + 1, -y]) / (across * length)
    turn = np.stack([right, down, forward]).astype(np.float32)
    points = rays @ turn[:, :2].T + turn[:, 2]
    turned = points[:, :2] / np.maximum(points[:, 2:], _MIN_DEPTH) * is_seen[:, np.newaxis]
    size = np.sqrt(np.maximum(np.square(turned).sum() / np.float32(count), _MIN_SQUARE))
    row = np.array([[_SIZE_SCALE * size, 0]], np.float32)
    return np.concatenate([turned / size, row]), turned, turn


# Lifting one view; NumPy is all it takes.
#
# For a single view the time goes into reading the weights once, and into starting operations, and
# NumPy takes less for both than TensorFlow; from two views on it takes more.

FOLDED = "folded"
"""What a SavedModel calls the weights, and its description the notes."""

Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""Of each dense layer its kernel `[C', 1, C]`, outputs first, and its bias `[C']`."""


class SingleViewLifter:
    """Two residual networks and a root head, as `export.folded_lifters` left them in a SavedModel.

    Args:
        model: What `tf.saved_model.load` gave.
        notes: Of `compact.notes`.
        intrinsics: `[3, 3]`, pixels, of the mean camera of training.
    """

    def __init__(self, model: Any, notes: dict[str, Any], intrinsics: np.ndarray):
        self._model, self._root = model, notes["root"]
        self._layers_per_block: int = notes["layers_per_block"]
        # Models of before 0.2 have no such note.
        self._has_free_root: bool = notes.get("has_free_root", False)
        self._input, self._intrinsics = notes["network_input"], intrinsics

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
        rays = seen_rays(keypoints_2d, confidence, intrinsics)
        seen, turn = rays, None
        if self._input == "screen":
            seen = seen_rays(keypoints_2d, confidence, self._intrinsics)
        elif self._input == "centered":
            seen, rays, turn = centered(rays, np.asarray(confidence) > 0)
        lifting_layers, root_layers = self._networks
        # Each network is read from memory by a core of its own.
        running = _helper().submit(self._run, root_layers, seen.ravel())
        outputs = self._run(lifting_layers, seen.ravel())
        root_outputs = running.result()
        pose = outputs.reshape(-1, 3)
        root_position = self._root_position(root_outputs, rays)
        if self._has_free_root:
            root_position = root_position + pose[0]
        pose = pose - pose[0]
        return (pose, root_position) if turn is None else (pose @ turn, root_position @ turn)

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
    """Returns what lifts single views with a model's weights; None where they are not at hand."""
    if FOLDED not in description or not hasattr(model, FOLDED):
        return None
    return SingleViewLifter(model, description[FOLDED], intrinsics)


@functools.cache
def _helper() -> futures.Executor:
    """Returns a second thread; NumPy lets it run beside the first."""
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
