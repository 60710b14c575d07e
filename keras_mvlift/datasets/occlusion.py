"""Which joints a camera cannot see because the person's own body is in the way."""

from typing import NamedTuple

import numpy as np

from keras_mvlift import skeletons


class Capsule(NamedTuple):
    """A rounded cylinder, as which a part of the body is taken.

    Attributes:
        ends: The joints at its ends.
        radius: Meters, for a person of mean girth.
        spares: Joints that it never hides, its ends aside.
    """

    ends: tuple[str, str]
    radius: float
    spares: tuple[str, ...] = ()


_TRUNK = ("pelvis", "spine", "thorax", "nose", "left_hip", "right_hip")
_CAPSULES = (
    Capsule(("pelvis", "thorax"), 0.10, _TRUNK),
    Capsule(("nose", "head"), 0.09, ("thorax",)),
    *(
        capsule
        for side in ("left", "right")
        for capsule in (
            Capsule((f"{side}_hip", f"{side}_shoulder"), 0.08, _TRUNK),
            Capsule((f"{side}_hip", f"{side}_knee"), 0.07),
            Capsule((f"{side}_knee", f"{side}_ankle"), 0.05),
            Capsule((f"{side}_shoulder", f"{side}_elbow"), 0.045),
            Capsule((f"{side}_elbow", f"{side}_wrist"), 0.04),
        )
    ),
)
# Meters over which a joint goes from seen to hidden, across and along the line of sight.
_SOFT_EDGE = 0.04
# Meters. Joints nearer to the camera than this are out of any image anyway.
_MIN_DEPTH = 0.1
_MIN_SQUARED_LENGTH = 1e-8


def hidden(points_camera: np.ndarray, girth: float = 1.0) -> np.ndarray:
    """Tells how far each joint is hidden behind other parts of the body.

    A joint is hidden if it lies within a part's outline in the image, and behind the part's
    surface. The outline is that of a capsule seen from the side: exact enough for a confidence.

    Args:
        points_camera: `[..., J, 3]`, meters, camera frame.
        girth: How thick the body is, 1 for the mean.

    Returns:
        `[..., J]` in [0, 1], float32; 0 is in full sight, 1 fully hidden.
    """
    points = np.ascontiguousarray(np.moveaxis(points_camera, -1, 0), dtype=np.float32)
    depth = np.maximum(points[2], _MIN_DEPTH)
    rays = points[:2] / depth
    most = np.zeros_like(depth)
    for capsule in _CAPSULES:
        covered = _covered(rays, depth, capsule, girth)
        spared = [skeletons.H36M_17.joints.index(joint) for joint in capsule.ends + capsule.spares]
        covered[..., spared] = 0.0
        np.maximum(most, covered, out=most)
    return most


def _covered(rays: np.ndarray, depth: np.ndarray, capsule: Capsule, girth: float) -> np.ndarray:
    """Tells how far one capsule covers each joint, `[..., J]`; rays `[2, ..., J]`."""
    start, end = (skeletons.H36M_17.joints.index(joint) for joint in capsule.ends)
    (x, y), radius = rays - rays[..., start, np.newaxis], np.float32(capsule.radius * girth)
    axis_x, axis_y = x[..., end, np.newaxis], y[..., end, np.newaxis]
    squared_length = np.maximum(axis_x * axis_x + axis_y * axis_y, _MIN_SQUARED_LENGTH)
    along = (x * axis_x + y * axis_y) / squared_length
    np.clip(along, 0.0, 1.0, out=along)
    # Depth is not linear along an image line; over a limb at some meters it nearly is.
    near, far = depth[..., start, np.newaxis], depth[..., end, np.newaxis]
    depth_there = near + along * (far - near)
    distance = np.hypot(x - along * axis_x, y - along * axis_y) * depth_there
    across = np.clip((radius - distance) / _SOFT_EDGE + 0.5, 0.0, 1.0)
    behind = np.clip((depth - depth_there - radius) / _SOFT_EDGE, 0.0, 1.0)
    return across * behind
