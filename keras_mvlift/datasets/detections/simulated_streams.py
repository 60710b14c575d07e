"""When the cameras of a simulated rig film, and who is in their frames."""

from typing import Any, NamedTuple

import numpy as np

EPOCH = 1.7e9
"""The time stamp of each clip's first frame, seconds, as computers' clocks give it."""

JOINS = ("number", "first_frame", "timestamps")
"""By what streams can be joined."""

LOST_SLOT = 2
"""The clip's frame that the second camera loses."""

# How many frames earlier than the clip each next camera starts.
_HEAD_START = 3
# Of a frame period; less than half, so that each frame stays the nearest.
_CLOCK_JITTER = 0.2


class Stream(NamedTuple):
    """The frames of one camera.

    Attributes:
        numbers: `[N]`, frame numbers.
        slots: `[N]`, the clip's frame that each shows; below 0 before the clip.
        is_kept: `[N]`, whether the detector looked at it.
        view: The manifest's, without the path.
        seconds: `[N]`, time stamps; empty for none.
    """

    numbers: np.ndarray
    slots: np.ndarray
    is_kept: np.ndarray
    view: dict[str, Any]
    seconds: np.ndarray

    def shows(self) -> np.ndarray:
        """Gives the clip's frames of which there are detections."""
        return self.slots[self.is_kept & (self.slots >= 0)]


def film(
    joined_by: str,
    index: int,
    *,
    num_cameras: int,
    num_frames: int,
    frame_rate: float,
    rng: np.random.Generator,
) -> Stream:
    """Lets a camera film a clip.

    Args:
        joined_by: Of `JOINS`.
        index: The camera's.
        num_cameras: Of the rig; with time stamps the last has half the frame rate.
        num_frames: The clip's.
        frame_rate: The clip's.
        rng: Random numbers, for the clocks.
    """
    slots = np.arange(num_frames)
    view: dict[str, Any] = {}
    seconds = np.zeros(0)
    if joined_by != "number":
        slots = np.arange(-_HEAD_START * index, num_frames)
    if joined_by == "first_frame":
        view = {"first_frame": _HEAD_START * index}
    if joined_by == "timestamps":
        slots = slots[slots % 2 == 0] if index == num_cameras - 1 else slots
        jitter = rng.uniform(-_CLOCK_JITTER, _CLOCK_JITTER, len(slots))
        seconds = EPOCH + (slots + jitter) / frame_rate
    is_kept = (slots != LOST_SLOT) | (index != 1)
    return Stream(np.arange(len(slots)), slots, is_kept, view, seconds)


def people(stream: Stream, person: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Gives who is seen in each frame: the person, and a less sure bystander in even frames.

    Args:
        stream: The camera's frames; before the clip the person stands ready for it.
        person: `[T, K, 3]`, x, y and confidence in the clip's frames.

    Returns:
        Frame numbers, each with `[P, K, 3]`.
    """
    aside, unsure = np.array([40.0, -25.0, 0.0]), np.array([1.0, 1.0, 0.5])
    kept = stream.is_kept
    seen = person[np.maximum(stream.slots[kept], 0)]
    both = np.stack([(seen + aside) * unsure, seen], axis=1)
    return [
        (int(number), crowd[number % 2 :])
        for number, crowd in zip(stream.numbers[kept], both, strict=True)
    ]
