"""Whether the detections were given to the wrong cameras, and which order is right."""

import itertools
from collections.abc import Callable

import numpy as np

from keras_mvlift.diagnosis import epipolar_residuals
from keras_mvlift.diagnosis import footage as footages

MAX_EXHAUSTIVE = 6
"""Up to so many cameras every order is tried; beyond, orders are bettered by swapping two."""

_NUM_RANDOM_STARTS = 20
# Frames that are enough to tell orders apart.
_MAX_FRAMES = 60


def best(footage: footages.Footage) -> tuple[tuple[int, ...], float]:
    """Finds the order of the views in which the rig agrees best.

    Args:
        footage: A few frames.

    Returns:
        For each camera the view whose detections are its own, and the mean residual over pairs.
    """
    index = epipolar_residuals.pairs(footage.num_views)
    residual = _residuals(footage.thinned(_MAX_FRAMES), index)

    def costs(orders: np.ndarray) -> np.ndarray:
        first, second = (orders[:, side] for side in index.T)
        return epipolar_residuals.mean_of_pairs(residual[np.arange(len(index)), first, second])

    views = range(footage.num_views)
    if footage.num_views <= MAX_EXHAUSTIVE:
        candidates = np.array(list(itertools.permutations(views)))
    else:
        starts = _starts(footage.camera_names)
        candidates = np.array([_descend(start, index, costs) for start in starts])
    cost = costs(candidates)
    chosen = int(cost.argmin())
    return tuple(int(view) for view in candidates[chosen]), float(cost[chosen])


def _residuals(footage: footages.Footage, index: np.ndarray) -> np.ndarray:
    """Measures every pair of cameras with every two views' detections, `[P, V, V]`."""
    views = np.arange(footage.num_views)
    images = np.array(list(itertools.permutations(views, 2)))
    residual = np.full((len(index), len(views), len(views)), np.nan)
    for pair, (first, second) in enumerate(index):
        near = footage.views(np.full(len(images), first), images[:, 0])
        far = footage.views(np.full(len(images), second), images[:, 1])
        residual[pair, images[:, 0], images[:, 1]] = epipolar_residuals.of_views(near, far)
    return residual


def _starts(names: tuple[str, ...]) -> list[np.ndarray]:
    """Gives orders that are likely, and some at random."""
    views = np.arange(len(names))
    # "cam10" sorts before "cam2".
    alphabetical = np.argsort(np.array([str(view + 1) for view in views]), kind="stable")
    rng = np.random.default_rng(0)
    likely = [views, alphabetical, np.argsort(alphabetical), views[::-1]]
    likely += [np.roll(views, 1), np.roll(views, -1)]
    return likely + [rng.permutation(views) for _ in range(_NUM_RANDOM_STARTS)]


def _descend(order: np.ndarray, swaps: np.ndarray, costs: Callable[..., np.ndarray]) -> np.ndarray:
    """Swaps the two views whose swap betters the order most, until none does."""
    cost = costs(order[np.newaxis])[0]
    while True:
        neighbors = np.tile(order, (len(swaps), 1))
        rows = np.arange(len(swaps))[:, np.newaxis]
        neighbors[rows, swaps] = neighbors[rows, swaps[:, ::-1]]
        around = costs(neighbors)
        if around.min() >= cost:
            return order
        order, cost = neighbors[around.argmin()], around.min()
