"""Finds what is wrong with a rig, by undoing one cause after the other until the cameras agree."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_mvlift.diagnosis import (
    anatomy,
    candidates,
    epipolar_residuals,
    findings,
    image_mistakes,
    lens_corrections,
    remainders,
    time_offsets,
)
from keras_mvlift.diagnosis import footage as footages

AGREEMENT = 0.02
"""Pairs of cameras whose epipolar residual is less agree; shares of the person's size."""

EXPLAINED = 0.04
"""A cause is named only if afterwards no pair's residual is more; shares of the person's size."""

UNSUSPICIOUS = 0.012
"""Where every pair's residual is less, no cause is tried: detectors leave about as much."""

DECISIVE_RATIO = 2.0
"""By so much a cause must bring down the residual of the cameras that have it."""

SHIFT_RATIO = 1.04
"""By so much a time shift must, where the cameras agree afterwards: slow people show it little."""

# How many causes may be on top of each other.
_MAX_CAUSES = 3
# Frames on which the person is looked at.
_LOOK_FRAMES = 400
# Factors by which positions are scaled when units are mistaken, by the mistake's name.
_UNITS = {
    "millimeters_for_meters": 1e-3,
    "centimeters_for_meters": 1e-2,
    "millimeters_for_centimeters": 1e-1,
    "centimeters_for_millimeters": 1e1,
    "meters_for_centimeters": 1e2,
    "meters_for_millimeters": 1e3,
}


class Verdict(NamedTuple):
    """What was found.

    Attributes:
        found: The findings, errors first.
        corrected: The footage without the causes that were named.
    """

    found: list[findings.Finding]
    corrected: footages.Footage


def reach(footage: footages.Footage) -> Verdict:
    """Finds what is wrong with a rig."""
    found: list[findings.Finding] = []
    current = footage
    for _ in range(_MAX_CAUSES):
        if _is_sound(current):
            break
        candidate = candidates.likeliest(current)
        corrected = candidate.undo(current)
        if not _is_decisive(current, corrected, candidate.is_in):
            break
        found.append(_named(current, corrected, candidate))
        current = corrected
    if _worst(current) > EXPLAINED:
        # Causes that leave the cameras at odds have not been shown to be causes.
        found, current = [], footage
    for check in (_time_shift, _lens, _sides, _unit):
        for finding, corrected in check(current):
            found.append(finding)
            current = corrected
    found += remainders.find(current, EXPLAINED, AGREEMENT)
    found.sort(key=lambda finding: finding.severity != findings.ERROR)
    return Verdict(found, current)


def _worst(footage: footages.Footage) -> float:
    residuals = epipolar_residuals.matrix(footage.thinned(candidates.TRIAL_FRAMES))
    return float(np.nanmax(residuals)) if np.isfinite(residuals).any() else epipolar_residuals.CAP


def _is_sound(footage: footages.Footage) -> bool:
    if _worst(footage) > UNSUSPICIOUS:
        return False
    look = candidates.plausibility(footage.thinned(candidates.TRIAL_FRAMES))
    return look.in_front >= candidates.MIN_IN_FRONT


def _is_decisive(footage: footages.Footage, corrected: footages.Footage, is_in: np.ndarray) -> bool:
    before, after = (_residual(part, is_in) for part in (footage, corrected))
    looks = [
        candidates.plausibility(part.thinned(candidates.TRIAL_FRAMES))
        for part in (footage, corrected)
    ]
    is_in_front = looks[1].in_front >= candidates.MIN_IN_FRONT
    if before / after >= DECISIVE_RATIO:
        # Two causes at once: the first one mended need not bring everything to its place.
        return is_in_front or looks[1].in_front >= looks[0].in_front
    was_in_front = looks[0].in_front >= candidates.MIN_IN_FRONT
    return is_in_front and not was_in_front and after <= max(before, AGREEMENT)


def _residual(footage: footages.Footage, is_in: np.ndarray) -> float:
    """Gives the mean residual of the pairs that a suspected camera is part of."""
    residuals = epipolar_residuals.matrix(footage.thinned(candidates.TRIAL_FRAMES))[is_in]
    return float(np.nanmean(residuals)) if np.isfinite(residuals).any() else epipolar_residuals.CAP


