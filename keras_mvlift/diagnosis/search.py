"""Causes of disagreement to choose from, each tried and measured."""

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import mistakes, residuals

TRIAL_FRAMES = 120
"""Frames, evenly spread, on which causes are tried."""

MIN_SHIFT_SECONDS = 0.03
"""Cameras without a common trigger are off by half a frame or one, which moves joints little."""

# Causes whose residuals are this close are told apart by the person's height and bearing.
_TIE_RATIO, _TIE = 1.3, 0.002
_MAX_TIED = 12


class Candidate(NamedTuple):
    """A cause, and what the footage is without it."""

    name: str  # As of a `footage.Finding`, and so are `remedy` and `details`.
    cause: str  # What is wrong, a sentence without its period.
    remedy: str  # What to do about it.
    is_in: np.ndarray  # [V], which cameras have it.
    undo: mistakes.Undo  # Corrects footage.
    residual: float  # The mean over pairs once corrected, on the frames of the trial.
    details: dict[str, object]  # What else is known.


def plausibility(footage: footages.Footage) -> residuals.Person:
    """Triangulates the person, on the frames of a trial, and looks at them."""
    return residuals.person(residuals.reproject(footage.thinned(TRIAL_FRAMES)))


def likeliest(footage: footages.Footage) -> Candidate:
    """Tries every cause and gives the one after which the cameras agree best.

    Among causes that do about as well, the one that leaves a plausible person in front of the
    cameras is chosen, then the one in the fewest cameras.
    """
    trial = footage.thinned(TRIAL_FRAMES)
    found = sorted(_all(footage, trial), key=lambda candidate: candidate.residual)
    limit = found[0].residual * _TIE_RATIO + _TIE
    tied = [candidate for candidate in found if candidate.residual <= limit][:_MAX_TIED]
    if len(tied) == 1:
        return tied[0]

    def rank(candidate: Candidate) -> tuple[float, ...]:
        # Shifting needs the frames between those of the trial.
        score = plausibility(candidate.undo(footage)).score
        return score, -int(candidate.is_in.sum()), -candidate.residual

    return max(tied, key=rank)


def _all(footage: footages.Footage, trial: footages.Footage) -> Iterator[Candidate]:
    for mistake in (*mistakes.CALIBRATION_MISTAKES, *mistakes.IMAGE_MISTAKES):
        for is_in, residual in find(trial, mistake, _TIE):
            cause = f"In {footage.listed(is_in)} {mistake.cause}"
            undo = functools.partial(mistake.undo_in, is_in)
            yield Candidate(mistake.name, cause, mistake.remedy, is_in, undo, residual, {})
    yield reordered(trial)
    yield shifted(footage, residuals.estimate_offsets(footage))


def reordered(footage: footages.Footage) -> Candidate:
    """Returns the best order of the cameras as a candidate; a few frames are enough."""
    order, residual = mistakes.best_order(footage)
    names = footage.camera_names
    is_in = np.array(order) != np.arange(len(order))
    told = ", ".join(
        f"{names[camera]} needs those of {names[order[camera]]}" for camera in np.flatnonzero(is_in)
    )
    return Candidate(
        "cameras_out_of_order",
        f"Detections were given to the wrong cameras: {told}",
        "Give each camera the detections of its own images.",
        is_in,
        lambda other: other.reordered(order),
        residual if is_in.any() else np.inf,
        {"order": {names[camera]: names[view] for camera, view in enumerate(order)}},
    )


def shifted(footage: footages.Footage, offsets: residuals.TimeOffsets) -> Candidate:
    """Returns time offsets as a candidate; those below `MIN_SHIFT_SECONDS` are none."""
    told = np.abs(offsets.frames) >= MIN_SHIFT_SECONDS * footage.frame_rate
    by_view = np.where(told, offsets.frames, 0)
    named = zip(footage.camera_names, by_view.tolist(), strict=True)
    frames = {name: offset for name, offset in named if offset}
    corrected = footage.shifted(by_view)
    # Shifted, few frames may be left.
    residual = residuals.mean_residual(corrected.thinned(TRIAL_FRAMES)) if frames else np.inf
    told = ", ".join(
        f"{name} is {'late' if frame > 0 else 'early'} by {abs(frame)} "
        f"frame{'s' * (abs(frame) > 1)} ({abs(frame) / footage.frame_rate:.3f} s)"
        for name, frame in frames.items()
    )
    seconds = {name: frame / footage.frame_rate for name, frame in frames.items()}
    return Candidate(
        "time_shift",
        f"The cameras do not show the same instant: {told}",
        "Drop as many frames at the start of a late camera's recording, or synchronize.",
        by_view != 0,
        lambda other: other.shifted(by_view),
        residual if np.isfinite(residual) else np.inf,
        {"offset_frames": frames, "offset_seconds": seconds},
    )


# Which cameras have a mistake: those for which undoing it makes the rig agree best.


def find(
    footage: footages.Footage, mistake: mistakes.Mistake, tolerance: float = 0.0
) -> list[tuple[np.ndarray, float]]:
    """Tries a mistake in every subset of the cameras, on a few frames.

    Returns:
        The best subset and those within the tolerance, `[V]` bool, the best first, never the
        empty one; and the mean residual of each once the mistake is undone there.
    """
    index = residuals.pairs_of_views(footage.num_views)
    versions = (footage, mistake.undo(footage))
    # residual[p, a, b]: of pair p, with the first camera in version a and the second in b.
    residual = np.stack(
        [
            residuals.residuals_of_views(first, second)
            for first in (version.views(index[:, 0]) for version in versions)
            for second in (version.views(index[:, 1]) for version in versions)
        ],
        axis=-1,
    ).reshape(-1, 2, 2)
    subsets = _subsets(footage.num_views)
    first, second = (subsets[:, side].astype(int) for side in index.T)
    mean = residuals.mean_of_pairs(residual[np.arange(len(index)), first, second])
    order = np.argsort(mean, kind="stable")
    near = order[mean[order] <= mean[order[0]] + tolerance]
    return [(subsets[row], float(mean[row])) for row in near]


def _subsets(num_views: int) -> np.ndarray:
    """Lists all subsets of the cameras but the empty one, the small ones first."""
    subsets = np.array(list(itertools.product((False, True), repeat=num_views))[1:])
    return subsets[np.argsort(subsets.sum(axis=-1), kind="stable")]
