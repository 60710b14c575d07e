"""How the field trains and tests on MPI-INF-3DHP: who, what, how many frames."""

import dataclasses
import pathlib
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.untrusted import files


class Take(NamedTuple):
    """A sequence of the training set."""

    num_frames: int  # Frames that all videos have; annotations may go on for longer.
    frame_rate: float  # Frames per second.


# Of both sequences of each subject.
_NUM_FRAMES = {
    "S1": (6416, 12430),
    "S2": (6502, 6081),
    "S3": (12488, 12283),
    "S4": (6171, 6675),
    "S5": (12820, 12312),
    "S6": (6188, 6145),
    "S7": (6239, 6320),
    "S8": (6468, 6054),
}
_AT_50_HZ = {("S1", "Seq2"), ("S3", "Seq1"), ("S3", "Seq2"), ("S5", "Seq1"), ("S5", "Seq2")}

SUBJECTS = tuple(_NUM_FRAMES)
"""Who is seen in the training set."""

SEQUENCES = ("Seq1", "Seq2")
"""The two sequences of each of them."""

TAKES = {
    (subject, sequence): Take(num_frames, 50.0 if (subject, sequence) in _AT_50_HZ else 25.0)
    for subject, both in _NUM_FRAMES.items()
    for sequence, num_frames in zip(SEQUENCES, both, strict=True)
}
"""The training set's sequences by subject and name, after the release's own table."""

TEST_SUBJECTS = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
"""The test set's clips, each of another person."""

TEST_FRAME_RATE = 25.0  # Nowhere stated; the valid frames are no series in time anyway.

_ACTIVITIES = """standing_walking exercising sitting reaching_crouching on_the_floor sports
    miscellaneous"""
ACTIVITIES = dict(enumerate(_ACTIVITIES.split(), start=1))
"""What is done in the test set, by its number in the files."""

CAMERA_SETS = {
    "regular": tuple(range(14)),
    "relevant": tuple(range(11)),
    "ceiling": (11, 12, 13),
    "vnect": (0, 1, 2, 4, 5, 6, 7, 8),
    "chest": (0, 2, 4, 7, 8),
}
"""The release's camera sets; `"chest"`, at chest height, is its `mm3d_chest`."""

NUM_CAMERAS = 14

IMAGE_SIZE = (2048, 2048)
"""Width and height of the training set's images, pixels."""


def first_frames(subject: str, sequence: str, choice: str | int) -> int | None:
    """Returns how many of a sequence's frames are to be read; None for all there are.

    The choice is `"table"` for the number in `TAKES`, `"all"`, or a number.
    """
    if choice == "table":
        return TAKES[subject, sequence].num_frames
    return None if choice == "all" else int(choice)


# MPI-INF-3DHP's joint sets, and where the joints of `H36M_17` lie in them.

ALL_28 = tuple(
    """spine3 spine4 spine2 spine pelvis neck head head_top left_clavicle left_shoulder
    left_elbow left_wrist left_hand right_clavicle right_shoulder right_elbow right_wrist
    right_hand left_hip left_knee left_ankle left_foot left_toe right_hip right_knee
    right_ankle right_foot right_toe""".split()
)
"""The joints of the training set's annotations, in their order."""

TEST_17 = tuple(
    """head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow
    left_wrist right_hip right_knee right_ankle left_hip left_knee left_ankle pelvis spine
    head""".split()
)
"""The joints of the test set's annotations, and of P-STMO's archives, in their order."""

# What this set calls the joints that our names, after Human3.6M's figures, place elsewhere: its
# neck is between the shoulders, its head at the height of the nose.
_OWN_NAMES = {"thorax": "neck", "nose": "head", "head": "head_top"}


def _indices(joints: tuple[str, ...]) -> list[int]:
    return [joints.index(_OWN_NAMES.get(joint, joint)) for joint in skeletons.H36M_17.joints]


H36M_FROM_28 = _indices(ALL_28)
"""Of each joint of `H36M_17`, its index in `ALL_28`."""

H36M_FROM_TEST = _indices(TEST_17)
"""Of each joint of `H36M_17`, its index in `TEST_17`."""

TEST_FROM_28 = [ALL_28.index(joint) for joint in TEST_17]
"""Of each joint of `TEST_17`, its index in `ALL_28`."""

NUM_SCORED = 14

SCORED = tuple(H36M_FROM_TEST.index(joint) for joint in range(NUM_SCORED))
"""The joints that count for PCK and AUC, in the order of the official evaluation, as indices of
`H36M_17`: all but pelvis, spine and head."""

# The two forms in which the field keeps MPI-INF-3DHP, and which of them a folder holds.

LAYOUTS = ("original", "p_stmo")

# The release's own folder, the one that its archive unpacks to, and MMPose's.
_TRAINING_FOLDERS = ("", "train")
_TEST_FOLDERS = ("mpi_inf_3dhp_test_set", "mpi_inf_3dhp_test_set/mpi_inf_3dhp_test_set", "test", "")

TRAINING_ARCHIVE = "data_train_3dhp.npz"
TEST_ARCHIVE = "data_test_3dhp.npz"


class Clip(NamedTuple):
    """A clip, and where it comes from."""

    sequence: sequences.MultiViewSequence  # The clip, with the 2D joints of its annotation.
    frame: np.ndarray  # [T], the index in the files of each of its frames.
    views: tuple[str, ...]  # `V` names that the views have in a file of detections.

    def every(self, stride: int) -> "Clip":
        """Returns the clip of every how manieth frame, from the first on."""
        if stride == 1:
            return self
        sequence = self.sequence.frames(slice(None, None, stride))
        sequence = dataclasses.replace(sequence, frame_rate=sequence.frame_rate / stride)
        return Clip(sequence, self.frame[::stride], self.views)


def find(root: files.AnyPath) -> str:
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
            for subject in (*SUBJECTS, *TEST_SUBJECTS)
        ),
        "p_stmo": any((base / name).is_file() for name in (TRAINING_ARCHIVE, TEST_ARCHIVE)),
    }
    names = [name for name in LAYOUTS if found[name]]
    rule = f"hold the release's folders S1 to S8 or TS1 to TS6, or {TRAINING_ARCHIVE}"
    errors.require_in(root, names, "layout", rule, "neither")
    rule = "be one of the two that are there; the option `layout` chooses"
    errors.require_in(root, len(names) <= 1, "layout", rule, ", ".join(names))
    return names[0]


def training_folder(root: files.AnyPath, subject: str, sequence: str) -> pathlib.Path:
    """Returns the folder of a training sequence: the first that exists of those it may be in."""
    return _first(root, _TRAINING_FOLDERS, subject) / sequence


def test_folder(root: files.AnyPath, subject: str) -> pathlib.Path:
    """Returns the folder of a subject of the test set."""
    return _first(root, _TEST_FOLDERS, subject)


def _first(root: files.AnyPath, bases: tuple[str, ...], name: str) -> pathlib.Path:
    candidates = [pathlib.Path(root) / base / name for base in bases]
    return next((path for path in candidates if path.is_dir()), candidates[0])
