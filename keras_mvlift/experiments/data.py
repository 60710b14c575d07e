"""Clips as arrays in memory: views of instants to train on, labels for peers, test views."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.spatial import transform

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.datasets import preparation, sequences, tfrecords, view_windows, views
from keras_mvlift.experiments import origins, variants
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines
from keras_mvlift.networks import temporal
from keras_mvlift.training import batches, multi_view_lifter, stage_data

NUM_WATCHED = 512
"""Test views, spread evenly, that are measured after each epoch."""


def watched_views(test: baselines.TestViews) -> np.ndarray:
    """Chooses the views that are measured after each epoch, at most `NUM_WATCHED`."""
    total = len(test.reference_pose)
    return np.unique(np.linspace(0, total - 1, min(total, NUM_WATCHED)).astype(int))


class FilmTracks(NamedTuple):
    """Views of clips in the order of time, `G` cells, and where each of them lies."""

    tracks: views.Tracks
    # By clip, by camera if there is more than one, and by frame: the view's cell; -1 for none.
    cell: np.ndarray


def film_tracks(view: views.View, place: tuple[np.ndarray, ...], num_frames: int) -> FilmTracks:
    """Lays out views, fields `[N, ...]`, by `place`, arrays `[N]` of which frames are the last."""
    *on, frame = place
    shape = tuple(int(index.max(initial=0)) + 1 for index in on)
    # A GPU would copy them back for each batch.
    with tf.device("CPU:0"):
        seen = tf.nest.map_structure(tf.constant, view)
        tracks, found = views.lay(seen, np.ravel_multi_index(on, shape), frame)
    cell = np.full((*shape, num_frames), -1, np.int32)
    cell[place] = found
    return FilmTracks(tracks, cell)


class TrainingData:
    """What the cells that share `DataSettings` share.

    Args:
        origin: Gives the clips.
        settings: How the cells want them.

    Attributes:
        seen: All views of each training instant, virtual ones included, fields `[N, V, ...]`;
            confidence 0 throughout for a view that an instant lacks.
        pairs: `[P, 3]`, index of the instant and of its two views, of all pairs to train on.
        test: Views to test on.
        test_subject: `[N]`, who is seen in each of them.
        place: `[N, 2]`, each training instant's clip, by number, and frame.
        rig_distance: Meters.
        min_confidence: Detections less sure are left out of triangulation.
        min_joints: Joints that a view must show to be used.
        about: Counts of clips, people and frames.

    Raises:
        NotApplicableError: If the origin cannot give such data.
        ValueError: If nothing is left to train or to test on.
    """

    def __init__(self, origin: origins.Origin, settings: variants.DataSettings):
        self._clips = origin.load(settings)
        self._config = dataclasses.replace(
            self._clips.config, num_virtual_views=settings.num_virtual_views
        )
        self.min_confidence = self._config.min_confidence
        self.min_joints = self._config.min_joints
        frames = self._clips.split.frames
        trained = [clip for clip in self._clips.clips if len(frames(clip).train)]
        trained = [first_cameras(clip, settings.num_train_cameras) for clip in trained]
        tested = [clip for clip in self._clips.clips if len(frames(clip).test)]
        received = f"{len(trained)} and {len(tested)}"
        rule = "hold clips to train on and clips to test on"
        errors.require(bool(trained and tested), "origin", rule, received)
        self._trained, self._tested = trained, tested
        self._believed = [
            dataclasses.replace(clip, camera=turned(clip.camera, settings.calibration_error))
            for clip in trained
        ]
        self.rig_distance = preparation.rig_distance(self._believed[0])
        self.seen, self.place = _instants(self._instants(self._config))
        self.pairs = _pairs(self.seen.confidence, self.num_real_views, self.min_joints)
        self.test = _test_views(self._tables(tested, self._clips.split))
        subjects = {clip.name: clip.subject for clip in tested}
        self.test_subject = np.array([subjects[name] for name in self.test.clip])
        self.about = {
            "clips": len(self._clips.clips),
            "train_people": len({clip.subject for clip in trained}),
            "test_people": len({clip.subject for clip in tested}),
            "train_instants": len(self.seen.confidence),
            "cameras": trained[0].num_views,
            "test_views": len(self.test.reference_pose),
        }

    @functools.cached_property
    def labeled(self) -> baselines.TestViews:
        """The training views of real cameras with true poses, for the supervised peers."""
        # The split turned around: what trains is given as what tests, with its poses.
        none, trained = np.arange(0), {}
        for clip in self._trained:
            train = self._clips.split.frames(clip).train
            trained[clip.name] = preparation.Frames(none, train, none)
        split: Any = origins.GivenFrames(trained)
        return _test_views(self._tables(self._trained, split, test_stride=self._config.stride))

    @functools.cached_property
    def film(self) -> FilmTracks:
        """The real training views and those of the frames between."""
        return of_views(self._every_instant, self.min_joints)

    @functools.cached_property
    def points(self) -> FilmTracks:
        """What these views triangulate."""
        return of_points(self._every_instant, self.min_confidence)

    @functools.cached_property
    def test_film(self) -> tuple[FilmTracks, np.ndarray]:
        """The test views and those of the frames between, and the cells of the test views."""
        every = _test_views(self._tables(self._tested, self._clips.split, test_stride=1))
        keys = [np.stack([test.clip, test.camera], axis=1) for test in (every, self.test)]
        _, track = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
        both, wanted = np.split(track, [len(every.frame)])
        film = film_tracks(every.view, (both, every.frame), every.frame.max() + 1)
        return film, film.cell[wanted, self.test.frame]

    @functools.cached_property
    def num_real_views(self) -> np.ndarray:
        """How many of its views `[N]` are real at each training instant."""
        return np.array([clip.num_views for clip in self._believed])[self.place[:, 0]]

    @property
    def _every_instant(self) -> list[sequences.Instants]:
        return self._instants(dataclasses.replace(self._config, stride=1, num_virtual_views=0))

    def _instants(self, config: configs.DataConfig) -> list[sequences.Instants]:
        split = self._clips.split
        return [preparation.training_instants(clip, split, config) for clip in self._believed]

    def pair_source(self) -> stage_data.Pairs:
        """Returns what pairs of views are drawn from."""
        return stage_data.Pairs(batches.pairs_of_instants(self.seen, self.pairs))

    def _tables(
        self, clips: list[sequences.MultiViewSequence], split: preparation.Split, **changes: int
    ) -> list[tfrecords.Columns]:
        config = dataclasses.replace(self._config, num_virtual_views=0, **changes)  # type: ignore[arg-type]
        tables = [preparation.prepare(clip, split, config).test_views for clip in clips]
        # Frames are numbered as in the recording.
        for clip, table in zip(clips, tables, strict=True):
            if self._clips.numbers:
                table["frame"] = self._clips.numbers[clip.name][table["frame"]]
        return tables


def _instants(every: Sequence[sequences.Instants]) -> tuple[views.View, np.ndarray]:
    """Joins the instants of clips; returns `[N, 2]`, each one's clip and frame, beside them."""
    num_views = max(len(seen.camera_names) for seen in every)
    parts = [sequences.to_view(seen, num_views) for seen in every]
    number = np.repeat(np.arange(len(every)), [len(seen.frame) for seen in every])
    place = np.stack([number, np.concatenate([seen.frame for seen in every])], axis=1)
    return tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts), place


