"""What a triangulated person tells about the world's scale, and about left and right."""

import numpy as np

from keras_mvlift import skeletons

PLAUSIBLE_HEIGHT = (0.7, 2.4)
"""From a child's to a very tall person's standing height, meters."""

MIN_FACING = 0.3
"""How clearly the body must face backwards for left and right to be called swapped."""

# From the ankle to the sole, and from what detectors call the head to its top.
_FOOT, _TOP = 0.08, 0.06
_JOINTS = {name: index for index, name in enumerate(skeletons.H36M_17.joints)}
_TRUNK = ("pelvis", "spine", "thorax", "nose", "head")


def bone_lengths(points: np.ndarray, is_seen: np.ndarray) -> dict[str, float]:
    """Measures the median length of each bone.

    Args:
        points: `[T, J, 3]`, meters.
        is_seen: `[T, J]`.

    Returns:
        By the name of the bone's far joint, meters; bones never seen are left out.
    """
    lengths = {}
    for parent, child in skeletons.H36M_17.bones:
        both = is_seen[:, parent] & is_seen[:, child]
        if both.any():
            length = np.linalg.norm(points[both, child] - points[both, parent], axis=-1)
            lengths[skeletons.H36M_17.joints[child]] = float(np.median(length))
    return lengths


def height(lengths: dict[str, float]) -> float:
    """Estimates how tall the person stands, meters, from bone lengths; NaN if they do not do."""
    legs = [
        lengths[f"{side}_knee"] + lengths[f"{side}_ankle"]
        for side in ("left", "right")
        if {f"{side}_knee", f"{side}_ankle"} <= lengths.keys()
    ]
    if not legs or not set(_TRUNK[1:]) <= lengths.keys():
        return float("nan")
    body = float(np.mean(legs)) + sum(lengths[name] for name in _TRUNK[1:])
    # Foot and top of the head are shares of a body of 1.7 m, so that a wrong unit stays one.
    return body * (1.0 + (_FOOT + _TOP) / (1.7 - _FOOT - _TOP))


def facing(points: np.ndarray, is_seen: np.ndarray) -> float:
    """Tells whether the body bends and looks the way that its left and right say.

    Ahead is up cross right, from hips, pelvis and thorax. There the nose is, and there knees bend.

    Args:
        points: `[T, J, 3]`, any unit.
        is_seen: `[T, J]`.

    Returns:
        From 1, always, to -1, never: left and right are swapped. 0 if nothing tells.
    """

    def at(name: str) -> np.ndarray:
        return points[:, _JOINTS[name]]

    def unit(vector: np.ndarray) -> np.ndarray:
        return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12)

    ahead = unit(np.cross(at("left_hip") - at("right_hip"), at("thorax") - at("pelvis")))
    size = np.linalg.norm(at("thorax") - at("pelvis"), axis=-1)
    hints = {("nose", "thorax", "head"): at("nose") - (at("thorax") + at("head")) / 2}
    for side in ("left", "right"):
        names = (f"{side}_knee", f"{side}_hip", f"{side}_ankle")
        thigh = unit(at(names[2]) - at(names[1]))
        bent = at(names[0]) - at(names[1])
        hints[names] = bent - (bent * thigh).sum(axis=-1, keepdims=True) * thigh
    votes = []
    for names, hint in hints.items():
        known = [_JOINTS[name] for name in (*names, "left_hip", "right_hip", "pelvis", "thorax")]
        seen = is_seen[:, known].all(axis=-1) & (size > 0)
        votes.append((hint * ahead).sum(axis=-1)[seen] / size[seen])
    vote = np.clip(np.concatenate(votes), -1.0, 1.0)
    total = np.abs(vote).sum()
    return float(vote.sum() / total) if total > 0 else 0.0
