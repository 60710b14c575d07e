"""The axes of other programs' files."""

import numpy as np

# The world's (x, y, z), z up, is OpenSim's (z, x, y), y up: both right-handed, as `datasets.trc`
# reads it. In front of a camera what points up is -y.
_Y_UP = {
    "world": (np.array([1, 2, 0]), np.array([1.0, 1.0, 1.0])),
    "camera": (np.array([0, 1, 2]), np.array([1.0, -1.0, -1.0])),
}
_Z_UP = {
    "world": (np.array([0, 1, 2]), np.array([1.0, 1.0, 1.0])),
    "camera": (np.array([0, 2, 1]), np.array([1.0, 1.0, -1.0])),
}


def y_up(points: np.ndarray, space: str) -> np.ndarray:
    """Turns points `[..., 3]` of a space of `pose_clip.SPACES` so that y points up."""
    return _turn(points, _Y_UP, space)


def z_up(points: np.ndarray, space: str) -> np.ndarray:
    """Turns points `[..., 3]` of a space of `pose_clip.SPACES` so that z points up."""
    return _turn(points, _Z_UP, space)


def _turn(
    points: np.ndarray, turns: dict[str, tuple[np.ndarray, np.ndarray]], space: str
) -> np.ndarray:
    order, signs = turns["world" if space == "world" else "camera"]
    return points[..., order] * signs
