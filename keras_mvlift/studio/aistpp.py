"""A simulated release of AIST++: the real one's files, with people out of the studio.

Cameras, motions and detections are made up; names, files, units, axes and defects are the
release's: people that a camera misses are NaN, confidences exceed 1, lenses bend, one camera of
one sequence is late, one frame of the poses has a hole, and one sequence is to be ignored.
"""

import json
import pathlib
import pickle
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import aistpp, sequences
from keras_mvlift.datasets.rigs import calibration_files, calibrations
from keras_mvlift.geometry import cameras, lenses
from keras_mvlift.studio import actions, filming, people

MAX_TAKES = 10
LATE_CAMERA = "c05"
LATE_FRAMES = 45
"""Of the first sequence, one camera shows what happens three quarters of a second later."""

# What the studio performs, take by take.
_MOTIONS = ("walking", "boxing", "waving", "turning", "squatting", "reaching", "bending")
_FOCAL_LENGTHS = (1300.0, 1650.0)
_LENSES = (-0.12, 0.07)
_NOISE_PX = 3.0
_CONFIDENCES = (0.35, 1.025)
# Of joints, which then have a confidence near 0, and of views, of which nothing is known then.
_UNSURE_RATE, _MISSED_RATE = 0.03, 0.02
_UNSURE_CONFIDENCE = 1e-4
# What COCO has of a head beside the nose: how far ahead of it, to its own side and above, meters.
_OFF_NOSE = {"eye": (0.0, 0.03, 0.04), "ear": (-0.09, 0.07, 0.02)}
_POSE_NOISE = 0.01  # Meters; of the poses that were not smoothed, which nothing here reads.


class SimulatedSequence(NamedTuple):
    """A sequence, as the release names it, in this library's conventions."""

    name: str  # Its name.
    rig: calibrations.Calibration  # Its cameras with their lenses, meters, z up.
    points_world: np.ndarray  # [T, 17, 3], COCO's joints, meters, world frame.
    # [9, T, 17, 2], pixels without lens distortion: where a detector sees them.
    ideal_2d: np.ndarray
    # [9, T, 17], as the detector gives it, beyond 1 too; NaN where a camera misses the person.
    confidence: np.ndarray


def write_release(
    root: str | pathlib.Path,
    *,
    subjects: tuple[str, ...] = aistpp.SUBJECTS,
    num_takes: int = 4,
    num_frames: int = 300,
    seed: int = 0,
) -> Iterator[SimulatedSequence]:
    """Writes a simulated release, a sequence at a time.

    Arguments are checked at once. Sequences that are to be read are written, and yielded then, as
    the result is iterated over, and the lists of them once it ends.

    Args:
        root: A folder that is empty or not there yet.
        subjects: Some of `aistpp.SUBJECTS`.
        num_takes: Sequences of each dancer, up to 10.
        num_frames: Frames of each, 2 or more.
        seed: Not negative. A sequence depends on it and its own name alone.

    Raises:
        FileExistsError: If the folder holds anything.
        ValueError: If another argument breaks its rule.
    """
    folder = filming.empty_folder(root)
    errors.require_some_of("subjects", subjects, aistpp.SUBJECTS)
    errors.require(1 <= num_takes <= MAX_TAKES, "num_takes", f"lie in [1, {MAX_TAKES}]", num_takes)
    errors.require(num_frames >= 2, "num_frames", "be at least 2", num_frames)
    errors.require(seed >= 0, "seed", "not be negative", seed)
    for name in ("keypoints2d", "keypoints3d", "cameras", "splits"):
        (folder / name).mkdir(parents=True)
    return _write(folder, subjects, num_takes, num_frames, seed)


def _write(
    folder: pathlib.Path, subjects: tuple[str, ...], num_takes: int, num_frames: int, seed: int
) -> Iterator[SimulatedSequence]:
    names = {subject: [_name(subject, take) for take in range(num_takes)] for subject in subjects}
    settings = {}
    for subject in subjects:
        setting = f"setting{_genre(subject) + 1}"
        rig = _rig(seed, setting)
        turned = rig._replace(camera=calibrations.turn_camera_back(rig.camera, aistpp.UP))
        entries = calibration_files.to_tables(turned, aistpp.UNIT)
        (folder / "cameras" / f"{setting}.json").write_text(json.dumps(entries))
        for take, name in enumerate(names[subject]):
            settings[name] = setting
            late = LATE_FRAMES * (name == names[subjects[0]][0])
            filmed = _film(name, rig, _MOTIONS[take % len(_MOTIONS)], num_frames, late, seed)
            _write_sequence(folder, filmed)
            yield filmed
    ignored = _name(subjects[0], num_takes)
    settings[ignored] = settings[names[subjects[0]][0]]
    nobody = {"keypoints2d": np.full((9, num_frames, 17, 3), np.nan, np.float32)}
    _dump(folder / "keypoints2d" / f"{ignored}.pkl", nobody)
    lines = [f"{name} {setting}" for name, setting in settings.items()]
    (folder / "cameras" / "mapping.txt").write_text("\n".join(lines))
    (folder / "ignore_list.txt").write_text(f"{ignored}\n")
    _write_splits(folder / "splits", names)


def _genre(subject: str) -> int:
    return aistpp.SUBJECTS.index(subject) // 3


def _name(subject: str, take: int) -> str:
    genre = [*aistpp.GENRES][_genre(subject)]
    return f"{genre}_sBM_cAll_{subject}_m{genre[1:]}0_ch{take + 1:02d}"


