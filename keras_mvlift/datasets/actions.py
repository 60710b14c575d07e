"""What the synthetic studio's subjects do: postures as functions of time, and where they are.

Each action takes the clip's `curves.Clock` and throws its dice. Amplitudes, in degrees, and paces,
in hertz, are ours, chosen by eye so that an action is recognized and no two clips of it agree.
"""

from collections.abc import Callable

import numpy as np

from keras_mvlift.datasets import curves, paths, postures

Performance = tuple[postures.Posture, paths.Path]

# A leg of a person of mean height, meters; sets how far a step of a given angle carries.
_LEG_LENGTH = 0.88
_SIDES = ("left", "right")


def walking(clock: curves.Clock) -> Performance:
    """Walks around the room, the arms swinging against the legs."""
    path = paths.round_walk(clock)
    swing, arm_swing, bent = clock.uniform(18, 28), clock.uniform(8, 35), clock.uniform(8, 40)
    stride = 4 * _LEG_LENGTH * np.sin(np.radians(swing))
    step = 2 * np.pi * path.distance / stride + clock.uniform(0, 2 * np.pi)
    posture: postures.Posture = {"tilt": clock.uniform(0, 6), "upper_spine_twist": 8 * np.sin(step)}
    for side, phase in (("left", step), ("right", step + np.pi)):
        # The knee bends to carry the foot ahead, and a little under the weight.
        knee = 6 + 52 * curves.pulse(phase + 0.1, 3) + 10 * curves.pulse(phase - 2.3, 3)
        posture |= postures.leg(side, 4 + swing * np.sin(phase), knee)
        arm = -arm_swing * np.sin(phase)
        elbow = bent + 0.8 * np.maximum(arm, 0)
        posture |= postures.arm(side, arm, clock.uniform(4, 12), elbow=elbow)
    return posture, path


def turning(clock: curves.Clock) -> Performance:
    """Turns on the spot with small steps, the head ahead of the body."""
    heading = np.radians(clock.keyframes(-200, 200, clock.uniform(1.5, 3.0)))
    pace = np.gradient(heading) * clock.frame_rate
    effort, step = np.minimum(np.abs(pace), 1.0), clock.phase(0.9, 1.4)
    posture: postures.Posture = {
        "neck_twist": np.clip(25 * pace, -50, 50),
        "upper_spine_twist": np.clip(10 * pace, -20, 20),
    }
    for side, phase in (("left", step), ("right", step + np.pi)):
        raised = effort * np.maximum(np.sin(phase), 0)
        posture |= postures.leg(side, 25 * raised, 6 + 42 * raised, abduction=5 + 8 * raised)
        away = 8 + clock.uniform(5, 40) * effort
        posture |= postures.arm(side, clock.uniform(0, 20), away, elbow=clock.uniform(10, 60))
    path = paths.standing(clock)
    return posture, path._replace(heading=path.heading + heading)


def waving(clock: curves.Clock) -> Performance:
    """Raises one hand and waves it, again and again."""
    side, other = clock.sides()
    lifted = curves.smooth_step(0.7 + 1.1 * np.sin(clock.phase(0.1, 0.2)))
    up = lifted * clock.keyframes(0.7, 1.0, 2.0)
    swing = np.sin(clock.phase(1.2, 2.4)) * up
    posture = postures.upright_legs(clock) | postures.hanging_arm(clock, other)
    posture |= postures.arm(
        side,
        up * clock.uniform(0, 40),
        10 + up * clock.uniform(65, 125),
        rotation=-up * clock.uniform(65, 85),
        elbow=15 + up * clock.uniform(40, 80) + clock.uniform(12, 30) * swing,
    )
    return posture, paths.standing(clock)


