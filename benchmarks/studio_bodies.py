"""Bodies whose joints lie where detectors of image keypoints put them.

That is not where Human3.6M's markers are: the nose is before the head, the spine's joint halfway
from the pelvis to the neck, the hips are closer together and the shoulders farther apart.
"""

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.studio import people

_PELVIS, _THORAX, _SPINE, _NOSE, _HEAD, _LEFT_SHOULDER, _RIGHT_SHOULDER = (
    skeletons.H36M_17.joints.index(joint)
    for joint in ("pelvis", "thorax", "spine", "nose", "head", "left_shoulder", "right_shoulder")
)
# Bones as shares of those of `people`, whose joints are markers'.
_SHARES = {"hip": 0.82, "ankle": 0.94, "spine": 1.08, "thorax": 1.08, "shoulder": 1.2}
_BONES = np.array([_SHARES.get(joint.split("_")[-1], 1.0) for joint in skeletons.H36M_17.joints])
# Ahead of and above the neck, as shares of the bones from the neck over the nose to the head.
_NOSE_PLACE, _HEAD_PLACE = (0.42, 0.68), (0.0, 1.21)
_FACE_SPREAD = 0.06
# Radians by which heads are turned to a side, and by which that changes.
_HEAD_TURN, _HEAD_DRIFT = 0.25, 0.15


def give(motion: np.ndarray, seed: int, subject: str, frame_rate: float) -> np.ndarray:
    """Returns a recorded motion to a made-up body.

    Args:
        motion: `[T, J, 3]`, meters, z up.
        seed: Not negative; with the subject's name it tells the body.
        subject: Whose body it is to be.
        frame_rate: Frames per second.

    Returns:
        `[T, J, 3]`, meters, z up.
    """
    bones = people.draw_person(seed, subject).bone_lengths * _BONES
    points = people.reproportion(motion, bones)
    points[:, _SPINE] = (points[:, _PELVIS] + points[:, _THORAX]) / 2
    rng = sequences.seeded_generator(seed, "face", subject)
    size = (bones[_NOSE] + bones[_HEAD]) * np.exp(rng.normal(0.0, _FACE_SPREAD))
    clock = people.Clock(len(motion), frame_rate, rng)
    turn = rng.normal(0.0, _HEAD_TURN) + clock.drift(_HEAD_DRIFT)
    ahead, up = _axes(points, turn)
    for joint, (along, above) in ((_NOSE, _NOSE_PLACE), (_HEAD, _HEAD_PLACE)):
        points[:, joint] = points[:, _THORAX] + size * (along * ahead + above * up)
    return points


def _axes(points: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where a head looks and its own up, `[T, 3]` each."""
    up = _unit(points[:, _HEAD] - points[:, _THORAX])
    left = points[:, _LEFT_SHOULDER] - points[:, _RIGHT_SHOULDER]
    forward = _unit(np.cross(left, up))
    side = np.cross(up, forward)
    turn = np.broadcast_to(turn, len(points))[:, np.newaxis]
    return np.cos(turn) * forward + np.sin(turn) * side, up


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
