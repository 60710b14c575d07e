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

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import detectors, people, seeds
from keras_mvlift.datasets.mpi_inf_3dhp import (
    calibration,
    joints,
    layouts,
    protocol,
    release_files,
    simulated_people,
    simulated_rig,
    test_set,
    training_set,
)
from keras_mvlift.geometry import cameras, rigs

FORMATS = ("original", "p_stmo", "detections")

P_STMO_FOLDER = "p_stmo"
DETECTIONS = "detections.npz"
_TEST_FOLDER = "mpi_inf_3dhp_test_set"
_TEST_SIZES = dict(
    zip(protocol.TEST_SUBJECTS, [(2048, 2048)] * 4 + [(1920, 1080)] * 2, strict=True)
)
# The share of the test set's frames that are not valid.
_INVALID_SHARE = 0.4


class Film(NamedTuple):
    """A clip, in the release's joints and units.

    Attributes:
        annot2: `[V, T, K, 2]`, pixels.
        annot3: `[V, T, K, 3]`, millimeters, camera frames.
        univ_annot3: `[V, T, K, 3]`, millimeters, camera frames; of universal size.
        detected: Keypoints `[V, T, 17, 2]`, pixels, and confidence `[V, T, 17]`, of `H36M_17`.
        turn: `[T]`, the index of the action.
    """

    annot2: np.ndarray
    annot3: np.ndarray
    univ_annot3: np.ndarray
    detected: tuple[np.ndarray, np.ndarray]
    turn: np.ndarray


def write_release(
    root: str | pathlib.Path,
    *,
    subjects: tuple[str, ...] = protocol.SUBJECTS,
    test_subjects: tuple[str, ...] = protocol.TEST_SUBJECTS,
    num_frames: int = 200,
    seed: int = 0,
    formats: tuple[str, ...] = FORMATS,
) -> Iterator[str]:
    """Films a release and writes it, a clip at a time.

    Arguments are checked at once. The clips are written as the result is iterated over, and the
    archives once it ends.

    Args:
        root: A folder that is empty or not there yet.
        subjects: Who is in the training set, of `protocol.SUBJECTS`.
        test_subjects: Who is in the test set, of `protocol.TEST_SUBJECTS`.
        num_frames: `T`, of each sequence of either.
        seed: Not negative.
        formats: Which of `FORMATS` to write.

    Yields:
        The name of each clip, once it is written.

    Raises:
        FileExistsError: If the folder holds anything.
        ValueError: If another argument breaks its rule.
    """
    folder = pathlib.Path(root)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"`root` must be an empty folder or not there. Received: {root}.")
    for name, chosen, known in (
        ("subjects", subjects, protocol.SUBJECTS),
        ("test_subjects", test_subjects, protocol.TEST_SUBJECTS),
        ("formats", formats, FORMATS),
    ):
        if not set(chosen) <= set(known):
            raise ValueError(f"`{name}` must be among {', '.join(known)}. Received: {chosen}.")
    if num_frames < 1:
        raise ValueError(f"`num_frames` must be positive. Received: num_frames={num_frames}.")
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
    person = people.draw(seed, subject)
    motion, turn = simulated_people.perform(actions, person, num_frames, frame_rate, rng)
    pose = simulated_people.with_28_joints(motion)
    pose_camera = rigs.camera_from_world(pose, camera)
    annot3 = errors.MILLIMETERS.from_meters(pose_camera)
    detected = detectors.Detector().detect(
        motion, camera, rng, girth=person.girth, image_size=image_size
    )
    universal = simulated_people.universal(annot3, person)
    return Film(rigs.project(pose_camera, camera), annot3, universal, detected, turn)


class _Writer:
    """Writes clips as they come, and at the end what holds all of them."""

    def __init__(self, folder: pathlib.Path, formats: tuple[str, ...], seed: int):
        self._folder, self._formats, self._seed = folder, formats, seed
        self._detections: dict[str, np.ndarray] = {}
        self._training: dict[str, Any] = {}
        self._test: dict[str, Any] = {}
        self._rig = simulated_rig.training_rig(seed)
        # What is filmed is what the file says, with its seven digits.
        draft = folder / training_set.CALIBRATION
        release_files.write_calibration(draft, self._rig)
        self._seen_rig = calibration.read(draft)
        draft.unlink()

    def add_training_clip(self, subject: str, sequence: str, num_frames: int) -> None:
        filmed = film(
            self._seen_rig.camera,
            simulated_people.SEQUENCE_ACTIONS[sequence],
            subject,
            num_frames,
            protocol.TAKES[subject, sequence].frame_rate,
            seeds.generator(self._seed, "clip", subject, sequence),
            seed=self._seed,
            image_size=protocol.IMAGE_SIZE,
        )
        if "original" in self._formats:
            folder = self._folder / subject / sequence
            folder.mkdir(parents=True, exist_ok=True)
            release_files.write_calibration(folder / training_set.CALIBRATION, self._rig)
            variables = {name: getattr(filmed, name) for name in _VARIABLES}
            release_files.write_annotation(folder / training_set.ANNOTATION, variables)
        if "p_stmo" in self._formats:
            known = protocol.CAMERA_SETS["vnect"]
            views = {str(index): _p_stmo_view(filmed, index) for index in known}
            frame_rate = int(protocol.TAKES[subject, sequence].frame_rate)
            self._training[f"{subject} {sequence}"] = [views, frame_rate]
        for index, name in enumerate(self._rig.names):
            self._detect(f"{subject}/{sequence}/{name}", filmed, index)

    def add_test_clip(self, subject: str, num_frames: int) -> None:
        rng = seeds.generator(self._seed, "clip", subject)
        filmed = film(
            simulated_rig.test_camera(self._seed, subject),
            tuple(simulated_people.ACTIVITY_ACTIONS.values()),
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
            numbers = np.array([*simulated_people.ACTIVITY_ACTIONS])[filmed.turn]
            variables = {
                name: getattr(filmed, name)[0][:, np.newaxis, joints.TEST_FROM_28]
                for name in _VARIABLES
            }
            variables |= {"valid_frame": valid[:, np.newaxis]}
            variables |= {"activity_annotation": numbers[:, np.newaxis]}
            release_files.write_test_annotation(folder / test_set.ANNOTATION, variables)
        self._test[subject] = _p_stmo_view(filmed, 0) | {"valid": valid.astype(np.float64)}
        self._detect(subject, filmed, 0)

    def close(self) -> None:
        if "p_stmo" in self._formats:
            folder = self._folder / P_STMO_FOLDER
            folder.mkdir(exist_ok=True)
            release_files.write_calibration(folder / training_set.CALIBRATION, self._rig)
            release_files.write_archive(folder / layouts.TRAINING_ARCHIVE, self._training)
            release_files.write_archive(folder / layouts.TEST_ARCHIVE, self._test)
        if "detections" in self._formats:
            np.savez_compressed(self._folder / DETECTIONS, **self._detections)

    def _detect(self, view: str, filmed: Film, index: int) -> None:
        if "detections" not in self._formats:
            return
        keypoints_2d, confidence = (value[index].astype(np.float32) for value in filmed.detected)
        self._detections |= {f"{view}/keypoints_2d": keypoints_2d, f"{view}/confidence": confidence}


_VARIABLES = ("annot2", "annot3", "univ_annot3")


def _p_stmo_view(filmed: Film, view: int) -> dict[str, np.ndarray]:
    chosen = joints.TEST_FROM_28
    points = {"data_2d": filmed.annot2, "data_3d": filmed.univ_annot3}
    return {name: value[view][:, chosen] for name, value in points.items()}
