"""Tracks made steady over time: gaps are bridged, and a filter takes jitter out."""

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import sequences


@dataclasses.dataclass(frozen=True, kw_only=True)
class Butterworth:
    """The Butterworth filter, of second order, forwards and backwards: fourth order, no delay.

    It looks at later frames, so it is for files; a `OneEuro` is for streams.

    Args:
        cutoff: Hertz, above which motion is taken for jitter; at it, half of it stays. Where the
            frame rate is less than five times as large, it is a fifth of that.

    Raises:
        ValueError: If the cutoff is not above 0.

    References:
        Butterworth, On the Theory of Filter Amplifiers, 1930; Winter, Biomechanics and Motor
        Control of Human Movement, section 3.4, for both directions.
    """

    cutoff: float = 4.0

    def __post_init__(self) -> None:
        _check_hertz("cutoff", self.cutoff)

    def smooth(self, points: np.ndarray, frame_rate: float) -> np.ndarray:
        """Smooths points, each on its own, each stretch of frames in which it is there.

        Args:
            points: `[T, ..., D]`, in any unit; NaN where a point is absent.
            frame_rate: Frames per second, above 0.

        Returns:
            `[T, ..., D]`.
        """
        _check_hertz("frame_rate", frame_rate)
        given = np.asarray(points, np.float64)
        tracks = given.reshape(len(given), math.prod(given.shape[1:-1]), given.shape[-1])
        smoothed = tracks.copy()
        period = frame_rate / min(self.cutoff, frame_rate * _MOST_CUTOFF)
        # Points that are there in the same frames go together.
        is_there, which = np.unique(np.isfinite(tracks).all(-1), axis=1, return_inverse=True)
        for number, there in enumerate(is_there.T):
            mine = which.reshape(-1) == number
            for run in _runs(there):
                smoothed[run, mine] = _filtered(tracks[run, mine], period)
        return smoothed.reshape(given.shape)


_MOST_CUTOFF = 0.2  # Of the frame rate.
# Periods of the cutoff by which a stretch goes on, mirrored at its ends, so that it starts settled.
_SETTLING = 2.0


def _runs(is_there: np.ndarray) -> Iterator[slice]:
    """Finds the stretches of frames `[T]` that are there."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_there, [False]]).astype(int)))
    yield from map(slice, edges[::2], edges[1::2])


# By NumPy alone, as lifting is; SciPy's `filtfilt` gives the same.


def _filtered(points: np.ndarray, period: float) -> np.ndarray:
    """Filters `[T, ...]` forwards and backwards; the period of the cutoff is in frames."""
    length = min(len(points) - 1, math.ceil(_SETTLING * period))
    before = 2 * points[0] - points[length:0:-1]
    after = 2 * points[-1] - points[-2 : -length - 2 : -1]
    padded = np.concatenate([before, points, after])
    there = _low_pass(_low_pass(padded, period)[::-1], period)[::-1]
    return there[length : length + len(points)]


def _low_pass(points: np.ndarray, period: float) -> np.ndarray:
    """Filters `[T, ...]` forwards, as if the first point had been there all along."""
    # The bilinear transform of 1 / (s² + √2 s + 1).
    warped = math.tan(math.pi / period)
    scale = 1.0 + math.sqrt(2.0) * warped + warped**2
    gain = warped**2 / scale
    first, second = 2 * (warped**2 - 1) / scale, (scale - 2 * math.sqrt(2.0) * warped) / scale
    late, later = (1 - gain) * points[0], (gain - second) * points[0]
    smoothed = np.empty_like(points)
    for frame, point in enumerate(points):
        smoothed[frame] = gain * point + late
        late = 2 * gain * point - first * smoothed[frame] + later
        later = gain * point - second * smoothed[frame]
    return smoothed


def _check_hertz(name: str, value: float) -> None:
    errors.require(0 < value < math.inf, name, "be above 0 hertz", value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneEuro:
    """The One-Euro filter: a low-pass filter whose cutoff grows with the speed.

    It looks at no later frame, so it is for streams, and what it gives comes late by a little, less
    where it is fast. Files have a `Butterworth`.

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
            _check_hertz(name, getattr(self, name))
        speed = self.speed_coefficient
        errors.require(0 <= speed < math.inf, "speed_coefficient", "be at least 0", speed)

    def stream(self, frame_rate: float) -> Callable[[np.ndarray], np.ndarray]:
        """Returns what smooths points `[..., D]`, in any unit, frame by frame as they come.

        The speed is that of the point, not one for each of its axes, so that a turn of the axes
        turns what comes out and changes nothing else. A point is NaN where it is absent, and starts
        afresh where it comes back.
        """
        _check_hertz("frame_rate", frame_rate)
        before, speed = np.array(np.nan), np.array(0.0)

        def push(points: np.ndarray) -> np.ndarray:
            nonlocal before, speed
            raw = np.asarray(points, np.float64)
            # From the smoothed point to the raw one, as in the paper's listing.
            velocity = np.nan_to_num((raw - before) * frame_rate)
            speed = speed + _weight(self.speed_cutoff, frame_rate) * (velocity - speed)
            is_new = np.isnan(before)
            speed = np.where(is_new, 0.0, speed)
            pace = np.linalg.norm(speed, axis=-1, keepdims=True)
            weight = _weight(self.min_cutoff + self.speed_coefficient * pace, frame_rate)
            before = np.where(is_new, raw, before + weight * (raw - before))
            return before

        return push


