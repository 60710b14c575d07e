"""Finds what is wrong with a rig, by undoing one cause after the other until the cameras agree."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.diagnosis import episodes, mistakes, moments, search
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import residuals as diagnosis_residuals

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

ERROR_SHIFT_SECONDS = 0.05
"""A shorter time shift is a warning: two frames of 60 a second, as studios have them at times."""

# How many causes may be on top of each other.
_MAX_CAUSES = 3
_LOOK_FRAMES = 400  # Frames on which the person is looked at.
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
    """The findings, errors first, and the footage without the causes that were named."""

    found: list[footages.Finding]
    corrected: footages.Footage


def reach(footage: footages.Footage, up: str = "z") -> Verdict:
    """Finds what is wrong with a rig, whose calibration's file says which axis points up."""
    found: list[footages.Finding] = []
    current = footage
    for finding, corrected in episodes.trace(footage):
        found.append(finding)
        current = corrected
    whole, mended = _of_all_frames(current)
    for check in (_time_shift, episodes.leftovers, _lens, _sides, _unit):
        for finding, corrected in check(mended):
            whole.append(finding)
            mended = corrected
    found += whole + _up(mended, up) + find(mended) + _unsure(footage) + _lost(footage)
    found.sort(key=lambda finding: finding.severity != footages.ERROR)
    return Verdict(found, mended)


def _of_all_frames(footage: footages.Footage) -> tuple[list[footages.Finding], footages.Footage]:
    """Looks for causes that hold throughout; they are none if they leave the cameras at odds."""
    found: list[footages.Finding] = []
    current = footage
    for _ in range(_MAX_CAUSES):
        if _is_sound(current):
            break
        candidate = search.likeliest(current)
        corrected = candidate.undo(current)
        if not _is_decisive(current, corrected, candidate.is_in):
            break
        found.append(_named(current, corrected, candidate))
        current = corrected
    off = moments.consensus(current).share_off.max() if found else 0.0
    if _worst(current) > EXPLAINED or off > episodes.MIN_SHARE:
        return [], footage
    return found, current


def _worst(footage: footages.Footage) -> float:
    residuals = diagnosis_residuals.residual_matrix(footage.thinned(search.TRIAL_FRAMES))
    return float(np.nanmax(residuals)) if np.isfinite(residuals).any() else diagnosis_residuals.CAP


def _is_in_front(look: search.Plausibility) -> bool:
    return look.in_front >= search.MIN_IN_FRONT


def _is_sound(footage: footages.Footage) -> bool:
    if _worst(footage) > UNSUSPICIOUS:
        return False
    return _is_in_front(search.plausibility(footage.thinned(search.TRIAL_FRAMES)))


def _is_decisive(footage: footages.Footage, corrected: footages.Footage, is_in: np.ndarray) -> bool:
    both = footage, corrected
    before, after = (_residual(part, is_in) for part in both)
    was, now = (search.plausibility(part.thinned(search.TRIAL_FRAMES)) for part in both)
    if before / after >= DECISIVE_RATIO:
        # Two causes at once: the first one mended need not bring everything to its place.
        return _is_in_front(now) or now.in_front >= was.in_front
    return _is_in_front(now) and not _is_in_front(was) and after <= max(before, AGREEMENT)


def _residual(footage: footages.Footage, is_in: np.ndarray) -> float:
    """Returns the mean residual of the pairs that a suspected camera is part of."""
    residuals = diagnosis_residuals.residual_matrix(footage.thinned(search.TRIAL_FRAMES))[is_in]
    mean = float(diagnosis_residuals.mean_of_pairs(residuals.ravel()))
    return mean if np.isfinite(mean) else diagnosis_residuals.CAP


def _named(
    footage: footages.Footage, corrected: footages.Footage, candidate: search.Candidate
) -> footages.Finding:
    size = float(np.median(footage.person_size))
    before, after = (size * _residual(part, candidate.is_in) for part in (footage, corrected))
    at_least = "at least " if before >= 0.99 * size * diagnosis_residuals.CAP else ""
    return footages.Finding(
        name=candidate.name,
        severity=footages.ERROR,
        cameras=footage.named(candidate.is_in),
        sentence=f"{candidate.cause}. Undoing it brings the epipolar error down from "
        f"{at_least}{before:.1f} to {after:.1f} px.",
        remedy=candidate.remedy,
        before=before,
        after=after,
        unit="px",
        details=candidate.details,
    )


