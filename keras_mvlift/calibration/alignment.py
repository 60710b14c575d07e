"""A rig laid onto another: how they differ, apart from where their worlds lie."""

import numpy as np

from keras_mvlift.geometry import cameras


def align(
    camera: cameras.Camera, target: cameras.Camera, *, reach: float, with_scale: bool
) -> cameras.Camera:
    """Moves a rig as a whole to where another is.

    Centers alone leave a turn about the line through two cameras open, so attitudes count too: as
    much as they move the point that lies `reach` ahead.

    Args:
        camera: The rig to move, fields `[V, ...]`.
        target: The same cameras in the wanted world.
        reach: How far ahead of the cameras people are, meters.
        with_scale: Whether the rig may change its size, to that of the target.

    Returns:
        The moved rig, NumPy arrays.

    References:
        Umeyama, Least-squares estimation of transformation parameters between two point
        patterns, PAMI 1991.
    """
    camera, target = (cameras.Camera(*map(np.asarray, rig)) for rig in (camera, target))
    mean, target_mean = camera.center.mean(axis=0), target.center.mean(axis=0)
    centered, target_centered = camera.center - mean, target.center - target_mean
    size, target_size = (np.linalg.norm(value) for value in (centered, target_centered))
    scale = target_size / size if with_scale and size > 0 else 1.0
    places = target_centered.T @ (scale * centered)
    attitudes = np.einsum("vij,vik->jk", target.rotation, camera.rotation)
    left, _, right = np.linalg.svd(places + reach**2 * attitudes)
    # A reflection may fit better than any rotation; flip the weakest axis.
    rotation = left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
    moved = scale * centered @ rotation.T + target_mean
    return cameras.Camera(camera.intrinsics, camera.rotation @ rotation.T, moved)


def differences(camera: cameras.Camera, target: cameras.Camera) -> tuple[np.ndarray, np.ndarray]:
    """Measures, per camera, how two rigs of one world differ.

    Returns:
        `[V]`, meters between the centers, and `[V]`, radians between the attitudes.
    """
    camera, target = (cameras.Camera(*map(np.asarray, rig)) for rig in (camera, target))
    distance = np.linalg.norm(camera.center - target.center, axis=-1)
    # Of a small angle the cosine says less than the chord.
    chord = np.linalg.norm(camera.rotation - target.rotation, axis=(-2, -1)) / np.sqrt(8)
    return distance, 2 * np.arcsin(np.minimum(chord, 1.0))