def _weight(cutoff: np.ndarray | float, frame_rate: float) -> np.ndarray | float:
    """Returns the share of the new value that makes a low-pass filter of that cutoff, hertz."""
    # 1 / (1 + time constant / frame period), the time constant being 1 / (2 π cutoff).
    return 1.0 / (1.0 + frame_rate / (2.0 * math.pi * cutoff))


MAX_GAP = 0.2
"""Seconds; for as long a joint is taken to go straight on from where it was to where it is seen."""

_BRIDGED = 0.1  # Of the confidence of the less sure end of a gap.


def bridge(
    keypoints_2d: np.ndarray, confidence: np.ndarray, max_frames: float
) -> tuple[np.ndarray, np.ndarray]:
    """Puts joints that were not seen for a few frames on the straight line across the gap.

    At least a single frame is bridged, unless `max_frames` is 0.

    Returns:
        Keypoints `[P, T, K, 2]`, pixels, and confidence `[P, T, K]`, 0 where not seen; what is
        bridged has a tenth of the confidence of the less sure end.
    """
    longest = max(round(max_frames), 1) if max_frames > 0 else 0
    frames = np.arange(confidence.shape[1])[:, np.newaxis]
    is_seen = confidence > 0
    before = np.maximum.accumulate(np.where(is_seen, frames, -1), axis=1)
    after = np.where(is_seen, frames, len(frames))[:, ::-1]
    after = np.minimum.accumulate(after, axis=1)[:, ::-1]
    is_gap = ~is_seen & (before >= 0) & (after < len(frames)) & (after - before <= longest + 1)
    person, frame, joint = np.nonzero(is_gap)
    first, last = before[is_gap], after[is_gap]
    share = ((frame - first) / (last - first))[:, np.newaxis]
    ends = [keypoints_2d[person, end, joint] for end in (first, last)]
    bridged, sure = keypoints_2d.copy(), confidence.copy()
    bridged[is_gap] = (1 - share) * ends[0] + share * ends[1]
    less = np.minimum(confidence[person, first, joint], confidence[person, last, joint])
    sure[is_gap] = _BRIDGED * less
    return bridged, sure


LIMBS = {"legs": ("hip", "knee", "ankle"), "arms": ("shoulder", "elbow", "wrist")}
"""What detectors take for the other side's as a whole, by the ends of its joints' names."""

# Shares of a person's size. What a swap costs must be saved in jumps: a change of sides as much as
# its limb standing still for a change of speed, each frame with sides swapped a little, so that
# the detector is right where nothing tells. No jump counts for more than half a person.
_CHANGE, _SWAPPED, _MOST_JUMP = 0.1, 0.01, 0.5
_SIDES = np.arange(2)