def _pairs(confidence: np.ndarray, num_real_views: np.ndarray, min_joints: int) -> np.ndarray:
    """Pairs views as `preparation` does; real views come first."""
    is_used = np.count_nonzero(confidence > 0, axis=-1) >= min_joints
    both = np.array([*itertools.combinations(range(is_used.shape[1]), 2)], np.int64).reshape(-1, 2)
    is_pair = is_used[:, both[:, 0]] & is_used[:, both[:, 1]]
    instant, index = np.nonzero(is_pair & (both[:, 0] < num_real_views[:, np.newaxis]))
    return np.concatenate([instant[:, np.newaxis], both[index]], axis=1)


def _test_views(tables: list[tfrecords.Columns]) -> baselines.TestViews:
    columns = {
        name: np.concatenate([table[name] for table in tables])
        for name in tables[0]
        if name != "camera_confidence"
    }
    columns |= {
        name: values.astype(np.float32)
        for name, values in columns.items()
        if np.issubdtype(values.dtype, np.floating)
    }
    camera = cameras.Camera(*(columns[field] for field in cameras.Camera._fields))
    view = views.View(columns["keypoints_2d"], columns["confidence"], camera)
    return baselines.of_columns(view, columns)


class WindowedData:
    """`TrainingData` with windows; stands where it does, for methods that train on pairs.

    What is lifted are the very views that other cells train and are tested on. The frames around
    them are those of the film, which such cells leave out; windows stay within the frames of their
    side of the split. A virtual camera stands still for a window, and sees what the detections of
    each frame triangulate. `test` holds the test views that are measured after each epoch.
    """

    def __init__(self, data: TrainingData, windows: view_windows.Windows):
        self.rig_distance = data.rig_distance
        self._data = data
        self._offset = views.offsets(windows.num_frames, is_causal=windows.is_causal)
        self._num_real = data.num_real_views
        clip, frame = data.place.T
        with tf.device("CPU:0"):
            self._seen = tf.nest.map_structure(tf.constant, data.seen)
            self._cell = tf.constant(data.film.cell[clip, :, frame])
        self._has_virtual_views = data.seen.confidence.shape[1] > self._cell.shape[1]
        if self._has_virtual_views:
            self._point_cell = data.points.cell[clip, frame]
        self._test_film, self._test_cell = data.test_film
        self.test = self._windowed(watched_views(data.test))

    def pair_source(self) -> stage_data.Pairs:
        """Returns what pairs of windowed views are drawn from, the pairs of the data."""
        num_views = self._data.seen.confidence.shape[1]

        def look_up(rows: tf.Tensor) -> views.ViewPair:
            sides = tf.unstack(tf.cast(rows, tf.int64), axis=1)
            index = (tf.stack([side // num_views, side % num_views], axis=1) for side in sides)
            return views.ViewPair(*map(self.view_at, index))  # type: ignore[arg-type]

        pairs = batches.pairs_of_instants(self._data.seen, self._data.pairs)
        return stage_data.Pairs(pairs, look_up)

    def view_at(self, index: tf.Tensor) -> views.WindowedView:
        """Returns the views of `[B, 2]`, instant and view, with windows."""
        view = tf.nest.map_structure(lambda field: tf.gather_nd(field, index), self._seen)
        is_real = index[:, 1] < tf.gather(self._num_real, index[:, 0])
        # Any cell will do for a virtual view; what it gives is left out below.
        at = tf.stack([index[:, 0], tf.where(is_real, index[:, 1], 0)], axis=1)
        real_cell = tf.maximum(tf.gather_nd(self._cell, at), 0)
        window = views.window(self._data.film.tracks, real_cell, self._offset)
        shown = window.window_keypoints_2d, window.window_confidence
        if self._has_virtual_views:
            chosen = is_real[:, tf.newaxis, tf.newaxis]
            keypoints_2d, confidence = self._virtual(index[:, 0], view.camera)
            shown = (
                tf.where(chosen[..., tf.newaxis], shown[0], keypoints_2d),
                tf.where(chosen, shown[1], confidence),
            )
        return views.WindowedView(view.keypoints_2d, view.confidence, view.camera, *shown)

    def lift(self, lifter: multi_view_lifter.MultiViewLifter) -> np.ndarray:
        """Returns root-relative poses `[N, J, 3]` of all test views, meters, camera axes.

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
        cell = tf.maximum(tf.gather(self._point_cell, instant), 0)
        window = views.window(self._data.points.tracks, cell, self._offset)
        still = cameras.expand(camera, -1)
        points_camera = cameras.camera_from_world(window.window_keypoints_2d, still)
        projected = cameras.project(points_camera, still.intrinsics)
        is_known = tf.reduce_any(window.window_keypoints_2d != 0, axis=-1)
        is_visible = is_known & (points_camera[..., 2] > cameras.MIN_DEPTH)
        keypoints_2d = tf.where(is_visible[..., tf.newaxis], projected, 0.0)
        return keypoints_2d, tf.where(is_visible, window.window_confidence, 0.0)

    def _rays(self, first: int, last: int) -> tf.Tensor:
        """Returns the rays `[1, T, J, 2]` of a run of frames."""
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


def of_views(every: Sequence[sequences.Instants], min_joints: int) -> FilmTracks:
    """Lays out the real cameras' views that show `min_joints` by clip, camera and frame."""
    seen, place = _instants(every)
    at = np.nonzero(np.count_nonzero(seen.confidence > 0, axis=-1) >= min_joints)
    clip, frame = place[at[0]].T
    view = tf.nest.map_structure(lambda field: field[at], seen)
    return film_tracks(view, (clip, at[1], frame), place[:, 1].max() + 1)


def of_points(every: Sequence[sequences.Instants], min_confidence: float) -> FilmTracks:
    """Lays out by clip and frame what instants triangulate, for virtual cameras to look at.

    `keypoints_2d` of the tracks holds points `[G, J, 3]`, meters, world frame, the confidence
    whether they are known, and the cameras say nothing.
    """
    found = [sequences.triangulate(seen, min_confidence) for seen in every]
    points, is_seen = (np.concatenate(fields) for fields in zip(*found, strict=True))
    _, place = _instants(every)
    view = views.View(
        np.where(is_seen[..., np.newaxis], points, 0.0).astype(np.float32),
        is_seen.astype(np.float32),
        cameras.Camera(*[np.zeros([len(points), 1], np.float32)] * 3),
    )
    return film_tracks(view, (*place.T,), place[:, 1].max() + 1)


def first_cameras(
    clip: sequences.MultiViewSequence, num_cameras: int
) -> sequences.MultiViewSequence:
    """Returns a clip as its first cameras saw it; 0 for all of them."""
    if not num_cameras:
        return clip
    first, names = slice(num_cameras), clip.camera_names[:num_cameras]
    return dataclasses.replace(
        clip,
        camera_names=names,
        camera=cameras.Camera(*(field[first] for field in clip.camera)),
        keypoints_2d=clip.keypoints_2d[first],
        confidence=clip.confidence[first],
        distortion=None if clip.distortion is None else clip.distortion[first],
        absent=tuple(name for name in clip.absent if name in names),
    )


def turned(camera: cameras.Camera, degrees: float) -> cameras.Camera:
    """Turns each camera, fields `[V, ...]`, about an axis of its own, the same for all rigs."""
    if not degrees:
        return camera
    rng = sequences.seeded_generator(0, "calibration error")
    axis = rng.normal(size=(len(camera.center), 3))
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    turn = transform.Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()
    return camera._replace(rotation=turn @ camera.rotation)
