"""A lab's own rig, simulated: studio clips written out in each format that `RigSource` reads."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import yaml

from keras_mvlift import skeletons
from keras_mvlift.datasets import manifests, seeds, sequences, synthetic
from keras_mvlift.datasets.calibrations import calibration as calibrations
from keras_mvlift.datasets.calibrations import lenses, worlds
from keras_mvlift.datasets.calibrations import simulation as calibration_simulation
from keras_mvlift.datasets.detections import simulated_bodies, simulated_streams
from keras_mvlift.datasets.detections import simulation as detection_simulation
from keras_mvlift.geometry import cameras, rigs

FRAME_RATE = 50.0

# Of radial and tangential coefficients; as cheap lenses are.
_LENS_SPREAD = (0.08, 0.05, 5e-4, 5e-4, 0.01)
_NOISE_PX = 2.0
_MISSING_RATE = 0.03


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulatedRig:
    """What `write_rig` writes.

    Args:
        calibration_format: Of the manifest's `calibration`.
        detection_format: Of the manifest's `detections`.
        skeleton: The detector's joint set.
        up: The axis of the calibration's world that points up.
        joined_by: `"number"` where streams start together and frames are numbered alike,
            `"first_frame"` where each camera started at another moment, `"timestamps"` where each
            has its own clock, and the last half the frame rate.
        num_cameras: `V`, 2 or more.
        num_clips: If there are several, the last is for testing, and the first camera did not
            film it.
        num_frames: `T`, of each clip.
        seed: Not negative.

    Raises:
        ValueError: If an argument breaks its rule.
    """

    calibration_format: str = "pose2sim"
    detection_format: str = "openpose"
    skeleton: str = "body_25b"
    up: str = "z"
    joined_by: str = "number"
    num_cameras: int = 3
    num_clips: int = 2
    num_frames: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for field, known in (
            ("calibration_format", calibration_simulation.WRITERS),
            ("detection_format", detection_simulation.WRITERS),
            ("skeleton", skeletons.SKELETONS),
            ("up", worlds.AXES),
            ("joined_by", simulated_streams.JOINS),
        ):
            if getattr(self, field) not in known:
                rule = f"`{field}` must be one of {', '.join(known)}"
                raise ValueError(f"{rule}. Received: {getattr(self, field)!r}.")


def write_rig(root: str, **options: Any) -> list[sequences.MultiViewSequence]:
    """Writes a rig with its manifest below a folder.

    In frames with an even number a bystander is seen too, less surely; one frame of the second
    camera is lost; some joints are missed.

    Args:
        root: The folder; made if it is not there.
        **options: As of `SimulatedRig`.

    Returns:
        The clips as they are to be read back, before any rounding.

    Raises:
        ValueError: If an option breaks its rule.
    """
    settings = SimulatedRig(**options)
    folder = pathlib.Path(root)
    folder.mkdir(parents=True, exist_ok=True)
    studio = _studio(settings)
    rig = _rig(settings, studio.camera)
    turned = rig._replace(camera=worlds.turn_camera_back(rig.camera, settings.up))
    described = calibration_simulation.WRITERS[settings.calibration_format](folder, turned)
    last = settings.num_clips - 1
    written = [
        _write_clip(folder, settings, rig, studio.read(name), is_last=0 < index == last)
        for index, name in enumerate(studio.clips())
    ]
    manifest = {
        "version": 1,
        "frame_rate": FRAME_RATE,
        "calibration": {"format": settings.calibration_format, "up": settings.up} | described,
        "detections": {"format": settings.detection_format, "skeleton": settings.skeleton},
        "cameras": list(rig.names),
        "clips": [entry for entry, _ in written],
    }
    text = yaml.safe_dump(manifest, sort_keys=False)
    (folder / manifests.FILE_NAMES[0]).write_text(text)
    return [clip for _, clip in written]


def _studio(settings: SimulatedRig) -> synthetic.Studio:
    """Makes the studio whose clips are written, one of each subject."""
    return synthetic.Studio(
        num_subjects=settings.num_clips,
        num_clips=1,
        num_frames=settings.num_frames,
        frame_rate=FRAME_RATE,
        rig="ring",
        num_cameras=settings.num_cameras,
        seed=settings.seed,
    )


def _rig(settings: SimulatedRig, camera: cameras.Camera) -> calibrations.Calibration:
    """Gives the studio's cameras lenses."""
    rng = seeds.generator(settings.seed, "lenses")
    names = tuple(f"cam_{index + 1}" for index in range(settings.num_cameras))
    distortion = rng.normal(0.0, _LENS_SPREAD, (settings.num_cameras, len(_LENS_SPREAD)))
    sizes = np.tile(np.array(rigs.IMAGE_SIZE, float), (settings.num_cameras, 1))
    return calibrations.Calibration(names, camera, distortion, sizes)


