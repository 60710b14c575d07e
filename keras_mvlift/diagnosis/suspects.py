"""Which cameras have a mistake: those for which undoing it makes the rig agree best."""

import itertools
from typing import NamedTuple

import numpy as np

from keras_mvlift.diagnosis import epipolar_residuals, mistakes
from keras_mvlift.diagnosis import footage as footages


class Suspicion(NamedTuple):
    """A mistake in some of the cameras, and how well the rig agrees without it.

    Attributes:
        mistake: The mistake.
        is_in: `[V]`, which cameras have it.
        residual: The mean over pairs of cameras once it is undone.
    """

    mistake: mistakes.Mistake
    is_in: np.ndarray
    residual: float


def find(
    footage: footages.Footage, mistake: mistakes.Mistake, tolerance: float = 0.0
) -> list[Suspicion]:
    """Tries a mistake in every subset of the cameras.

    Args:
        footage: A few frames.
        mistake: What may be wrong.
        tolerance: Subsets this close to the best are given too.

    Returns:
        The best subsets, the best one first; never the empty one.
    """
    index = epipolar_residuals.pairs(footage.num_views)
    undone = mistake.undo(footage)
    versions = (footage, undone)
    # residual[p, a, b]: of pair p, with the first camera in version a and the second in b.
    residual = np.stack(
        [
            epipolar_residuals.of_views(first, second)
            for first in (version.views(index[:, 0]) for version in versions)
            for second in (version.views(index[:, 1]) for version in versions)
        ],
        axis=-1,
    ).reshape(-1, 2, 2)
    subsets = _subsets(footage.num_views)
    first, second = (subsets[:, side].astype(int) for side in index.T)
    per_pair = residual[np.arange(len(index)), first, second]
    mean = epipolar_residuals.mean_of_pairs(per_pair)
    order = np.argsort(mean, kind="stable")
    near = order[mean[order] <= mean[order[0]] + tolerance]
    return [Suspicion(mistake, subsets[row], float(mean[row])) for row in near]


def _subsets(num_views: int) -> np.ndarray:
    """Lists all subsets of the cameras but the empty one, the small ones first."""
    subsets = np.array(list(itertools.product((False, True), repeat=num_views))[1:])
    return subsets[np.argsort(subsets.sum(axis=-1), kind="stable")]
