"""Views of clips in the order of time, found again by clip, camera and frame."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import sequences, views
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines

MAX_VIEWS = 1024
"""More cameras than any rig has."""


class FilmTracks:
    """Tracks of views, and the cell of each.

    Args:
        view: Fields `[N, ...]`, NumPy arrays.
        track: `[N]`, a number for each clip and camera.
        frame: `[N]`, frame numbers within the clip.

    Attributes:
        tracks: The views, fields `[G, ...]`.
    """

    def __init__(self, view: views.View, track: np.ndarray, frame: np.ndarray):
        self._length = int(np.max(frame, initial=0)) + 1
        key = self._key(track, frame)
        order = np.argsort(key)
        # On a GPU they would be copied back for each batch.
        with tf.device("CPU:0"):
            self.tracks, cell = views.lay(
                tf.nest.map_structure(tf.constant, view), tf.constant(track), tf.constant(frame)
            )
        self._keys, self._cells = key[order], cell.numpy()[order]

    def cells(self, track: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Gives the cells of views by their tracks and frames, -1 where there is none."""
        key = self._key(track, frame)
        place = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        is_there = (self._keys[place] == key) & (np.asarray(frame) < self._length)
        return np.where(is_there, self._cells[place], -1)

    def _key(self, track: np.ndarray, frame: np.ndarray) -> np.ndarray:
        return np.asarray(track, np.int64) * self._length + np.asarray(frame, np.int64)


def of_views(every: Sequence[sequences.Instants], min_joints: int) -> FilmTracks:
    """Lays out what real cameras saw.

    Args:
        every: The instants of each clip, without virtual views.
        min_joints: Joints that a view must show.

    Returns:
        View `v` of clip `c` is track `MAX_VIEWS c + v`.
    """
    used = [np.nonzero(seen.is_used(min_joints)) for seen in every]
    parts = [
        views.View(
            seen.keypoints_2d[at].astype(np.float32),
            seen.confidence[at].astype(np.float32),
            cameras.Camera(*(field[at].astype(np.float32) for field in seen.camera)),
        )
        for seen, at in zip(every, used, strict=True)
    ]
    track = [MAX_VIEWS * number + view for number, (_, view) in enumerate(used)]
    frame = [seen.frame[instant] for seen, (instant, _) in zip(every, used, strict=True)]
    return _join(parts, track, frame)


def of_points(every: Sequence[sequences.Instants], min_confidence: float) -> FilmTracks:
    """Lays out what the views of each instant triangulate, for virtual cameras to look at.

    Args:
        every: The instants of each clip, without virtual views.
        min_confidence: Detections below it are left out.

    Returns:
        Tracks of which `keypoints_2d` holds points `[G, J, 3]`, meters, world frame, the
        confidence whether they are known, and whose cameras say nothing; clip `c` is track `c`.
    """
    found = [sequences.triangulate(seen, min_confidence) for seen in every]
    parts = [
        views.View(
            np.where(is_seen[..., np.newaxis], points, 0.0).astype(np.float32),
            is_seen.astype(np.float32),
            cameras.Camera(*(np.zeros([len(points), 1], np.float32) for _ in range(3))),
        )
        for points, is_seen in found
    ]
    track = [np.full(len(seen.frame), number) for number, seen in enumerate(every)]
    return _join(parts, track, [seen.frame for seen in every])


def of_test_views(
    every: baselines.TestViews, wanted: baselines.TestViews
) -> tuple[FilmTracks, np.ndarray]:
    """Lays out test views; gives the cells of those that are wanted, too."""
    keys = [np.stack([test.clip, test.camera], axis=1) for test in (every, wanted)]
    _, track = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    tracks = FilmTracks(every.view, track[: len(every.frame)], every.frame)
    return tracks, tracks.cells(track[len(every.frame) :], wanted.frame)


def _join(parts: list[views.View], track: list[np.ndarray], frame: list[np.ndarray]) -> FilmTracks:
    view = tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts)
    return FilmTracks(view, np.concatenate(track), np.concatenate(frame))
