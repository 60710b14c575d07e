"""What a calibration changed, per camera, as text for people and JSON for programs."""

import dataclasses
import json

import numpy as np

from keras_mvlift.calibration import observations
from keras_mvlift.geometry import cameras, procrustes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Errors:
    """Distances in pixels between so many detections and the points triangulated from them."""

    mean_px: float
    median_px: float
    num_detections: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraReport:
    """One camera, or all together."""

    name: str  # The camera's name; "all" for all.
    before: Errors  # Errors before the bundle adjustment.
    after: Errors  # Errors after it.
    moved_m: float  # How far the center moved, meters; for all, the root mean square.
    turned_degrees: float  # How far the camera turned; for all, the root mean square.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What a calibration changed."""

    num_frames: int  # How many frames the errors are of.
    num_frames_used: int  # How many of them, at most, the calibration used.
    cameras: tuple[CameraReport, ...]  # Per camera.
    all: CameraReport  # All cameras together.

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
    """Compares a rig, fields `[V, ...]`, before and after, in one world, on what it saw.

    Of it the calibration used at most `max_frames`.
    """
    errors_before, errors_after = (observations.errors_px(rig, seen) for rig in (before, after))
    moved, turned = differences(after, before)
    views = zip(errors_before, errors_after, moved, turned, strict=True)
    each = tuple(_row(name, *view) for name, view in zip(names, views, strict=True))
    together = _row("all", errors_before, errors_after, moved, turned)
    num_frames = len(np.unique(seen.frame))
    num_used = min(max_frames, num_frames)
    return Report(num_frames=num_frames, num_frames_used=num_used, cameras=each, all=together)


def _row(
    name: str, before: np.ndarray, after: np.ndarray, moved: np.ndarray, turned: np.ndarray
) -> CameraReport:
    moved_m, radians = (float(np.sqrt(np.mean(np.square(value)))) for value in (moved, turned))
    return CameraReport(
        name=name,
        before=_errors(before),
        after=_errors(after),
        moved_m=moved_m,
        turned_degrees=float(np.degrees(radians)),
    )


def _errors(distance: np.ndarray) -> Errors:
    seen = distance[np.isfinite(distance)]
    mean, median = (float(of(seen)) if len(seen) else 0.0 for of in (np.mean, np.median))
    return Errors(mean_px=mean, median_px=median, num_detections=len(seen))


# A rig laid onto another: how they differ, apart from where their worlds lie.


def align(
    camera: cameras.Camera, target: cameras.Camera, *, reach: float, with_scale: bool
) -> cameras.Camera:
    """Moves a rig, fields `[V, ...]`, as a whole to where another of the same cameras is.

    Centers alone leave a turn about the line through two cameras open, so attitudes count too: as
    much as they move the point that lies `reach` ahead, meters, where people are. With scale, the
    rig takes on the target's size.

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