def swap_back(
    keypoints_2d: np.ndarray, confidence: np.ndarray, joint_names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Puts legs and arms back on their side in frames in which the detector swapped them.

    Of all ways to swap a limb's sides in some frames that one is taken (Viterbi's) in which joints
    change their speed the least, each swap being worth more than what it costs. So left and right
    that cross as people walk stay as they are.

    Returns:
        Keypoints `[P, T, K, 2]`, pixels, and confidence `[P, T, K]`, 0 where not seen, of `K` named
        joints; and `[P, T]`, whether a limb of that person was swapped there.
    """
    mended, sure = keypoints_2d.copy(), confidence.copy()
    was_swapped = np.zeros(confidence.shape[:2], bool)
    for person, size in enumerate(_sizes(keypoints_2d, confidence)):
        for ends in LIMBS.values():
            sides = _sides(joint_names, ends)
            points = keypoints_2d[person][:, sides] / size
            frames = _swapped(points, (confidence[person][:, sides] > 0).all(axis=1))
            was_swapped[person] |= frames
            for values in (mended[person], sure[person]):
                values[np.ix_(frames, sides.ravel())] = values[np.ix_(frames, sides[::-1].ravel())]
    return mended, sure, was_swapped


def _sides(joint_names: tuple[str, ...], ends: tuple[str, ...]) -> np.ndarray:
    """Returns the indices of a limb's joints, `[2, K]`, left and right."""
    there = [end for end in ends if {f"left_{end}", f"right_{end}"} <= {*joint_names}]
    named = [[joint_names.index(f"{side}_{end}") for end in there] for side in ("left", "right")]
    return np.array(named, np.int64)


def _sizes(keypoints_2d: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Returns each person's size, `[P]`: of the boxes around them the median diagonal, pixels."""
    diagonal = sequences.box_diagonals(keypoints_2d, confidence > 0)
    known = (row[row > 0] for row in diagonal)
    return np.array([max(float(np.median(row)), 1.0) if len(row) else 1.0 for row in known])


def _swapped(points: np.ndarray, is_seen: np.ndarray) -> np.ndarray:
    """Tells in which frames two sides, `[T, 2, K, 2]`, in sizes of the person, are swapped."""
    if len(points) < 3 or not is_seen.any():
        return np.zeros(len(points), bool)
    costs = _costs(points, is_seen)
    change = _CHANGE * (_SIDES[:, np.newaxis] != _SIDES)
    best = _SWAPPED * (_SIDES[:, np.newaxis] + _SIDES) + change
    before = np.empty((len(costs), 2, 2), np.int64)
    for frame, cost in enumerate(costs):
        # Of the frame before the last, the last, and this one.
        total = best[:, :, np.newaxis] + cost + change + _SWAPPED * _SIDES
        before[frame] = total.argmin(axis=0)
        best = total.min(axis=0)
    last, this = np.unravel_index(best.argmin(), best.shape)
    found = [this, last]
    for step in before[::-1]:
        last, this = step[last, this], last
        found.append(last)
    return np.array(found[::-1], bool)


def _costs(points: np.ndarray, is_seen: np.ndarray) -> np.ndarray:
    """Returns changes of speed, `[T - 2, 2, 2, 2]`, by whether each of three frames is swapped."""
    as_either = np.stack([points, points[:, ::-1]], axis=1)
    first, middle, last = as_either[:-2], as_either[1:-1], as_either[2:]
    bend = first[:, :, None, None] - 2 * middle[:, None, :, None] + last[:, None, None, :]
    jump = np.minimum(np.linalg.norm(bend, axis=-1).mean(axis=-2), _MOST_JUMP)
    counts = (is_seen[:-2] & is_seen[1:-1] & is_seen[2:])[:, np.newaxis, np.newaxis, np.newaxis]
    return (jump * counts).sum(axis=-1) / np.maximum(counts.sum(axis=-1), 1)
