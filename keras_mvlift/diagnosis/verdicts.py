"""Finds what is wrong with a rig, by undoing one cause after the other until the cameras agree."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.diagnosis import episodes, mistakes, moments, residuals, search
from keras_mvlift.diagnosis import footage as footages

AGREEMENT = 0.02
"""Pairs of cameras whose epipolar residual is less agree; shares of the person's size."""

EXPLAINED = 0.04
"""A cause is named only if afterwards no pair's residual is more; shares of the person's size.

Of two cameras, whom no third contradicts, only if it is no more than `AGREEMENT`.
"""

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


class Verdict(NamedTuple):
    """The findings, errors first, and the footage without the causes that were named."""

    found: list[footages.Finding]
    corrected: footages.Footage


def reach(footage: footages.Footage, up: str = "z") -> Verdict:
    """Finds what is wrong with a rig, whose calibration's file says which axis points up."""
    found, current = _of_all_frames(footage)
    if not _is_sound(current):
        # What holds throughout shows only where what holds at times was undone.
        found, current = [], footage
    for finding, corrected in episodes.trace(current):
        found.append(finding)
        current = corrected
    whole, mended = _of_all_frames(current)
    found += whole
    for check in (_time_shift, _leftovers, _lens, _sides, _unit):
        for finding, corrected in check(mended):
            found.append(finding)
            mended = corrected
    found += [*_up(mended, up), *find(mended), *_unsure(footage), *_lost(footage)]
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
    explained = AGREEMENT if footage.num_views == 2 else EXPLAINED
    if _worst(current) > explained or off > episodes.MIN_SHARE:
        return [], footage
    return found, current


def _trial_residuals(footage: footages.Footage) -> np.ndarray:
    return residuals.residual_matrix(footage.thinned(search.TRIAL_FRAMES))


def _worst(footage: footages.Footage) -> float:
    matrix = _trial_residuals(footage)
    return float(np.nanmax(matrix)) if np.isfinite(matrix).any() else residuals.CAP


def _is_sound(footage: footages.Footage) -> bool:
    return _worst(footage) <= UNSUSPICIOUS and search.plausibility(footage).is_in_front


def _is_decisive(footage: footages.Footage, corrected: footages.Footage, is_in: np.ndarray) -> bool:
    both = footage, corrected
    before, after = (_residual(part, is_in) for part in both)
    was, now = map(search.plausibility, both)
    if before / after >= DECISIVE_RATIO:
        # Two causes at once: the first one mended need not bring everything to its place.
        return now.is_in_front or now.in_front >= was.in_front
    return now.is_in_front and not was.is_in_front and after <= max(before, AGREEMENT)


def _residual(footage: footages.Footage, is_in: np.ndarray) -> float:
    """Returns the mean residual of the pairs that a suspected camera is part of."""
    mean = residuals.mean_of_pairs(_trial_residuals(footage)[is_in].ravel())
    return float(np.nan_to_num(mean, nan=residuals.CAP))


def _named(
    footage: footages.Footage, corrected: footages.Footage, candidate: search.Candidate
) -> footages.Finding:
    size = float(np.median(footage.person_size))
    before, after = (size * _residual(part, candidate.is_in) for part in (footage, corrected))
    hedge = " Of two cameras alone a calibration that is off may look alike."
    at_least = "at least " if before >= 0.99 * size * residuals.CAP else ""
    return footages.Finding(
        name=candidate.name,
        severity=footages.ERROR,
        cameras=footage.named(candidate.is_in),
        sentence=f"{candidate.cause}. Undoing it brings the epipolar error down from "
        f"{at_least}{before:.1f} to {after:.1f} px.{hedge * (footage.num_views == 2)}",
        remedy=candidate.remedy,
        before=before,
        after=after,
        unit="px",
        details=candidate.details,
    )


Checked = Iterator[tuple[footages.Finding, footages.Footage]]