def _rig(seed: int, setting: str) -> calibrations.Calibration:
    """Puts nine cameras around the room, each with a lens of its own."""
    rng = sequences.seeded_generator(seed, "aistpp", setting)
    num_cameras = len(aistpp.CAMERAS)
    camera = filming.ring(num_cameras, jitter=0.1, rng=rng)
    intrinsics = np.tile(np.eye(3), (num_cameras, 1, 1))
    intrinsics[:, [0, 1], [0, 1]] = rng.uniform(*_FOCAL_LENGTHS, (num_cameras, 1))
    intrinsics[:, :2, 2] = np.array(aistpp.IMAGE_SIZE) / 2
    distortion = np.zeros((num_cameras, 5))
    distortion[:, 0] = rng.uniform(*_LENSES, num_cameras)
    sizes = np.tile(aistpp.IMAGE_SIZE, (num_cameras, 1))
    camera = camera._replace(intrinsics=intrinsics)
    return calibrations.Calibration(aistpp.CAMERAS, camera, distortion, sizes)


def _film(
    name: str,
    rig: calibrations.Calibration,
    action: str,
    num_frames: int,
    late_frames: int,
    seed: int,
) -> SimulatedSequence:
    """Films a sequence; the late camera shows what happens so many frames later."""
    rng = sequences.seeded_generator(seed, "aistpp", name)
    person = people.draw_person(seed, name.split("_")[3])
    motion = actions.perform(action, person, num_frames + late_frames, aistpp.FRAME_RATE, rng)
    points = coco_joints(motion.astype(np.float64))
    exact = cameras.project_from_world(points, cameras.expand(rig.camera, -1))
    shown = exact[:, :num_frames].copy()
    late = aistpp.CAMERAS.index(LATE_CAMERA)
    shown[late] = exact[late, late_frames:]
    ideal = shown + rng.normal(0.0, _NOISE_PX, shown.shape)
    confidence = rng.uniform(*_CONFIDENCES, shown.shape[:-1])
    is_unsure = rng.random(confidence.shape) < _UNSURE_RATE
    is_missed = rng.random((*confidence.shape[:2], 1)) < _MISSED_RATE
    confidence = np.where(is_unsure, _UNSURE_CONFIDENCE, confidence)
    confidence = np.where(is_missed, np.nan, confidence)
    return SimulatedSequence(name, rig, points[:num_frames], ideal, confidence)


def coco_joints(pose_world: np.ndarray) -> np.ndarray:
    """Returns the joints of COCO, `[T, 17, 3]`, of a body of the studio's; meters, z up."""
    joint = dict(zip(skeletons.H36M_17.joints, np.moveaxis(pose_world, 1, 0), strict=True))
    across, up = joint["left_hip"] - joint["right_hip"], np.array([0.0, 0.0, 1.0])
    left = across / np.linalg.norm(across, axis=-1, keepdims=True)
    front = np.cross(left, up)
    for part, (ahead, aside, above) in _OFF_NOSE.items():
        for side, outward in (("left", aside), ("right", -aside)):
            place = joint["nose"] + ahead * front + outward * left + above * up
            joint[f"{side}_{part}"] = place
    return np.stack([joint[name] for name in skeletons.COCO_17.joints], axis=1)


def _write_sequence(folder: pathlib.Path, filmed: SimulatedSequence) -> None:
    """Writes detections and poses as the release has them, with a hole in the second frame."""
    bent = lenses.distort(filmed.ideal_2d, *filmed.rig.lens)
    seen = np.concatenate([bent, filmed.confidence[..., np.newaxis]], axis=-1)
    seen[np.isnan(filmed.confidence)] = np.nan
    num_frames = len(filmed.points_world)
    detections = {
        "keypoints2d": seen.astype(np.float32),
        "det_scores": np.nan_to_num(seen[..., 2]).mean(axis=-1).astype(np.float32),
        "timestamps": (np.arange(num_frames) * 1e6 / aistpp.FRAME_RATE).astype(np.int64),
    }
    _dump(folder / "keypoints2d" / f"{filmed.name}.pkl", detections)
    points = aistpp.UNIT.from_meters(calibrations.turn_points_back(filmed.points_world, aistpp.UP))
    rng = np.random.default_rng(num_frames)
    rough = points + aistpp.UNIT.from_meters(rng.normal(0.0, _POSE_NOISE, points.shape))
    optimized = points.copy()
    optimized[1, skeletons.COCO_17.joints.index("left_wrist")] = np.nan
    poses = {"keypoints3d": rough, "keypoints3d_optim": optimized}
    _dump(folder / "keypoints3d" / f"{filmed.name}.pkl", poses)


def _write_splits(folder: pathlib.Path, names: dict[str, list[str]]) -> None:
    """Writes the lists: every third dancer tests; the last of several takes is held out."""
    test = [name for subject in names if subject in aistpp.TEST_SUBJECTS for name in names[subject]]
    others = [takes for subject, takes in names.items() if subject not in aistpp.TEST_SUBJECTS]
    val = [takes[-1] for takes in others if len(takes) > 1]
    train = [name for takes in others for name in takes if name not in val]
    for kind, chosen in (("train", train), ("val", val), ("test", test)):
        (folder / f"pose_{kind}.txt").write_text("\n".join(chosen))


def _dump(path: pathlib.Path, content: dict[str, np.ndarray]) -> None:
    path.write_bytes(pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))
