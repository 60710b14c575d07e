"""The motions that the studio model is trained on: recorded ones, their mixtures, made-up ones."""

from collections.abc import Sequence

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.experiments import origins
from keras_mvlift.studio import synthetic

FRAME_RATE = 60.0
# What a mixture takes from the other motion.
_UPPER = [
    index
    for index, joint in enumerate(skeletons.H36M_17.joints)
    if joint.split("_")[-1] not in ("pelvis", "hip", "knee", "ankle")
]
_LEFT_HIP, _RIGHT_HIP = (
    skeletons.H36M_17.joints.index(f"{side}_hip") for side in ("left", "right")
)


def mixed(recorded: Sequence[origins.Motion], seed: int) -> list[origins.Motion]:
    """Gives each motion's legs the upper body of another, so that arms do not tell of legs.

    Args:
        recorded: The motions.
        seed: Of who gets whose.
    """
    rng = sequences.seeded_generator(seed, "mixed")
    others = rng.permutation(len(recorded))
    return [
        motion._replace(
            name=f"{motion.name}+{recorded[other].name}",
            positions=_mix(motion.positions, recorded[other].positions),
        )
        for motion, other in zip(recorded, others, strict=True)
    ]


def made_up(seed: int, num_people: int) -> list[origins.Motion]:
    """Returns motions that follow rules: people who sit, bend, reach, wave."""
    studio = synthetic.Studio(
        num_subjects=num_people, num_frames=300, frame_rate=FRAME_RATE, seed=seed
    )
    clips = (studio.read(clip) for clip in studio.clips())
    return [
        origins.Motion(clip.name, f"made-up {clip.subject}", clip.action, clip.pose_world)
        for clip in clips
        if clip.pose_world is not None
    ]


def _mix(legs: np.ndarray, body: np.ndarray) -> np.ndarray:
    frame = np.arange(len(legs)) % (2 * len(body) - 1)
    # There and back again, where the other motion is shorter.
    other = body[np.where(frame < len(body), frame, 2 * len(body) - 2 - frame)]
    turn = _heading(legs) - _heading(other)
    cosine, sine = np.cos(turn)[:, np.newaxis], np.sin(turn)[:, np.newaxis]
    x, y, z = np.moveaxis(other[:, _UPPER] - other[:, [skeletons.ROOT]], -1, 0)
    turned = np.stack([cosine * x - sine * y, sine * x + cosine * y, z], axis=-1)
    points = legs.copy()
    points[:, _UPPER] = legs[:, [skeletons.ROOT]] + turned
    return points


def _heading(points: np.ndarray) -> np.ndarray:
    across = points[:, _LEFT_HIP] - points[:, _RIGHT_HIP]
    return np.arctan2(across[:, 1], across[:, 0])
