"""By how many frames each camera is late, told from how the person moves.

For every pair of cameras and every shift the mean epipolar residual is measured; the offsets are
those whose differences fit all pairs' curves best.
"""

from typing import NamedTuple

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.diagnosis import epipolar_residuals
from keras_mvlift.diagnosis import footage as footages

MAX_SHIFT = 50
"""The largest offset between two cameras that is searched for, frames."""

# Frames of one camera that are compared with each of the other's shifted ones: so many over all
# pairs, but neither fewer nor more for a pair than these.
_ALL_FRAMES, _MIN_FRAMES, _MAX_FRAMES = 1800, 150, 600
# A residual beyond it says no more than that it is large; shares of the person's size.
_CAP = 0.1
# Joints that move, and that detectors find well.
_LIMBS = ("knee", "ankle", "elbow", "wrist")
_JOINTS = [
    index
    for index, name in enumerate(skeletons.H36M_17.joints)
    if name in ("pelvis", "thorax", "head") or name.endswith(_LIMBS)
]


class TimeOffsets(NamedTuple):
    """The cameras' offsets.

    Attributes:
        frames: `[V]`, whole frames: what camera v shows in its frame t + frames[v] the others
            show in frame t. The most frequent offset is 0.
        refined: `[V]`, the same between frames.
        curve: `[V, 2 * MAX_SHIFT + 1]`, the mean residual of each camera with all others if it
            were moved by -MAX_SHIFT ... MAX_SHIFT frames, shares of the person's size; NaN
            where too few frames overlap.
        before: The mean residual over pairs without any offset.
        after: The same with `frames`.
    """

    frames: np.ndarray
    refined: np.ndarray
    curve: np.ndarray
    before: float
    after: float


def estimate(footage: footages.Footage) -> TimeOffsets:
    """Estimates the offsets of all cameras together."""
    curves = _pair_curves(footage)
    offsets = _fit(curves)
    # The offsets' differences count; the largest group of cameras is taken to be right.
    values, counts = np.unique(offsets, return_counts=True)
    tied = values[counts == counts.max()]
    offsets = offsets - (offsets[0] if offsets[0] in tied else tied[0])
    curve = np.stack([_curve(curves, offsets, view) for view in range(footage.num_views)])
    return TimeOffsets(
        offsets, _refined(curve, offsets), curve, _cost(curves, 0 * offsets), _cost(curves, offsets)
    )


def _pair_curves(footage: footages.Footage) -> np.ndarray:
    """Measures `[V, V, S]`: pair v, w with v moved ahead by each shift; antisymmetric in v, w."""
    index = epipolar_residuals.pairs(footage.num_views)
    max_frames = int(np.clip(_ALL_FRAMES // len(index), _MIN_FRAMES, _MAX_FRAMES))
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    rays = footage.rays[:, :, _JOINTS]
    seen = footage.confidence[:, :, _JOINTS] > 0
    views = footage.views(np.arange(footage.num_views))
    first, second = index.T
    fields = [type(views.camera)(*(f[side] for f in views.camera)) for side in (first, second)]
    matrix = epipolar_residuals.essential(*fields)
    size = views.person_size[:, np.newaxis, np.newaxis]
    curves = np.full((footage.num_views, footage.num_views, len(shifts)), np.nan)
    for column, shift in enumerate(shifts):
        here, there = _overlap(footage.run, shift, max_frames)
        near, far = rays[first][:, there], rays[second][:, here]
        shape = (len(index), -1)
        distances = epipolar_residuals.distances(
            matrix, near.reshape(*shape, 2), far.reshape(*shape, 2)
        )
        residual = distances[0] / size[first, 0] + distances[1] / size[second, 0]
        both = (seen[first][:, there] & seen[second][:, here]).reshape(shape)
        total = np.where(both, np.minimum(residual / 2, _CAP), 0.0).sum(axis=-1)
        count = both.sum(axis=-1)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        curves[first, second, column] = mean
        curves[second, first, len(shifts) - 1 - column] = mean
    return curves


def _overlap(run: np.ndarray, shift: int, max_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Gives frames t, and t + shift, that lie in one run, evenly spread."""
    # The same frames t for all shifts, but for those that leave the footage.
    here = footages.spread(len(run), max_frames)
    here = here[(here + shift >= 0) & (here + shift < len(run))]
    there = here + shift
    same = run[here] == run[there]
    return here[same], there[same]


def _fit(curves: np.ndarray) -> np.ndarray:
    """Finds the offsets `[V]` of the least cost, by descent from each camera in turn."""
    best, best_cost = np.zeros(len(curves), int), _cost(curves, np.zeros(len(curves), int))
    for reference in range(len(curves)):
        start = np.nan_to_num(curves[:, reference], nan=_CAP).argmin(axis=-1) - MAX_SHIFT
        start[reference] = 0
        offsets = _descend(curves, start)
        cost = _cost(curves, offsets)
        if cost < best_cost:
            best, best_cost = offsets, cost
    return best


def _descend(curves: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    for _ in range(len(offsets) * 2):
        before = offsets.copy()
        for view in range(len(offsets)):
            offsets[view] = np.nan_to_num(_curve(curves, offsets, view), nan=_CAP).argmin()
            offsets[view] -= MAX_SHIFT
        if (offsets == before).all():
            break
    return offsets


def _curve(curves: np.ndarray, offsets: np.ndarray, view: int) -> np.ndarray:
    """Gives the mean residual `[S]` of one camera with the others, by its own offset."""
    others = np.delete(np.arange(len(offsets)), view)
    index = np.arange(curves.shape[-1]) - offsets[others, np.newaxis]
    inside = (index >= 0) & (index < curves.shape[-1])
    index = np.clip(index, 0, curves.shape[-1] - 1)
    values = np.where(inside, curves[view, others[:, np.newaxis], index], np.nan)
    count = np.isfinite(values).sum(axis=0)
    mean = np.nansum(values, axis=0) / np.maximum(count, 1)
    return np.where(count == np.isfinite(values).sum(axis=0).max(), mean, np.nan)


def _cost(curves: np.ndarray, offsets: np.ndarray) -> float:
    first, second = epipolar_residuals.pairs(len(offsets)).T
    shift = offsets[first] - offsets[second] + MAX_SHIFT
    inside = (shift >= 0) & (shift < curves.shape[-1])
    values = curves[first, second, np.clip(shift, 0, curves.shape[-1] - 1)]
    values = np.where(inside, values, _CAP)
    return float(np.nanmean(values)) if np.isfinite(values).any() else _CAP


def _refined(curve: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Places each minimum between frames, by a parabola through it and its neighbors."""
    middle = np.clip(offsets + MAX_SHIFT, 1, curve.shape[-1] - 2)
    rows = np.arange(len(offsets))
    before, here, after = (curve[rows, middle + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    step = np.where(bend > 0, (before - after) / (2 * np.where(bend > 0, bend, 1.0)), 0.0)
    return offsets + np.clip(np.nan_to_num(step), -0.5, 0.5)
