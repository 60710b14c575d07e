"""What the synthetic studio's subjects do: postures as functions of time, and where they are.

Each action takes the clip's `people.Clock` and throws its dice. Amplitudes, in degrees, and paces,
in hertz, are ours, chosen by eye so that an action is recognized and no two clips of it agree.
"""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.studio import people
from keras_mvlift.untrusted import files, reading


class Path(NamedTuple):
    """A way through the room, z up."""

    # [T], radians, counter-clockwise from the world's x to where the body faces.
    heading: np.ndarray
    feet: np.ndarray  # [T, 2], meters, world frame; the spot between the feet.
    lift: np.ndarray  # [T], meters, how far the lower foot is off the floor.


Performance = tuple[people.Posture, Path]

# A leg of a person of mean height, meters; sets how far a step of a given angle carries.
_LEG_LENGTH = 0.88
_SIDES = ("left", "right")


def walking(clock: people.Clock) -> Performance:
    """Walks around the room, the arms swinging against the legs."""
    path = round_walk(clock)
    swing, arm_swing, bent = clock.uniform(18, 28), clock.uniform(8, 35), clock.uniform(8, 40)
    stride = 4 * _LEG_LENGTH * np.sin(np.radians(swing))
    way = np.cumsum(np.linalg.norm(np.diff(path.feet, axis=0, prepend=path.feet[:1]), axis=-1))
    step = 2 * np.pi * way / stride + clock.uniform(0, 2 * np.pi)
    posture: people.Posture = {"tilt": clock.uniform(0, 6), "upper_spine_twist": 8 * np.sin(step)}
    for side, phase in (("left", step), ("right", step + np.pi)):
        # The knee bends to carry the foot ahead, and a little under the weight.
        knee = 6 + 52 * people.pulse(phase + 0.1, 3) + 10 * people.pulse(phase - 2.3, 3)
        posture |= people.leg(side, 4 + swing * np.sin(phase), knee)
        arm = -arm_swing * np.sin(phase)
        elbow = bent + 0.8 * np.maximum(arm, 0)
        posture |= people.arm(side, arm, clock.uniform(4, 12), elbow=elbow)
    return posture, path


def turning(clock: people.Clock) -> Performance:
    """Turns on the spot with small steps, the head ahead of the body."""
    heading = np.radians(clock.keyframes(-200, 200, clock.uniform(1.5, 3.0)))
    pace = np.gradient(heading) * clock.frame_rate
    effort, step = np.minimum(np.abs(pace), 1.0), clock.phase(0.9, 1.4)
    posture: people.Posture = {
        "neck_twist": np.clip(25 * pace, -50, 50),
        "upper_spine_twist": np.clip(10 * pace, -20, 20),
    }
    for side, phase in (("left", step), ("right", step + np.pi)):
        raised = effort * np.maximum(np.sin(phase), 0)
        posture |= people.leg(side, 25 * raised, 6 + 42 * raised, abduction=5 + 8 * raised)
        away = 8 + clock.uniform(5, 40) * effort
        posture |= people.arm(side, clock.uniform(0, 20), away, elbow=clock.uniform(10, 60))
    path = standing(clock)
    return posture, path._replace(heading=path.heading + heading)


def waving(clock: people.Clock) -> Performance:
    """Raises one hand and waves it, again and again."""
    side, other = clock.sides()
    lifted = people.smooth_step(0.7 + 1.1 * np.sin(clock.phase(0.1, 0.2)))
    up = lifted * clock.keyframes(0.7, 1.0, 2.0)
    swing = np.sin(clock.phase(1.2, 2.4)) * up
    posture = people.upright_legs(clock) | people.hanging_arm(clock, other)
    posture |= people.arm(
        side,
        up * clock.uniform(0, 40),
        10 + up * clock.uniform(65, 125),
        rotation=-up * clock.uniform(65, 85),
        elbow=15 + up * clock.uniform(40, 80) + clock.uniform(12, 30) * swing,
    )
    return posture, standing(clock)


