"""The size of a rig, of which images tell nothing, from distances between its cameras."""

from collections.abc import Mapping

import numpy as np

from keras_mvlift.geometry import cameras


def from_distances(
    camera: cameras.Camera,
    names: tuple[str, ...],
    known_distance: Mapping[tuple[str, str], float],
) -> float:
    """Gives the factor that brings a rig to its true size.

    Args:
        camera: The rig, of unknown scale, fields `[V, ...]`.
        names: The cameras' names.
        known_distance: Meters between the centers of two named cameras; of several the factor
            fits all, in the sense of least squares.

    Raises:
        ValueError: If no distance is known, one is not positive, names no two cameras of the rig,
            or names two that stand in one place.
    """
    check(names, known_distance)
    center = np.asarray(camera.center)
    pairs = [[names.index(name) for name in pair] for pair in known_distance]
    found = np.linalg.norm(np.subtract(*np.moveaxis(center[pairs], 1, 0)), axis=-1)
    known = np.array(list(known_distance.values()))
    if not found.any():
        raise ValueError(f"`known_distance` must be of cameras apart. Received: {known_distance}.")
    return float(known @ found / (found @ found))


def check(names: tuple[str, ...], known_distance: Mapping[tuple[str, str], float]) -> None:
    """Refuses distances that are not positive or not of two cameras; as `from_distances`."""
    if not known_distance:
        raise ValueError("`known_distance` must hold one distance or more. Received: none.")
    for pair, distance in known_distance.items():
        if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(names):
            rule = f"`known_distance` must be of two of the cameras {', '.join(names)}"
            raise ValueError(f"{rule}. Received: {' and '.join(pair)}.")
        if not 0 < distance < np.inf:
            rule = "`known_distance` must be positive, meters"
            raise ValueError(f"{rule}. Received: {distance} of {' and '.join(pair)}.")


def resize(camera: cameras.Camera, factor: float) -> cameras.Camera:
    """Gives a rig `factor` times as large around the origin."""
    return camera._replace(center=factor * np.asarray(camera.center))