Checked = Iterator[tuple[footages.Finding, footages.Footage]]


def _time_shift(footage: footages.Footage) -> Checked:
    offsets = diagnosis_residuals.estimate_offsets(footage)
    candidate = search.shifted(footage, offsets)
    is_late, views = candidate.is_in, np.arange(footage.num_views)
    middle = diagnosis_residuals.MAX_SHIFT
    as_it_is, at_best = offsets.curve[views, middle], offsets.curve[views, middle + offsets.frames]
    ratio = np.divide(as_it_is, at_best, out=np.zeros_like(at_best), where=at_best > 0)
    seen = moments.consensus(footage)
    for view in np.flatnonzero(is_late):
        for drift, corrected in episodes.out_of_step(footage, seen, int(view)):
            # Where a calibration is off, other times fit a little better, too.
            if _worst(corrected) <= AGREEMENT:
                yield drift, corrected
                return
    if not is_late.any() or np.nan_to_num(ratio[is_late]).min() < SHIFT_RATIO:
        return
    corrected = candidate.undo(footage)
    off = moments.consensus(corrected).share_off.max()
    if _worst(corrected) <= AGREEMENT and off <= episodes.MIN_SHARE:
        named = _named(footage, corrected, candidate)
        frames = np.abs(offsets.frames[is_late]).max()
        if frames < ERROR_SHIFT_SECONDS * footage.frame_rate:
            named = dataclasses.replace(named, severity=footages.WARNING)
        yield named, corrected


def _lens(footage: footages.Footage) -> Checked:
    estimate = mistakes.lens_shares(footage)
    is_in = mistakes.removed_twice(estimate)
    if not is_in.any() or _worst(footage) > AGREEMENT:
        return
    corrected = footage.mixed(mistakes.undo_lens(footage), is_in)
    shares = estimate.share, mistakes.lens_shares(corrected).share
    before, after = (float(np.mean(share[is_in])) for share in shares)
    uncertainty = float(np.min(estimate.uncertainty[is_in]))
    finding = footages.Finding(
        name="distortion_removed_twice",
        severity=footages.ERROR,
        cameras=footage.named(is_in),
        sentence=f"In {footage.listed(is_in)} lens distortion was removed "
        "twice: the detections are in images already undistorted. The cameras agree best "
        f"without {before:.0%} (give or take {uncertainty:.0%}) of the correction.",
        remedy="Set the distortion coefficients to zero.",
        before=before,
        after=after,
        unit="share of the correction that is too much",
    )
    yield finding, corrected


def _sides(footage: footages.Footage) -> Checked:
    look = search.plausibility(footage.thinned(_LOOK_FRAMES))
    if _worst(footage) > EXPLAINED or look.facing > -diagnosis_residuals.MIN_FACING:
        return
    swapped = mistakes.swap_sides(footage)
    after = search.plausibility(swapped.thinned(_LOOK_FRAMES)).facing
    finding = footages.Finding(
        name="sides_swapped",
        severity=footages.ERROR,
        cameras=footage.camera_names,
        sentence="Left and right are swapped in all cameras alike: the nose is behind the "
        "shoulders and the knees bend backwards. How far the body faces ahead, from -1 "
        f"to 1, is {look.facing:.2f}; swapped, it is {after:.2f}.",
        remedy="Check the joint order of the detections.",
        before=look.facing,
        after=after,
    )
    yield finding, swapped


