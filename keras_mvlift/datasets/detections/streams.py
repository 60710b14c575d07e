"""The tracks of all cameras of a clip, laid out on its frames."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets import clocks
from keras_mvlift.datasets.detections import tracks


class Stream(NamedTuple):
    """A track, and where its frames are on the clip's clock.

    Attributes:
        track: What the camera saw.
        positions: `[N]`, in frames of the clip, as of `clocks`.
    """

    track: tracks.Track
    positions: np.ndarray


def side_by_side(
    streams: Sequence[Stream | None], num_frames: int, num_joints: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lays streams out side by side.

    Args:
        streams: `V`; None for a camera that did not film the clip.
        num_frames: `T`, the clip's.
        num_joints: `K`, of each track.

    Returns:
        Keypoints `[V, T, K, 2]`, pixels, and confidence `[V, T, K]`; both are 0 where a joint was
        not seen, and in frames that a stream does not have.
    """
    keypoints_2d = np.zeros((len(streams), num_frames, num_joints, 2))
    confidence = np.zeros((len(streams), num_frames, num_joints))
    for view, stream in enumerate(streams):
        if stream is not None:
            slots, index = clocks.assign(stream.positions, num_frames)
            keypoints_2d[view, slots] = stream.track.keypoints_2d[index]
            confidence[view, slots] = stream.track.confidence[index]
    return np.where(confidence[..., np.newaxis] > 0, keypoints_2d, 0.0), confidence
