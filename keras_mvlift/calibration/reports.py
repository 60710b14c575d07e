"""What a calibration changed, per camera, as text for people and JSON for programs."""

import dataclasses
import json

import numpy as np

from keras_mvlift.calibration import alignment, observations, reprojection
from keras_mvlift.geometry import cameras


@dataclasses.dataclass(frozen=True, kw_only=True)
class Errors:
    """Distances between detections and the projections of the points triangulated from them.

    Attributes:
        mean_px: Pixels.
        median_px: Pixels.
        num_detections: How many these are of.
    """

    mean_px: float
    median_px: float
    num_detections: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraReport:
    """One camera, or all together.

    Attributes:
        name: The camera's name; "all" for all.
        before: Errors before the bundle adjustment.
        after: Errors after it.
        moved_m: How far the center moved, meters; for all, the root mean square.
        turned_degrees: How far the camera turned; for all, the root mean square.
    """

    name: str
    before: Errors
    after: Errors
    moved_m: float
    turned_degrees: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What a calibration changed.

    Attributes:
        num_frames: How many frames the errors are of.
        num_frames_used: How many of them, at most, the calibration used.
        cameras: Per camera.
        all: All cameras together.
    """

    num_frames: int
    num_frames_used: int
    cameras: tuple[CameraReport, ...]
    all: CameraReport

    def to_json(self) -> str:
        """Gives the report as JSON, with the attributes' names as keys."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def compare(
    names: tuple[str, ...],
    before: cameras.Camera,
    after: cameras.Camera,
    seen: observations.Observations,
    choice: observations.Choice,
) -> Report:
    """Compares a rig before and after, in one world.

    Args:
        names: The cameras' names.
        before: The rig as it was, fields `[V, ...]`.
        after: The rig as it is.
        seen: What the rig saw.
        choice: Which of it the calibration used.
    """
    errors_before, errors_after = (reprojection.errors_px(rig, seen) for rig in (before, after))
    moved, turned = alignment.differences(after, before)
    rows = zip(names, errors_before, errors_after, moved, np.degrees(turned), strict=True)
    each = tuple(
        CameraReport(
            name=name,
            before=_errors(row_before),
            after=_errors(row_after),
            moved_m=float(distance),
            turned_degrees=float(angle),
        )
        for name, row_before, row_after, distance, angle in rows
    )
    together = CameraReport(
        name="all",
        before=_errors(errors_before),
        after=_errors(errors_after),
        moved_m=float(np.sqrt(np.mean(np.square(moved)))),
        turned_degrees=float(np.degrees(np.sqrt(np.mean(np.square(turned))))),
    )
    num_frames = len(np.unique(seen.frame))
    num_used = min(choice.max_frames, num_frames)
    return Report(num_frames=num_frames, num_frames_used=num_used, cameras=each, all=together)


def _errors(distance: np.ndarray) -> Errors:
    seen = distance[np.isfinite(distance)]
    if not len(seen):
        return Errors(mean_px=0.0, median_px=0.0, num_detections=0)
    return Errors(
        mean_px=float(seen.mean()), median_px=float(np.median(seen)), num_detections=len(seen)
    )