def _time_shift(footage: footages.Footage) -> Checked:
    offsets = residuals.estimate_offsets(footage)
    candidate = search.shifted(footage, offsets)
    is_late, views = candidate.is_in, np.arange(footage.num_views)
    middle = residuals.MAX_SHIFT
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


def _leftovers(footage: footages.Footage) -> Checked:
    # Where cameras face elsewhere, some frames are farther off than others.
    told = episodes.leftovers(footage)
    yield from ((left, rest) for left, rest in told if _worst(rest) <= EXPLAINED)


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


def _look(footage: footages.Footage) -> residuals.Reprojection:
    return residuals.reproject(footage.thinned(_LOOK_FRAMES))


def _sides(footage: footages.Footage) -> Checked:
    before = residuals.facing(_look(footage).points)
    if _worst(footage) > EXPLAINED or before > -residuals.MIN_FACING:
        return
    swapped = mistakes.swap_sides(footage)
    after = residuals.facing(_look(swapped).points)
    finding = footages.Finding(
        name="sides_swapped",
        severity=footages.ERROR,
        cameras=footage.camera_names,
        sentence="Left and right are swapped in all cameras alike: the nose is behind the "
        "shoulders and the knees bend backwards. How far the body faces ahead, from -1 "
        f"to 1, is {before:.2f}; swapped, it is {after:.2f}.",
        remedy="Check the joint order of the detections.",
        before=before,
        after=after,
    )
    yield finding, swapped


def _unit(footage: footages.Footage) -> Checked:
    height = residuals.person(_look(footage)).height
    low, high = residuals.PLAUSIBLE_HEIGHT
    if _worst(footage) > EXPLAINED or not np.isfinite(height) or low <= height <= high:
        return
    fitting = (name for name, factor in mistakes.UNITS.items() if low <= height * factor <= high)
    name = next(fitting, "")
    factor = mistakes.UNITS.get(name, 1.0)
    cause = mistakes.wrong_unit(name) if name else "the scale is wrong"
    undone = f" Undone, it is {height * factor:.2f} m." if name else ""
    multiply = f"Multiply the positions by {factor:g}."
    finding = footages.Finding(
        name=name or "scale_implausible",
        severity=footages.ERROR,
        cameras=footage.camera_names,
        sentence=f"The person would be {height:.4g} m tall: {cause} in all cameras alike.{undone}",
        remedy=multiply if name else "Calibrate with a length that is known.",
        before=height,
        after=height * factor if name else None,
        unit="m",
        details={"factor": factor} if name else {},
    )
    center = footage.camera.center * factor
    yield finding, footage.replace_camera(center=center) if name else footage


MIN_STEADY = 0.8
"""Of the mean direction of the body: 1 if it never changes; people at exercise have less."""

MIN_UPRIGHT = 0.5
"""Of the upward part of that direction: 1 for standing, 0 for lying, -1 on the head."""


def _up(footage: footages.Footage, up: str) -> Iterator[footages.Finding]:
    body = residuals.upward(_look(footage).points)
    if np.linalg.norm(body) < MIN_STEADY or body[2] >= MIN_UPRIGHT or _worst(footage) > EXPLAINED:
        return
    in_file = calibrations.turn_points_back(body, up)
    axis = int(np.abs(in_file).argmax())
    right = "-" * bool(in_file[axis] < 0) + "xyz"[axis]
    pose = "on their heads" if body[2] < -MIN_UPRIGHT else "on their side"
    yield footages.Finding(
        name="up_is_wrong",
        cameras=footage.camera_names,
        sentence=f"With {up} up people are {pose}: their heads lie along {right} from their feet.",
        remedy=f"Set the calibration's `up` to {right!r}, unless they really lie.",
        before=float(body[2]),
        after=float(np.abs(in_file[axis])),
        unit="share of the body's length upwards",
        details={"up": right},
    )


# What is left when no cause can be named: a calibration that is off, or detections that are.

MAX_BIAS = 0.01
"""A camera that sees everything shifted by more is off; shares of the person's size."""

MAX_LEANING = 0.1
"""Pairs that are farther off, in shares of the person's size, are so by a mistake, not by cameras
that moved a little since they were calibrated."""

