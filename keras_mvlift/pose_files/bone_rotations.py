"""How bones of fixed lengths must turn to put joints where they are.

Positions tell a rotation up to the twist around the bone; each bone takes the least turn from its
parent, so none twists on its own.
"""

import numpy as np

# Meters; a shorter bone points nowhere.
_LEAST_LENGTH = 1e-9
# Cosine of the turn from which on its axis is not told by a cross product any more.
_OPPOSITE = -1.0 + 1e-9


def fit(rest: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Finds the rotations that turn a bundle of directions nearest to another.

    Args:
        rest: `[C, 3]`, unit vectors.
        directions: `[T, C, 3]`, unit vectors, or 0 for one that does not count.

    Returns:
        `[T, 3, 3]`, proper rotations.

    References:
        Kabsch, A solution for the best rotation to relate two sets of vectors, 1976.
    """
    correlation = np.einsum("tci,cj->tij", directions, rest)
    left, _, right = np.linalg.svd(correlation)
    # A reflection may fit better than any rotation; flip the weakest axis.
    left[..., -1] *= np.sign(np.linalg.det(left @ right))[..., np.newaxis]
    return left @ right


def swing(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Finds the least turns from one direction to another.

    Args:
        source: `[T, 3]`, unit vectors.
        target: `[T, 3]`, unit vectors, or 0 for no turn.

    Returns:
        `[T, 3, 3]`, with `rotation @ source = target`.
    """
    is_known = np.linalg.norm(target, axis=-1, keepdims=True) > 0
    target = np.where(is_known, target, source)
    cosine = (source * target).sum(axis=-1)
    cross = _cross_matrix(np.cross(source, target))
    safe = np.where(cosine > _OPPOSITE, cosine, 1.0)[:, np.newaxis, np.newaxis]
    rotation = np.eye(3) + cross + cross @ cross / (1.0 + safe)
    axis = _across(source)
    half_turn = 2.0 * axis[:, :, np.newaxis] * axis[:, np.newaxis] - np.eye(3)
    return np.where((cosine > _OPPOSITE)[:, np.newaxis, np.newaxis], rotation, half_turn)


def directions(bones: np.ndarray) -> np.ndarray:
    """Makes vectors `[..., 3]` unit vectors; 0 where they have no length."""
    length = np.linalg.norm(bones, axis=-1, keepdims=True)
    return np.where(length > _LEAST_LENGTH, bones / np.maximum(length, _LEAST_LENGTH), 0.0)


def euler_zxy(rotation: np.ndarray) -> np.ndarray:
    """Writes rotations as `Rz(z) @ Rx(x) @ Ry(y)`.

    Args:
        rotation: `[T, ..., 3, 3]`.

    Returns:
        `[T, ..., 3]`, radians, z, x and y, without jumps of full turns over time.
    """
    x = np.arcsin(np.clip(rotation[..., 2, 1], -1.0, 1.0))
    # With y or -y on the z axis only the sum of the other two is told: all of it is z.
    is_locked = np.hypot(rotation[..., 2, 0], rotation[..., 2, 2]) < 1e-7
    z = np.arctan2(-rotation[..., 0, 1], rotation[..., 1, 1])
    locked_z = np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])
    y = np.arctan2(-rotation[..., 2, 0], rotation[..., 2, 2])
    angles = [np.where(is_locked, locked_z, z), x, np.where(is_locked, 0.0, y)]
    return np.unwrap(np.stack(angles, axis=-1), axis=0)


def _cross_matrix(vector: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(vector, -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _across(vector: np.ndarray) -> np.ndarray:
    """Gives unit vectors at right angles to unit vectors `[T, 3]`."""
    axis = np.eye(3)[np.abs(vector).argmin(axis=-1)]
    return directions(np.cross(vector, axis))
