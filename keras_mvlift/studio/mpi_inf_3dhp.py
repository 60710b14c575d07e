"""A simulated release: the studio's people before this set's cameras, in this set's files.

Made up from the first to the last number, as the real data may not be passed on; only the forms of
the files, the cameras' heights, the joints and the numbers of the protocol are the release's.

<root>/S1/Seq1/annot.mat, camera.calibration          the training set
<root>/mpi_inf_3dhp_test_set/TS1/annot_data.mat       the test set
<root>/p_stmo/data_train_3dhp.npz, data_test_3dhp.npz, camera.calibration
<root>/detections.npz                                 detections of both, with confidences
"""

import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np
import scipy.io

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, release, source
from keras_mvlift.datasets.mpi_inf_3dhp import rig as mpi_inf_3dhp_rig
from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import actions as studio_actions
from keras_mvlift.studio import filming, people

FORMATS = ("original", "p_stmo", "detections")

P_STMO_FOLDER = "p_stmo"
DETECTIONS = "detections.npz"
_TEST_FOLDER = "mpi_inf_3dhp_test_set"
_TEST_SIZES = dict(
    zip(protocol.TEST_SUBJECTS, [(2048, 2048)] * 4 + [(1920, 1080)] * 2, strict=True)
)
_INVALID_SHARE = 0.4  # The share of the test set's frames that are not valid.


class Film(NamedTuple):
    """A clip, in the release's joints and units: pixels, and millimeters in camera frames."""

    annot2: np.ndarray  # [V, T, K, 2].
    annot3: np.ndarray  # [V, T, K, 3].
    univ_annot3: np.ndarray  # [V, T, K, 3], of universal size.
    # Keypoints [V, T, 17, 2] and confidence [V, T, 17], of `H36M_17`.
    detected: tuple[np.ndarray, np.ndarray]
    turn: np.ndarray  # [T], the index of the action.


def write_release(
    root: str | pathlib.Path,
    *,
    subjects: tuple[str, ...] = protocol.SUBJECTS,
    test_subjects: tuple[str, ...] = protocol.TEST_SUBJECTS,
    num_frames: int = 200,
    seed: int = 0,
    formats: tuple[str, ...] = FORMATS,
) -> Iterator[str]:
    """Films a release and writes it, a clip at a time, whose name is yielded then.

    Arguments are checked at once. The clips are written as the result is iterated over, and the
    archives once it ends.

    Args:
        root: A folder that is empty or not there yet.
        subjects: Who is in the training set, of `protocol.SUBJECTS`.
        test_subjects: Who is in the test set, of `protocol.TEST_SUBJECTS`.
        num_frames: `T`, of each sequence of either.
        seed: Not negative.
        formats: Which of `FORMATS` to write.

    Raises:
        FileExistsError: If the folder holds anything.
        ValueError: If another argument breaks its rule.
    """
    folder = filming.empty_folder(root)
    for name, chosen, known in (
        ("subjects", subjects, protocol.SUBJECTS),
        ("test_subjects", test_subjects, protocol.TEST_SUBJECTS),
        ("formats", formats, FORMATS),
    ):
        errors.require({*chosen} <= {*known}, name, f"be among {', '.join(known)}", chosen)
    errors.require(num_frames >= 1, "num_frames", "be positive", num_frames)
    folder.mkdir(parents=True, exist_ok=True)
    return _write(_Writer(folder, formats, seed), subjects, test_subjects, num_frames)


def _write(
    writer: "_Writer", subjects: tuple[str, ...], test_subjects: tuple[str, ...], num_frames: int
) -> Iterator[str]:
    for subject in subjects:
        for sequence in protocol.SEQUENCES:
            writer.add_training_clip(subject, sequence, num_frames)
            yield f"{subject}_{sequence}"
    for subject in test_subjects:
        writer.add_test_clip(subject, num_frames)
        yield subject
    writer.close()


def film(
    camera: cameras.Camera,
    actions: tuple[str, ...],
    subject: str,
    num_frames: int,
    frame_rate: float,
    rng: np.random.Generator,
    *,
    seed: int,
    image_size: tuple[int, int],
) -> Film:
    """Films a subject who performs actions one after the other."""
    person = people.draw_person(seed, subject)
    motion, turn = perform_sequence(actions, person, num_frames, frame_rate, rng)
    detected = filming.Detector().detect(
        motion, camera, rng, girth=person.girth, image_size=image_size
    )
    camera = cameras.expand(camera, -1)
    pose_camera = cameras.camera_from_world(motion[:, ALL_28_FROM_17], camera)
    annot2 = cameras.project(pose_camera, camera.intrinsics)
    annot3 = errors.MILLIMETERS.from_meters(pose_camera)
    return Film(annot2, annot3, universal_pose(annot3, person), detected, turn)