def reaching(clock: curves.Clock) -> Performance:
    """Reaches with one hand, then the other, high and low, ahead and aside."""
    posture = postures.upright_legs(clock)
    out = {}
    beat = clock.phase(0.2, 0.4)
    for side, phase in (("left", beat), ("right", beat + np.pi)):
        out[side] = curves.smooth_step(0.4 + np.sin(phase))
        flexion = out[side] * clock.keyframes(45, 160, 2.0)
        abduction = 8 + out[side] * clock.keyframes(-15, 55, 2.0)
        elbow = 15 + 240 * out[side] * (1 - out[side])
        posture |= postures.arm(side, flexion, abduction, elbow=elbow)
        posture[f"{side}_clavicle_protraction"] = 20 * out[side]
    twist = out["right"] - out["left"]
    posture |= {"upper_spine_twist": 25 * twist, "lower_spine_twist": 10 * twist}
    tilt = (out["left"] + out["right"]) * clock.keyframes(0, 35, 2.5)
    return postures.lean(posture, tilt), paths.standing(clock)


def gesturing(clock: curves.Clock) -> Performance:
    """Talks with both hands, or shows the way."""
    posture = postures.upright_legs(clock)
    for side in _SIDES:
        hold = clock.uniform(0.7, 1.6)
        posture |= postures.arm(
            side,
            clock.keyframes(0, clock.uniform(50, 110), hold),
            clock.keyframes(0, clock.uniform(20, 90), hold),
            rotation=clock.keyframes(-50, 60, hold),
            elbow=clock.keyframes(15, 125, hold),
        )
    posture |= {"neck_twist": clock.keyframes(-40, 40, 1.5), "upper_spine_twist": clock.drift(10)}
    return posture, paths.standing(clock)


def phoning(clock: curves.Clock) -> Performance:
    """Holds a phone to one ear; the other hand hangs, gestures or rests in the side."""
    side, other = clock.sides()
    posture = postures.upright_legs(clock) | postures.arm(
        side,
        clock.uniform(60, 95) + clock.drift(4),
        clock.uniform(0, 25) + clock.drift(4),
        rotation=clock.uniform(-10, 20),
        elbow=clock.uniform(132, 146),
    )
    bent, rotation = clock.keyframes(10, clock.uniform(20, 110), 1.5), clock.uniform(20, 70)
    posture |= postures.arm(other, 0.3 * bent, clock.uniform(5, 40), rotation=rotation, elbow=bent)
    toward_phone = 1 if side == "left" else -1
    posture |= {
        "neck_bend": toward_phone * clock.uniform(0, 12),
        "neck_twist": clock.keyframes(-35, 35, 2.0),
        "neck_flexion": clock.uniform(0, 20),
    }
    return posture, paths.standing(clock)


def boxing(clock: curves.Clock) -> Performance:
    """Stands one foot ahead with the guard up and punches left and right."""
    front, back = clock.sides()
    beat, out = clock.phase(0.5, 0.9), {}
    bent = 30 + 8 * np.sin(2 * beat)
    posture = postures.leg(front, bent, bent)
    posture |= postures.leg(back, bent - 32, bent, abduction=12)
    for side, phase in ((front, beat), (back, beat + clock.uniform(1.5, 3.1))):
        out[side] = curves.pulse(phase, 4)
        posture |= postures.arm(
            side,
            clock.uniform(30, 45) + clock.uniform(35, 60) * out[side],
            clock.uniform(5, 20) * (1 - out[side]),
            rotation=clock.uniform(10, 30) + 30 * out[side],
            elbow=8 + clock.uniform(115, 135) * (1 - out[side]),
        )
        posture[f"{side}_clavicle_protraction"] = 22 * out[side]
    twist = (out["right"] - out["left"]) * clock.uniform(0.6, 1.0)
    posture |= {"upper_spine_twist": 30 * twist, "lower_spine_twist": 15 * twist}
    return postures.lean(posture, 10 + clock.drift(4)), paths.standing(clock)