def reaching(clock: people.Clock) -> Performance:
    """Reaches with one hand, then the other, high and low, ahead and aside."""
    posture = people.upright_legs(clock)
    out = {}
    beat = clock.phase(0.2, 0.4)
    for side, phase in (("left", beat), ("right", beat + np.pi)):
        out[side] = people.smooth_step(0.4 + np.sin(phase))
        flexion = out[side] * clock.keyframes(45, 160, 2.0)
        abduction = 8 + out[side] * clock.keyframes(-15, 55, 2.0)
        elbow = 15 + 240 * out[side] * (1 - out[side])
        posture |= people.arm(side, flexion, abduction, elbow=elbow)
        posture[f"{side}_clavicle_protraction"] = 20 * out[side]
    twist = out["right"] - out["left"]
    posture |= {"upper_spine_twist": 25 * twist, "lower_spine_twist": 10 * twist}
    tilt = (out["left"] + out["right"]) * clock.keyframes(0, 35, 2.5)
    return people.lean(posture, tilt), standing(clock)


def gesturing(clock: people.Clock) -> Performance:
    """Talks with both hands, or shows the way."""
    posture = people.upright_legs(clock)
    for side in _SIDES:
        hold = clock.uniform(0.7, 1.6)
        posture |= people.arm(
            side,
            clock.keyframes(0, clock.uniform(50, 110), hold),
            clock.keyframes(0, clock.uniform(20, 90), hold),
            rotation=clock.keyframes(-50, 60, hold),
            elbow=clock.keyframes(15, 125, hold),
        )
    posture |= {"neck_twist": clock.keyframes(-40, 40, 1.5), "upper_spine_twist": clock.drift(10)}
    return posture, standing(clock)


def phoning(clock: people.Clock) -> Performance:
    """Holds a phone to one ear; the other hand hangs, gestures or rests in the side."""
    side, other = clock.sides()
    posture = people.upright_legs(clock) | people.arm(
        side,
        clock.uniform(60, 95) + clock.drift(4),
        clock.uniform(0, 25) + clock.drift(4),
        rotation=clock.uniform(-10, 20),
        elbow=clock.uniform(132, 146),
    )
    bent, rotation = clock.keyframes(10, clock.uniform(20, 110), 1.5), clock.uniform(20, 70)
    posture |= people.arm(other, 0.3 * bent, clock.uniform(5, 40), rotation=rotation, elbow=bent)
    toward_phone = 1 if side == "left" else -1
    posture |= {
        "neck_bend": toward_phone * clock.uniform(0, 12),
        "neck_twist": clock.keyframes(-35, 35, 2.0),
        "neck_flexion": clock.uniform(0, 20),
    }
    return posture, standing(clock)


def boxing(clock: people.Clock) -> Performance:
    """Stands one foot ahead with the guard up and punches left and right."""
    front, back = clock.sides()
    beat, out = clock.phase(0.5, 0.9), {}
    bent = 30 + 8 * np.sin(2 * beat)
    posture = people.leg(front, bent, bent)
    posture |= people.leg(back, bent - 32, bent, abduction=12)
    for side, phase in ((front, beat), (back, beat + clock.uniform(1.5, 3.1))):
        out[side] = people.pulse(phase, 4)
        posture |= people.arm(
            side,
            clock.uniform(30, 45) + clock.uniform(35, 60) * out[side],
            clock.uniform(5, 20) * (1 - out[side]),
            rotation=clock.uniform(10, 30) + 30 * out[side],
            elbow=8 + clock.uniform(115, 135) * (1 - out[side]),
        )
        posture[f"{side}_clavicle_protraction"] = 22 * out[side]
    twist = (out["right"] - out["left"]) * clock.uniform(0.6, 1.0)
    posture |= {"upper_spine_twist": 30 * twist, "lower_spine_twist": 15 * twist}
    return people.lean(posture, 10 + clock.drift(4)), standing(clock)


def squatting(clock: people.Clock) -> Performance:
    """Squats down and stands up, the arms held out ahead or hanging."""
    depth = clock.uniform(0.6, 1.0) * people.pulse(clock.phase(0.25, 0.5))
    spread, ahead = clock.uniform(5, 22), clock.uniform(30, 120)
    posture: people.Posture = {"neck_flexion": -15 * depth}
    for side in _SIDES:
        knee = 5 + 117 * depth
        posture |= people.leg(side, 82 * depth, knee, abduction=spread, rotation=-spread)
        posture |= people.arm(side, ahead * depth, clock.uniform(5, 15), elbow=15)
    return people.lean(posture, 38 * depth), standing(clock)


