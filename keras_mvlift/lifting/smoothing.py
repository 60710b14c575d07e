"""Tracks made steady over time: gaps are bridged, and a filter takes jitter out."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneEuro:
    """The One-Euro filter: a low-pass filter whose cutoff grows with the speed.

    It looks at no later frame, so what it gives comes late by a little, less where it is fast.

    Args:
        min_cutoff: Hertz, of what stands still; less is steadier and later.
        speed_coefficient: Hertz per unit of speed, such as m/s, that the cutoff grows by; the
            paper's β.
        speed_cutoff: Hertz, of the low-pass filter of the speed itself.

    Raises:
        ValueError: If a cutoff is not above 0 or the coefficient is below.

    References:
        Casiez, Roussel and Vogel, 1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input
        in Interactive Systems, CHI 2012.
    """

    min_cutoff: float = 1.0
    speed_coefficient: float = 10.0
    speed_cutoff: float = 1.0

    def __post_init__(self) -> None:
        for name in ("min_cutoff", "speed_cutoff"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be above 0 hertz. Received: {value}.")
        if not 0 <= self.speed_coefficient < math.inf:
            rule = "be at least 0"
            raise ValueError(
                f"`speed_coefficient` must {rule}. Received: {self.speed_coefficient}."
            )

    def smooth(self, points: np.ndarray, frame_rate: float) -> np.ndarray:
        """Smooths points, each on its own.

        The speed is that of the point, not one for each of its axes, so that a turn of the axes
        turns what comes out and changes nothing else.

        Args:
            points: `[T, ..., D]`, in any unit; NaN where a point is absent. A point that comes
                back starts afresh.
            frame_rate: Frames per second.

        Returns:
            `[T, ..., D]`.

        Raises:
            ValueError: If the frame rate is not above 0.
        """
        if not 0 < frame_rate < math.inf:
            raise ValueError(f"`frame_rate` must be above 0. Received: {frame_rate}.")
        smoothed = np.array(points, np.float64)
        speed = np.zeros(smoothed.shape[1:])
        for frame in range(1, len(smoothed)):
            raw, before = smoothed[frame], smoothed[frame - 1]
            # From the smoothed point to the raw one, as in the paper's listing.
            velocity = np.nan_to_num((raw - before) * frame_rate)
            speed += _weight(self.speed_cutoff, frame_rate) * (velocity - speed)
            is_new = np.isnan(before)
            speed[is_new] = 0.0
            pace = np.linalg.norm(speed, axis=-1, keepdims=True)
            weight = _weight(self.min_cutoff + self.speed_coefficient * pace, frame_rate)
            smoothed[frame] = np.where(is_new, raw, before + weight * (raw - before))
        return smoothed


def _weight(cutoff: np.ndarray | float, frame_rate: float) -> np.ndarray | float:
    """Returns the share of the new value that makes a low-pass filter of that cutoff, hertz."""
    # 1 / (1 + time constant / frame period), the time constant being 1 / (2 π cutoff).
    return 1.0 / (1.0 + frame_rate / (2.0 * math.pi * cutoff))


MAX_GAP = 0.2
"""Seconds; for as long a joint is taken to go straight on from where it was to where it is seen."""

# Of the confidence of the less sure end of a gap.
_BRIDGED = 0.1


def bridge(
    keypoints_2d: np.ndarray, confidence: np.ndarray, max_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Puts joints that were not seen for a few frames on the straight line across the gap.

    Args:
        keypoints_2d: `[P, T, K, 2]`, pixels.
        confidence: `[P, T, K]`, 0 where not seen.
        max_frames: The longest gap that is bridged.

    Returns:
        Both; what is bridged has a tenth of the confidence of the less sure end.
    """
    frames = np.arange(confidence.shape[1])[:, np.newaxis]
    is_seen = confidence > 0
    before = np.maximum.accumulate(np.where(is_seen, frames, -1), axis=1)
    after = np.where(is_seen, frames, len(frames))[:, ::-1]
    after = np.minimum.accumulate(after, axis=1)[:, ::-1]
    is_gap = ~is_seen & (before >= 0) & (after < len(frames)) & (after - before <= max_frames + 1)
    person, frame, joint = np.nonzero(is_gap)
    first, last = before[is_gap], after[is_gap]
    share = ((frame - first) / (last - first))[:, np.newaxis]
    ends = [keypoints_2d[person, end, joint] for end in (first, last)]
    bridged, sure = keypoints_2d.copy(), confidence.copy()
    bridged[is_gap] = (1 - share) * ends[0] + share * ends[1]
    less = np.minimum(confidence[person, first, joint], confidence[person, last, joint])
    sure[is_gap] = _BRIDGED * less
    return bridged, sure
