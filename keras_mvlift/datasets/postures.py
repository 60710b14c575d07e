"""Parts of a posture, in degrees, from which actions are put together."""

import numpy as np

from keras_mvlift.datasets import curves

Angle = np.ndarray | float
"""Degrees, `[T]` or one number for the whole clip."""

Posture = dict[str, Angle]
"""Degrees of freedom by name, as in `articulation`."""

# The scapulohumeral rhythm: above this angle of the arm the shoulder girdle comes along.
_GIRDLE_ANGLE = 60.0
_GIRDLE_SHARE = 0.25


def arm(
    side: str, flexion: Angle, abduction: Angle, *, elbow: Angle, rotation: Angle = 15.0
) -> Posture:
    """Poses an arm: upper arm forward and out, turned inwards, elbow bent."""
    raised = np.maximum(np.maximum(flexion, abduction) - _GIRDLE_ANGLE, 0.0)
    return {
        f"{side}_clavicle_elevation": _GIRDLE_SHARE * raised,
        f"{side}_shoulder_flexion": flexion,
        f"{side}_shoulder_abduction": abduction,
        f"{side}_shoulder_rotation": rotation,
        f"{side}_elbow_flexion": elbow,
    }


def leg(
    side: str, thigh: Angle, knee: Angle, *, abduction: Angle = 4.0, rotation: Angle = -6.0
) -> Posture:
    """Poses a leg of an upright body: thigh forward and out, turned inwards, knee bent."""
    return {
        f"{side}_hip_flexion": thigh,
        f"{side}_hip_abduction": abduction,
        f"{side}_hip_rotation": rotation,
        f"{side}_knee_flexion": knee,
    }


def lean(posture: Posture, tilt: Angle) -> Posture:
    """Tilts the pelvis forward and lets the legs stay where they were."""
    hips = {f"{side}_hip_flexion": posture[f"{side}_hip_flexion"] + tilt for side in _SIDES}
    return posture | hips | {"tilt": tilt}


def hanging_arm(clock: curves.Clock, side: str) -> Posture:
    """Lets an arm hang, as this person does in this clip."""
    flexion, abduction = clock.uniform(-8, 12), clock.uniform(4, 14)
    elbow, rotation = clock.uniform(8, 35), clock.uniform(0, 40)
    return arm(side, flexion + clock.drift(3), abduction, elbow=elbow, rotation=rotation)


def upright_legs(clock: curves.Clock) -> Posture:
    """Stands on both legs, apart and one ahead of the other as it comes."""
    ahead, apart = clock.uniform(-9, 9), clock.uniform(2, 12)
    bent = np.maximum(clock.uniform(2, 14) + clock.drift(2), 0)
    left = leg("left", 0.5 * bent + ahead, bent, abduction=apart, rotation=clock.uniform(-20, 5))
    right = leg("right", 0.5 * bent - ahead, bent, abduction=apart, rotation=clock.uniform(-20, 5))
    return left | right


_SIDES = ("left", "right")