def sitting(clock: people.Clock) -> Performance:
    """Sits on a chair, moving arms and legs, and gets up now and then."""
    down = people.smooth_step(1.0 + 1.1 * np.sin(clock.phase(0.06, 0.15)))
    on_the_way = 4 * down * (1 - down)
    posture: people.Posture = {"lower_spine_flexion": clock.uniform(0, 25) * down}
    for side in _SIDES:
        thigh, knee = clock.uniform(76, 92) * down, clock.keyframes(50, 112, 3.0) * down
        apart = 4 + clock.uniform(0, 25) * down
        posture |= people.leg(side, thigh, 5 + knee + 20 * on_the_way, abduction=apart)
        posture |= people.arm(
            side,
            clock.keyframes(0, 60, 2.0) * down + 40 * on_the_way,
            clock.keyframes(2, 35, 2.0),
            rotation=clock.keyframes(-20, 60, 2.0),
            elbow=clock.keyframes(20, 120, 2.0) * down + 10,
        )
    posture["neck_twist"] = clock.keyframes(-45, 45, 2.0)
    tilt = clock.uniform(-12, 18) * down + 32 * on_the_way
    return people.lean(posture, tilt), standing(clock)


def bending(clock: people.Clock) -> Performance:
    """Bends down as if to pick something up, with straight or bent knees."""
    down = people.smooth_step(0.5 + 0.9 * np.sin(clock.phase(0.2, 0.4)))
    knee = clock.uniform(5, 55) * down
    posture: people.Posture = {
        "lower_spine_flexion": clock.uniform(10, 30) * down,
        "upper_spine_flexion": clock.uniform(5, 25) * down,
        "upper_spine_twist": clock.uniform(-25, 25) * down,
        "neck_flexion": clock.uniform(-25, 15) * down,
    }
    for side in _SIDES:
        posture |= people.leg(side, 0.5 * knee, 5 + knee, abduction=clock.uniform(3, 10))
        hanging, elbow = clock.uniform(60, 110) * down, clock.uniform(10, 40)
        posture |= people.arm(side, hanging, clock.uniform(0, 12), elbow=elbow)
    return people.lean(posture, clock.uniform(45, 80) * down), standing(clock)


def jumping_jacks(clock: people.Clock) -> Performance:
    """Jumps with arms and legs apart, then together."""
    beat = clock.phase(0.7, 1.1)
    apart, landing = people.pulse(beat), people.pulse(2 * beat, 2)
    top, spread = clock.uniform(120, 160), clock.uniform(18, 30)
    posture: people.Posture = {}
    for side in _SIDES:
        bent = 24 * landing
        posture |= people.leg(side, 0.5 * bent, 4 + bent, abduction=3 + spread * apart)
        posture |= people.arm(side, 8, 8 + top * apart, elbow=clock.uniform(8, 30))
    lift = clock.uniform(0.04, 0.12) * np.sin(beat) ** 2
    return posture, standing(clock)._replace(lift=lift)


ACTIONS: dict[str, Callable[[people.Clock], Performance]] = {
    action.__name__: action
    for action in (
        *(walking, turning, waving, reaching, gesturing, phoning, boxing, squatting, sitting),
        *(bending, jumping_jacks),
    )
}
"""The actions by name."""

# Where the synthetic studio's subjects stand and go.

# Meters from the room's center; the pelvis keeps nearer to the feet than the rest of 1.5 m.
ROOM_RADIUS = 1.3
STANDING_RADIUS = 0.9
_WALK_RADII = (0.5, 0.9)
_WALKING_SPEED = (0.5, 1.2)
_HEADING_DRIFT = np.radians(15.0)


def random_spot(rng: np.random.Generator, radius: float) -> np.ndarray:
    """Draws a spot `[2]` within a radius of the room's center, all equally likely, meters."""
    away, angle = radius * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    return away * np.array([np.cos(angle), np.sin(angle)])


def standing(clock: people.Clock) -> Path:
    """Stands somewhere in the room, facing anywhere."""
    feet = np.broadcast_to(random_spot(clock.rng, STANDING_RADIUS), (len(clock.seconds), 2))
    heading = clock.uniform(0, 2 * np.pi) + clock.drift(_HEADING_DRIFT)
    return Path(heading, feet, np.zeros_like(heading))


