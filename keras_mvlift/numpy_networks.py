"""Trained networks in NumPy alone: streams of frames, and single frames.

Lifting a video frame by frame as it comes, with a temporal network; NumPy is all it takes.

A dilated convolution needs a few earlier inputs of its own, not the frames of the whole window. So
each keeps its latest inputs in a ring, and a frame costs one step of each layer, however long the
window is. The poses are those of the whole clip.
"""

import collections
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors
from keras_mvlift.geometry import triangulation

Arrays = Mapping[str, np.ndarray]
"""A temporal network, as of `export.compact.fold_temporal`."""

_ARCHIVE_RULE = "be a NumPy archive of a network's layers"


def read(path: str | os.PathLike[str]) -> Arrays:
    """Reads the arrays of a network, which `export.compact` wrote.

    Raises:
        RecordingError: If the file is damaged, or holds anything but finite numbers.
    """
    with errors.parsing(path, "file", _ARCHIVE_RULE), np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise errors.RecordingError(path, name, "hold finite numbers", "others")
    return arrays


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
    """Turns cameras towards the persons that they see.

    Args:
        rays: `[N, J, 2]`, 0 where not seen.
        is_seen: `[N, J]`.

    Returns:
        What networks with centered views take, `[N, J + 1, 2]`; the rays `[N, J, 2]` of the turned
        cameras, 0 where not seen; and the turns `[N, 3, 3]`, from the real cameras' axes to theirs.
    """
    count = np.maximum(np.count_nonzero(is_seen, axis=-1), 1).astype(np.float32)
    x, y = (rays.sum(axis=-2) / count[:, np.newaxis]).T
    square = x * x + 1
    across, length = np.sqrt(square), np.sqrt(square + y * y)
    turn = np.empty((len(rays), 3, 3), np.float32)
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 0, 2] = 1 / across, 0, -x / across
    turn[:, 2, 0], turn[:, 2, 1], turn[:, 2, 2] = x / length, y / length, 1 / length
    # The cross product of the two.
    down = np.stack([-x * y, square, -y], axis=-1)
    turn[:, 1] = down / (across * length)[:, np.newaxis]
    points = rays @ turn[:, :, :2].swapaxes(-1, -2) + turn[:, np.newaxis, :, 2]
    turned = points[..., :2] / np.maximum(points[..., 2:], _MIN_DEPTH) * is_seen[..., np.newaxis]
    square = np.square(turned).sum(axis=(-2, -1)) / count
    size = np.sqrt(np.maximum(square, _MIN_SQUARE))[:, np.newaxis, np.newaxis]
    row = np.concatenate([_SIZE_SCALE * size, np.zeros_like(size)], axis=-1)
    return np.concatenate([turned / size, row], axis=-2), turned, turn


# Lifting single frames; NumPy is all it takes.
#
# For a single view the time goes into reading the weights once, and into starting operations, and
# NumPy takes a fifth of TensorFlow's time for both; for some hundred views both take as long.

FOLDED = "folded"
"""What a SavedModel calls the weights, and its description the notes."""

NETWORKS = ("lifting_network", "root_network", "uncertainty_network")
"""The names of networks, and of their files; the last one only of models that predict it."""