def _named(
    footage: footages.Footage, corrected: footages.Footage, candidate: candidates.Candidate
) -> findings.Finding:
    size = float(np.median(footage.person_size))
    before, after = (size * _residual(part, candidate.is_in) for part in (footage, corrected))
    names = tuple(np.array(footage.camera_names)[candidate.is_in].tolist())
    at_least = "at least " if before >= 0.99 * size * epipolar_residuals.CAP else ""
    sentence = (
        f"{candidate.cause}. Undoing it brings the epipolar error down from "
        f"{at_least}{before:.1f} to {after:.1f} px."
    )
    return findings.Finding(
        name=candidate.name,
        severity=findings.ERROR,
        cameras=names,
        sentence=sentence,
        remedy=candidate.remedy,
        before=before,
        after=after,
        unit="px",
        details=candidate.details,
    )


Checked = Iterator[tuple[findings.Finding, footages.Footage]]


def _time_shift(footage: footages.Footage) -> Checked:
    offsets = time_offsets.estimate(footage)
    views = np.arange(footage.num_views)
    middle = time_offsets.MAX_SHIFT
    as_it_is, at_best = offsets.curve[views, middle], offsets.curve[views, middle + offsets.frames]
    ratio = np.divide(as_it_is, at_best, out=np.zeros_like(at_best), where=at_best > 0)
    is_late = offsets.frames != 0
    if not is_late.any() or np.nan_to_num(ratio[is_late]).min() < SHIFT_RATIO:
        return
    candidate = candidates.shifted(footage, offsets)
    corrected = candidate.undo(footage)
    if _worst(corrected) <= AGREEMENT:
        yield _named(footage, corrected, candidate), corrected


def _lens(footage: footages.Footage) -> Checked:
    estimate = lens_corrections.shares(footage)
    is_in = lens_corrections.removed_twice(estimate)
    if not is_in.any() or _worst(footage) > AGREEMENT:
        return
    corrected = footage.mixed(lens_corrections.undo(footage), is_in)
    names = tuple(np.array(footage.camera_names)[is_in].tolist())
    before, after = (
        float(np.mean(part.share[is_in])) for part in (estimate, lens_corrections.shares(corrected))
    )
    uncertainty = float(np.min(estimate.uncertainty[is_in]))
    yield (
        findings.Finding(
            name="distortion_removed_twice",
            severity=findings.ERROR,
            cameras=names,
            sentence=(
                f"In {findings.listed(names, footage.camera_names)} lens distortion was removed "
                "twice: the detections are in images already undistorted. The cameras agree best "
                f"without {before:.0%} (give or take {uncertainty:.0%}) of the correction."
            ),
            remedy="Set the distortion coefficients to zero.",
            before=before,
            after=after,
            unit="share of the correction that is too much",
        ),
        corrected,
    )


def _sides(footage: footages.Footage) -> Checked:
    look = candidates.plausibility(footage.thinned(_LOOK_FRAMES))
    if _worst(footage) > EXPLAINED or look.facing > -anatomy.MIN_FACING:
        return
    swapped = image_mistakes.swap_sides(footage)
    after = candidates.plausibility(swapped.thinned(_LOOK_FRAMES)).facing
    yield (
        findings.Finding(
            name="sides_swapped",
            severity=findings.ERROR,
            cameras=footage.camera_names,
            sentence=(
                "Left and right are swapped in all cameras alike: the nose is behind the "
                "shoulders and the knees bend backwards. How far the body faces ahead, from -1 "
                f"to 1, is {look.facing:.2f}; swapped, it is {after:.2f}."
            ),
            remedy="Check the joint order of the detections.",
            before=look.facing,
            after=after,
            unit="",
        ),
        swapped,
    )


def _unit(footage: footages.Footage) -> Checked:
    height = candidates.plausibility(footage.thinned(_LOOK_FRAMES)).height
    low, high = anatomy.PLAUSIBLE_HEIGHT
    if _worst(footage) > EXPLAINED or not np.isfinite(height) or low <= height <= high:
        return
    name, factor = next(
        ((name, factor) for name, factor in _UNITS.items() if low <= height * factor <= high),
        ("scale_implausible", float("nan")),
    )
    is_known = np.isfinite(factor)
    cause = f"{name.replace('_for_', ' were taken for ')}" if is_known else "the scale is wrong"
    corrected = footage.replace_camera(center=footage.camera.center * factor)
    yield (
        findings.Finding(
            name=name,
            severity=findings.ERROR,
            cameras=footage.camera_names,
            sentence=f"The person would be {height:.4g} m tall: {cause} in all cameras alike"
            + (f". Undone, it is {height * factor:.2f} m." if is_known else "."),
            remedy=f"Multiply the positions by {factor:g}."
            if is_known
            else "Calibrate with a length that is known.",
            before=height,
            after=height * factor if is_known else None,
            unit="m",
            details={"factor": factor} if is_known else {},
        ),
        corrected if is_known else footage,
    )
