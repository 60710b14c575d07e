"""How the field trains and tests on MPI-INF-3DHP: who, what, how many frames."""

from typing import NamedTuple


class Take(NamedTuple):
    """A sequence of the training set.

    Attributes:
        num_frames: Frames that all videos have; annotations may go on for longer.
        frame_rate: Frames per second.
    """

    num_frames: int
    frame_rate: float


TAKES = {
    ("S1", "Seq1"): Take(6416, 25.0),
    ("S1", "Seq2"): Take(12430, 50.0),
    ("S2", "Seq1"): Take(6502, 25.0),
    ("S2", "Seq2"): Take(6081, 25.0),
    ("S3", "Seq1"): Take(12488, 50.0),
    ("S3", "Seq2"): Take(12283, 50.0),
    ("S4", "Seq1"): Take(6171, 25.0),
    ("S4", "Seq2"): Take(6675, 25.0),
    ("S5", "Seq1"): Take(12820, 50.0),
    ("S5", "Seq2"): Take(12312, 50.0),
    ("S6", "Seq1"): Take(6188, 25.0),
    ("S6", "Seq2"): Take(6145, 25.0),
    ("S7", "Seq1"): Take(6239, 25.0),
    ("S7", "Seq2"): Take(6320, 25.0),
    ("S8", "Seq1"): Take(6468, 25.0),
    ("S8", "Seq2"): Take(6054, 25.0),
}
"""The training set's sequences by subject and name, after the release's own table."""

SUBJECTS = tuple(dict.fromkeys(subject for subject, _ in TAKES))
"""Who is seen in the training set."""

SEQUENCES = ("Seq1", "Seq2")
"""The two sequences of each of them."""

TEST_SUBJECTS = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
"""The test set's clips, each of another person."""

NUM_TEST_FRAMES = 2929
"""The test set's valid frames, on which the field's figures are means."""

# Nowhere stated; the valid frames are no series in time anyway.
TEST_FRAME_RATE = 25.0

ACTIVITIES = {
    1: "standing_walking",
    2: "exercising",
    3: "sitting",
    4: "reaching_crouching",
    5: "on_the_floor",
    6: "sports",
    7: "miscellaneous",
}
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
    """Gives how many of a sequence's frames are to be read; None for all there are.

    Args:
        subject: One of `SUBJECTS`.
        sequence: One of `SEQUENCES`.
        choice: `"table"` for the number in `TAKES`, `"all"`, or a number.
    """
    if choice == "table":
        return TAKES[subject, sequence].num_frames
    return None if choice == "all" else int(choice)