def _unit(footage: footages.Footage) -> Checked:
    height = search.plausibility(footage.thinned(_LOOK_FRAMES)).height
    low, high = diagnosis_residuals.PLAUSIBLE_HEIGHT
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
        footages.Finding(
            name=name,
            severity=footages.ERROR,
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


MIN_STEADY = 0.8
"""Of the mean direction of the body: 1 if it never changes; people at exercise have less."""

MIN_UPRIGHT = 0.5
"""Of the upward part of that direction: 1 for standing, 0 for lying, -1 on the head."""


def _up(footage: footages.Footage, up: str) -> list[footages.Finding]:
    placed = diagnosis_residuals.reproject(footage.thinned(_LOOK_FRAMES))
    body = diagnosis_residuals.upward(placed.points, placed.is_seen)
    if np.linalg.norm(body) < MIN_STEADY or body[2] >= MIN_UPRIGHT or _worst(footage) > EXPLAINED:
        return []
    in_file = calibrations.turn_points_back(body, up)
    axis = int(np.abs(in_file).argmax())
    right = "-" * bool(in_file[axis] < 0) + "xyz"[axis]
    pose = "on their heads" if body[2] < -MIN_UPRIGHT else "on their side"
    return [
        footages.Finding(
            name="up_is_wrong",
            cameras=footage.camera_names,
            sentence=f"With {up} up people are {pose}: their heads lie along {right} from their "
            "feet.",
            remedy=f"Set the calibration's `up` to {right!r}, unless they really lie.",
            before=float(body[2]),
            after=float(np.abs(in_file[axis])),
            unit="share of the body's length upwards",
            details={"up": right},
        )
    ]


# What is left when no cause can be named: a calibration that is off, or detections that are.

MAX_BIAS = 0.01
"""A camera that sees everything shifted by more is off; shares of the person's size."""

MIN_MEAN_CONFIDENCE = 0.4
"""Less on average, and a camera's detections are called unsure."""

MAX_LOST = 0.3
"""More of the frames without a usable person, and a camera's frames are called lost."""

MIN_JOINTS = 8
"""A view with fewer joints is not used, as the preparation has it."""

_MAX_FRAMES = 400


def bias(footage: footages.Footage) -> np.ndarray:
    """Measures by how much each camera sees the person beside where all cameras put them.

    Returns:
        `[V, 2]`, pixels: the median over frames and joints of seen minus projected; 0 for a
        camera that shares no joint with another.
    """
    residual = diagnosis_residuals.reproject(footage.thinned(_MAX_FRAMES)).residual
    flat = residual.reshape(footage.num_views, -1, 2)
    seen = np.isfinite(flat)
    median = diagnosis_residuals.masked_median(
        np.where(seen, flat, 0.0).swapaxes(-1, -2), seen.swapaxes(-1, -2)
    )
    return np.nan_to_num(median)


def find(footage: footages.Footage) -> list[footages.Finding]:
    """Says how the cameras still disagree in footage from which the known causes were taken."""
    residuals = diagnosis_residuals.residual_matrix(footage.thinned(_MAX_FRAMES))
    if not np.isfinite(residuals).any():
        return [_nothing_shared(footage)]
    found = []
    worst = float(np.nanmax(residuals))
    if worst > EXPLAINED:
        found.append(_unexplained(footage, residuals))
    else:
        shift = bias(footage)
        is_off = np.linalg.norm(shift, axis=-1) > MAX_BIAS * footage.person_size
        if is_off.any():
            found.append(_calibration_off(footage, shift, is_off))
        elif worst > AGREEMENT:
            found.append(_noisy(footage, residuals))
        else:
            found += _scattered(footage)
    return found


MAX_FAR = (0.1, 0.15)
"""So far from where all cameras put it, a share of the person's size, a joint is wrong; of a
camera's joints, this share may be."""


def _scattered(footage: footages.Footage) -> list[footages.Finding]:
    error = diagnosis_residuals.reproject(footage.thinned(_MAX_FRAMES)).error
    known = np.isfinite(error)
    size = footage.person_size
    is_far = known & (error > MAX_FAR[0] * size[:, np.newaxis, np.newaxis])
    share = is_far.sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1)
    is_in = share > MAX_FAR[1]
    if not is_in.any():
        return []
    worst = int(share.argmax())
    return [
        footages.Finding(
            name="joints_scattered",
            cameras=footage.named(is_in),
            sentence=f"In {footage.listed(is_in)} many joints are nowhere "
            f"near where the cameras together put them: {share[worst]:.0%} of those of "
            f"{footage.camera_names[worst]} are off by more than {MAX_FAR[0]:.0%} of the person.",
            remedy="Look at the detections: joints that were not found must have confidence 0.",
            before=float(share[worst]),
            unit="share of joints",
        )
    ]


def lost_frames(footage: footages.Footage) -> tuple[np.ndarray, np.ndarray]:
    """Returns the shares of frames `[V]` with nobody, and with too few joints to be used."""
    count = (footage.confidence > 0).sum(axis=-1)
    found = (footage.detector_confidence > 0).any(axis=-1)
    return (~found).mean(axis=-1), (found & (count < MIN_JOINTS)).mean(axis=-1)


