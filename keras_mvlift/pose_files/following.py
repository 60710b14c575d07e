"""Who is who from frame to frame, where a detector does not say."""

import numpy as np

MIN_FRAMES = 5
"""Someone seen in fewer frames counts as a detector's mistake, unless the clip is as short."""

# Shares of a person's size that joints move by, on average, from one frame to the next.
_MAX_STEP = 0.4
# Frames; who was away for longer comes back as somebody else.
_MAX_GAP = 30
# The step grows with the gap up to this.
_MAX_STEPS = 3


def follow(numbers: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Tells people apart by where they were.

    In each frame the nearest pair of someone known and someone seen is joined first. The distance
    is the mean over joints that both have, in sizes of the person known.

    Args:
        numbers: `[N]`, the frame that each person is in, ascending.
        people: `[N, K, 3]`, x and y in pixels, and confidence, 0 where not seen.

    Returns:
        `[N]`, who each is, counted from 0.
    """
    labels = np.full(len(people), -1)
    latest = np.zeros((0, *people.shape[1:]))
    last_seen = np.zeros(0, np.int64)
    frames, starts = np.unique(numbers, return_index=True)
    for frame, members in zip(frames, np.split(np.arange(len(people)), starts[1:]), strict=True):
        gap = frame - last_seen
        around = np.flatnonzero(gap <= _MAX_GAP)
        reach = _MAX_STEP * np.minimum(gap[around], _MAX_STEPS)
        index, seen = _join(_distances(latest[around], people[members]) / reach[:, np.newaxis])
        known = around[index]
        new = np.setdiff1d(np.arange(len(members)), seen)
        labels[members[seen]] = known
        labels[members[new]] = len(latest) + np.arange(len(new))
        found = people[members[seen]]
        latest[known] = np.where(found[..., 2:] > 0, found, latest[known])
        last_seen[known] = frame
        latest = np.concatenate([latest, people[members[new]]])
        last_seen = np.append(last_seen, np.full(len(new), frame))
    return labels


def ranking(labels: np.ndarray, confidence: np.ndarray, num_frames: int) -> np.ndarray:
    """Orders people by how surely they were seen, leaving out who was seen too shortly.

    Args:
        labels: `[N]`, who each is.
        confidence: `[N, K]`.
        num_frames: The clip's.

    Returns:
        Labels, the greatest sum of confidences first.
    """
    names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.bincount(index, weights=confidence.sum(axis=-1), minlength=len(names))
    order = np.argsort(-sums, kind="stable")
    return names[order[counts[order] >= min(MIN_FRAMES, num_frames)]]


def _distances(known: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Gives `[C, D]` of `[C, K, 3]` and `[D, K, 3]`; infinite without a joint in both."""
    both = (known[:, np.newaxis, :, 2] > 0) & (seen[np.newaxis, :, :, 2] > 0)
    apart = np.linalg.norm(known[:, np.newaxis, :, :2] - seen[np.newaxis, :, :, :2], axis=-1)
    mean = (apart * both).sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)
    return np.where(both.any(axis=-1), mean, np.inf) / _sizes(known)[:, np.newaxis]


def _sizes(people: np.ndarray) -> np.ndarray:
    """Gives the diagonals of the boxes around the joints seen, `[C]`, at least a pixel."""
    is_seen = people[..., 2:] > 0
    high = np.where(is_seen, people[..., :2], -np.inf).max(axis=1)
    low = np.where(is_seen, people[..., :2], np.inf).min(axis=1)
    return np.maximum(np.linalg.norm(high - low, axis=-1), 1.0)


def _join(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs rows with columns whose value is at most 1, the least first, each once."""
    left, pairs = distances.copy(), []
    while left.size and left.min() <= 1.0:
        row, column = np.unravel_index(left.argmin(), left.shape)
        pairs.append((row, column))
        left[row], left[:, column] = np.inf, np.inf
    joined = np.array(pairs, np.int64).reshape(-1, 2)
    return joined[:, 0], joined[:, 1]
