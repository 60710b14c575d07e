"""A lab's own rig, simulated: studio clips written out in each format that `RigSource` reads."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import yaml

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import calibrations, manifests
from keras_mvlift.geometry import cameras, rigs
from keras_mvlift.studio import calibration_files as calibration_simulation
from keras_mvlift.studio import synthetic

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
        num_people: Who are filmed together in each clip; with several nobody stands by, and there
            is no reference.
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
    num_people: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for field, known in (
            ("calibration_format", calibration_simulation.WRITERS),
            ("detection_format", DETECTION_WRITERS),
            ("skeleton", skeletons.SKELETONS),
            ("up", calibrations.UP_AXES),
            ("joined_by", JOINS),
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
        The clips as they are to be read back, before any rounding; those of people filmed together
        one after the other, in any order.

    Raises:
        ValueError: If an option breaks its rule.
    """
    settings = SimulatedRig(**options)
    folder = pathlib.Path(root)
    folder.mkdir(parents=True, exist_ok=True)
    studio = _studio(settings)
    rig = _rig(settings, studio.camera)
    turned = rig._replace(camera=calibrations.turn_camera_back(rig.camera, settings.up))
    described = calibration_simulation.WRITERS[settings.calibration_format](folder, turned)
    last = settings.num_clips - 1
    names, together = studio.clips(), settings.num_people
    written = [
        _write_clip(
            folder,
            settings,
            rig,
            [studio.read(name) for name in names[index * together :][:together]],
            is_last=0 < index == last,
        )
        for index in range(settings.num_clips)
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
    return [clip for _, clips in written for clip in clips]


def _studio(settings: SimulatedRig) -> synthetic.Studio:
    """Makes the studio whose clips are written, one of each subject."""
    return synthetic.Studio(
        num_subjects=settings.num_clips * settings.num_people,
        num_clips=1,
        num_frames=settings.num_frames,
        frame_rate=FRAME_RATE,
        rig="ring",
        num_cameras=settings.num_cameras,
        seed=settings.seed,
    )


def _rig(settings: SimulatedRig, camera: cameras.Camera) -> calibrations.Calibration:
    """Returns the studio's cameras lenses."""
    rng = sequences.seeded_generator(settings.seed, "lenses")
    names = tuple(f"cam_{index + 1}" for index in range(settings.num_cameras))
    distortion = rng.normal(0.0, _LENS_SPREAD, (settings.num_cameras, len(_LENS_SPREAD)))
    sizes = np.tile(np.array(rigs.IMAGE_SIZE, float), (settings.num_cameras, 1))
    return calibrations.Calibration(names, camera, distortion, sizes)


def _write_clip(
    folder: pathlib.Path,
    settings: SimulatedRig,
    rig: calibrations.Calibration,
    filmed: list[sequences.MultiViewSequence],
    is_last: bool,
) -> tuple[dict[str, Any], list[sequences.MultiViewSequence]]:
    """Writes a clip's files; gives its entry in the manifest, and what is to be read back."""
    first = filmed[0]
    rng = sequences.seeded_generator(settings.seed, "detections", first.name)
    skeleton = skeletons.by_name(settings.skeleton)
    detected = [_detect(person, skeleton, rng) for person in filmed]
    people = np.stack([_bent(*each, rig) for each in detected], axis=2)
    base = folder / first.name
    base.mkdir()
    is_seen = np.zeros(people.shape[:2], bool)
    views = {}
    for index, name in enumerate(rig.names):
        if is_last and index == 0:
            continue
        stream = _film(settings, index, rng)
        writer = DETECTION_WRITERS[settings.detection_format]
        written = writer(base / name, people_in_stream(stream, people[index], rng))
        views[name] = {"path": f"{first.name}/{written}"} | stream.view
        if len(stream.seconds):
            np.savetxt(base / f"{name}.csv", stream.seconds, "%.9f", header="seconds", comments="")
            views[name]["timestamps"] = f"{first.name}/{name}.csv"
        is_seen[index, stream.shows()] = True
    return _entry(settings, folder, first, views, is_last), [
        _expected(settings, rig, person, ideal, np.where(is_seen[..., np.newaxis], confidence, 0.0))
        for person, (ideal, confidence) in zip(filmed, detected, strict=True)
    ]


def _bent(ideal: np.ndarray, confidence: np.ndarray, rig: calibrations.Calibration) -> np.ndarray:
    """Returns x and y as the lenses bend them, and confidence, `[V, T, K, 3]`."""
    bent = np.where(confidence[..., np.newaxis] > 0, calibrations.distort(ideal, rig), 0.0)
    return np.concatenate([bent, confidence[..., np.newaxis]], axis=-1)


class SimulatedStream(NamedTuple):
    """The frames of one camera.

    Attributes:
        numbers: `[N]`, frame numbers.
        slots: `[N]`, the clip's frame that each shows; below 0 before the clip.
        is_kept: `[N]`, whether the detector looked at it.
        view: The manifest's, without the path.
        seconds: `[N]`, time stamps; empty for none.
    """

    numbers: np.ndarray
    slots: np.ndarray
    is_kept: np.ndarray
    view: dict[str, Any]
    seconds: np.ndarray

    def shows(self) -> np.ndarray:
        """Returns the clip's frames of which there are detections."""
        return self.slots[self.is_kept & (self.slots >= 0)]


def _film(settings: SimulatedRig, index: int, rng: np.random.Generator) -> SimulatedStream:
    return film_stream(
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
    turned = calibrations.turn_points_back(np.asarray(filmed.pose_world), settings.up)
    if settings.num_people == 1:
        np.savez_compressed(folder / reference, pose_world=turned)
        about: dict[str, Any] = {"reference": reference}
    else:
        about = {"people": settings.num_people}
    entry = {
        "name": filmed.name,
        "subject": filmed.subject,
        "action": filmed.action,
        "test": is_last,
        "num_frames": settings.num_frames,
        "views": views,
    }
    start = {"start": EPOCH} if settings.joined_by == "timestamps" else {}
    return entry | about | start


def _expected(
    settings: SimulatedRig,
    rig: calibrations.Calibration,
    filmed: sequences.MultiViewSequence,
    ideal: np.ndarray,
    seen: np.ndarray,
) -> sequences.MultiViewSequence:
    """Returns the clip as it is to be read back."""
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
    """Returns keypoints `[V, T, K, 2]` of ideal lenses, and confidence, 0 where one is missed."""
    points = body_joints(np.asarray(filmed.pose_world), skeleton)
    exact = rigs.project(rigs.camera_from_world(points, filmed.camera), filmed.camera)
    ideal = exact + rng.normal(0.0, _NOISE_PX, exact.shape)
    confidence = rng.uniform(0.3, 0.95, exact.shape[:-1])
    return ideal, np.where(rng.random(confidence.shape) < _MISSING_RATE, 0.0, confidence)


# Writes detections as the programs of each format do, for simulated rigs.

# OpenPose writes six digits; the same of the others keeps their files small.
_DIGITS = 4

People = Sequence[tuple[int, np.ndarray]]
"""Frame numbers, each with its people `[P, K, 3]`: x, y, confidence."""


def _openpose(folder: pathlib.Path, people: People) -> str:
    target = folder.with_name(f"{folder.name}_json")
    target.mkdir(parents=True)
    for number, persons in people:
        content = {
            "version": 1.3,
            "people": [
                {"person_id": [-1], "pose_keypoints_2d": _flat(person)} for person in persons
            ],
        }
        (target / f"{folder.name}_{number:012d}_keypoints.json").write_text(json.dumps(content))
    return target.name


def _alphapose(folder: pathlib.Path, people: People) -> str:
    content = [
        {
            "image_id": f"{number}.jpg",
            "category_id": 1,
            "keypoints": _flat(person),
            "score": float(person[:, 2].sum()),
            "box": _box(person),
            "idx": [float(index)],
        }
        for number, persons in people
        for index, person in enumerate(persons)
    ]
    return _write_json(folder, content)


def _mmpose(folder: pathlib.Path, people: People) -> str:
    content = [
        {
            "frame_id": number,
            "instances": [
                {
                    "keypoints": np.round(person[:, :2], _DIGITS).tolist(),
                    "keypoint_scores": np.round(person[:, 2], _DIGITS).tolist(),
                    "bbox": [_box(person)],
                    "bbox_score": 0.9,
                }
                for person in persons
            ],
        }
        for number, persons in people
    ]
    return _write_json(folder, content)


def _rtmlib(folder: pathlib.Path, people: People) -> str:
    """As arrays, with as many people in each frame as there are in the fullest."""
    most = max(len(persons) for _, persons in people)
    num_joints = people[0][1].shape[1]
    padded = np.zeros((len(people), most, num_joints, 3))
    for row, (_, persons) in zip(padded, people, strict=True):
        row[: len(persons)] = persons
    target = folder.with_name(f"{folder.name}.npz")
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        target,
        frames=np.array([number for number, _ in people]),
        keypoints=padded[..., :2].astype(np.float32),
        scores=padded[..., 2].astype(np.float32),
    )
    return target.name


def _write_json(folder: pathlib.Path, content: Any) -> str:
    target = folder.with_name(f"{folder.name}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content))
    return target.name


def _flat(person: np.ndarray) -> list[float]:
    return np.round(person, _DIGITS).ravel().tolist()


def _box(person: np.ndarray) -> list[float]:
    return [*person[:, :2].min(axis=0).tolist(), *person[:, :2].max(axis=0).tolist()]


Writer = Callable[[pathlib.Path, People], str]

DETECTION_WRITERS: dict[str, Writer] = {
    "openpose": _openpose,
    "alphapose": _alphapose,
    "mmpose": _mmpose,
    "rtmlib": _rtmlib,
}
"""By format: writes a camera's detections beside a path; gives the name of what it wrote."""

# When the cameras of a simulated rig film, and who is in their frames.

EPOCH = 1.7e9
"""The time stamp of each clip's first frame, seconds, as computers' clocks give it."""

JOINS = ("number", "first_frame", "timestamps")
"""By what streams can be joined."""

LOST_SLOT = 2
"""The clip's frame that the second camera loses."""

# How many frames earlier than the clip each next camera starts.
_HEAD_START = 3
# Of a frame period; less than half, so that each frame stays the nearest.
_CLOCK_JITTER = 0.2


def film_stream(
    joined_by: str,
    index: int,
    *,
    num_cameras: int,
    num_frames: int,
    frame_rate: float,
    rng: np.random.Generator,
) -> SimulatedStream:
    """Lets a camera film a clip.

    Args:
        joined_by: Of `JOINS`.
        index: The camera's.
        num_cameras: Of the rig; with time stamps the last has half the frame rate.
        num_frames: The clip's.
        frame_rate: The clip's.
        rng: Random numbers, for the clocks.
    """
    slots = np.arange(num_frames)
    view: dict[str, Any] = {}
    seconds = np.zeros(0)
    if joined_by != "number":
        slots = np.arange(-_HEAD_START * index, num_frames)
    if joined_by == "first_frame":
        view = {"first_frame": _HEAD_START * index}
    if joined_by == "timestamps":
        slots = slots[slots % 2 == 0] if index == num_cameras - 1 else slots
        jitter = rng.uniform(-_CLOCK_JITTER, _CLOCK_JITTER, len(slots))
        seconds = EPOCH + (slots + jitter) / frame_rate
    is_kept = (slots != LOST_SLOT) | (index != 1)
    return SimulatedStream(np.arange(len(slots)), slots, is_kept, view, seconds)


def people_in_stream(
    stream: SimulatedStream, people: np.ndarray, rng: np.random.Generator
) -> list[tuple[int, np.ndarray]]:
    """Returns who is seen in each frame: beside a lone person a less sure bystander in even ones.

    Args:
        stream: The camera's frames; before the clip people stand ready for it.
        people: `[T, M, K, 3]`, x, y and confidence in the clip's frames.
        rng: Random numbers, for the order of several people, which tells nothing.

    Returns:
        Frame numbers, each with `[P, K, 3]`.
    """
    kept = stream.is_kept
    seen = people[np.maximum(stream.slots[kept], 0)]
    numbers = stream.numbers[kept].tolist()
    if people.shape[1] > 1:
        order = rng.permuted(np.tile(np.arange(people.shape[1]), (len(seen), 1)), axis=1)
        mixed = np.take_along_axis(seen, order[..., np.newaxis, np.newaxis], axis=1)
        return list(zip(numbers, mixed, strict=True))
    aside, unsure = np.array([40.0, -25.0, 0.0]), np.array([1.0, 1.0, 0.5])
    both = np.concatenate([(seen + aside) * unsure, seen], axis=1)
    return [(number, crowd[number % 2 :]) for number, crowd in zip(numbers, both, strict=True)]


# The joints of any named set, put on a body of the studio's, which has `H36M_17`'s.

# Joints that the studio's bodies lack: near which of theirs, and how far off, in meters to the
# body's front, to its joint's own side and up. An asterisk stands for the side.
_NEAR: dict[str, tuple[str, tuple[float, float, float]]] = {
    "neck": ("thorax", (0.0, 0.0, 0.0)),
    "*_eye_inner": ("nose", (0.0, 0.02, 0.04)),
    "*_eye": ("nose", (0.0, 0.03, 0.04)),
    "*_eye_outer": ("nose", (-0.01, 0.04, 0.04)),
    "*_ear": ("nose", (-0.09, 0.07, 0.02)),
    "mouth_*": ("nose", (-0.01, 0.02, -0.05)),
    "*_pinky": ("*_wrist", (0.0, 0.02, -0.08)),
    "*_index": ("*_wrist", (0.03, 0.0, -0.09)),
    "*_thumb": ("*_wrist", (0.04, 0.0, -0.05)),
    "*_heel": ("*_ankle", (-0.05, 0.0, -0.06)),
    "*_big_toe": ("*_ankle", (0.15, -0.02, -0.06)),
    "*_small_toe": ("*_ankle", (0.12, 0.05, -0.06)),
    "*_foot_index": ("*_ankle", (0.15, 0.0, -0.06)),
    "face": ("nose", (0.03, 0.0, 0.0)),
    "*_hand": ("*_wrist", (0.05, 0.0, -0.05)),
}
# Meters between the numbered joints of a face or hand, which lie in rows of so many.
_PITCH, _ROW = 0.007, 9
_UP = np.array([0.0, 0.0, 1.0])


def body_joints(pose_world: np.ndarray, skeleton: skeletons.Skeleton) -> np.ndarray:
    """Puts a set's joints on a body.

    Args:
        pose_world: `[T, 17, 3]`, meters, z up.
        skeleton: The set, of `skeletons.SKELETONS`.

    Returns:
        `[T, K, 3]`, meters, z up.
    """
    index = skeletons.H36M_17.joints.index
    across = pose_world[:, index("left_hip")] - pose_world[:, index("right_hip")]
    left = across / np.linalg.norm(across, axis=-1, keepdims=True)
    front = np.cross(left, _UP)

    def place(joint: str) -> np.ndarray:
        if joint in skeletons.H36M_17.joints:
            return pose_world[:, index(joint)]
        side = next((side for side in ("left", "right") if side in joint), "")
        part, number = re.sub(r"_\d+$", "", joint), re.search(r"\d+$", joint)
        row, column = divmod(int(number.group()) if number else 0, _ROW)
        anchor, (ahead, aside, above) = _NEAR[re.sub("left|right", "*", part)]
        aside, above = aside + _PITCH * column, above - _PITCH * row
        outward = aside if side == "left" else -aside
        return place(anchor.replace("*", side)) + ahead * front + outward * left + above * _UP

    return np.stack([place(joint) for joint in skeleton.joints], axis=1)
