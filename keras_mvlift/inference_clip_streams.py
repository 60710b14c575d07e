"""Lifting a clip frame by frame as it comes, in the words of `Lifter.lift`."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_mvlift import inference_inputs, inference_streams


class ClipStream:
    """A clip that is lifted frame by frame as it comes; `ClipLifter.stream` makes it.

    Args:
        streams: As many as a window's step has frames; they take frames by turns.
        joint_names: `J` names.
        intrinsics: `[3, 3]`, pixels, taken for a camera that is left out.
        lifted: Makes what `push` gives of a pose `[..., J, 3]` and a root position `[..., 3]`, None
            without a camera.

    Attributes:
        delay: By how many frames poses come later than their frames.

    Example:
        >>> stream = model.stream()
        >>> poses = [stream.push(*frame, camera) for frame in video]  # None for the first `delay`
        >>> poses += stream.finish()
    """

    def __init__(
        self,
        streams: Sequence[inference_streams.PoseStream],
        joint_names: Sequence[str],
        intrinsics: np.ndarray,
        lifted: Callable[[np.ndarray, np.ndarray | None], Any],
    ):
        self._streams, self._make = streams, lifted
        self._joint_names, self._intrinsics = joint_names, intrinsics
        self.delay = len(streams) * streams[0].delay
        self._num_pushed = 0
        # Of the frames still due.
        self._has_camera: collections.deque[bool] = collections.deque()

    def push(self, keypoints_2d: Any, confidence: Any = None, camera: Any = None) -> Any:
        """Takes the next frame, `[..., J, 2]`; the arguments are those of `Lifter.lift`.

        Returns:
            The `LiftedPose` of the frame that came `delay` frames before, None if none did.
        """
        checked = inference_inputs.keypoints_2d(keypoints_2d, self._joint_names)
        seen = inference_inputs.confidence(confidence, checked.shape[:-1])
        leading = checked.shape[:-2]
        intrinsics = inference_inputs.intrinsics(camera, leading, self._intrinsics)
        stream = self._streams[self._num_pushed % len(self._streams)]
        self._num_pushed += 1
        self._has_camera.append(camera is not None)
        posed = stream.push(checked, seen, intrinsics)
        return None if posed is None else self._lifted(*posed)

    def finish(self) -> list[Any]:
        """Gives the poses still due; a new clip may follow."""
        due: dict[int, tuple[Any, Any]] = {}
        for start, stream in enumerate(self._streams):
            posed = stream.finish()
            frames = range(start, self._num_pushed, len(self._streams))
            due |= zip(frames[len(frames) - len(posed) :], posed, strict=True)
        self._num_pushed = 0
        return [self._lifted(*due[frame]) for frame in sorted(due)]

    def _lifted(self, pose: np.ndarray, root_position: np.ndarray | None) -> Any:
        return self._make(pose, root_position if self._has_camera.popleft() else None)
