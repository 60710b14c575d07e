"""A check's outcome as plain data: what `check-rig --json` writes."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.diagnosis import epipolar_residuals, findings, measures, verdicts
from keras_mvlift.diagnosis import footage as footages

VERSION = 1


class RigReport(NamedTuple):
    """The check of one rig.

    Attributes:
        clips: The clips' names.
        footage: The frames looked at.
        found: What was found, errors first.
        as_read: What was measured.
        corrected: The footage without the causes found; None if nothing was corrected.
        after: What was measured then; None if nothing was corrected.
    """

    clips: tuple[str, ...]
    footage: footages.Footage
    found: list[findings.Finding]
    as_read: measures.Measures
    corrected: footages.Footage | None
    after: measures.Measures | None

    @property
    def has_errors(self) -> bool:
        """Whether something must be mended before training."""
        return any(finding.severity == findings.ERROR for finding in self.found)


def check(
    clips: Sequence[sequences.MultiViewSequence], max_frames: int = footages.MAX_FRAMES
) -> list[RigReport]:
    """Checks the rigs that filmed clips, each by itself.

    Args:
        clips: Clips of two or more cameras.
        max_frames: Frames to look at, of each rig.

    Raises:
        ValueError: If there is no clip, one without frames or with one camera, or `max_frames`
            is not positive.
    """
    if not clips or any(clip.num_frames == 0 for clip in clips):
        raise ValueError("`clips` must hold at least one clip, each with frames.")
    if min(clip.num_views for clip in clips) < 2:
        raise ValueError("`clips` must have two or more cameras each.")
    if max_frames < 1:
        raise ValueError(f"`max_frames` must be positive. Received: {max_frames}.")
    return [_check(group, max_frames) for group in footages.rigs(clips)]


def _check(clips: Sequence[sequences.MultiViewSequence], max_frames: int) -> RigReport:
    footage = footages.of_sequences(clips, max_frames)
    found, corrected = verdicts.reach(footage)
    is_corrected = corrected is not footage
    return RigReport(
        tuple(clip.name for clip in clips),
        footage,
        found,
        measures.of(footage),
        corrected if is_corrected else None,
        measures.of(corrected) if is_corrected else None,
    )


def as_data(reports: Sequence[RigReport]) -> dict[str, Any]:
    """Gives reports as JSON values, as docs/check_rig.schema.json describes them."""
    return _finite(
        {
            "version": VERSION,
            "is_healthy": not any(report.has_errors for report in reports),
            "rigs": [_rig(report) for report in reports],
        }
    )


def _rig(report: RigReport) -> dict[str, Any]:
    return {
        "clips": list(report.clips),
        "cameras": list(report.footage.camera_names),
        "num_frames": report.footage.num_frames,
        "frame_rate": report.footage.frame_rate,
        "findings": [dataclasses.asdict(finding) for finding in report.found],
        "as_read": _measured(report.footage, report.as_read),
        "corrected": None
        if report.corrected is None or report.after is None
        else _measured(report.corrected, report.after),
    }


def _measured(footage: footages.Footage, measured: measures.Measures) -> dict[str, Any]:
    joints = skeletons.H36M_17.joints
    return {
        "cameras": {
            name: _camera(footage, measured, view) for view, name in enumerate(footage.camera_names)
        },
        "joints": {name: _joint(footage, measured, joint) for joint, name in enumerate(joints)},
        "joint_error_px": joint_errors(measured).tolist(),
        "pair_error_px": measured.pair_error.tolist(),
        "person": {
            "height_m": measured.height,
            "bone_lengths_m": measured.bone_lengths,
            "facing": measured.facing,
            "in_front_share": measured.in_front,
        },
    }


def joint_errors(measured: measures.Measures) -> np.ndarray:
    """Gives the median reprojection error of each camera and joint, `[V, J]`, pixels."""
    error = measured.error.swapaxes(1, 2)
    return epipolar_residuals.masked_median(error, np.isfinite(error))


def _camera(footage: footages.Footage, measured: measures.Measures, view: int) -> dict[str, Any]:
    offsets = measured.offsets
    is_told = bool(measured.is_offset_told[view])
    confidence = footage.detector_confidence[view]
    return {
        "reprojection_px": spread(measured.error[view]),
        "leave_one_out_px": spread(measured.left_out_error[view]),
        "epipolar_px": _median(measured.pair_error[view]),
        "bias_px": measured.bias[view].tolist(),
        "mean_confidence": _mean(confidence[confidence > 0]),
        "nobody_share": float(measured.nobody[view]),
        "too_few_joints_share": float(measured.too_few[view]),
        "time_offset": {
            "frames": float(offsets.refined[view]) if is_told else None,
            "seconds": float(offsets.refined[view] / footage.frame_rate) if is_told else None,
        },
        "distance_m": float(measured.distance[view]),
        "person_size_px": float(footage.person_size[view]),
    }


def _joint(footage: footages.Footage, measured: measures.Measures, joint: int) -> dict[str, Any]:
    confidence = footage.detector_confidence[..., joint]
    return {
        "reprojection_px": spread(measured.error[..., joint]),
        "leave_one_out_px": spread(measured.left_out_error[..., joint]),
        "mean_confidence": _mean(confidence[confidence > 0]),
        "seen_share": float((footage.confidence[..., joint] > 0).mean()),
    }


def spread(error: np.ndarray) -> dict[str, float | None]:
    """Gives the median and the 90th percentile of what is known; None without anything."""
    known = error[np.isfinite(error)]
    if not len(known):
        return {"median": None, "p90": None}
    return {"median": float(np.median(known)), "p90": float(np.percentile(known, 90))}


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _finite(value: Any) -> Any:
    """Puts None in place of every number that JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
