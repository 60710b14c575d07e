"""A synthetic studio: people who move in a room, filmed by a calibrated rig.

The true 3D pose is known, so that training without it can be compared with training on it.
"""

import dataclasses
import functools

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import actions, filming, people


def film(
    motion: np.ndarray,
    camera: cameras.Camera,
    *,
    rng: np.random.Generator,
    detector: filming.Detector | None = None,
    girth: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Films a motion with a rig and detects its joints.

    Args:
        motion: `[T, J, 3]`, meters, world frame.
        camera: The rig, fields `[V, ...]`, with images of `rigs.IMAGE_SIZE`.
        rng: Random numbers, for the detector.
        detector: How well joints are seen; `filming.Detector()` without.
        girth: How thick the body is, which decides what it hides.

    Returns:
        Keypoints `[V, T, J, 2]`, pixels, and confidence `[V, T, J]` in [0, 1]; both are 0 where
        a joint is not seen.

    Raises:
        ValueError: If `motion` is not of the shape stated above.
    """
    holds = motion.ndim == 3 and motion.shape[1:] == (skeletons.H36M_17.num_joints, 3)
    errors.require(holds, "motion", "have shape [T, 17, 3]", motion.shape)
    detector = detector or filming.Detector()
    return detector.detect(motion.astype(np.float64), camera, rng, girth=girth)


def from_motion(
    name: str,
    subject: str,
    action: str,
    motion: np.ndarray,
    *,
    camera: cameras.Camera,
    frame_rate: float,
    rng: np.random.Generator,
    detector: filming.Detector | None = None,
    person: people.Person | None = None,
) -> sequences.MultiViewSequence:
    """Films a recorded motion: moves it into the room, at a random spot, facing anywhere.

    Args:
        name: The clip's name.
        subject: Who is seen.
        action: What they do.
        motion: `[T, J, 3]`, meters, z up.
        camera: The rig, fields `[V, ...]`, with images of `rigs.IMAGE_SIZE`.
        frame_rate: Frames per second.
        rng: Random numbers, for the spot and the detector.
        detector: How well joints are seen; `filming.Detector()` without.
        person: The body to which the motion is given; without, it keeps its own.

    Raises:
        ValueError: If `motion` is not of the shape stated above.
    """
    if person is not None:
        motion = people.reproportion(motion, person.bone_lengths)
    motion_world = actions.into_room(motion.astype(np.float64), rng)
    girth = 1.0 if person is None else person.girth
    seen = film(motion_world, camera, rng=rng, detector=detector, girth=girth)
    return _sequence(name, subject, action, motion_world, camera, frame_rate, *seen)


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

    num_clips: int = len(actions.ACTIONS)
    actions: tuple[str, ...] = tuple(actions.ACTIONS)
    num_frames: int = 200
    frame_rate: float = 25.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_clips", "num_frames"):
            errors.require(getattr(self, name) >= 1, name, "be positive", getattr(self, name))
        errors.require(self.frame_rate > 0, "frame_rate", "be positive", self.frame_rate)
        errors.require_some_of("actions", self.actions, tuple(actions.ACTIONS))

    def clips(self) -> list[str]:
        """Returns the clips' names, subject by subject."""
        return list(self._castings)

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Films a clip.

        Raises:
            ValueError: If there is no such clip.
        """
        errors.require(clip in self._castings, "clip", "be one of `clips()`", repr(clip))
        subject, action = self._castings[clip]
        person, rng = (
            people.draw_person(self.seed, subject),
            sequences.seeded_generator(self.seed, "clip", clip),
        )
        motion = actions.perform(action, person, self.num_frames, self.frame_rate, rng)
        seen = film(motion, self.camera, rng=rng, detector=self.detector, girth=person.girth)
        return _sequence(clip, subject, action, motion, self.camera, self.frame_rate, *seen)

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

    path: str
    motions: tuple[str, ...] = ()
    frame_rate: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.require(self.frame_rate > 0, "frame_rate", "be positive", self.frame_rate)
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
            clip,
            subject,
            clip,
            motion,
            camera=self.camera,
            frame_rate=self.frame_rate,
            rng=rng,
            detector=self.detector,
            person=people.draw_person(self.seed, subject),
        )


def _sequence(
    name: str,
    subject: str,
    action: str,
    pose_world: np.ndarray,
    camera: cameras.Camera,
    frame_rate: float,
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
) -> sequences.MultiViewSequence:
    return sequences.MultiViewSequence(
        name=name,
        subject=subject,
        action=action,
        frame_rate=frame_rate,
        camera_names=tuple(f"camera_{index + 1}" for index in range(len(camera.center))),
        camera=camera,
        keypoints_2d=keypoints_2d,
        confidence=confidence,
        pose_world=pose_world,
    )