def _nothing_shared(footage: footages.Footage) -> footages.Finding:
    is_unsure = (footage.detector_confidence > 0).any() and not (footage.confidence > 0).any()
    limit = footages.MIN_CONFIDENCE
    return footages.Finding(
        name="nothing_shared",
        severity=footages.ERROR,
        cameras=footage.camera_names,
        sentence=f"No joint is surer than {limit:g}; those less sure count as not seen."
        if is_unsure
        else "No two cameras ever saw the same joint in the same frame.",
        remedy="Check the scores of the detections, and `max_score`."
        if is_unsure
        else "Check that the recordings belong together, and their frame numbers.",
        before=0.0,
        unit="joints",
    )


def _unexplained(footage: footages.Footage, residuals: np.ndarray) -> footages.Finding:
    first, second = np.unravel_index(np.nanargmax(residuals), residuals.shape)
    mean = np.nanmean(residuals, axis=-1)
    # Cameras that agree with none of the others, or all of them.
    is_off = np.nanmin(residuals, axis=-1) > np.nanmax(residuals) / 4
    is_off = is_off if is_off.any() else mean >= mean.max() * 0.99
    worst = float(residuals[first, second] * np.median(footage.person_size))
    pair = f"{footage.camera_names[first]} and {footage.camera_names[second]}"
    return footages.Finding(
        name="unexplained",
        severity=footages.ERROR,
        cameras=footage.named(is_off),
        sentence=(
            f"The cameras do not agree, and no single cause mends it: {pair} are {worst:.1f} px "
            f"off each other's epipolar lines. Most likely it is "
            f"{footage.listed(is_off)}."
        ),
        remedy="Calibrate anew; check that all cameras show the same person.",
        before=worst,
        unit="px",
    )


def _calibration_off(
    footage: footages.Footage, shift: np.ndarray, is_off: np.ndarray
) -> footages.Finding:
    length = np.linalg.norm(shift, axis=-1)
    told = " and ".join(
        f"about {length[view]:.0f} px in {footage.camera_names[view]}"
        for view in np.flatnonzero(is_off)
    )
    return footages.Finding(
        name="calibration_off",
        cameras=footage.named(is_off),
        sentence=(
            f"The calibration is off by {told}: there the person is seen beside where all "
            "cameras put them, always to the same side. No known mistake explains it."
        ),
        remedy="Refine the calibration: keras-mvlift calibrate --refine.",
        before=float(length[is_off].max()),
        unit="px",
    )


def _noisy(footage: footages.Footage, residuals: np.ndarray) -> footages.Finding:
    worst = float(np.nanmax(residuals) * np.median(footage.person_size))
    return footages.Finding(
        name="detections_noisy",
        cameras=footage.camera_names,
        sentence=(
            f"The cameras agree no better than {worst:.1f} px, without leaning to one side: the "
            "detections are noisy, or lengths in the calibration are."
        ),
        remedy="Use a better detector, or refine the calibration.",
        before=worst,
        unit="px",
    )


def _unsure(footage: footages.Footage) -> list[footages.Finding]:
    found = footage.detector_confidence > 0
    total = np.where(found, footage.detector_confidence, 0.0).sum(axis=(1, 2))
    mean = total / np.maximum(found.sum(axis=(1, 2)), 1)
    return [
        footages.Finding(
            name="detections_unsure",
            cameras=(footage.camera_names[view],),
            sentence=f"{footage.camera_names[view]} is unsure of what it sees: its mean "
            f"confidence is {mean[view]:.2f}.",
            remedy="Look at its images: light, sharpness, and how large the person is.",
            before=float(mean[view]),
        )
        for view in np.flatnonzero(mean < MIN_MEAN_CONFIDENCE)
    ]


def _lost(footage: footages.Footage) -> list[footages.Finding]:
    nobody, too_few = lost_frames(footage)
    return [
        footages.Finding(
            name="frames_lost",
            cameras=(footage.camera_names[view],),
            sentence=f"{footage.camera_names[view]} loses {nobody[view] + too_few[view]:.0%} of "
            f"its frames: {nobody[view]:.0%} show nobody, {too_few[view]:.0%} fewer than "
            f"{MIN_JOINTS} joints.",
            remedy="Check that the person is in its picture, and the detector's settings.",
            before=float(nobody[view] + too_few[view]),
            unit="share of frames",
        )
        for view in np.flatnonzero(nobody + too_few > MAX_LOST)
    ]
