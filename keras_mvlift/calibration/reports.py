"""What a calibration changed, per camera, as text for people and JSON for programs."""

import dataclasses
import json

import numpy as np

from keras_mvlift.calibration import observations
from keras_mvlift.geometry import cameras, procrustes


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
        """Returns the report as JSON, with the attributes' names as keys."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def compare(
    names: tuple[str, ...],
    before: cameras.Camera,
    after: cameras.Camera,
    seen: observations.Observations,
    max_frames: int,
) -> Report:
    """Compares a rig before and after, in one world.

    Args:
        names: The cameras' names.
        before: The rig as it was, fields `[V, ...]`.
        after: The rig as it is.
        seen: What the rig saw.
        max_frames: How many frames of it the calibration used at most.
    """
    errors_before, errors_after = (observations.errors_px(rig, seen) for rig in (before, after))
    moved, turned = differences(after, before)
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
    num_used = min(max_frames, num_frames)
    return Report(num_frames=num_frames, num_frames_used=num_used, cameras=each, all=together)


def _errors(distance: np.ndarray) -> Errors:
    seen = distance[np.isfinite(distance)]
    if not len(seen):
        return Errors(mean_px=0.0, median_px=0.0, num_detections=0)
    return Errors(
        mean_px=float(seen.mean()), median_px=float(np.median(seen)), num_detections=len(seen)
    )


# A rig laid onto another: how they differ, apart from where their worlds lie.


def align(
    camera: cameras.Camera, target: cameras.Camera, *, reach: float, with_scale: bool
) -> cameras.Camera:
    """Moves a rig as a whole to where another is.

    Centers alone leave a turn about the line through two cameras open, so attitudes count too: as
    much as they move the point that lies `reach` ahead.

    Args:
        camera: The rig to move, fields `[V, ...]`.
        target: The same cameras in the wanted world.
        reach: How far ahead of the cameras people are, meters.
        with_scale: Whether the rig may change its size, to that of the target.

    Returns:
        The moved rig, NumPy arrays.
    """
    camera, target = (cameras.Camera(*map(np.asarray, rig)) for rig in (camera, target))
    mean, target_mean = camera.center.mean(axis=0), target.center.mean(axis=0)
    centered, target_centered = camera.center - mean, target.center - target_mean
    size, target_size = (np.linalg.norm(value) for value in (centered, target_centered))
    scale = target_size / size if with_scale and size > 0 else 1.0
    places = target_centered.T @ (scale * centered)
    attitudes = np.einsum("vij,vik->jk", target.rotation, camera.rotation)
    rotation, _ = procrustes.kabsch(places + reach**2 * attitudes)
    moved = cameras.turn_world(camera._replace(center=scale * centered), rotation)
    return moved._replace(center=moved.center + target_mean)


def differences(camera: cameras.Camera, target: cameras.Camera) -> tuple[np.ndarray, np.ndarray]:
    """Measures, per camera, how two rigs of one world differ.

    Returns:
        `[V]`, meters between the centers, and `[V]`, radians between the attitudes.
    """
    camera, target = (cameras.Camera(*map(np.asarray, rig)) for rig in (camera, target))
    distance = np.linalg.norm(camera.center - target.center, axis=-1)
    # Of a small angle the cosine says less than the chord.
    chord = np.linalg.norm(camera.rotation - target.rotation, axis=(-2, -1)) / np.sqrt(8)
    return distance, 2 * np.arcsin(np.minimum(chord, 1.0))
