"""What training sees: views, and pairs of views of one instant. No 3D anywhere."""

from typing import NamedTuple

import numpy as np

from keras_mvlift.geometry import arrays, cameras


class View(NamedTuple):
    """One calibrated view of a person, or a batch of them."""

    keypoints_2d: arrays.Array  # [..., J, 2], pixels, without lens distortion; 0 where not seen.
    confidence: arrays.Array  # [..., J], in [0, 1]; 0 where not seen.
    camera: cameras.Camera  # Fields [..., 3, 3], [..., 3, 3], [..., 3].

    @property
    def rays(self) -> arrays.Array:
        """The joints' viewing rays `[..., J, 2]`, 0 where not seen."""
        rays = cameras.rays(self.keypoints_2d, self.camera.intrinsics)
        xp = arrays.namespace(rays, self.confidence)
        return xp.where(self.confidence[..., np.newaxis] > 0, rays, xp.zeros_like(rays))


class ViewPair(NamedTuple):
    """Two views of the same person at the same instant."""

    source: View
    target: View

    @property
    def swapped(self) -> "ViewPair":
        """The pair with source and target exchanged."""
        return ViewPair(self.target, self.source)


# Views with the frames around them, which is what a temporal network sees.


class WindowedView(NamedTuple):
    """A `View` and the frames of its window; stands where a `View` does, in pairs and in models."""

    keypoints_2d: arrays.Array  # [..., J, 2], pixels, of the frame that is lifted.
    confidence: arrays.Array  # [..., J], in [0, 1], of that frame.
    camera: cameras.Camera  # Fields [..., 3, 3], [..., 3, 3], [..., 3].
    # [..., T, J, 2], pixels, 0 where not seen. A frame that is missing repeats the one before it,
    # or at a clip's start the one behind it.
    window_keypoints_2d: arrays.Array
    window_confidence: arrays.Array  # [..., T, J], in [0, 1]; 0 where not seen, and in repetitions.

    @property
    def view(self) -> View:
        """The frame that is lifted, alone."""
        return View(self.keypoints_2d, self.confidence, self.camera)

    @property
    def rays(self) -> arrays.Array:
        """The viewing rays `[..., J, 2]` of the frame that is lifted, 0 where not seen."""
        return self.view.rays

    @property
    def window_rays(self) -> arrays.Array:
        """The viewing rays `[..., T, J, 2]` of all frames, repetitions too; 0 where not seen."""
        xp, keypoints_2d, intrinsics = arrays.convert(
            self.window_keypoints_2d, self.camera.intrinsics[..., np.newaxis, :, :]
        )
        rays = cameras.rays(keypoints_2d, intrinsics)
        # The confidence cannot tell what was not seen from what is repeated; the keypoint can.
        is_seen = xp.any(keypoints_2d != 0, axis=-1, keepdims=True)
        return xp.where(is_seen, rays, xp.zeros_like(rays))


# Views of many clips and cameras, each camera's in the order of time, and windows of them.

MAX_GAP = 10
"""Frames of a window that may be missing in a row; more end a run, as a clip's end does."""


class Tracks(NamedTuple):
    """Runs of frames without gaps, one behind the other, in `G` cells."""

    # Fields [G, ...]; the cell of a missing frame repeats the one before, with confidence 0.
    view: View
    first: arrays.Array  # [G], the first cell of each cell's run.
    last: arrays.Array  # [G], the last one.


def lay(
    view: View, track: arrays.Array, frame: arrays.Array, *, step: int = 1, max_gap: int = MAX_GAP
) -> tuple[Tracks, arrays.Array]:
    """Lays out `N` views in time; returns the tracks, and `[N]`, the cell of each view.

    Args:
        view: Views in any order, fields `[N, ...]`; the same view may be there several times,
            and one in which nobody was seen is best left out.
        track: `[N]`, not negative: a number for each clip and camera.
        frame: `[N]`, not negative: frame numbers within the clip.
        step: Frames of the clip from one frame of a window to the next.
        max_gap: Missing frames in a row, in steps, that are filled by repetition.
    """
    import tensorflow as tf

    track, frame = tf.cast(track, tf.int64), tf.cast(frame, tf.int64)
    number, phase = frame // step, frame % step
    # Neighbors in a run are one apart, and runs of two tracks further than any gap.
    length = tf.reduce_max(number) + max_gap + 2
    key = (track * step + phase) * length + number
    times = tf.unique(tf.sort(key)).y
    place = tf.searchsorted(times, key)
    row = tf.math.unsorted_segment_min(tf.range(tf.size(key)), place, tf.size(times))
    ahead = times[1:] - times[:-1]
    is_end = tf.concat([ahead > max_gap + 1, [True]], axis=0)
    num_cells = tf.where(is_end, 1, tf.cast(tf.concat([ahead, [1]], axis=0), tf.int32))
    cell = tf.cumsum(num_cells, exclusive=True)
    run = tf.cumsum(tf.cast(is_end, tf.int32), exclusive=True)
    first = tf.gather(tf.math.segment_min(cell, run), run)
    last = tf.gather(tf.math.segment_max(cell, run), run)
    # From cells back to the views: a view's cell, and those of the missing frames behind it.
    source = tf.repeat(tf.range(tf.size(times)), num_cells)
    filled = _gather(view, tf.gather(row, source))
    is_measured = tf.gather(cell, source) == tf.range(tf.size(source))
    confidence = tf.where(is_measured[:, np.newaxis], filled.confidence, 0.0)
    tracks = Tracks(
        filled._replace(confidence=confidence), tf.gather(first, source), tf.gather(last, source)
    )
    return tracks, tf.gather(cell, place)


def offsets(num_frames: int, *, is_causal: bool) -> np.ndarray:
    """Returns `[T]`, `T` odd, the frames of a window counted from the one that is lifted.

    That is the window's last if it is causal, else its middle.
    """
    after = 0 if is_causal else num_frames // 2
    return np.arange(after - num_frames + 1, after + 1, dtype=np.int32)


def window(tracks: Tracks, cell: arrays.Array, offset: arrays.Array) -> WindowedView:
    """Takes windows; beyond the ends of a run they repeat its first and last frame.

    Args:
        tracks: The views.
        cell: `[B]`, the cells that are lifted.
        offset: `[T]`, as `offsets` gives.

    Returns:
        Fields `[B, ...]`.
    """
    xp = arrays.namespace(cell, *tracks.view[:2])
    wanted = cell[:, np.newaxis] + offset
    first, last = (xp.take(end, cell, axis=0)[:, np.newaxis] for end in (tracks.first, tracks.last))
    given = xp.minimum(xp.maximum(wanted, first), last)
    confidence = xp.take(tracks.view.confidence, given, axis=0)
    is_within = arrays.cast(given == wanted, confidence.dtype)[..., np.newaxis]
    return WindowedView(
        *_gather(tracks.view, cell),
        window_keypoints_2d=xp.take(tracks.view.keypoints_2d, given, axis=0),
        window_confidence=confidence * is_within,
    )


def _gather(view: View, index: arrays.Array) -> View:
    xp = arrays.namespace(index, *view[:2])
    keypoints_2d, confidence, *fields = (
        xp.take(field, index, axis=0) for field in (*view[:2], *view.camera)
    )
    return View(keypoints_2d, confidence, cameras.Camera(*fields))