class _Writer:
    """Writes clips as they come, and at the end what holds all of them."""

    def __init__(self, folder: pathlib.Path, formats: tuple[str, ...], seed: int):
        self._folder, self._formats, self._seed = folder, formats, seed
        self._detections: dict[str, np.ndarray] = {}
        self._training: dict[str, Any] = {}
        self._test: dict[str, Any] = {}
        self._rig = training_rig(seed)
        # What is filmed is what the file says, with its seven digits.
        draft = folder / release.CALIBRATION
        write_calibration(draft, self._rig)
        self._seen_rig = mpi_inf_3dhp_rig.read_calibration(draft)
        draft.unlink()

    def add_training_clip(self, subject: str, sequence: str, num_frames: int) -> None:
        filmed = film(
            self._seen_rig.camera,
            SEQUENCE_ACTIONS[sequence],
            subject,
            num_frames,
            protocol.TAKES[subject, sequence].frame_rate,
            sequences.seeded_generator(self._seed, "clip", subject, sequence),
            seed=self._seed,
            image_size=protocol.IMAGE_SIZE,
        )
        if "original" in self._formats:
            folder = self._folder / subject / sequence
            folder.mkdir(parents=True, exist_ok=True)
            write_calibration(folder / release.CALIBRATION, self._rig)
            variables = {name: getattr(filmed, name) for name in _VARIABLES}
            write_annotation(folder / release.TRAINING_ANNOTATION, variables)
        if "p_stmo" in self._formats:
            known = protocol.CAMERA_SETS["vnect"]
            views = {str(index): _p_stmo_view(filmed, index) for index in known}
            frame_rate = int(protocol.TAKES[subject, sequence].frame_rate)
            self._training[f"{subject} {sequence}"] = [views, frame_rate]
        for index, name in enumerate(self._rig.names):
            self._detect(f"{subject}/{sequence}/{name}", filmed, index)

    def add_test_clip(self, subject: str, num_frames: int) -> None:
        rng = sequences.seeded_generator(self._seed, "clip", subject)
        filmed = film(
            test_camera(self._seed, subject),
            tuple(ACTIVITY_ACTIONS.values()),
            subject,
            num_frames,
            protocol.TEST_FRAME_RATE,
            rng,
            seed=self._seed,
            image_size=_TEST_SIZES[subject],
        )
        valid = rng.random(num_frames) >= _INVALID_SHARE
        # Every activity has a valid frame.
        valid |= np.diff(filmed.turn, prepend=-1) > 0
        if "original" in self._formats:
            folder = self._folder / _TEST_FOLDER / subject
            folder.mkdir(parents=True, exist_ok=True)
            numbers = np.array([*ACTIVITY_ACTIONS])[filmed.turn]
            points = {name: getattr(filmed, name)[0] for name in _VARIABLES}
            variables = {name: p[:, protocol.TEST_FROM_28] for name, p in points.items()}
            variables |= {"valid_frame": valid, "activity_annotation": numbers}
            with_axis = {name: value[:, np.newaxis] for name, value in variables.items()}
            write_test_annotation(folder / release.TEST_ANNOTATION, with_axis)
        self._test[subject] = _p_stmo_view(filmed, 0) | {"valid": valid.astype(np.float64)}
        self._detect(subject, filmed, 0)

    def close(self) -> None:
        if "p_stmo" in self._formats:
            folder = self._folder / P_STMO_FOLDER
            folder.mkdir(exist_ok=True)
            write_calibration(folder / release.CALIBRATION, self._rig)
            write_archive(folder / protocol.TRAINING_ARCHIVE, self._training)
            write_archive(folder / protocol.TEST_ARCHIVE, self._test)
        if "detections" in self._formats:
            np.savez_compressed(self._folder / DETECTIONS, **self._detections)

    def _detect(self, view: str, filmed: Film, index: int) -> None:
        if "detections" not in self._formats:
            return
        keypoints_2d, confidence = (value[index].astype(np.float32) for value in filmed.detected)
        self._detections |= {f"{view}/keypoints_2d": keypoints_2d, f"{view}/confidence": confidence}


_VARIABLES = ("annot2", "annot3", "univ_annot3")


def _p_stmo_view(filmed: Film, view: int) -> dict[str, np.ndarray]:
    chosen = protocol.TEST_FROM_28
    points = {"data_2d": filmed.annot2, "data_3d": filmed.univ_annot3}
    return {name: value[view][:, chosen] for name, value in points.items()}


# What the simulated release shows: the studio's people, with this set's 28 joints.

SEQUENCE_ACTIONS = {
    "Seq1": ("walking", "jumping_jacks", "sitting", "squatting"),
    "Seq2": ("bending", "boxing", "phoning", "gesturing"),
}
"""What stands for the four activities of each training sequence, in turn."""