def round_walk(clock: people.Clock) -> Path:
    """Goes around an ellipse in the room, one way or the other, facing ahead."""
    radii = np.array([clock.uniform(*_WALK_RADII), clock.uniform(*_WALK_RADII)])
    pace = clock.uniform(*_WALKING_SPEED) / radii.mean() * clock.rng.choice([-1, 1])
    turn = clock.uniform(0, 2 * np.pi) + pace * clock.seconds
    around = np.stack([np.cos(turn), np.sin(turn)], axis=-1) * radii
    tilt = clock.uniform(0, np.pi)
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    feet = around @ rotation.T + random_spot(clock.rng, ROOM_RADIUS - radii.max())
    ahead = np.stack([-np.sin(turn), np.cos(turn)], axis=-1) * radii * np.sign(pace) @ rotation.T
    heading = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    return Path(heading, feet, np.zeros_like(heading))


# Motions of the synthetic studio's subjects: an action, performed by a body, in the room.

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
    """Lets a person perform an action of `ACTIONS`, for so many frames, `T`, at so many a second.

    Returns:
        `[T, J, 3]`, meters, world frame with z up, the floor at 0 and the room's center at the
        origin. Bones keep their lengths and joints their anatomical limits.

    Raises:
        ValueError: If there is no such action.
    """
    errors.require_known("action", action, ACTIONS)
    clock = people.Clock(num_frames, frame_rate, rng)
    posture, path = ACTIONS[action](clock)
    angles = {}
    for name, degree in people.DEGREES_OF_FREEDOM.items():
        span = degree.high - degree.low
        wander = clock.rng.normal(0.0, _HABIT_SHARE * span) + clock.drift(_DRIFT_SHARE * span)
        angles[name] = np.radians(posture.get(name, 0.0) + wander)
    pose = people.pose_of_angles(angles, path.heading, person.bone_lengths)
    # Where the pelvis must be for the feet to stand where the path wants them.
    ankles = pose[:, ANKLES]
    ground = path.feet - ankles[..., :2].mean(axis=1)
    height = path.lift + ANKLE_HEIGHT - ankles[..., 2].min(axis=1)
    return pose + np.insert(ground, 2, height, axis=-1)[:, np.newaxis]


def into_room(motion: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Moves a motion, `[T, J, 3]`, meters, z up, into the room: feet on the floor, nobody outside.

    Poses stay as they are, but for the heading. Of a way that is too long for the room, the ground
    plan is drawn smaller, and the feet slide. Heading and spot are drawn; without random numbers
    the heading stays and the middle of the way is the room's center. The frame is `perform`'s.
    """
    if rng is not None:
        heading = rng.uniform(0, 2 * np.pi)
        cosine, sine = np.cos(heading), np.sin(heading)
        motion = motion @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    ground = motion[:, skeletons.ROOT, :2]
    middle = (ground.min(axis=0) + ground.max(axis=0)) / 2
    radius = np.linalg.norm(ground - middle, axis=-1).max()
    share = ROOM_RADIUS / max(radius, ROOM_RADIUS)
    spot = np.zeros(2) if rng is None else random_spot(rng, ROOM_RADIUS - share * radius)
    floor = np.percentile(motion[:, ANKLES, 2].min(axis=1), _STANDING_PERCENTILE) - ANKLE_HEIGHT
    pelvis = np.insert(
        (ground - middle) * share + spot, 2, motion[:, skeletons.ROOT, 2] - floor, axis=-1
    )
    return motion + (pelvis - motion[:, skeletons.ROOT])[:, np.newaxis]


# Recorded motions as `.npz` files: one array a motion, nothing pickled.
#
# Each array is `[T, 17, 3]`, meters, z up, with the joints of `skeletons.H36M_17`; its key is the
# motion's name.


def names(path: files.AnyPath) -> list[str]:
    """Returns the names of a file's motions, sorted; errors are those of `reading.npz_names`."""
    return sorted(reading.npz_names(pathlib.Path(path)))


def read(path: files.AnyPath, name: str) -> np.ndarray:
    """Reads one motion, `[T, J, 3]`, meters, z up.

    Raises:
        RecordingError: If the file is missing or damaged, or has no such motion, or not of the
            form described above.
    """
    motion = reading.npz(pathlib.Path(path), (name,))[name]
    checked = files.checked_array(path, name, motion, (None, skeletons.H36M_17.num_joints, 3))
    files.require_finite(path, name, checked)
    return checked
