"""A synthetic studio: people who move in a room, filmed by a calibrated rig.

The true 3D pose is known, so that training without it can be compared with training on it.
"""

import dataclasses
import functools
from typing import Annotated

import numpy as np

from keras_mvlift import configs, errors
from keras_mvlift.datasets import sequences
from keras_mvlift.studio import actions, filming, people
from keras_mvlift.untrusted import files


def from_motion(
    film_set: filming.FilmSet,
    name: str,
    subject: str,
    motion: np.ndarray,
    rng: np.random.Generator,
    *,
    action: str,
    frame_rate: float,
) -> sequences.MultiViewSequence:
    """Films a recorded motion, `[T, J, 3]`, meters, z up, on its subject's made-up body.

    It is moved into the room, at a random spot, facing anywhere.
    """
    person = people.draw_person(film_set.seed, subject)
    moved = people.reproportion(motion, person.bone_lengths)
    pose_world = actions.into_room(moved.astype(np.float64), rng)
    about = {"subject": subject, "action": action, "frame_rate": frame_rate}
    return film_set.film(name, pose_world, rng, girth=person.girth, **about)


_ACTIONS = tuple(actions.ACTIONS)
_NUM_ACTIONS = len(_ACTIONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Studio(filming.FilmSet):
    """Films motions made up by rule: `num_clips` clips of each subject, named `S01_walking_01`.

    Args:
        num_clips: Clips per subject; the actions take turns.
        actions: Names from `actions.ACTIONS`.
        num_frames: `T`, of each clip.
        frame_rate: Frames per second.

    The other arguments are those of `filming.FilmSet`.

    Example:
        >>> studio = Studio(num_subjects=1, num_clips=3, num_frames=50)
        >>> [sequence.action for sequence in studio]
        ['walking', 'turning', 'waving']
    """

    num_clips: configs.Positive = _NUM_ACTIONS
    actions: Annotated[
        tuple[str, ...], lambda name, chosen: errors.require_some_of(name, chosen, _ACTIONS)
    ] = _ACTIONS
    num_frames: configs.Positive = 200
    frame_rate: configs.FrameRate = 25.0

    def clips(self) -> list[str]:
        """Returns the clips' names, subject by subject."""
        return list(self._castings)

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Films a clip; a `ValueError` if there is no such."""
        errors.require(clip in self._castings, "clip", "be one of `clips()`", repr(clip))
        subject, action = self._castings[clip]
        person = people.draw_person(self.seed, subject)
        rng = sequences.seeded_generator(self.seed, "clip", clip)
        motion = actions.perform(action, person, self.num_frames, self.frame_rate, rng)
        about = {"subject": subject, "action": action, "frame_rate": self.frame_rate}
        return self.film(clip, motion, rng, girth=person.girth, **about)

    @functools.cached_property
    def _castings(self) -> dict[str, tuple[str, str]]:
        """Returns subject and action of each clip."""
        castings = {}
        for subject in (f"S{number:02d}" for number in range(1, self.num_subjects + 1)):
            for index in range(self.num_clips):
                take, turn = divmod(index, len(self.actions))
                action = self.actions[turn]
                castings[f"{subject}_{action}_{take + 1:02d}"] = subject, action
        return castings


@dataclasses.dataclass(frozen=True, kw_only=True)
class MotionStudio(filming.FilmSet):
    """Films recorded motions: each clip is given to one of `num_subjects` made-up bodies.

    Args:
        path: An `.npz` file of motions, as `motion_files` describes it.
        motions: The names of the motions to film; all of the file, if empty.
        frame_rate: Frames per second, of all motions.

    The other arguments are those of `filming.FilmSet`.
    """

    path: files.AnyPath
    motions: tuple[str, ...] = ()
    frame_rate: configs.FrameRate = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        is_once = len(set(self.motions)) == len(self.motions)
        errors.require(is_once, "motions", "name each once", self.motions)

    def clips(self) -> list[str]:
        """Returns the motions' names, in the order asked for, or sorted."""
        return list(self.motions) or actions.names(self.path)

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Films a motion; the action is the clip's name.

        Raises:
            ValueError: If `motions` does not name it.
            RecordingError: If the file holds no such motion, or not in the form described.
        """
        holds = clip in self.motions or not self.motions
        errors.require(holds, "clip", "be one of `clips()`", repr(clip))
        motion = actions.read(self.path, clip)
        rng = sequences.seeded_generator(self.seed, "clip", clip)
        subject = f"S{rng.integers(self.num_subjects) + 1:02d}"
        return from_motion(
            self, clip, subject, motion, rng, action=clip, frame_rate=self.frame_rate
        )
