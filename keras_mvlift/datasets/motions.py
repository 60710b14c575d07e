"""Motions of the synthetic studio's subjects: an action, performed by a body, in the room."""

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import actions, articulation, curves, paths, people

# An ankle's height over the floor when the foot stands flat, meters.
ANKLE_HEIGHT = 0.08
ANKLES = tuple(skeletons.H36M_17.joints.index(f"{side}_ankle") for side in ("left", "right"))

# Of the heights of the lower ankle in a recording, the one at which a foot stands; measurement
# errors reach below it.
_STANDING_PERCENTILE = 5

# Nobody stands still: each degree of freedom wanders, and is carried a little differently in each
# clip, by these shares of its range.
_DRIFT_SHARE = 0.02
_HABIT_SHARE = 0.02


def perform(
    action: str, person: people.Person, num_frames: int, frame_rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Lets a person perform an action.

    Args:
        action: One of `actions.ACTIONS`.
        person: The body.
        num_frames: `T`.
        frame_rate: Frames per second.
        rng: Random numbers; they make one clip of an action differ from the next.

    Returns:
        `[T, J, 3]`, meters, world frame with z up, the floor at 0 and the room's center at the
        origin. Bones keep their lengths and joints their anatomical limits.

    Raises:
        ValueError: If there is no such action.
    """
    if action not in actions.ACTIONS:
        known = ", ".join(actions.ACTIONS)
        raise ValueError(f"`action` must be one of {known}. Received: action={action!r}.")
    clock = curves.Clock(num_frames, frame_rate, rng)
    posture, path = actions.ACTIONS[action](clock)
    angles = {
        name: np.radians(posture.get(name, 0.0) + _wander(clock, degree))
        for name, degree in articulation.DEGREES_OF_FREEDOM.items()
    }
    pose = articulation.pose(angles, path.heading, person.bone_lengths)
    return pose + _pelvis(pose, path)[:, np.newaxis]


def into_room(motion: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Moves a motion into the room: feet on the floor, nobody beyond the walls.

    Poses stay as they are, but for the heading. Of a way that is too long for the room, the ground
    plan is drawn smaller, and the feet slide.

    Args:
        motion: `[T, J, 3]`, meters, z up.
        rng: Random numbers for heading and spot; without, the heading stays and the middle of the
            way is the room's center.

    Returns:
        `[T, J, 3]`, meters, world frame as of `perform`.
    """
    if rng is not None:
        motion = _turned(motion, rng.uniform(0, 2 * np.pi))
    ground = motion[:, skeletons.ROOT, :2]
    middle = (ground.min(axis=0) + ground.max(axis=0)) / 2
    radius = np.linalg.norm(ground - middle, axis=-1).max()
    share = paths.ROOM_RADIUS / max(radius, paths.ROOM_RADIUS)
    spot = np.zeros(2) if rng is None else paths.spot(rng, paths.ROOM_RADIUS - share * radius)
    floor = np.percentile(motion[:, ANKLES, 2].min(axis=1), _STANDING_PERCENTILE) - ANKLE_HEIGHT
    pelvis = np.insert(
        (ground - middle) * share + spot, 2, motion[:, skeletons.ROOT, 2] - floor, axis=-1
    )
    return motion + (pelvis - motion[:, skeletons.ROOT])[:, np.newaxis]


def _turned(motion: np.ndarray, heading: float) -> np.ndarray:
    cosine, sine = np.cos(heading), np.sin(heading)
    return motion @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


def _wander(clock: curves.Clock, degree: articulation.Degree) -> np.ndarray:
    span = degree.high - degree.low
    return clock.rng.normal(0.0, _HABIT_SHARE * span) + clock.drift(_DRIFT_SHARE * span)


def _pelvis(pose: np.ndarray, path: paths.Path) -> np.ndarray:
    """Finds where the pelvis must be, `[T, 3]`, for the feet to stand where the path wants them."""
    ankles = pose[:, ANKLES]
    ground = path.feet - ankles[..., :2].mean(axis=1)
    height = path.lift + ANKLE_HEIGHT - ankles[..., 2].min(axis=1)
    return np.concatenate([ground, height[:, np.newaxis]], axis=-1)
