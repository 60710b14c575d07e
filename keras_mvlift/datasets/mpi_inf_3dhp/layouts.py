"""The two forms in which the field keeps MPI-INF-3DHP, and which of them a folder holds."""

import dataclasses
import pathlib
from typing import NamedTuple, Protocol

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import protocol

LAYOUTS = ("original", "p_stmo")

# The release's own folder, the one that its archive unpacks to, and MMPose's.
_TRAINING_FOLDERS = ("", "train")
_TEST_FOLDERS = (
    "mpi_inf_3dhp_test_set",
    "mpi_inf_3dhp_test_set/mpi_inf_3dhp_test_set",
    "test",
    "",
)

TRAINING_ARCHIVE = "data_train_3dhp.npz"
TEST_ARCHIVE = "data_test_3dhp.npz"


class Clip(NamedTuple):
    """A clip, and where it comes from.

    Attributes:
        sequence: The clip, with the 2D joints of its annotation.
        frame: `[T]`, the index in the files of each of its frames.
        views: `V` names that the views have in a file of detections.
    """

    sequence: sequences.MultiViewSequence
    frame: np.ndarray
    views: tuple[str, ...]

    def every(self, stride: int) -> "Clip":
        """Gives the clip of every how manieth frame, from the first on."""
        if stride == 1:
            return self
        sequence = self.sequence.frames(slice(None, None, stride))
        sequence = dataclasses.replace(sequence, frame_rate=sequence.frame_rate / stride)
        return Clip(sequence, self.frame[::stride], self.views)


class Layout(Protocol):
    """What reads one of the forms."""

    def training_clip(self, subject: str, sequence: str) -> Clip:
        """Reads a sequence of the training set."""

    def test_clips(self, subject: str) -> list[str]:
        """Gives the names of the clips that a subject of the test set has."""

    def test_clip(self, subject: str, name: str) -> Clip:
        """Reads one of them."""


def find(root: str) -> str:
    """Tells which of `LAYOUTS` a folder holds.

    Raises:
        RecordingError: If it holds none, or both.
    """
    base = pathlib.Path(root)
    folders = [base / folder for folder in (*_TRAINING_FOLDERS, *_TEST_FOLDERS)]
    found = {
        "original": any(
            (folder / subject).is_dir()
            for folder in folders
            for subject in (*protocol.SUBJECTS, *protocol.TEST_SUBJECTS)
        ),
        "p_stmo": any((base / name).is_file() for name in (TRAINING_ARCHIVE, TEST_ARCHIVE)),
    }
    names = [name for name in LAYOUTS if found[name]]
    if not names:
        rule = f"hold the release's folders S1 to S8 or TS1 to TS6, or {TRAINING_ARCHIVE}"
        raise errors.RecordingError(root, "layout", rule, "neither")
    if len(names) > 1:
        rule = "be one of the two that are there; the option `layout` chooses"
        raise errors.RecordingError(root, "layout", rule, ", ".join(names))
    return names[0]


def training_folder(root: str, subject: str, sequence: str) -> pathlib.Path:
    """Gives the folder of a training sequence: the first that exists of those it may be in."""
    return _first(root, _TRAINING_FOLDERS, subject) / sequence


def test_folder(root: str, subject: str) -> pathlib.Path:
    """Gives the folder of a subject of the test set."""
    return _first(root, _TEST_FOLDERS, subject)


def _first(root: str, bases: tuple[str, ...], name: str) -> pathlib.Path:
    candidates = [pathlib.Path(root) / base / name for base in bases]
    return next((path for path in candidates if path.is_dir()), candidates[0])
