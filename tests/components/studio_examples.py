"""What the ExampleGen writes for a studio of two people who walk and turn for a moment."""

import json
import pathlib

import tensorflow as tf
from tfx.types import standard_artifacts

from components.example_gen import executor
from keras_mvlift import configs

CLIPS = ("S01_walking_01", "S01_turning_01", "S02_walking_01", "S02_turning_01")
TRAIN_CLIPS, TEST_CLIPS = CLIPS[:2], CLIPS[2:]


def config(num_frames=6, test_subjects=("S02",), **options):
    """Trains on one person with a virtual camera more, tests on the other.

    The last two frames of training clips are held out.
    """
    studio = {"num_subjects": 2, "num_clips": 2, "num_frames": num_frames, "seed": 3} | options
    return configs.DataConfig(
        source="studio",
        source_options=json.dumps(studio),
        split="subject",
        split_options=json.dumps(
            {"test_subjects": test_subjects, "held_out_share": 2 / num_frames, "gap": 0}
        ),
        num_virtual_views=1,
    )


def generate(root, data_config, data_root="", beam_pipeline_args=(), **properties):
    """Runs the executor, with properties of a span if told; gives its artifacts by name."""
    artifacts = {name: standard_artifacts.Examples() for name in executor.SPLITS}
    for name, artifact in artifacts.items():
        artifact.uri = str(root / name)
    context = executor.Executor.Context(
        beam_pipeline_args=list(beam_pipeline_args), tmp_dir=str(root / "tmp")
    )
    told = properties | {
        executor.DATA_CONFIG: data_config.to_json(),
        executor.DATA_ROOT: str(data_root),
        executor.CODE_VERSION: "",
    }
    outputs = {name: [artifact] for name, artifact in artifacts.items()}
    executor.Executor(context).Do({}, outputs, told)
    return artifacts


def shards(artifact, split):
    """Returns the files of a split."""
    return sorted(pathlib.Path(executor.split_folder(artifact.uri, split)).iterdir())


def records(path):
    """Reads a shard's examples as dicts from feature name to values."""
    serialized = tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator()
    return [_values(tf.train.Example.FromString(record)) for record in serialized]


def _values(example):
    features = example.features.feature
    return {
        name: getattr(value, value.WhichOneof("kind")).value for name, value in features.items()
    }


def of_camera(artifact, split, camera, root):
    """Copies an artifact of test views; of a split it keeps the records of one camera."""
    alone = standard_artifacts.Examples()
    alone.uri = str(root)
    folder = pathlib.Path(executor.split_folder(alone.uri, split))
    folder.mkdir(parents=True)
    for path in shards(artifact, split):
        serialized = tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator()
        with tf.io.TFRecordWriter(str(folder / path.name), "GZIP") as writer:
            for record in serialized:
                if camera.encode() in record:
                    writer.write(record)
    return alone


def lists(artifacts):
    """Returns artifacts as TFX hands over those of a channel that may hold several."""
    return {name: [artifact] for name, artifact in artifacts.items()}