def squatting(clock: curves.Clock) -> Performance:
    """Squats down and stands up, the arms held out ahead or hanging."""
    depth = clock.uniform(0.6, 1.0) * curves.pulse(clock.phase(0.25, 0.5))
    spread, ahead = clock.uniform(5, 22), clock.uniform(30, 120)
    posture: postures.Posture = {"neck_flexion": -15 * depth}
    for side in _SIDES:
        knee = 5 + 117 * depth
        posture |= postures.leg(side, 82 * depth, knee, abduction=spread, rotation=-spread)
        posture |= postures.arm(side, ahead * depth, clock.uniform(5, 15), elbow=15)
    return postures.lean(posture, 38 * depth), paths.standing(clock)


def sitting(clock: curves.Clock) -> Performance:
    """Sits on a chair, moving arms and legs, and gets up now and then."""
    down = curves.smooth_step(1.0 + 1.1 * np.sin(clock.phase(0.06, 0.15)))
    on_the_way = 4 * down * (1 - down)
    posture: postures.Posture = {"lower_spine_flexion": clock.uniform(0, 25) * down}
    for side in _SIDES:
        thigh, knee = clock.uniform(76, 92) * down, clock.keyframes(50, 112, 3.0) * down
        apart = 4 + clock.uniform(0, 25) * down
        posture |= postures.leg(side, thigh, 5 + knee + 20 * on_the_way, abduction=apart)
        posture |= postures.arm(
            side,
            clock.keyframes(0, 60, 2.0) * down + 40 * on_the_way,
            clock.keyframes(2, 35, 2.0),
            rotation=clock.keyframes(-20, 60, 2.0),
            elbow=clock.keyframes(20, 120, 2.0) * down + 10,
        )
    posture["neck_twist"] = clock.keyframes(-45, 45, 2.0)
    tilt = clock.uniform(-12, 18) * down + 32 * on_the_way
    return postures.lean(posture, tilt), paths.standing(clock)


def bending(clock: curves.Clock) -> Performance:
    """Bends down as if to pick something up, with straight or bent knees."""
    down = curves.smooth_step(0.5 + 0.9 * np.sin(clock.phase(0.2, 0.4)))
    knee = clock.uniform(5, 55) * down
    posture: postures.Posture = {
        "lower_spine_flexion": clock.uniform(10, 30) * down,
        "upper_spine_flexion": clock.uniform(5, 25) * down,
        "upper_spine_twist": clock.uniform(-25, 25) * down,
        "neck_flexion": clock.uniform(-25, 15) * down,
    }
    for side in _SIDES:
        posture |= postures.leg(side, 0.5 * knee, 5 + knee, abduction=clock.uniform(3, 10))
        hanging, elbow = clock.uniform(60, 110) * down, clock.uniform(10, 40)
        posture |= postures.arm(side, hanging, clock.uniform(0, 12), elbow=elbow)
    return postures.lean(posture, clock.uniform(45, 80) * down), paths.standing(clock)


def jumping_jacks(clock: curves.Clock) -> Performance:
    """Jumps with arms and legs apart, then together."""
    beat = clock.phase(0.7, 1.1)
    apart, landing = curves.pulse(beat), curves.pulse(2 * beat, 2)
    top, spread = clock.uniform(120, 160), clock.uniform(18, 30)
    posture: postures.Posture = {}
    for side in _SIDES:
        bent = 24 * landing
        posture |= postures.leg(side, 0.5 * bent, 4 + bent, abduction=3 + spread * apart)
        posture |= postures.arm(side, 8, 8 + top * apart, elbow=clock.uniform(8, 30))
    lift = clock.uniform(0.04, 0.12) * np.sin(beat) ** 2
    return posture, paths.standing(clock)._replace(lift=lift)


ACTIONS: dict[str, Callable[[curves.Clock], Performance]] = {
    action.__name__: action
    for action in (
        walking,
        turning,
        waving,
        reaching,
        gesturing,
        phoning,
        boxing,
        squatting,
        sitting,
        bending,
        jumping_jacks,
    )
}
"""The actions by name."""
