"""What is left when no cause can be named: a calibration that is off, or detections that are."""

import numpy as np

from keras_mvlift.diagnosis import epipolar_residuals, findings, reprojections
from keras_mvlift.diagnosis import footage as footages

MAX_BIAS = 0.01
"""A camera that sees everything shifted by more is off; shares of the person's size."""

MIN_MEAN_CONFIDENCE = 0.5
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
    residual = reprojections.of_all(footage.thinned(_MAX_FRAMES)).residual
    flat = residual.reshape(footage.num_views, -1, 2)
    seen = np.isfinite(flat)
    median = epipolar_residuals.masked_median(
        np.where(seen, flat, 0.0).swapaxes(-1, -2), seen.swapaxes(-1, -2)
    )
    return np.nan_to_num(median)


def find(footage: footages.Footage, explained: float, agreement: float) -> list[findings.Finding]:
    """Says what else is off in footage from which the known causes were taken.

    Args:
        footage: The footage.
        explained: A pair's residual beyond it is an error.
        agreement: A pair's residual beyond it is a warning.
    """
    residuals = epipolar_residuals.matrix(footage.thinned(_MAX_FRAMES))
    if not np.isfinite(residuals).any():
        return [_nothing_shared(footage)]
    found = []
    worst = float(np.nanmax(residuals))
    if worst > explained:
        found.append(_unexplained(footage, residuals))
    else:
        shift = bias(footage)
        is_off = np.linalg.norm(shift, axis=-1) > MAX_BIAS * footage.person_size
        if is_off.any():
            found.append(_calibration_off(footage, shift, is_off))
        elif worst > agreement:
            found.append(_noisy(footage, residuals))
    return found + _unsure(footage) + _lost(footage)


def lost_frames(footage: footages.Footage) -> tuple[np.ndarray, np.ndarray]:
    """Gives the shares of frames `[V]` with nobody, and with too few joints to be used."""
    count = (footage.confidence > 0).sum(axis=-1)
    found = (footage.detector_confidence > 0).any(axis=-1)
    return (~found).mean(axis=-1), (found & (count < MIN_JOINTS)).mean(axis=-1)


def _nothing_shared(footage: footages.Footage) -> findings.Finding:
    return findings.Finding(
        name="nothing_shared",
        severity=findings.ERROR,
        cameras=footage.camera_names,
        sentence="No two cameras ever saw the same joint in the same frame.",
        remedy="Check that the recordings belong together, and their frame numbers.",
        before=0.0,
        after=None,
        unit="joints",
    )


def _unexplained(footage: footages.Footage, residuals: np.ndarray) -> findings.Finding:
    first, second = np.unravel_index(np.nanargmax(residuals), residuals.shape)
    mean = np.nanmean(residuals, axis=-1)
    # Cameras that agree with none of the others, or all of them.
    is_off = np.nanmin(residuals, axis=-1) > np.nanmax(residuals) / 4
    is_off = is_off if is_off.any() else mean >= mean.max() * 0.99
    names = tuple(np.array(footage.camera_names)[is_off].tolist())
    worst = float(residuals[first, second] * np.median(footage.person_size))
    pair = f"{footage.camera_names[first]} and {footage.camera_names[second]}"
    return findings.Finding(
        name="unexplained",
        severity=findings.ERROR,
        cameras=names,
        sentence=(
            f"The cameras do not agree, and no single cause mends it: {pair} are {worst:.1f} px "
            f"off each other's epipolar lines. Most likely it is "
            f"{findings.listed(names, footage.camera_names)}."
        ),
        remedy="Calibrate anew; check that all cameras show the same person.",
        before=worst,
        after=None,
        unit="px",
    )


def _calibration_off(
    footage: footages.Footage, shift: np.ndarray, is_off: np.ndarray
) -> findings.Finding:
    length = np.linalg.norm(shift, axis=-1)
    names = tuple(np.array(footage.camera_names)[is_off].tolist())
    told = " and ".join(
        f"about {length[view]:.0f} px in {footage.camera_names[view]}"
        for view in np.flatnonzero(is_off)
    )
    return findings.Finding(
        name="calibration_off",
        severity=findings.WARNING,
        cameras=names,
        sentence=(
            f"The calibration is off by {told}: there the person is seen beside where all "
            "cameras put them, always to the same side. No known mistake explains it."
        ),
        remedy="Refine the calibration: keras-mvlift calibrate --refine.",
        before=float(length[is_off].max()),
        after=None,
        unit="px",
    )


def _noisy(footage: footages.Footage, residuals: np.ndarray) -> findings.Finding:
    worst = float(np.nanmax(residuals) * np.median(footage.person_size))
    return findings.Finding(
        name="detections_noisy",
        severity=findings.WARNING,
        cameras=footage.camera_names,
        sentence=(
            f"The cameras agree no better than {worst:.1f} px, without leaning to one side: the "
            "detections are noisy, or lengths in the calibration are."
        ),
        remedy="Use a better detector, or refine the calibration.",
        before=worst,
        after=None,
        unit="px",
    )


def _unsure(footage: footages.Footage) -> list[findings.Finding]:
    found = footage.detector_confidence > 0
    total = np.where(found, footage.detector_confidence, 0.0).sum(axis=(1, 2))
    mean = total / np.maximum(found.sum(axis=(1, 2)), 1)
    return [
        findings.Finding(
            name="detections_unsure",
            severity=findings.WARNING,
            cameras=(footage.camera_names[view],),
            sentence=f"{footage.camera_names[view]} is unsure of what it sees: its mean "
            f"confidence is {mean[view]:.2f}.",
            remedy="Look at its images: light, sharpness, and how large the person is.",
            before=float(mean[view]),
            after=None,
            unit="",
        )
        for view in np.flatnonzero(mean < MIN_MEAN_CONFIDENCE)
    ]


def _lost(footage: footages.Footage) -> list[findings.Finding]:
    nobody, too_few = lost_frames(footage)
    return [
        findings.Finding(
            name="frames_lost",
            severity=findings.WARNING,
            cameras=(footage.camera_names[view],),
            sentence=f"{footage.camera_names[view]} loses {nobody[view] + too_few[view]:.0%} of "
            f"its frames: {nobody[view]:.0%} show nobody, {too_few[view]:.0%} fewer than "
            f"{MIN_JOINTS} joints.",
            remedy="Check that the person is in its picture, and the detector's settings.",
            before=float(nobody[view] + too_few[view]),
            after=None,
            unit="share of frames",
        )
        for view in np.flatnonzero(nobody + too_few > MAX_LOST)
    ]
