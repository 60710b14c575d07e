"""Two ways from recordings to the same records: the pipeline's own, and one record at a time."""

import itertools
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.options import pipeline_options
from tfx.types import standard_artifacts

from components.example_gen import executor
from keras_mvlift import configs, skeletons, sources
from keras_mvlift.datasets import sequences, tfrecords

RUNNER = "--runner=DirectRunner"
SPLITS = ("train", "test")


class Written(NamedTuple):
    """What a run wrote.

    Attributes:
        num_clips: Clips read.
        num_pairs: Records of pairs.
        num_views: Records of test views.
        num_bytes: Of all files of records.
    """

    num_clips: int
    num_pairs: int
    num_views: int
    num_bytes: int


def in_batches(
    config: configs.DataConfig, data_root: str, folder: str, arguments: tuple[str, ...] = ()
) -> Written:
    """Runs the pipeline's ExampleGen on all clips."""
    artifacts = {name: standard_artifacts.Examples() for name in executor.SPLITS}
    for name, artifact in artifacts.items():
        artifact.uri = str(pathlib.Path(folder, name))
    context = executor.Executor.Context(beam_pipeline_args=[*arguments], tmp_dir=folder)
    properties = {executor.DATA_CONFIG: config.to_json(), executor.DATA_ROOT: data_root}
    outputs = {name: [artifact] for name, artifact in artifacts.items()}
    executor.Executor(context).Do({}, outputs, properties)
    counts = executor.read_dataset(artifacts[executor.EXAMPLES].uri)["counts"]
    num_clips = len(sources.open_source(config, data_root).clips())
    return Written(num_clips, counts["train_pairs"], counts["test_views"], _num_bytes(folder))


def one_by_one(
    config: configs.DataConfig, data_root: str, folder: str, num_clips: int, suffix: str = ".gz"
) -> Written:
    """Builds each record by itself, as Beam's and TensorFlow's guides do.

    Takes every so many of the clips, to come to `num_clips`. Knows no more than the benchmark
    needs: every view is whole, whole clips train or test, nothing is held out or virtual.
    """
    every = sources.open_source(config, data_root).clips()
    clips = every[:: max(len(every) // num_clips, 1)][:num_clips]
    options = pipeline_options.PipelineOptions([RUNNER])
    pipeline = beam.Pipeline(options=options)
    split = (
        pipeline
        | beam.Create(clips)
        | beam.Reshuffle()
        | beam.ParDo(BuildRecords(config, data_root)).with_outputs(*SPLITS)
    )
    for name in SPLITS:
        path = str(pathlib.Path(folder, name, "records"))
        writer = beam.io.WriteToTFRecord(path, file_name_suffix=suffix)
        _ = split[name] | f"Write {name}" >> writer
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    counts = {counter.key.metric.name: counter.committed for counter in counters}
    return Written(len(clips), counts.get("train", 0), counts.get("test", 0), _num_bytes(folder))


class BuildRecords(beam.DoFn):
    """Reads a clip and builds its records, `tf.train.Example` by `tf.train.Example`."""

    def __init__(self, config: configs.DataConfig, data_root: str):
        self._config, self._data_root = config, data_root
        self._counters = {name: beam.metrics.Metrics.counter("built", name) for name in SPLITS}

    def setup(self) -> None:
        """Opens the source."""
        self._source = sources.open_source(self._config, self._data_root)
        self._split = sources.open_split(self._config)

    def process(self, clip: str) -> Iterator[beam.pvalue.TaggedOutput]:
        """Returns serialized records, tagged with their split."""
        sequence = self._source.read(clip)
        about = {"clip": sequence.name, "subject": sequence.subject, "action": sequence.action}
        about["camera_confidence"] = sequence.confidence.mean(axis=(1, 2))
        is_test = len(self._split.frames(sequence).test) > 0
        for frame in range(sequence.num_frames):
            known = about | {"frame": frame}
            if is_test:
                for view in range(sequence.num_views):
                    yield self._tagged("test", known | _test_view(sequence, frame, view))
                continue
            for source, target in itertools.combinations(range(sequence.num_views), 2):
                yield self._tagged("train", known | _pair(sequence, frame, source, target))

    def _tagged(self, split: str, features: dict[str, Any]) -> beam.pvalue.TaggedOutput:
        self._counters[split].inc()
        feature = {name: _feature(value) for name, value in features.items()}
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        return beam.pvalue.TaggedOutput(split, example.SerializeToString())


def _pair(
    sequence: sequences.MultiViewSequence, frame: int, source: int, target: int
) -> dict[str, Any]:
    features: dict[str, Any] = {}
    for side, view in (("source", source), ("target", target)):
        seen = _view(sequence, frame, view)
        features.update({f"{side}/{name}": value for name, value in seen.items()})
    between = sequence.camera.center[target] - sequence.camera.center[source]
    return features | {"baseline": np.linalg.norm(between)}


def _test_view(sequence: sequences.MultiViewSequence, frame: int, view: int) -> dict[str, Any]:
    pose_world = sequence.pose_world[frame]  # type: ignore[index]
    relative = pose_world - pose_world[skeletons.ROOT]
    pose = relative @ sequence.camera.rotation[view].T
    return _view(sequence, frame, view) | {tfrecords.REFERENCE_POSE: pose}


def _view(sequence: sequences.MultiViewSequence, frame: int, view: int) -> dict[str, Any]:
    return {
        "keypoints_2d": sequence.keypoints_2d[view, frame],
        "confidence": sequence.confidence[view, frame],
        "intrinsics": sequence.camera.intrinsics[view],
        "rotation": sequence.camera.rotation[view],
        "center": sequence.camera.center[view],
        "camera": sequence.camera_names[view],
    }


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(value)))


def _num_bytes(folder: str) -> int:
    # Records lie in folders of splits; notes about the set do not.
    found = [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in found if path.suffix != ".json")
