"""Takes of a simulated Human3.6M: the studio's people before the release's own cameras."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets import detectors, motions, people, seeds, synthetic
from keras_mvlift.datasets.human36m import actions, lenses, protocol, rig
from keras_mvlift.geometry import rigs

FRAME_RATE = 50.0
EXTRA_FRAMES = 3
"""By how many frames, at most, the simulated videos outlast the motion capture."""

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


class SimulatedTake(NamedTuple):
    """A take, as the cameras' images show it.

    Attributes:
        subject: One of `rig.SUBJECTS`.
        name: The take's name in the original release, irregular as there.
        pose_world: `[T, J, 3]`, meters, world frame.
        exact_2d: `[4, T, J, 2]`, pixels, with lens distortion: where the joints are.
        keypoints_2d: `[4, T + EXTRA_FRAMES, J, 2]`, pixels, with lens distortion: where a detector
            sees them; 0 where it does not.
        confidence: `[4, T + EXTRA_FRAMES, J]`, in [0, 1]; 0 where not seen.
    """

    subject: str
    name: str
    pose_world: np.ndarray
    exact_2d: np.ndarray
    keypoints_2d: np.ndarray
    confidence: np.ndarray

    @property
    def label(self) -> str:
        """The take's name in the archives' spelling."""
        return actions.label(self.name)

    def num_video_frames(self, camera: int) -> int:
        """Gives the number of frames of a camera's video; each differs a little."""
        return len(self.pose_world) + (camera + 1) % (EXTRA_FRAMES + 1)


def names(subject: str, num_takes: int) -> list[str]:
    """Gives the names of a subject's first takes: every action once, then every one again."""
    labels = [f"{action} 1" for action in actions.ACTIONS] + [*actions.ACTIONS]
    return [_IRREGULAR.get(subject, {}).get(label, label) for label in labels[:num_takes]]


def perform(
    subject: str,
    *,
    num_takes: int,
    num_frames: int,
    num_distinct_takes: int,
    seed: int,
    detector: detectors.Detector,
    shift_takes: bool,
) -> Iterator[SimulatedTake]:
    """Films a subject's takes, one at a time; arguments as of `simulation.write_release`."""
    film = functools.lru_cache(maxsize=num_distinct_takes)(
        functools.partial(_film, num_frames=num_frames, seed=seed, detector=detector)
    )
    for index, name in enumerate(names(subject, num_takes)):
        own = names(subject, num_takes)[index % num_distinct_takes]
        take = film(subject, own)._replace(name=name)
        is_shifted = shift_takes and f"{subject} {take.label}" in protocol.SHIFTED_TAKES
        yield _shifted(take) if is_shifted else take


def _film(
    subject: str, name: str, *, num_frames: int, seed: int, detector: detectors.Detector
) -> SimulatedTake:
    rng = seeds.generator(seed, "human36m", subject, name)
    person = people.draw(seed, subject)
    action = _MOTIONS[actions.parse(name, "").action]
    motion = motions.perform(action, person, num_frames + EXTRA_FRAMES, FRAME_RATE, rng)
    seen, confidence = synthetic.film(
        motion, rig.camera(subject), rng=rng, detector=detector, girth=person.girth
    )
    bent = _through_lenses(seen, subject)
    keypoints_2d = np.where(confidence[..., np.newaxis] > 0, bent, 0.0)
    pose = motion[:num_frames].astype(np.float64)
    return SimulatedTake(subject, name, pose, _exact(pose, subject), keypoints_2d, confidence)


def _shifted(take: SimulatedTake) -> SimulatedTake:
    """Shifts the motion capture, and with it what is projected from it, not the detections."""
    pose = take.pose_world + protocol.SHIFT
    return take._replace(pose_world=pose, exact_2d=_exact(pose, take.subject))


def _exact(pose_world: np.ndarray, subject: str) -> np.ndarray:
    camera = rig.camera(subject)
    return _through_lenses(
        rigs.project(rigs.camera_from_world(pose_world, camera), camera), subject
    )


def _through_lenses(keypoints_2d: np.ndarray, subject: str) -> np.ndarray:
    intrinsics = rig.camera(subject).intrinsics[:, np.newaxis]
    return lenses.distort(keypoints_2d, intrinsics, rig.DISTORTION[:, np.newaxis])
