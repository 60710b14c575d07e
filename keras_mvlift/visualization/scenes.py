"""Where poses of any space stand in a scene with z up, and where to look at them from."""

from typing import NamedTuple

import numpy as np

from keras_mvlift.lifting import pose_clip

ELEVATION = 0.2
"""How far above the horizon a world is looked at from, radians."""
_MARGIN = 0.25
_SMALLEST_RADIUS = 0.5


class Viewpoint(NamedTuple):
    """A direction to look in.

    Attributes:
        azimuth: Radians about z, counterclockwise from above; 0 looks along y.
        elevation: Radians of the eye above the horizon.
    """

    azimuth: float
    elevation: float


def points(positions: np.ndarray, space: str) -> np.ndarray:
    """Turns points `[..., 3]` of a clip's space into the scene's axes: x right, y away, z up."""
    if space == "world":
        return positions
    x, y, z = np.moveaxis(positions, -1, 0)
    return np.stack([x, z, -y], axis=-1)


def axes(space: str) -> list[tuple[str, list[float]]]:
    """Names the space's axes and gives their directions in the scene."""
    # Adding zero turns a negative zero into a plain one.
    directions = points(np.eye(3), space) + 0.0
    return [(name, row.tolist()) for name, row in zip("xyz", directions, strict=True)]


def viewpoint(clip: pose_clip.PoseClip) -> Viewpoint:
    """Chooses where to look from: as the camera did, or in a world at the first person's front."""
    if clip.space != "world":
        return Viewpoint(0.0, 0.0)
    names = clip.joint_names
    pairs = [
        (names.index(f"left_{joint}"), names.index(f"right_{joint}"))
        for joint in ("hip", "shoulder")
        if f"left_{joint}" in names and f"right_{joint}" in names
    ]
    for left, right in pairs:
        across = clip.tracks[0].pose[:, left, :2] - clip.tracks[0].pose[:, right, :2]
        across = across[np.isfinite(across).all(axis=-1)]
        if len(across):
            # Seen from the front, the left side is on the right.
            return Viewpoint(float(np.arctan2(across[0, 1], across[0, 0])), ELEVATION)
    return Viewpoint(0.0, ELEVATION)


def bounds(clip: pose_clip.PoseClip) -> tuple[np.ndarray, float]:
    """Finds a ball around everybody: its center `[3]` in the scene and its radius, meters."""
    every = np.concatenate([track.pose.reshape(-1, 3) for track in clip.tracks])
    known = points(every[np.isfinite(every).all(axis=-1)], clip.space)
    if not len(known):
        return np.zeros(3), 1.0
    low, high = known.min(axis=0), known.max(axis=0)
    center = (low + high) / 2
    reach = float(np.linalg.norm(known - center, axis=-1).max())
    return center, max(reach, _SMALLEST_RADIUS) + _MARGIN