MIN_MEAN_CONFIDENCE = 0.4
"""Less on average, and a camera's detections are called unsure."""

MAX_LOST = 0.3
"""More of the frames without a usable person, and a camera's frames are called lost."""

MIN_JOINTS = 8
"""A view with fewer joints is not used, as the preparation has it."""

MAX_FAR = (0.1, 0.15)
"""So far from where all cameras put it, a share of the person's size, a joint is wrong; of a
camera's joints, this share may be."""


def bias(footage: footages.Footage) -> np.ndarray:
    """Measures by how much each camera sees the person beside where all cameras put them.

    Returns:
        `[V, 2]`, pixels: the median over frames and joints of seen minus projected; 0 for a
        camera that shares no joint with another.
    """
    residual = _look(footage).residual.reshape(footage.num_views, -1, 2)
    return np.nan_to_num(residuals.masked_median(residual.swapaxes(-1, -2)))


def find(footage: footages.Footage) -> Iterator[footages.Finding]:
    """Says how the cameras still disagree in footage from which the known causes were taken."""
    matrix = residuals.residual_matrix(footage.thinned(_LOOK_FRAMES))
    if not np.isfinite(matrix).any():
        yield _nothing_shared(footage)
        return
    shift = bias(footage)
    is_off = np.linalg.norm(shift, axis=-1) > MAX_BIAS * footage.person_size
    if np.nanmax(matrix) > EXPLAINED and not _is_bias(footage, shift):
        yield _unexplained(footage, matrix)
    elif is_off.any():
        yield _calibration_off(footage, np.linalg.norm(shift, axis=-1), is_off, matrix)
    elif np.nanmax(matrix) > AGREEMENT:
        yield _noisy(footage, matrix)
    else:
        yield from _scattered(footage)


def _is_bias(footage: footages.Footage, shift: np.ndarray) -> bool:
    """Checks whether cameras little off agree once what each sees is shifted."""
    moved = footage.keypoints_2d - shift[:, np.newaxis, np.newaxis]
    before, after = _worst(footage), _worst(footage.replace_images(moved, footage.confidence))
    return before <= MAX_LEANING and after <= min(EXPLAINED, before / DECISIVE_RATIO)


def _scattered(footage: footages.Footage) -> Iterator[footages.Finding]:
    error = _look(footage).error.reshape(footage.num_views, -1)
    known = np.isfinite(error)
    is_far = known & (error > MAX_FAR[0] * footage.person_size[:, np.newaxis])
    share = is_far.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    is_in, worst = share > MAX_FAR[1], int(share.argmax())
    if is_in.any():
        yield footages.Finding(
            name="joints_scattered",
            cameras=footage.named(is_in),
            sentence=f"In {footage.listed(is_in)} many joints are nowhere "
            f"near where the cameras together put them: {share[worst]:.0%} of those of "
            f"{footage.camera_names[worst]} are off by more than {MAX_FAR[0]:.0%} of the person.",
            remedy="Look at the detections: joints that were not found must have confidence 0.",
            before=float(share[worst]),
            unit="share of joints",
        )


def lost_frames(footage: footages.Footage) -> tuple[np.ndarray, np.ndarray]:
    """Returns the shares of frames `[V]` with nobody, and with too few joints to be used."""
    count = (footage.confidence > 0).sum(axis=-1)
    found = (footage.detector_confidence > 0).any(axis=-1)
    return (~found).mean(axis=-1), (found & (count < MIN_JOINTS)).mean(axis=-1)


def _nothing_shared(footage: footages.Footage) -> footages.Finding:
    sentence = "No two cameras ever saw the same joint in the same frame."
    remedy = "Check that the recordings belong together, and their frame numbers."
    if (footage.detector_confidence > 0).any() and not (footage.confidence > 0).any():
        limit = footages.MIN_CONFIDENCE
        sentence = f"No joint is surer than {limit:g}; those less sure count as not seen."
        remedy = "Check the scores of the detections, and `max_score`."
    return footages.Finding(
        name="nothing_shared",
        severity=footages.ERROR,
        cameras=footage.camera_names,
        sentence=sentence,
        remedy=remedy,
        before=0.0,
        unit="joints",
    )


