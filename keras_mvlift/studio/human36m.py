"""A simulated release of Human3.6M: the real one's files, with people out of the studio.

For those who want to see the pipeline run on Human3.6M before they have it. Cameras, lenses, file
formats, names and lengths are those of the release; motions and detections are the studio's.
"""

import contextlib
import functools
import itertools
import pathlib
import pickle
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cdflib.cdfwrite
import numpy as np
import pyarrow
import pyarrow.parquet

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.human36m import detections, protocol, release, rig
from keras_mvlift.geometry import cameras, lenses
from keras_mvlift.studio import actions as studio_actions
from keras_mvlift.studio import filming, people

MAX_TAKES = 2 * len(protocol.ACTIONS)
EXTRA_FRAMES = 3  # By how many frames, at most, the simulated videos outlast the motion capture.


class SimulatedTake(NamedTuple):
    """A take, as the cameras' images show it."""

    subject: str  # One of `rig.SUBJECTS`.
    name: str  # The take's name in the original release, irregular as there.
    pose_world: np.ndarray  # [T, J, 3], meters, world frame.
    exact_2d: np.ndarray  # [4, T, J, 2], pixels, with lens distortion: where the joints are.
    # [4, T + EXTRA_FRAMES, J, 2], pixels, with lens distortion: where a detector sees them; 0
    # where it does not.
    keypoints_2d: np.ndarray
    confidence: np.ndarray  # [4, T + EXTRA_FRAMES, J], in [0, 1]; 0 where not seen.

    @property
    def label(self) -> str:
        """The take's name in the archives' spelling."""
        return protocol.action_label(self.name)

    def num_video_frames(self, camera: int) -> int:
        """Returns the number of frames of a camera's video; each differs a little."""
        return len(self.pose_world) + (camera + 1) % (EXTRA_FRAMES + 1)

    def videos(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns keypoints and confidence of each camera's video, in single precision."""
        seen = self.keypoints_2d.astype(np.float32), self.confidence.astype(np.float32)
        lengths = map(self.num_video_frames, range(4))
        return [
            (points[:num], sure[:num]) for points, sure, num in zip(*seen, lengths, strict=True)
        ]


# The files of a simulated release, in each of the layouts in which Human3.6M goes around.

DETECTIONS = "cpn_ft_h36m_dbb"
"""The name under which the archives have the simulated detector's output."""

_CDF_FLOAT = 44

UNLABELED_SUBJECT = "S2"
_UNLABELED_FRAMES = 4


Adder = Callable[[SimulatedTake], None]
"""Writes a take, or keeps it until the last one is there."""


@contextlib.contextmanager
def _original_files(root: pathlib.Path) -> Iterator[Adder]:
    """Writes the original release: CDF files of motion capture and of its projections."""

    def add(take: SimulatedTake) -> None:
        paths = [release.cdf_pose_path(root, take.subject, take.name)]
        for camera in rig.CAMERAS:
            paths.append(release.cdf_keypoints_path(root, take.subject, take.name, camera))
        pose_mm = errors.MILLIMETERS.from_meters(take.pose_world)
        for path, values in zip(paths, (pose_mm, *take.exact_2d), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_cdf(path, protocol.joints_to_raw(values).reshape(len(values), -1))

    yield add


def write_cdf(path: pathlib.Path, values: np.ndarray) -> None:
    """Writes `[T, width]` values as a new file of the release's form, in single precision."""
    file = cdflib.cdfwrite.CDF(path, cdf_spec={"Majority": "row_major"})
    specification = {
        "Variable": release.CDF_VARIABLE,
        "Data_Type": _CDF_FLOAT,
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Dim_Sizes": list(values.shape),
        "Compress": 0,
    }
    file.write_var(specification, var_data=values[np.newaxis].astype(np.float32))
    file.close()


@contextlib.contextmanager
def _archives(root: pathlib.Path) -> Iterator[Adder]:
    """Writes VideoPose3D's archives, in memory until the last take."""
    poses: dict[str, Any] = {}
    exact: dict[str, Any] = {}
    detected: dict[str, Any] = {}

    def add(take: SimulatedTake) -> None:
        raw = protocol.joints_to_raw(take.pose_world)
        poses.setdefault(take.subject, {})[take.label] = raw.astype(np.float32)
        exact.setdefault(take.subject, {})[take.label] = [*take.exact_2d.astype(np.float32)]
        seen = [keypoints_2d for keypoints_2d, _ in take.videos()]
        detected.setdefault(take.subject, {})[take.label] = seen
        # The published detections cover subjects without poses, too.
        unlabeled = [view[:_UNLABELED_FRAMES] for view in seen]
        detected.setdefault(UNLABELED_SUBJECT, {}).setdefault(take.label, unlabeled)

    yield add
    symmetry = [[*skeletons.H36M_17.left], [*skeletons.H36M_17.right]]
    metadata = {"num_joints": skeletons.H36M_17.num_joints, "keypoints_symmetry": symmetry}
    true = {"positions_2d": exact, "metadata": metadata}
    found = {"positions_2d": detected, "metadata": {"layout_name": "h36m", **metadata}}
    for path, content in (
        (release.archive_pose_path(root), {"positions_3d": poses}),
        (release.archive_keypoints_path(root, release.GROUND_TRUTH), true),
        (release.archive_keypoints_path(root, DETECTIONS), found),
    ):
        np.savez_compressed(path, **{key: np.array(v, object) for key, v in content.items()})


@contextlib.contextmanager
def _confidence_files(root: pathlib.Path) -> Iterator[Adder]:
    """Writes detections with confidences, an archive without pickles and a Parquet table."""
    with (
        zipfile.ZipFile(root / "detections.npz", "w", zipfile.ZIP_STORED) as archive,
        pyarrow.parquet.ParquetWriter(root / "detections.parquet", detections.SCHEMA) as table,
    ):

        def add(take: SimulatedTake) -> None:
            for name, seen in zip(rig.CAMERAS, take.videos(), strict=True):
                key = detections.key(take.subject, take.label, name)
                for field, values in zip(("keypoints_2d", "confidence"), seen, strict=True):
                    with archive.open(f"{key}/{field}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, values, allow_pickle=False)
                table.write_table(detections.rows(take.subject, take.label, name, *seen))

        yield add


@contextlib.contextmanager
def _canonpose_file(root: pathlib.Path) -> Iterator[Adder]:
    """Writes CanonPose's pickle, in memory until the last take."""
    subjects: list[int] = []
    poses: dict[str, list[np.ndarray]] = {name: [] for name in rig.CAMERAS}
    confidences: dict[str, list[np.ndarray]] = {name: [] for name in rig.CAMERAS}

    def add(take: SimulatedTake) -> None:
        num_frames = len(take.pose_world)
        subjects.extend([int(take.subject[1:])] * num_frames)
        for camera, name in enumerate(rig.CAMERAS):
            seen = take.keypoints_2d[camera, :num_frames], take.confidence[camera, :num_frames]
            keypoints_2d, confidence = protocol.joints_to_hourglass(*seen)
            rows = keypoints_2d.swapaxes(-1, -2).reshape(num_frames, -1)
            poses[name].append(rows.astype(np.float32))
            confidences[name].append(confidence.astype(np.float32))

    yield add
    content = {
        "subjects": subjects,
        "poses_2d_pred": {name: np.concatenate(parts) for name, parts in poses.items()},
        "confidences": {name: np.concatenate(parts) for name, parts in confidences.items()},
    }
    (root / "detections.pickle").write_bytes(pickle.dumps(content))


RELEASE_FORMATS = {
    "cdf": _original_files,
    "videopose3d": _archives,
    "confidence": _confidence_files,
    "canonpose": _canonpose_file,
}
"""The layouts by name."""


def write_release(
    root: str | pathlib.Path,
    *,
    subjects: tuple[str, ...] = rig.SUBJECTS,
    num_takes: int = MAX_TAKES,
    num_frames: int = 500,
    num_distinct_takes: int = MAX_TAKES,
    seed: int = 0,
    formats: tuple[str, ...] = tuple(RELEASE_FORMATS),
    shift_takes: bool = False,
) -> Iterator[SimulatedTake]:
    """Writes a simulated release, a take at a time.

    Arguments are checked at once. The takes are written, and yielded then, as the result is
    iterated over, and the archives once it ends.

    Args:
        root: A folder that is empty or not there yet.
        subjects: Some of `rig.SUBJECTS`.
        num_takes: Takes per subject, up to 30.
        num_frames: Frames per take, of the motion capture.
        num_distinct_takes: How many takes of a subject are filmed; the others repeat them under
            other names, which is faster.
        seed: Not negative. A take depends on it and its own name alone.
        formats: Some of `RELEASE_FORMATS`.
        shift_takes: Whether the takes of S9 that are shifted in the real release are here.

    Raises:
        FileExistsError: If the folder holds anything.
        ValueError: If another argument breaks its rule.
    """
    folder = filming.empty_folder(root)
    errors.require_some_of("subjects", subjects, rig.SUBJECTS)
    errors.require_some_of("formats", formats, tuple(RELEASE_FORMATS))
    options = {"num_takes": num_takes, "num_distinct_takes": num_distinct_takes}
    for name, count in options.items():
        errors.require(1 <= count <= MAX_TAKES, name, f"lie in [1, {MAX_TAKES}]", count)
    errors.require(num_frames >= 1, "num_frames", "be positive", num_frames)
    errors.require(seed >= 0, "seed", "not be negative", seed)
    options |= {"num_frames": num_frames, "seed": seed}
    takes = (perform_take(subject, shift_takes=shift_takes, **options) for subject in subjects)
    return _written(folder, itertools.chain.from_iterable(takes), formats)


def _written(
    root: pathlib.Path, takes: Iterator[SimulatedTake], formats: tuple[str, ...]
) -> Iterator[SimulatedTake]:
    root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        adders = [stack.enter_context(RELEASE_FORMATS[name](root)) for name in formats]
        for take in takes:
            for add in adders:
                add(take)
            yield take


# Takes of a simulated Human3.6M: the studio's people before the release's own cameras.

FRAME_RATE = 50.0

# What the studio performs in place of each action.
_MOTIONS = {
    "Directions": "gesturing",
    "Discussion": "gesturing",
    "Eating": "reaching",
    "Greeting": "waving",
    "Phoning": "phoning",
    "Photo": "reaching",
    "Posing": "boxing",
    "Purchases": "bending",
    "Sitting": "sitting",
    "SittingDown": "squatting",
    "Smoking": "phoning",
    "Waiting": "turning",
    "WalkDog": "walking",
    "WalkTogether": "walking",
    "Walking": "walking",
}
# Spellings and numbers in which subjects of the real release differ from the others.
_IRREGULAR = {
    "S1": {
        "Photo 1": "TakingPhoto 1",
        "Photo": "TakingPhoto",
        "WalkDog 1": "WalkingDog 1",
        "WalkDog": "WalkingDog",
    },
    "S5": {"Directions": "Directions 2"},
    "S7": {"Waiting": "Waiting 2"},
    "S11": {"Phoning 1": "Phoning 3", "Phoning": "Phoning 2"},
}


def take_names(subject: str, num_takes: int) -> list[str]:
    """Returns the names of a subject's first takes: every action once, then every one again."""
    labels = [f"{action} 1" for action in protocol.ACTIONS] + [*protocol.ACTIONS]
    return [_IRREGULAR.get(subject, {}).get(label, label) for label in labels[:num_takes]]


def perform_take(
    subject: str,
    *,
    num_takes: int,
    num_frames: int,
    num_distinct_takes: int,
    seed: int,
    shift_takes: bool,
) -> Iterator[SimulatedTake]:
    """Films a subject's takes, one at a time; arguments as of `write_release`."""
    film = functools.cache(functools.partial(_film, num_frames=num_frames, seed=seed))
    names = take_names(subject, num_takes)
    for index, name in enumerate(names):
        take = film(subject, names[index % num_distinct_takes])._replace(name=name)
        is_shifted = shift_takes and f"{subject} {take.label}" in protocol.SHIFTED_TAKES
        if is_shifted:
            # The motion capture, and with it what is projected from it, not the detections.
            pose = take.pose_world + protocol.SHIFT
            take = take._replace(pose_world=pose, exact_2d=_exact(pose, subject))
        yield take


def _film(subject: str, name: str, *, num_frames: int, seed: int) -> SimulatedTake:
    rng = sequences.seeded_generator(seed, "human36m", subject, name)
    person = people.draw_person(seed, subject)
    action = _MOTIONS[protocol.parse_take(name, "").action]
    motion = studio_actions.perform(action, person, num_frames + EXTRA_FRAMES, FRAME_RATE, rng)
    camera = rig.camera(subject)
    seen, confidence = filming.Detector().detect(motion, camera, rng, girth=person.girth)
    bent = _through_lenses(seen, subject)
    keypoints_2d = np.where(confidence[..., np.newaxis] > 0, bent, 0.0)
    pose = motion[:num_frames].astype(np.float64)
    return SimulatedTake(subject, name, pose, _exact(pose, subject), keypoints_2d, confidence)


def _exact(pose_world: np.ndarray, subject: str) -> np.ndarray:
    camera = rig.camera(subject)
    exact = cameras.project_from_world(pose_world, cameras.expand(camera, -1))
    return _through_lenses(exact, subject)


def _through_lenses(keypoints_2d: np.ndarray, subject: str) -> np.ndarray:
    intrinsics = rig.camera(subject).intrinsics[:, np.newaxis]
    lens = rig.opencv_lens(rig.DISTORTION[:, np.newaxis])
    return lenses.distort(keypoints_2d, intrinsics, *lens)
