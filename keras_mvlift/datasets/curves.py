"""Smooth random functions of time, of which movements are made."""

import numpy as np

# Hertz. Slower than a breath up to as fast as one shifts weight.
_DRIFT_FREQUENCIES = (0.05, 0.6)
_NUM_DRIFT_WAVES = 4
# The part of a keyframe's time spent on the way to the next one.
_SHARE_MOVING = 0.6


class Clock:
    """The time of one clip, and the dice thrown for it.

    Args:
        num_frames: `T`.
        frame_rate: Frames per second.
        rng: Random numbers.
    """

    def __init__(self, num_frames: int, frame_rate: float, rng: np.random.Generator):
        self.seconds = np.arange(num_frames) / frame_rate
        self.frame_rate = frame_rate
        self.rng = rng

    def uniform(self, low: float, high: float) -> float:
        """Draws one number for the whole clip."""
        return float(self.rng.uniform(low, high))

    def sides(self) -> tuple[str, str]:
        """Draws the order of "left" and "right"."""
        return ("left", "right") if self.rng.random() < 0.5 else ("right", "left")

    def phase(self, low: float, high: float) -> np.ndarray:
        """Gives a phase `[T]`, radians, of a frequency from [low, high], Hz.

        The start is random, and the pace wavers, as people's does.
        """
        turns = self.uniform(low, high) * self.seconds + self.rng.random()
        return 2 * np.pi * turns + self.drift(0.3)

    def drift(self, size: float) -> np.ndarray:
        """Gives an aimless slow movement `[T]` around 0, of root mean square about `size`."""
        frequency = self.rng.uniform(*_DRIFT_FREQUENCIES, (_NUM_DRIFT_WAVES, 1))
        start = self.rng.uniform(0, 2 * np.pi, (_NUM_DRIFT_WAVES, 1))
        waves = np.sin(2 * np.pi * frequency * self.seconds + start)
        return size * np.sqrt(2 / _NUM_DRIFT_WAVES) * waves.sum(axis=0)

    def keyframes(self, low: float, high: float, hold: float) -> np.ndarray:
        """Gives a movement `[T]` that rests at values from [low, high] and goes between them.

        Args:
            low: The least value.
            high: The greatest value.
            hold: Seconds from one value to the next.
        """
        turns = self.seconds / hold + self.rng.random()
        values = self.rng.uniform(low, high, int(turns[-1]) + 2)
        index = turns.astype(int)
        share = smooth_step((turns - index - 1 + _SHARE_MOVING) / _SHARE_MOVING)
        return values[index] * (1 - share) + values[index + 1] * share


def smooth_step(share: np.ndarray) -> np.ndarray:
    """Goes from 0 at 0 to 1 at 1, at rest at both ends: `3 s^2 - 2 s^3`."""
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3 - 2 * share)


def pulse(phase: np.ndarray, sharpness: float = 1.0) -> np.ndarray:
    """Goes from 0 at a phase of π to 1 at 0 and back; the sharper, the shorter at 1."""
    return (0.5 + 0.5 * np.cos(phase)) ** sharpness