def _unexplained(footage: footages.Footage, matrix: np.ndarray) -> footages.Finding:
    first, second = np.unravel_index(np.nanargmax(matrix), matrix.shape)
    mean = np.nanmean(matrix, axis=-1)
    # Cameras that agree with none of the others, or all of them.
    is_off = np.nanmin(matrix, axis=-1) > np.nanmax(matrix) / 4
    is_off = is_off if is_off.any() else mean >= mean.max() * 0.99
    worst = float(matrix[first, second] * np.median(footage.person_size))
    pair = f"{footage.camera_names[first]} and {footage.camera_names[second]}"
    return footages.Finding(
        name="unexplained",
        severity=footages.ERROR,
        cameras=footage.named(is_off),
        sentence=f"The cameras do not agree, and no single cause mends it: {pair} are {worst:.1f} "
        f"px off each other's epipolar lines. Most likely it is {footage.listed(is_off)}.",
        remedy="Calibrate anew; check that all cameras show the same person.",
        before=worst,
        unit="px",
    )


def _calibration_off(
    footage: footages.Footage, shift: np.ndarray, is_off: np.ndarray, matrix: np.ndarray
) -> footages.Finding:
    told = footages.listed(
        tuple(
            f"about {shift[view]:.0f} px in {footage.camera_names[view]}"
            for view in np.flatnonzero(is_off)
        )
    )
    return footages.Finding(
        name="calibration_off",
        severity=footages.ERROR if np.nanmax(matrix) > EXPLAINED else footages.WARNING,
        cameras=footage.named(is_off),
        sentence=f"The calibration is off by {told}: there the person is seen beside where all "
        "cameras put them, always to the same side. No known mistake explains it.",
        remedy="Refine the calibration: keras-mvlift calibrate --refine.",
        before=float(shift[is_off].max()),
        unit="px",
    )


def _noisy(footage: footages.Footage, matrix: np.ndarray) -> footages.Finding:
    worst = float(np.nanmax(matrix) * np.median(footage.person_size))
    return footages.Finding(
        name="detections_noisy",
        cameras=footage.camera_names,
        sentence=f"The cameras agree no better than {worst:.1f} px, without leaning to one side: "
        "the detections are noisy, or lengths in the calibration are.",
        remedy="Use a better detector, or refine the calibration.",
        before=worst,
        unit="px",
    )


def _unsure(footage: footages.Footage) -> Iterator[footages.Finding]:
    found = footage.detector_confidence > 0
    total = np.where(found, footage.detector_confidence, 0.0).sum(axis=(1, 2))
    mean = total / np.maximum(found.sum(axis=(1, 2)), 1)
    for view in np.flatnonzero(mean < MIN_MEAN_CONFIDENCE):
        name = footage.camera_names[view]
        yield footages.Finding(
            name="detections_unsure",
            cameras=(name,),
            sentence=f"{name} is unsure of what it sees: its mean confidence is {mean[view]:.2f}.",
            remedy="Look at its images: light, sharpness, and how large the person is.",
            before=float(mean[view]),
        )


def _lost(footage: footages.Footage) -> Iterator[footages.Finding]:
    nobody, too_few = lost_frames(footage)
    for view in np.flatnonzero(nobody + too_few > MAX_LOST):
        name, lost = footage.camera_names[view], float(nobody[view] + too_few[view])
        yield footages.Finding(
            name="frames_lost",
            cameras=(name,),
            sentence=f"{name} loses {lost:.0%} of its frames: {nobody[view]:.0%} show nobody, "
            f"{too_few[view]:.0%} fewer than {MIN_JOINTS} joints.",
            remedy="Check that the person is in its picture, and the detector's settings.",
            before=lost,
            unit="share of frames",
        )
