"""How far tracks are from the references beside them; joints that are absent are left out."""

import warnings
from collections.abc import Sequence

import numpy as np

from keras_mvlift.pose_files import pose_clip


def distances(pose: np.ndarray, reference: np.ndarray, root: int | None) -> np.ndarray:
    """Measures each joint's distance from the reference.

    Args:
        pose: `[T, J, 3]`, meters; NaN where absent.
        reference: As `pose`.
        root: The joint that is put on the reference's before, None for poses as they stand.

    Returns:
        `[T, J]`, meters; NaN where a joint, or the root that is needed, is absent.
    """
    if root is not None:
        pose = pose - pose[:, root : root + 1]
        reference = reference - reference[:, root : root + 1]
    return np.linalg.norm(pose - reference, axis=-1)


def mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Averages what is there; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.nanmean(values, axis=axis)


def references(tracks: Sequence[pose_clip.Track], root: int | None) -> list[int | None]:
    """Finds for each track the reference that it is judged by: the nearest one on average.

    Args:
        tracks: References among them.
        root: As in `distances`.

    Returns:
        For each track the index of its reference in `tracks`; None for references, and where no
        reference shares a joint with the track.
    """
    known = [index for index, track in enumerate(tracks) if track.is_reference]
    return [
        None if track.is_reference else _nearest(track, tracks, known, root) for track in tracks
    ]


def _nearest(
    track: pose_clip.Track, tracks: Sequence[pose_clip.Track], known: list[int], root: int | None
) -> int | None:
    errors = {
        index: float(mean(distances(track.pose, tracks[index].pose, root))) for index in known
    }
    found = {index: error for index, error in errors.items() if np.isfinite(error)}
    return min(found, key=found.__getitem__) if found else None
