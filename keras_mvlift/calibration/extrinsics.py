"""The places and attitudes of a rig's cameras, from the people they see.

`estimate` needs the intrinsics and one known distance; `refine` betters a calibration that is
there. Neither touches intrinsics.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors
from keras_mvlift.calibration import (
    alignment,
    bundle_adjustment,
    observations,
    reports,
    reprojection,
    scale,
    spanning,
    worlds,
)
from keras_mvlift.datasets import sequences
from keras_mvlift.geometry import cameras

_MIN_DETECTIONS = bundle_adjustment.MIN_POINTS


class Calibrated(NamedTuple):
    """A rig that has been calibrated.

    Attributes:
        camera: Fields `[V, ...]`, NumPy arrays, meters, world with z up.
        report: How well it explains the detections, and how far cameras moved.
    """

    camera: cameras.Camera
    report: reports.Report


def estimate(
    clips: Sequence[sequences.MultiViewSequence],
    known_distance: Mapping[tuple[str, str], float],
    choice: observations.Choice | None = None,
    *,
    seed: int = 0,
    verbose: bool = False,
) -> Calibrated:
    """Finds where cameras stand and look, from detections and intrinsics alone.

    Args:
        clips: What the rig saw; their extrinsics are not looked at.
        known_distance: Meters between the centers of two named cameras, of one pair or more.
        choice: Which detections are used; `observations.Choice()` without.
        seed: Of the drawing in RANSAC.
        verbose: Whether to show progress.

    Returns:
        The rig, in a world with z up, the floor at 0 and the origin where people are. In the
        report, "before" is the rig before its bundle adjustment.

    Raises:
        ValueError: If `known_distance` is wrong.
        RecordingError: If the detections do not determine the rig; says why and what to do.
    """
    choice = choice or observations.Choice()
    seen = observations.gather(clips, choice)
    names, intrinsics = clips[0].camera_names, clips[0].camera.intrinsics
    _require_all_seeing(seen, names)
    scale.check(names, known_distance)
    start = spanning.place(seen, intrinsics, names, seed=seed, verbose=verbose)
    camera = bundle_adjustment.adjust(start, seen)
    camera = scale.resize(camera, scale.from_distances(camera, names, known_distance))
    camera = worlds.upright(camera, reprojection.triangulate(camera, seen), seen)
    start = _laid_on(start, camera, seen)
    return Calibrated(camera, _report(clips, choice, names, start, camera))


def refine(
    clips: Sequence[sequences.MultiViewSequence],
    choice: observations.Choice | None = None,
) -> Calibrated:
    """Betters a calibration by bundle adjustment.

    Args:
        clips: What the rig saw; their cameras are where the refinement starts.
        choice: Which detections are used; `observations.Choice()` without.

    Returns:
        The rig, laid onto the given one as a whole: world and size are what they were.

    Raises:
        RecordingError: If clips have other cameras, or show too little.
    """
    choice = choice or observations.Choice()
    seen = observations.gather(clips, choice)
    _require_all_seeing(seen, clips[0].camera_names)
    start = clips[0].camera
    camera = _laid_on(bundle_adjustment.adjust(start, seen), start, seen)
    return Calibrated(camera, _report(clips, choice, clips[0].camera_names, start, camera))


def _require_all_seeing(seen: observations.Observations, names: tuple[str, ...]) -> None:
    for name, count in zip(names, np.count_nonzero(seen.weights, axis=-1), strict=True):
        if count < _MIN_DETECTIONS:
            rule = f"hold {_MIN_DETECTIONS} joints that another camera sees at the same time"
            raise errors.RecordingError(f"Camera {name!r}", "keypoints_2d", rule, count)


def _laid_on(
    camera: cameras.Camera, target: cameras.Camera, seen: observations.Observations
) -> cameras.Camera:
    points = reprojection.triangulate(target, seen)
    distance = np.linalg.norm(points - np.asarray(target.center)[:, np.newaxis], axis=-1)
    reach = float(np.nanmedian(distance))
    return alignment.align(camera, target, reach=reach, with_scale=True)


def _report(
    clips: Sequence[sequences.MultiViewSequence],
    choice: observations.Choice,
    names: tuple[str, ...],
    before: cameras.Camera,
    after: cameras.Camera,
) -> reports.Report:
    """Compares the rigs on up to ten times the frames that the calibration used."""
    wider = dataclasses.replace(choice, max_frames=10 * choice.max_frames)
    return reports.compare(names, before, after, observations.gather(clips, wider), choice)
