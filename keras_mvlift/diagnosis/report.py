"""What was measured of a rig and what was found, as plain data: `check-rig --json`."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import recordings
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import residuals, verdicts

VERSION = 1


class Measures(NamedTuple):
    """What is measured of footage; errors in pixels, NaN where there is nothing to measure."""

    error: np.ndarray  # [V, T, J], reprojection error, triangulated from all cameras.
    left_out_error: np.ndarray  # [V, T, J], the same, triangulated from the other cameras.
    bias: np.ndarray  # [V, 2], by how much each camera sees the person beside the triangulated one.
    pair_error: np.ndarray  # [V, V], the median distance from the epipolar lines of another camera.
    offsets: residuals.TimeOffsets  # The cameras' time offsets.
    is_offset_told: np.ndarray  # [V], whether the person moves enough to tell them.
    nobody: np.ndarray  # [V], the share of frames without a person.
    too_few: np.ndarray  # [V], the share of frames with fewer than `verdicts.MIN_JOINTS` joints.
    distance: np.ndarray  # [V], the median distance of the pelvis from each camera, meters.
    path: np.ndarray  # [T, 3], the pelvis, meters, world frame; NaN where unknown.
    person: residuals.Person  # Whom the cameras saw.


class RigReport(NamedTuple):
    """The check of one rig."""

    clips: tuple[str, ...]  # The clips' names.
    footage: footages.Footage  # The frames looked at.
    found: list[footages.Finding]  # What was found, errors first.
    as_read: Measures  # What was measured.
    # The footage without the causes found; None if nothing was corrected.
    corrected: footages.Footage | None
    after: Measures | None  # What was measured then; None if nothing was corrected.

    @property
    def has_errors(self) -> bool:
        """Whether something must be mended before training."""
        return any(finding.severity == footages.ERROR for finding in self.found)


Clips = Sequence[sequences.MultiViewSequence]


def check(
    clips: Clips,
    max_frames: int = footages.MAX_FRAMES,
    *,
    up: str = "z",
    readings: Mapping[str, Callable[[], Clips]] | None = None,
) -> list[RigReport]:
    """Checks the rigs that filmed clips, each by itself.

    Args:
        clips: Clips of two or more cameras.
        max_frames: Frames to look at, of each rig.
        up: The axis that points up in the calibration's file.
        readings: Reads the same clips in another joint set, by its name; tried where left and
            right of the body are not alike.

    Raises:
        ValueError: If there is no clip, one without frames or with one camera, or `max_frames`
            is not positive.
    """
    rule = "hold at least one clip, each with frames"
    holds = bool(clips) and all(clip.num_frames for clip in clips)
    errors.require(holds, "clips", rule, f"{len(clips)} clips")
    fewest = min(clip.num_views for clip in clips)
    errors.require(fewest >= 2, "clips", "have two or more cameras each", fewest)
    errors.require(max_frames >= 1, "max_frames", "be positive", max_frames)
    reports = [_check(group, max_frames, up) for group in footages.rigs(clips)]
    if readings and any(_asymmetry(each) > MAX_ASYMMETRY for each in reports):
        for name, read in readings.items():
            others = [_check(group, max_frames, up) for group in footages.rigs(read())]
            if all(_asymmetry(each) <= MAX_ASYMMETRY / 2 for each in others):
                pairs = zip(others, reports, strict=True)
                return [_read_as(name, other, each) for other, each in pairs]
    return reports


MAX_CLIPS = 20
"""Clips that are read of a source with more, evenly spread."""


def check_source(
    source: sequences.Source,
    clips: Sequence[str] | None = None,
    max_frames: int = footages.MAX_FRAMES,
) -> list[RigReport]:
    """Reads clips of a source, `MAX_CLIPS` at most, and checks the rigs that filmed them.

    A rig's own is read without telling people apart, as a wrong calibration would tell them apart
    wrongly and so hide what is wrong with it.

    Raises:
        ValueError: If a clip cannot be read, or as of `check`.
    """
    if isinstance(source, recordings.RigSource):
        source = dataclasses.replace(source, tells_apart=False)
    names = source.clips() if clips is None else [name for name in source.clips() if name in clips]
    names = [names[index] for index in sequences.spread(len(names), MAX_CLIPS)]
    up, readings = "z", {}
    if isinstance(source, recordings.RigSource):
        # What `calibrate` writes has z up.
        up = "z" if source.calibration else source.manifest.calibration.up
        joints = skeletons.by_name(source.joint_set)
        readings = {
            name: functools.partial(_read, dataclasses.replace(source, skeleton=name), names)
            for name, other in skeletons.SKELETONS.items()
            if other.num_joints == joints.num_joints and name != joints.name
        }
    return check(_read(source, names), max_frames, up=up, readings=readings)


def _read(source: sequences.Source, names: Sequence[str]) -> Clips:
    return [source.read(name) for name in names]


MAX_ASYMMETRY = 0.15
"""By so much left and right bones of people may differ, as they are detected; half is usual."""


def _asymmetry(report: RigReport) -> float:
    return residuals.asymmetry((report.after or report.as_read).person.bone_lengths)


def _read_as(name: str, other: RigReport, report: RigReport) -> RigReport:
    before, after = _asymmetry(report), _asymmetry(other)
    height = (other.after or other.as_read).person.height
    finding = footages.Finding(
        name="joint_set",
        severity=footages.ERROR,
        cameras=report.footage.camera_names,
        sentence=f"The joints are those of {name}: read so, bones of the left and the right differ "
        f"by {after:.0%} instead of {before:.0%}, and the person is {height:.2f} m tall. All other "
        "figures here are of that reading.",
        remedy=f"Set `detections.skeleton` to {name!r}.",
        before=before,
        after=after,
        unit="share of the bones' lengths",
        details={"skeleton": name},
    )
    return other._replace(found=[finding, *other.found])


def _check(clips: Clips, max_frames: int, up: str) -> RigReport:
    footage = footages.of_sequences(clips, max_frames)
    found, mended = verdicts.reach(footage, up)
    corrected = None if mended is footage else mended
    after = None if corrected is None else measure(corrected)
    names = tuple(clip.name for clip in clips)
    return RigReport(names, footage, found, measure(footage), corrected, after)


def as_data(reports: Sequence[RigReport]) -> dict[str, Any]:
    """Returns reports as JSON values, as docs/check_rig.schema.json describes them."""
    is_healthy = not any(report.has_errors for report in reports)
    rigs = [_rig(report) for report in reports]
    return _finite({"version": VERSION, "is_healthy": is_healthy, "rigs": rigs})


def _rig(report: RigReport) -> dict[str, Any]:
    return {
        "clips": list(report.clips),
        "cameras": list(report.footage.camera_names),
        "num_frames": report.footage.num_frames,
        "frame_rate": report.footage.frame_rate,
        "findings": [dataclasses.asdict(finding) for finding in report.found],
        "as_read": _measured(report.footage, report.as_read),
        "corrected": report.corrected
        and report.after
        and _measured(report.corrected, report.after),
    }


def _measured(footage: footages.Footage, measured: Measures) -> dict[str, Any]:
    joints = skeletons.H36M_17.joints
    return {
        "cameras": {
            name: _camera(footage, measured, view) for view, name in enumerate(footage.camera_names)
        },
        "joints": {name: _joint(footage, measured, joint) for joint, name in enumerate(joints)},
        "joint_error_px": joint_errors(measured).tolist(),
        "pair_error_px": measured.pair_error.tolist(),
        "person": {
            "height_m": measured.person.height,
            "bone_lengths_m": measured.person.bone_lengths,
            "facing": measured.person.facing,
            "in_front_share": measured.person.in_front,
        },
    }


def joint_errors(measured: Measures) -> np.ndarray:
    """Returns the median reprojection error of each camera and joint, `[V, J]`, pixels."""
    return residuals.masked_median(measured.error.swapaxes(1, 2))


def _camera(footage: footages.Footage, measured: Measures, view: int) -> dict[str, Any]:
    late = float(measured.offsets.refined[view]) if measured.is_offset_told[view] else math.nan
    return {
        "reprojection_px": spread(measured.error[view]),
        "leave_one_out_px": spread(measured.left_out_error[view]),
        "epipolar_px": spread(measured.pair_error[view])["median"],
        "bias_px": measured.bias[view].tolist(),
        "mean_confidence": _mean_confidence(footage.detector_confidence[view]),
        "nobody_share": float(measured.nobody[view]),
        "too_few_joints_share": float(measured.too_few[view]),
        "time_offset": {"frames": late, "seconds": late / footage.frame_rate},
        "distance_m": float(measured.distance[view]),
        "person_size_px": float(footage.person_size[view]),
    }


def _joint(footage: footages.Footage, measured: Measures, joint: int) -> dict[str, Any]:
    return {
        "reprojection_px": spread(measured.error[..., joint]),
        "leave_one_out_px": spread(measured.left_out_error[..., joint]),
        "mean_confidence": _mean_confidence(footage.detector_confidence[..., joint]),
        "seen_share": float((footage.confidence[..., joint] > 0).mean()),
    }


def spread(error: np.ndarray) -> dict[str, float]:
    """Returns the median and the 90th percentile of what is known; NaN without anything."""
    known = error[np.isfinite(error)]
    known = known if len(known) else np.full(1, np.nan)
    return {"median": float(np.median(known)), "p90": float(np.percentile(known, 90))}


def _mean_confidence(confidence: np.ndarray) -> float:
    found = confidence[confidence > 0]
    return float(found.mean()) if len(found) else math.nan


def _finite(value: Any) -> Any:
    """Puts None in place of every number that JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# What is measured of a rig: errors, confidence, losses, offsets, sizes and distances.

MIN_DIP = 1.1
"""A time offset is told only where being wrong costs so many times as much."""


def measure(footage: footages.Footage) -> Measures:
    """Measures footage."""
    placed = residuals.reproject(footage)
    offsets = residuals.estimate_offsets(footage)
    least = np.nan_to_num(offsets.curve, nan=np.inf).min(axis=-1)
    most = np.nan_to_num(offsets.curve, nan=-np.inf).max(axis=-1)
    path = placed.points[:, skeletons.ROOT]
    away = np.linalg.norm(path - footage.camera.center[:, np.newaxis], axis=-1)
    nobody, too_few = verdicts.lost_frames(footage)
    return Measures(
        error=placed.error,
        left_out_error=residuals.leaving_one_out(footage),
        bias=verdicts.bias(footage),
        pair_error=residuals.residual_matrix(footage) * np.median(footage.person_size),
        offsets=offsets,
        is_offset_told=most >= MIN_DIP * least,
        nobody=nobody,
        too_few=too_few,
        distance=residuals.masked_median(away),
        path=path,
        person=residuals.person(placed),
    )
