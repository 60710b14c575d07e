"""Recorded motions with the people who move, told from the clips' names."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift.datasets import sequences
from keras_mvlift.studio import actions, people, synthetic

# Where names tell of one person only, clips are dealt out to so many bodies.
NUM_PSEUDO_SUBJECTS = 8
# One of so many people is tested on.
_TEST_EVERY = 4
ANY_ACTION = "any"


class Motion(NamedTuple):
    """A motion and who moves.

    Attributes:
        name: The clip's name.
        subject: Who moves.
        action: What they do; `ANY_ACTION` where the name does not tell.
        positions: `[T, J, 3]`, meters, z up.
    """

    name: str
    subject: str
    action: str
    positions: np.ndarray


def read(paths: Sequence[str]) -> list[Motion]:
    """Reads all motions of some files.

    A name such as `35_walk_02` is of subject 35, who walks; `35_02` does not tell the action.

    Raises:
        RecordingError: If a file does not hold motions.
        ValueError: If two files name a clip alike.
    """
    places = [(name, path) for path in paths for name in actions.names(path)]
    names = [name for name, _ in places]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"`paths` must name each clip once. Received twice: {twice[:5]}.")
    firsts = {name.split("_")[0] for name in names}
    return [
        Motion(
            name,
            name.split("_")[0] if len(firsts) > 1 else _pseudo_subject(name),
            "_".join(name.split("_")[1:-1]) or ANY_ACTION,
            actions.read(path, name),
        )
        for name, path in places
    ]


def test_subjects(motions: Sequence[Motion]) -> tuple[str, ...]:
    """Gives the people to test on: every fourth, the last one included.

    Raises:
        ValueError: If there are fewer than two people.
    """
    subjects = sorted({motion.subject for motion in motions})
    if len(subjects) < 2:
        raise ValueError(f"`motions` must be of two subjects or more. Received: {subjects}.")
    return tuple(sorted(subjects[::-1][::_TEST_EVERY]))


def stride(motions: Sequence[Motion], max_frames: int) -> int:
    """Gives every how many frames one is to be taken to have at most so many; 0 for all."""
    total = sum(len(motion.positions) for motion in motions)
    return max(-(-total // max_frames), 1) if max_frames else 1


def studio(filming: dict[str, Any], seed: int) -> synthetic.Studio:
    """Makes the rig and the detector of a filming."""
    return synthetic.Studio(seed=seed, **filming)


def film(
    motion: Motion, studio: synthetic.Studio, stride: int, frame_rate: float
) -> sequences.MultiViewSequence:
    """Films every `stride`-th frame of a motion on its subject's body."""
    return synthetic.from_motion(
        motion.name,
        motion.subject,
        motion.action,
        motion.positions[::stride],
        camera=studio.camera,
        frame_rate=frame_rate / stride,
        rng=sequences.seeded_generator(studio.seed, "clip", motion.name),
        detector=studio.detector,
        person=people.draw_person(studio.seed, motion.subject),
    )


def _pseudo_subject(name: str) -> str:
    number = sequences.seeded_generator(0, "subject", name).integers(NUM_PSEUDO_SUBJECTS)
    return f"P{number + 1:02d}"