# Of meters: between which a predicted uncertainty lies, as of `training.uncertainty`.
_LOG_SCALES = np.log(np.array([1e-3, 3.0], np.float32))
# Views whose features stay in a processor's cache.
_AT_ONCE = 256

Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""Of each dense layer its kernel `[C' / R, R, C]`, outputs first, and its bias `[C']`."""

# So many rows, and numbers of a matrix, OpenBLAS multiplies with a vector in a single thread.
_MOST_ROWS, _MOST_NUMBERS = 32, 9216


class FrameLifter:
    """The networks of a model of single frames, as `export.compact` wrote them.

    Args:
        folder: That of the networks' files.
        description: What training noted about the model.
        intrinsics: `[3, 3]`, pixels, of the mean camera of training.

    Raises:
        RecordingError: If a file is damaged, or is of other networks than the description's.
    """

    def __init__(self, folder: pathlib.Path, description: dict[str, Any], intrinsics: np.ndarray):
        num_joints, notes = len(description["joints"]), description[FOLDED]
        self._layers_per_block, self._input = notes["layers_per_block"], notes["network_input"]
        self._root = {name: np.float32(number) for name, number in notes["root"].items()}
        # Models of before 0.2 have no such note.
        self._has_free_root = notes.get("has_free_root", False)
        self._intrinsics = intrinsics
        seen = 2 * num_joints + 2 * (self._input == "centered")
        lifting, root, scales = (folder / f"{name}.npz" for name in NETWORKS)
        self._lifting_layers = _read_layers(lifting, seen, 3 * num_joints)
        self._root_layers = _read_layers(root, seen, 3)
        self._scale_layers: Layers | None = None
        if scales.is_file():
            self._scale_layers = _read_layers(scales, 3 * num_joints, num_joints)

    def lift(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lifts views.

        Args:
            keypoints_2d: `[N, J, 2]`, pixels, without lens distortion.
            confidence: `[N, J]`, 0 for a joint that was not seen.
            intrinsics: `[N, 3, 3]`, pixels.

        Returns:
            The poses `[N, J, 3]`, root at 0, and the root positions `[N, 3]`, meters, by
            `triangulation.root_in_view`.
        """
        given = keypoints_2d, confidence, intrinsics
        if len(confidence) <= _AT_ONCE:
            return self._lift(*given)
        pieces = [
            self._lift(*(array[start : start + _AT_ONCE] for array in given))
            for start in range(0, len(confidence), _AT_ONCE)
        ]
        poses, root_positions = zip(*pieces, strict=True)
        return np.concatenate(poses), np.concatenate(root_positions)

    def uncertainty(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> np.ndarray | None:
        """Predicts how far off joints are likely to be.

        Args:
            keypoints_2d: `[N, J, 2]`, pixels, without lens distortion.
            confidence: `[N, J]`, 0 for a joint that was not seen.
            intrinsics: `[N, 3, 3]`, pixels.

        Returns:
            `[N, J]`, meters; None of a model that does not predict it.
        """
        if self._scale_layers is None:
            return None
        rays = seen_rays(keypoints_2d, confidence, intrinsics)
        seen = np.concatenate([rays, confidence[..., np.newaxis]], axis=-1)
        log_scale = _outputs(self._scale_layers, _in_rows(seen))
        return np.exp(np.clip(log_scale, *_LOG_SCALES))

    def _lift(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        rays = seen_rays(keypoints_2d, confidence, intrinsics)
        view = _Seen(rays, rays, None)
        if self._input == "screen":
            view = _Seen(seen_rays(keypoints_2d, confidence, self._intrinsics), rays, None)
        elif self._input == "centered":
            view = _Seen(*centered(rays, confidence > 0))
        pose = self._outputs(self._lifting_layers, view).reshape(*rays.shape[:-1], 3)
        root_joint = pose[:, 0]
        relative = view.back(pose - root_joint[:, np.newaxis])
        nowhere = np.full_like(root_joint, np.nan)
        root_position = triangulation.root_in_view(relative, rays, confidence, nowhere)
        # Most views do without the other network.
        untold = np.isnan(root_position[:, 0])
        if untold.any():
            rest = view.of(untold)
            predicted = self._root_position(self._outputs(self._root_layers, rest), rest.rays)
            if self._has_free_root:
                predicted = predicted + root_joint[untold]
            root_position[untold] = rest.back(predicted[:, np.newaxis])[:, 0]
        return relative, root_position

    def _outputs(self, layers: Layers, view: "_Seen") -> np.ndarray:
        return _outputs(layers, _in_rows(view.joints), self._layers_per_block)

    def _root_position(self, outputs: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Reads the outputs `[N, 3]` as `networks.residual`'s root heads do."""
        if not self._root:
            return outputs
        bounded = np.tanh(outputs)
        depth = self._root["z_rig"] * np.exp(self._root["a"] * bounded[:, 2:])
        ray = rays[:, 0] + self._root["b"] * bounded[:, :2]
        return np.concatenate([ray * depth, depth], axis=-1)


class _Seen(NamedTuple):
    """What networks see of views: `joints`, in a camera of the `rays`, turned from the real one."""

    joints: np.ndarray
    rays: np.ndarray
    turn: np.ndarray | None

    def of(self, rows: np.ndarray) -> "_Seen":
        """Returns the views that are true in `rows` `[N]`."""
        turn = None if self.turn is None else self.turn[rows]
        return _Seen(self.joints[rows], self.rays[rows], turn)

    def back(self, points: np.ndarray) -> np.ndarray:
        """Returns points `[N, K, 3]` in the axes of the real cameras."""
        return points if self.turn is None else points @ self.turn


def has_files(folder: pathlib.Path, description: dict[str, Any]) -> bool:
    """Tells whether a model's networks lie in a folder for `FrameLifter`."""
    needed = NETWORKS[: 2 + bool(description.get("model", {}).get("uncertainty"))]
    is_there = all((folder / f"{name}.npz").is_file() for name in needed)
    return FOLDED in description and "window" not in description and is_there


def _read_layers(path: pathlib.Path, num_inputs: int, num_outputs: int) -> Layers:
    arrays, layers, width = read(path), [], num_inputs
    for number in range(max(len(arrays) // 2, 2)):
        kernel, bias = (arrays.get(f"{part}_{number}") for part in ("kernel", "bias"))
        if kernel is None or bias is None or kernel.shape != (width, *bias.shape):
            received = f"no layer {number} that takes {width} numbers"
            raise errors.RecordingError(path, "file", _ARCHIVE_RULE, received)
        # Those of half precision are rounded already; the arithmetic is single.
        turned = np.ascontiguousarray(kernel.astype(np.float32).T)
        rows = max(
            rows
            for rows in range(1, _MOST_ROWS + 1)
            if len(bias) % rows == 0 and (rows == 1 or rows * width < _MOST_NUMBERS)
        )
        layers.append((turned.reshape(-1, rows, width), bias.astype(np.float32)))
        width = len(bias)
    if width != num_outputs:
        raise errors.RecordingError(path, "file", f"end in {num_outputs} numbers", width)
    return layers


def _in_rows(seen: np.ndarray) -> np.ndarray:
    return seen.reshape(len(seen), seen.shape[-2] * seen.shape[-1])


def _outputs(layers: Layers, x: np.ndarray, layers_per_block: int = 0) -> np.ndarray:
    """Runs dense layers on `[N, C]`; so many of the inner ones make a residual block, if any."""
    first, *inner, last = layers
    x = shortcut = _dense_layer(x, *first)
    for number, layer in enumerate(inner, start=1):
        x = _dense_layer(x, *layer)
        if layers_per_block and number % layers_per_block == 0:
            x = shortcut = x + shortcut
    return _times(last[0], x) + last[1]


def _dense_layer(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    sums = _times(kernel, x)
    sums += bias
    return np.maximum(sums, 0.0, out=sums)


def _times(kernel: np.ndarray, x: np.ndarray) -> np.ndarray:
    if len(x) != 1:
        return x @ kernel.reshape(-1, kernel.shape[-1]).T
    # By some rows: a whole matrix BLAS would share out among threads that wait for each other
    # spinning, which takes ten times as long where other processes have work, too.
    return (kernel @ x.T).reshape(1, -1)
