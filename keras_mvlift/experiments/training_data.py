"""Clips as arrays in memory: views of instants to train on, labels for peers, test views."""

import dataclasses
import functools
import itertools

import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import preparation, sequences, tfrecords, views
from keras_mvlift.experiments import film_tracks, origins, rig_changes, variants
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines
from keras_mvlift.training import batches, stage_data


@dataclasses.dataclass(frozen=True)
class _Labels:
    """Turns a split around: the training frames are given as test frames, with their poses."""

    split: preparation.Split

    def frames(self, sequence: sequences.MultiViewSequence) -> preparation.Frames:
        train = self.split.frames(sequence).train
        return preparation.Frames(train[:0], train, train[:0])


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
        self._share = settings.train_share
        self._config = dataclasses.replace(
            self._clips.config, num_virtual_views=settings.num_virtual_views
        )
        self.min_confidence = self._config.min_confidence
        self.min_joints = self._config.min_joints
        trained = [
            rig_changes.first_cameras(clip, settings.num_train_cameras)
            for clip in self._clips.clips
            if len(self._frames(clip).train)
        ]
        tested = [clip for clip in self._clips.clips if len(self._frames(clip).test)]
        if not trained or not tested:
            raise ValueError("The data must hold clips to train on and clips to test on.")
        self._trained, self._tested = trained, tested
        self._believed = [
            dataclasses.replace(clip, camera=camera)
            for clip, camera in zip(trained, rig_changes.believed(trained, settings), strict=True)
        ]
        self.rig_distance = preparation.rig_distance(self._believed[0])
        chosen = [self._shortened(clip) for clip in self._believed]
        self.seen, self.place = _join(chosen), _places(chosen)
        self.pairs = _pairs(self.seen.confidence, self._config.min_joints)
        self.test = self._lay_out(tested, self._clips.split)
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
        return self._lay_out(self._trained, _Labels(self._clips.split))

    @functools.cached_property
    def film(self) -> film_tracks.FilmTracks:
        """The real training views and those of the frames between."""
        return film_tracks.of_views(self._every_instant, self.min_joints)

    @functools.cached_property
    def points(self) -> film_tracks.FilmTracks:
        """What these views triangulate."""
        return film_tracks.of_points(self._every_instant, self.min_confidence)

    @functools.cached_property
    def test_film(self) -> tuple[film_tracks.FilmTracks, np.ndarray]:
        """The test views and those of the frames between, and the cells of the test views."""
        every = self._lay_out(self._tested, self._clips.split, test_stride=1)
        return film_tracks.of_test_views(every, self.test)

    @functools.cached_property
    def num_real_views(self) -> np.ndarray:
        """How many of its views `[N]` are real at each training instant."""
        return np.array([clip.num_views for clip in self._believed])[self.place[:, 0]]

    @property
    def _every_instant(self) -> list[sequences.Instants]:
        every = dataclasses.replace(self._config, stride=1, num_virtual_views=0)
        split = self._clips.split
        return [preparation.training_instants(clip, split, every) for clip in self._believed]

    def pair_source(self) -> stage_data.Pairs:
        """Gives what pairs of views are drawn from."""
        return stage_data.Pairs(batches.pairs_of_instants(self.seen, self.pairs))

    def paired_instants(self) -> views.View:
        """Gives the instants that have two usable views or more."""
        index = np.unique(self.pairs[:, 0])
        return tf.nest.map_structure(lambda field: np.asarray(field)[index], self.seen)

    def _frames(self, clip: sequences.MultiViewSequence) -> preparation.Frames:
        return self._clips.split.frames(clip)

    def _shortened(self, clip: sequences.MultiViewSequence) -> sequences.Instants:
        seen = preparation.training_instants(clip, self._clips.split, self._config)
        return seen.select(np.arange(int(np.ceil(self._share * len(seen.frame)))))

    def _lay_out(
        self,
        clips: list[sequences.MultiViewSequence],
        split: preparation.Split | _Labels,
        **changes: int,
    ) -> baselines.TestViews:
        config = dataclasses.replace(self._config, num_virtual_views=0, **changes)  # type: ignore[arg-type]
        if isinstance(split, _Labels):
            config = dataclasses.replace(config, test_stride=config.stride)
        tables = [self._numbered(preparation.prepare(clip, split, config)) for clip in clips]  # type: ignore[arg-type]
        if isinstance(split, _Labels):
            tables = [self._first_share(table) for table in tables]
        return _test_views(tables)

    def _numbered(self, prepared: preparation.Prepared) -> tfrecords.Columns:
        """Gives the test views with their frames' numbers in the recording."""
        table = prepared.test_views
        if self._clips.numbers is None or not len(table["frame"]):
            return table
        return table | {"frame": self._clips.numbers[table["clip"][0]][table["frame"]]}

    def _first_share(self, table: tfrecords.Columns) -> tfrecords.Columns:
        frames = np.unique(table["frame"])
        last = int(np.ceil(self._share * len(frames)))
        is_kept = np.isin(table["frame"], frames[:last])
        return {name: values[is_kept] for name, values in table.items()}


def _join(clips: list[sequences.Instants]) -> views.View:
    num_views = max(len(seen.camera_names) for seen in clips)
    parts = [sequences.to_view(seen, num_views) for seen in clips]
    return tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts)


def _places(clips: list[sequences.Instants]) -> np.ndarray:
    number = np.repeat(np.arange(len(clips)), [len(seen.frame) for seen in clips])
    return np.stack([number, np.concatenate([seen.frame for seen in clips])], axis=1)


def _pairs(confidence: np.ndarray, min_joints: int) -> np.ndarray:
    is_used = np.count_nonzero(confidence > 0, axis=-1) >= min_joints
    both = np.array([*itertools.combinations(range(is_used.shape[1]), 2)], np.int64).reshape(-1, 2)
    instant, index = np.nonzero(is_used[:, both[:, 0]] & is_used[:, both[:, 1]])
    return np.concatenate([instant[:, np.newaxis], both[index]], axis=1)


def _test_views(tables: list[tfrecords.Columns]) -> baselines.TestViews:
    columns = {
        name: np.concatenate([table[name] for table in tables])
        for name in tables[0]
        if name != "camera_confidence"
    }
    number = {
        name: values.astype(np.float32) for name, values in columns.items() if _is_float(values)
    }
    keys = np.stack([columns["clip"].astype(str), columns["frame"].astype(str)], axis=1)
    _, instant = np.unique(keys, axis=0, return_inverse=True)
    camera = cameras.Camera(*(number[field] for field in cameras.Camera._fields))
    return baselines.TestViews(
        views.View(number["keypoints_2d"], number["confidence"], camera),
        number[tfrecords.REFERENCE_POSE],
        instant,
        columns["action"].astype(str),
        columns["camera"].astype(str),
        columns["clip"].astype(str),
        columns["frame"],
    )


def _is_float(values: np.ndarray) -> bool:
    return bool(np.issubdtype(values.dtype, np.floating))
