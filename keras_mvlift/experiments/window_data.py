"""Views with the frames around them, from memory, for the temporal backbone.

What is lifted are the very views that other cells train and are tested on. The frames around them
are those of the film, which such cells leave out; windows stay within the frames of their side of
the split. A virtual camera stands still for a window, and sees what the detections of each frame
triangulate.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import view_windows, views
from keras_mvlift.experiments import epoch_curves, film_tracks, training_data
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines
from keras_mvlift.networks import temporal
from keras_mvlift.training import batches, multi_view_lifter, stage_data

ViewAt = Callable[[tf.Tensor], views.WindowedView]


class WindowedData:
    """`TrainingData` with windows; stands where it does, for methods that train on pairs.

    Args:
        data: The views that are lifted.
        windows: What a window is, in frames of the film.

    Attributes:
        rig_distance: As of the data.
        test: The test views, with windows, that are measured after each epoch.
    """

    def __init__(self, data: training_data.TrainingData, windows: view_windows.Windows):
        self.rig_distance = data.rig_distance
        self._data = data
        self._offset = views.offsets(windows.num_frames, is_causal=windows.is_causal)
        self._num_real = data.num_real_views
        clip, frame = data.place[:, :1], data.place[:, 1:]
        view = np.arange(self._num_real.max())
        self._cell = data.film.cells(
            film_tracks.MAX_VIEWS * clip + view, np.broadcast_to(frame, (len(frame), len(view)))
        )
        self._has_virtual_views = data.seen.confidence.shape[1] > len(view)
        if self._has_virtual_views:
            self._point_cell = data.points.cells(clip[:, 0], frame[:, 0])
        self._test_film, self._test_cell = data.test_film
        self.test = self._windowed(epoch_curves.indices(data.test))

    def pair_source(self) -> stage_data.Pairs:
        """Gives what pairs of windowed views are drawn from, the pairs of the data."""
        view_at, num_views = self.view_at(), self._data.seen.confidence.shape[1]

        def look_up(rows: tf.Tensor) -> views.ViewPair:
            sides = tf.unstack(tf.cast(rows, tf.int64), axis=1)
            index = (tf.stack([side // num_views, side % num_views], axis=1) for side in sides)
            return views.ViewPair(*map(view_at, index))  # type: ignore[arg-type]

        pairs = batches.pairs_of_instants(self._data.seen, self._data.pairs)
        return stage_data.Pairs(pairs, look_up)

    def view_at(self) -> ViewAt:
        """Gives a function from `[B, 2]`, instant and view, to views with windows."""
        # On a GPU they would be copied back for each batch.
        with tf.device("CPU:0"):
            seen = tf.nest.map_structure(tf.constant, self._data.seen)
            cell = tf.constant(self._cell)

        def view_at(index: tf.Tensor) -> views.WindowedView:
            view = tf.nest.map_structure(lambda field: tf.gather_nd(field, index), seen)
            is_real = index[:, 1] < tf.gather(self._num_real, index[:, 0])
            # Any cell will do for a virtual view; what it gives is left out below.
            at = tf.stack([index[:, 0], tf.where(is_real, index[:, 1], 0)], axis=1)
            real_cell = tf.maximum(tf.gather_nd(cell, at), 0)
            window = views.window(self._data.film.tracks, real_cell, self._offset)
            keypoints_2d, confidence = window.window_keypoints_2d, window.window_confidence
            if self._has_virtual_views:
                virtual_keypoints_2d, virtual = self._virtual(index[:, 0], view.camera)
                chosen = is_real[:, tf.newaxis, tf.newaxis]
                keypoints_2d = tf.where(chosen[..., tf.newaxis], keypoints_2d, virtual_keypoints_2d)
                confidence = tf.where(chosen, confidence, virtual)
            return views.WindowedView(
                view.keypoints_2d, view.confidence, view.camera, keypoints_2d, confidence
            )

        return view_at

    def lift(self, lifter: multi_view_lifter.MultiViewLifter) -> np.ndarray:
        """Gives root-relative poses `[N, J, 3]` of all test views, meters, camera axes.

        The network runs over whole films, which gives what it gives for each window.
        """
        network = temporal.dilated(lifter.lifting_network)
        tracks = self._test_film.tracks
        firsts, place = np.unique(tracks.first.numpy(), return_index=True)
        lasts = tracks.last.numpy()[place]
        outputs = np.concatenate(
            [
                network(self._rays(first, last), training=False).numpy()[0]
                for first, last in zip(firsts, lasts, strict=True)
            ]
        )
        pose = outputs[self._test_cell].reshape(len(self._test_cell), -1, 3)
        return pose - pose[:, skeletons.ROOT : skeletons.ROOT + 1]

    def _virtual(self, instant: tf.Tensor, camera: cameras.Camera) -> tuple[tf.Tensor, tf.Tensor]:
        """Gives what cameras `[B, ...]` see of the windows around instants."""
        cell = tf.maximum(tf.gather(self._point_cell, instant), 0)
        window = views.window(self._data.points.tracks, cell, self._offset)
        still = tf.nest.map_structure(lambda field: field[:, tf.newaxis], camera)
        points_camera = cameras.camera_from_world(window.window_keypoints_2d, still)
        projected = cameras.project(points_camera, still.intrinsics)
        is_known = tf.reduce_any(window.window_keypoints_2d != 0, axis=-1)
        is_visible = is_known & (points_camera[..., 2] > cameras.MIN_DEPTH)
        keypoints_2d = tf.where(is_visible[..., tf.newaxis], projected, 0.0)
        return keypoints_2d, tf.where(is_visible, window.window_confidence, 0.0)

    def _rays(self, first: int, last: int) -> tf.Tensor:
        """Gives the rays `[1, T, J, 2]` of a run of frames, as windows have them."""
        view = self._test_film.tracks.view
        one = tf.nest.map_structure(lambda field: field[first : first + 1], view)
        run = (field[first : last + 1][tf.newaxis] for field in view[:2])
        return views.WindowedView(*one, *run).window_rays

    def _windowed(self, index: np.ndarray) -> baselines.TestViews:
        test = self._data.test
        cell = tf.constant(self._test_cell[index])
        window = views.window(self._test_film.tracks, cell, self._offset)
        chosen = {name: values[index] for name, values in test._asdict().items() if name != "view"}
        return baselines.TestViews(
            view=tf.nest.map_structure(lambda field: field.numpy(), window), **chosen
        )