ACTIVITY_ACTIONS = {
    1: "walking",
    2: "jumping_jacks",
    3: "sitting",
    4: "reaching",
    5: "bending",
    6: "boxing",
    7: "waving",
}
"""What stands for each activity of the test set."""

# Which of the joints that the studio has stand for those that it lacks.
_NEIGHBORS = {"spine2": "spine", "spine3": "neck", "spine4": "neck"}
for _side in ("left", "right"):
    _NEIGHBORS |= {f"{_side}_clavicle": "neck", f"{_side}_hand": f"{_side}_wrist"}
    _NEIGHBORS |= dict.fromkeys((f"{_side}_foot", f"{_side}_toe"), f"{_side}_ankle")
ALL_28_FROM_17 = [
    protocol.H36M_FROM_28.index(protocol.ALL_28.index(_NEIGHBORS.get(joint, joint)))
    for joint in protocol.ALL_28
]
"""Which of the studio's joints each of the 28 is, or stands on."""


def perform_sequence(
    actions: tuple[str, ...],
    person: people.Person,
    num_frames: int,
    frame_rate: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Lets a person perform actions one after the other, each for the same time.

    Returns:
        `[T, 17, 3]`, meters, world frame with z up, and the index of each frame's action, `[T]`.
    """
    turn = np.arange(num_frames) * len(actions) // num_frames
    parts = [
        studio_actions.perform(action, person, int(length), frame_rate, rng)
        for action, length in zip(actions, np.bincount(turn, minlength=len(actions)), strict=True)
        if length
    ]
    return np.concatenate(parts), turn


def universal_pose(pose_camera: np.ndarray, person: people.Person) -> np.ndarray:
    """Scales poses `[..., 28, 3]` about their pelvis to the size of the universal skeleton."""
    own = person.bone_lengths[[skeletons.H36M_17.joints.index(joint) for joint in _HEIGHT]].sum()
    pelvis = pose_camera[..., [protocol.ALL_28.index("pelvis")], :]
    return pelvis + (pose_camera - pelvis) * (_UNIVERSAL_HEIGHT / own)


# From ankle to neck, meters: less than nearly everybody's, so that nobody's universal poses can be
# taken for the metric ones.
_HEIGHT = ("left_knee", "left_ankle", "spine", "thorax")
_UNIVERSAL_HEIGHT = 1.25

# The simulated release's fourteen cameras: at the real ones' heights, in places of our own.

HEIGHTS = (1.54, 1.99, 1.49, 1.6, 1.12, 0.82, 2.47, 1.17, 1.39, 1.7, 2.2, 3.2, 3.1, 3.3)
"""Meters over the floor; those of cameras 3 and 9 to 13 are ours."""

FOCAL_LENGTH = 1498.0
_FOCAL_SPREAD, _PRINCIPAL_POINT_SPREAD = 1.5, 15.0
# The chest-height set, 0, 2, 4, 7 and 8, stands evenly around the room; degrees.
_ANGLES = (0, 30, 72, 100, 144, 165, 190, 216, 288, 310, 340, 20, 140, 260)
_DISTANCE, _CEILING_DISTANCE = 4.0, 2.2
_TEST_DISTANCE, _TEST_HEIGHT = 4.2, 1.4
_AIM = (0.0, 0.0, 0.95)
_AIM_SPREAD = 0.15


def training_rig(seed: int) -> calibrations.Calibration:
    """Puts up the training set's cameras, the same for all subjects."""
    rng = sequences.seeded_generator(seed, "rig")
    distance = np.full(protocol.NUM_CAMERAS, _DISTANCE)
    distance[list(protocol.CAMERA_SETS["ceiling"])] = _CEILING_DISTANCE
    angle = np.radians(_ANGLES)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * distance[:, np.newaxis]
    focal = rng.normal(FOCAL_LENGTH, _FOCAL_SPREAD, (protocol.NUM_CAMERAS, 2))
    middle = np.array(protocol.IMAGE_SIZE) / 2
    point = middle + rng.normal(0.0, _PRINCIPAL_POINT_SPREAD, focal.shape)
    center = np.concatenate([around, np.array(HEIGHTS)[:, np.newaxis]], axis=-1)
    names = tuple(str(index) for index in range(protocol.NUM_CAMERAS))
    sizes = np.tile(np.array(protocol.IMAGE_SIZE, float), (protocol.NUM_CAMERAS, 1))
    camera = _aimed(focal, point, center, rng)
    return calibrations.Calibration(names, camera, np.zeros((len(names), 5)), sizes)


def test_camera(seed: int, subject: str) -> cameras.Camera:
    """Puts up the one camera of a test clip, level, with a lens like the real one's."""
    rng = sequences.seeded_generator(seed, "rig", subject)
    fx, fy, cx, cy = source.TEST_LENSES[subject]
    angle = rng.uniform(0, 2 * np.pi)
    center = [_TEST_DISTANCE * np.cos(angle), _TEST_DISTANCE * np.sin(angle), _TEST_HEIGHT]
    lens = np.array([[fx, fy], [cx, cy]]) + rng.normal(0.0, 1.0, (2, 2))
    return _aimed(lens[:1], lens[1:], np.array([center]), rng)


def _aimed(
    focal: np.ndarray, point: np.ndarray, center: np.ndarray, rng: np.random.Generator
) -> cameras.Camera:
    """Turns cameras to the middle of the room, each a little past it."""
    intrinsics = np.tile(np.eye(3), (len(center), 1, 1))
    intrinsics[:, [0, 1], [0, 1]], intrinsics[:, :2, 2] = focal, point
    target = np.array(_AIM) + rng.normal(0.0, _AIM_SPREAD, center.shape)
    up = np.tile((0.0, 0.0, 1.0), (len(center), 1))
    return cameras.look_at(intrinsics, center, target, up)


# Writes files with the byte layout of the real release's, for the simulated one.

# MATLAB puts a text of its own before HDF5's first byte.
_USER_BLOCK = 512
_MATLAB_TEXT = "MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: a simulation HDF5 schema 1.00 ."
_MATLAB_TEXT_LENGTH = 116
# Eight bytes of no subsystem, version 2.0, and the byte order.
_MATLAB_VERSION = bytes(8) + b"\x00\x02IM"


def write_calibration(path: pathlib.Path, rig: calibrations.Calibration) -> None:
    """Writes a `camera.calibration`, seven digits a number, of a rig in a world with z up."""
    lines = [mpi_inf_3dhp_rig.HEADER]
    # The file's world has y up.
    camera = calibrations.turn_camera_back(rig.camera, "y")
    translation = errors.MILLIMETERS.from_meters(cameras.translation(camera))
    for index, (name, size) in enumerate(zip(rig.names, rig.image_sizes, strict=True)):
        intrinsic, extrinsic = np.eye(4), np.eye(4)
        intrinsic[:3, :3] = camera.intrinsics[index]
        extrinsic[:3, :3], extrinsic[:3, 3] = camera.rotation[index], translation[index]
        lines += [
            f"name          {name}",
            "  sensor      10 10",
            f"  size        {size[0]:.0f} {size[1]:.0f}",
            "  animated    0",
            f"  intrinsic   {_digits(intrinsic)} ",
            f"  extrinsic   {_digits(extrinsic)} ",
            "  radial      0",
        ]
    path.write_text("\n".join(lines) + "\n")


def write_annotation(path: pathlib.Path, variables: dict[str, np.ndarray]) -> None:
    """Writes an `annot.mat`, MATLAB 5: a cell a camera of a row a frame.

    Variables are `annot2`, `[V, T, 28, 2]`, pixels, and others `[V, T, 28, 3]`, millimeters.
    """
    num_views, num_frames = next(iter(variables.values())).shape[:2]
    content: dict[str, np.ndarray] = {
        "cameras": np.arange(float(num_views))[np.newaxis],
        "frames": np.arange(float(num_frames))[:, np.newaxis],
    }
    for name, value in variables.items():
        content[name] = np.empty((num_views, 1), dtype=object)
        for view, points in enumerate(value):
            content[name][view, 0] = points.reshape(len(points), -1)
    scipy.io.savemat(path, content, do_compression=True)


def write_test_annotation(path: pathlib.Path, variables: dict[str, np.ndarray]) -> None:
    """Writes an `annot_data.mat`, MATLAB 7.3, which is HDF5 behind a text.

    HDF5 has the axes of variables, `[T, 1, ...]`, in this order, MATLAB in the opposite one.
    """
    with h5py.File(path, "w", userblock_size=_USER_BLOCK) as file:
        for name, value in variables.items():
            dataset = file.create_dataset(name, data=value.astype(np.float64))
            dataset.attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as stream:
        text = _MATLAB_TEXT.ljust(_MATLAB_TEXT_LENGTH).encode() + _MATLAB_VERSION
        stream.write(text.ljust(_USER_BLOCK, b"\x00"))


def write_archive(path: pathlib.Path, data: dict[str, Any]) -> None:
    """Writes an archive of P-STMO's: a pickled dictionary in an `.npz` file."""
    np.savez_compressed(path, data=np.array(data, dtype=object))


def _digits(matrix: np.ndarray) -> str:
    return " ".join(f"{value:.7g}" for value in matrix.ravel())
