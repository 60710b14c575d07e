"""The cameras that stand behind many views: records tell where each view's camera is, not which."""

import functools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.sparse import csgraph

from keras_mvlift.datasets import tfrecords, views

# A camera that saw less is left out. A virtual camera is drawn anew for each instant and is seen
# once.
MIN_INSTANTS = 10
# Instants among which cameras are told apart at once.
_BATCH_SIZE = 4096


class DistinctCameras(NamedTuple):
    """Cameras that stayed where they are for some instants.

    Attributes:
        rotation: `[C, 3, 3]`, camera from world.
        center: `[C, 3]`, meters, world frame.
        num_instants: `[C]`, in how many instants each was seen.
        rig: `[C]`, the same number for cameras that saw instants together, directly or by way of
            others.
    """

    rotation: np.ndarray
    center: np.ndarray
    num_instants: np.ndarray
    rig: np.ndarray


def collect(batches: Iterable[views.View], min_instants: int = MIN_INSTANTS) -> DistinctCameras:
    """Finds the cameras that come back from instant to instant.

    Args:
        batches: All views of each instant, fields `[B, V, ...]`; a view of confidence 0 throughout
            is none. What comes back does so within a batch, as records of one clip do.
        min_instants: Cameras seen in fewer are left out.

    Returns:
        The cameras in the order in which they were found.
    """
    index: dict[bytes, int] = {}
    counts: list[int] = []
    together: set[tuple[int, int]] = set()
    for seen in batches:
        poses, is_there = _of_batch(seen)
        number = [index.setdefault(pose.tobytes(), len(index)) for pose in poses]
        counts += [0] * (len(index) - len(counts))
        for camera, count in zip(number, is_there.sum(axis=0), strict=True):
            counts[camera] += int(count)
        for first, second in np.argwhere(is_there.T @ is_there):
            together.add((number[first], number[second]))
    found = np.array([np.frombuffer(pose, np.float32) for pose in index]).reshape(-1, 12)
    linked = np.zeros((len(found), len(found)), bool)
    for first, second in together:
        linked[first, second] = True
    kept = np.flatnonzero(np.array(counts, int) >= min_instants)
    _, rig = csgraph.connected_components(linked[np.ix_(kept, kept)], directed=False)
    rotation, center = found[kept, :9].reshape(-1, 3, 3), found[kept, 9:]
    return DistinctCameras(rotation, center, np.array(counts, int)[kept], rig)


def of_records(files: list[str], num_views: int) -> DistinctCameras:
    """Finds the cameras of instant records, in one pass over them.

    Args:
        files: Gzip-compressed TFRecord files.
        num_views: Most views of an instant.
    """
    decode = functools.partial(tfrecords.decode_instants, num_views=num_views)
    return collect(tfrecords.load_once(files, _BATCH_SIZE, decode))


def extrinsics(rotation: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Lays out what tells cameras apart, `[..., 12]`."""
    rotation = np.reshape(rotation, (*np.shape(rotation)[:-2], 9))
    return np.concatenate([rotation, center], axis=-1)


def _of_batch(seen: views.View) -> tuple[np.ndarray, np.ndarray]:
    """Returns what comes back within a batch, `[U, 12]`, and which instants have it, `[B, U]`."""
    is_seen = (np.asarray(seen.confidence) > 0).any(axis=-1)
    poses = extrinsics(np.asarray(seen.camera.rotation), np.asarray(seen.camera.center))
    # Negative zeros have other bytes.
    poses = poses[is_seen].astype(np.float32) + np.float32(0)
    unique, inverse, count = np.unique(poses, axis=0, return_inverse=True, return_counts=True)
    comes_back = np.flatnonzero(count > 1)
    column = np.full(len(unique), -1)
    column[comes_back] = np.arange(len(comes_back))
    column = column[inverse.reshape(-1)]
    is_there = np.zeros((len(is_seen), len(comes_back)), np.float32)
    is_there[np.nonzero(is_seen)[0][column >= 0], column[column >= 0]] = 1
    return unique[comes_back], is_there