def _write_clip(
    folder: pathlib.Path,
    settings: SimulatedRig,
    rig: calibrations.Calibration,
    filmed: sequences.MultiViewSequence,
    is_last: bool,
) -> tuple[dict[str, Any], sequences.MultiViewSequence]:
    """Writes a clip's files; gives its entry in the manifest, and what is to be read back."""
    rng = seeds.generator(settings.seed, "detections", filmed.name)
    skeleton = skeletons.by_name(settings.skeleton)
    ideal, confidence = _detect(filmed, skeleton, rng)
    bent = np.where(confidence[..., np.newaxis] > 0, lenses.distort(ideal, rig), 0.0)
    person = np.concatenate([bent, confidence[..., np.newaxis]], axis=-1)
    base = folder / filmed.name
    base.mkdir()
    is_seen = np.zeros(confidence.shape[:2], bool)
    views = {}
    for index, name in enumerate(rig.names):
        if is_last and index == 0:
            continue
        stream = _film(settings, index, rng)
        writer = detection_simulation.WRITERS[settings.detection_format]
        written = writer(base / name, simulated_streams.people(stream, person[index]))
        views[name] = {"path": f"{filmed.name}/{written}"} | stream.view
        if len(stream.seconds):
            np.savetxt(base / f"{name}.csv", stream.seconds, "%.9f", header="seconds", comments="")
            views[name]["timestamps"] = f"{filmed.name}/{name}.csv"
        is_seen[index, stream.shows()] = True
    seen = np.where(is_seen[..., np.newaxis], confidence, 0.0)
    return _entry(settings, folder, filmed, views, is_last), _expected(
        settings, rig, filmed, ideal, seen
    )


def _film(settings: SimulatedRig, index: int, rng: np.random.Generator) -> simulated_streams.Stream:
    return simulated_streams.film(
        settings.joined_by,
        index,
        num_cameras=settings.num_cameras,
        num_frames=settings.num_frames,
        frame_rate=FRAME_RATE,
        rng=rng,
    )


def _entry(
    settings: SimulatedRig,
    folder: pathlib.Path,
    filmed: sequences.MultiViewSequence,
    views: dict[str, Any],
    is_last: bool,
) -> dict[str, Any]:
    """Writes a clip's reference; gives its entry in the manifest."""
    reference = f"{filmed.name}/reference.npz"
    turned = worlds.turn_points_back(np.asarray(filmed.pose_world), settings.up)
    np.savez_compressed(folder / reference, pose_world=turned)
    entry = {
        "name": filmed.name,
        "subject": filmed.subject,
        "action": filmed.action,
        "test": is_last,
        "num_frames": settings.num_frames,
        "reference": reference,
        "views": views,
    }
    start = {"start": simulated_streams.EPOCH} if settings.joined_by == "timestamps" else {}
    return entry | start


def _expected(
    settings: SimulatedRig,
    rig: calibrations.Calibration,
    filmed: sequences.MultiViewSequence,
    ideal: np.ndarray,
    seen: np.ndarray,
) -> sequences.MultiViewSequence:
    """Gives the clip as it is to be read back."""
    converter = skeletons.Converter(skeletons.by_name(settings.skeleton).joints)
    confidence = converter.confidence(seen)
    is_seen = confidence[..., np.newaxis] > 0
    return dataclasses.replace(
        filmed,
        camera_names=rig.names,
        keypoints_2d=np.where(is_seen, converter.keypoints(ideal), 0.0),
        confidence=confidence,
        distortion=rig.distortion,
    )


def _detect(
    filmed: sequences.MultiViewSequence, skeleton: skeletons.Skeleton, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Gives keypoints `[V, T, K, 2]` of ideal lenses, and confidence, 0 where a joint is missed."""
    points = simulated_bodies.joints(np.asarray(filmed.pose_world), skeleton)
    exact = rigs.project(rigs.camera_from_world(points, filmed.camera), filmed.camera)
    ideal = exact + rng.normal(0.0, _NOISE_PX, exact.shape)
    confidence = rng.uniform(0.3, 0.95, exact.shape[:-1])
    return ideal, np.where(rng.random(confidence.shape) < _MISSING_RATE, 0.0, confidence)
