"""Where the synthetic studio's subjects stand and go."""

from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets import curves

# Meters from the room's center; the pelvis keeps nearer to the feet than the rest of 1.5 m.
ROOM_RADIUS = 1.3
STANDING_RADIUS = 0.9
_WALK_RADII = (0.5, 0.9)
_WALKING_SPEED = (0.5, 1.2)
_HEADING_DRIFT = np.radians(15.0)


class Path(NamedTuple):
    """A way through the room, z up.

    Attributes:
        heading: `[T]`, radians, counter-clockwise from the world's x to where the body faces.
        feet: `[T, 2]`, meters, world frame; the spot between the feet.
        lift: `[T]`, meters, how far the lower foot is off the floor.
    """

    heading: np.ndarray
    feet: np.ndarray
    lift: np.ndarray

    @property
    def distance(self) -> np.ndarray:
        """The length of the way so far, `[T]`, meters."""
        steps = np.linalg.norm(np.diff(self.feet, axis=0, prepend=self.feet[:1]), axis=-1)
        return np.cumsum(steps)


def spot(rng: np.random.Generator, radius: float) -> np.ndarray:
    """Draws a spot `[2]` within a radius of the room's center, all equally likely, meters."""
    away, angle = radius * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    return away * np.array([np.cos(angle), np.sin(angle)])


def standing(clock: curves.Clock) -> Path:
    """Stands somewhere in the room, facing anywhere."""
    feet = np.broadcast_to(spot(clock.rng, STANDING_RADIUS), (len(clock.seconds), 2))
    heading = clock.uniform(0, 2 * np.pi) + clock.drift(_HEADING_DRIFT)
    return Path(heading, feet, np.zeros_like(heading))


def round_walk(clock: curves.Clock) -> Path:
    """Goes around an ellipse in the room, one way or the other, facing ahead."""
    radii = np.array([clock.uniform(*_WALK_RADII), clock.uniform(*_WALK_RADII)])
    pace = clock.uniform(*_WALKING_SPEED) / radii.mean() * clock.rng.choice([-1, 1])
    turn = clock.uniform(0, 2 * np.pi) + pace * clock.seconds
    around = np.stack([np.cos(turn), np.sin(turn)], axis=-1) * radii
    tilt = clock.uniform(0, np.pi)
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    feet = around @ rotation.T + spot(clock.rng, ROOM_RADIUS - radii.max())
    ahead = np.stack([-np.sin(turn), np.cos(turn)], axis=-1) * radii * np.sign(pace) @ rotation.T
    heading = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    return Path(heading, feet, np.zeros_like(heading))
