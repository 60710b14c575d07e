"""Reads, prepares and writes clips on Beam workers, a clip at a time."""

import json
import os
from collections import Counter
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from keras_mvlift import configs
from keras_mvlift.datasets import examples, preparation, sources

DATA_CONFIG, DATA_ROOT, CODE_VERSION = "data_config", "data_root", "code_version"
FINGERPRINT = "input_fingerprint"
EXAMPLES, TEST_EXAMPLES = "examples", "test_examples"
SPLITS = {EXAMPLES: ["train", "eval"], TEST_EXAMPLES: ["test"]}
"""The splits of each output artifact."""

DATASET = "dataset.json"
"""What the whole set has in common, beside the splits of `EXAMPLES`."""


class Job(NamedTuple):
    """One clip to write.

    Attributes:
        clip: Its name in the source.
        number: Its place among the clips; names its shard.
        num_clips: How many there are.
    """

    clip: str
    number: int
    num_clips: int


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes one shard per clip and split, and `dataset.json`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the Beam pipeline.

        Raises:
            ValueError: If the recordings leave nothing to train or to test on.
        """
        del input_dict
        config = configs.DataConfig.from_json(exec_properties[DATA_CONFIG])
        data_root = exec_properties[DATA_ROOT]
        clips = sources.open_source(config, data_root).clips()
        folders = {
            name: artifact_utils.get_single_instance(artifacts).uri
            for name, artifacts in output_dict.items()
        }
        for name, artifacts in output_dict.items():
            split_names = artifact_utils.encode_split_names(SPLITS[name])
            artifact_utils.get_single_instance(artifacts).split_names = split_names
        jobs = [Job(clip, number, len(clips)) for number, clip in enumerate(clips)]
        for folder in _split_folders(folders).values():
            tf.io.gfile.makedirs(folder)
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Clips" >> beam.Create(jobs)
                | "Spread" >> beam.Reshuffle()
                | "Write" >> beam.ParDo(WriteClip(config, data_root, _split_folders(folders)))
                | "Gather" >> beam.combiners.ToList()
                | "Summarize" >> beam.Map(summarize)
                | "Note" >> beam.Map(_write_text, os.path.join(folders[EXAMPLES], DATASET))
            )


class WriteClip(beam.DoFn):
    """Writes the records of one clip; gives what is to be known of it.

    Args:
        config: How records are made.
        data_root: What the source reads.
        folders: The folder of each split.
    """

    def __init__(self, config: configs.DataConfig, data_root: str, folders: dict[str, str]):
        self._config, self._data_root, self._folders = config, data_root, folders

    def setup(self) -> None:
        """Opens the source once per worker."""
        self._source = sources.open_source(self._config, self._data_root)
        self._split = sources.open_split(self._config)

    def process(self, job: Job) -> list[dict[str, Any]]:
        """Reads the clip, writes its shards."""
        sequence = self._source.read(job.clip)
        prepared = preparation.prepare(sequence, self._split, self._config)
        shard = f"data_tfrecord-{job.number:05d}-of-{job.num_clips:05d}.gz"
        tables = {
            "train": prepared.train_pairs,
            "eval": prepared.held_out_pairs,
            "test": prepared.test_views,
        }
        for split, columns in tables.items():
            records = _in_fixed_order(examples.encode(columns))
            write_records(os.path.join(self._folders[split], shard), records)
        about = {
            "clip": job.clip,
            "subject": sequence.subject,
            "action": sequence.action,
            "frame_rate": sequence.frame_rate,
            "cameras": list(sequence.camera_names),
            "rig_distance": preparation.rig_distance(sequence),
            "intrinsics": np.asarray(sequence.camera.intrinsics).mean(axis=0).tolist(),
            "reference": "recorded" if sequence.pose_world is not None else "triangulated",
            "counts": prepared.counts,
        }
        return [about]


def _in_fixed_order(records: list[bytes]) -> list[bytes]:
    # Equal features are written in another order each time unless protobuf is told otherwise.
    parse = tf.train.Example.FromString
    return [parse(record).SerializeToString(deterministic=True) for record in records]


def write_records(path: str, records: list[bytes]) -> None:
    """Writes a shard whole or not at all; writes none without records."""
    if not records:
        return
    partial = f"{path}.partial"
    with tf.io.TFRecordWriter(partial, "GZIP") as writer:
        for record in records:
            writer.write(record)
    tf.io.gfile.rename(partial, path, overwrite=True)


def summarize(clips: list[dict[str, Any]]) -> str:
    """Puts together what the clips have in common.

    Returns:
        JSON: the clips, the sums of their counts, the mean rig distance in meters, the mean
        intrinsics in pixels.

    Raises:
        ValueError: If there is nothing to train or to test on.
    """
    # Workers hand clips over in any order, and a mean of floats depends on it.
    clips = sorted(clips, key=lambda clip: clip["clip"])
    counts: Counter[str] = Counter()
    for clip in clips:
        counts.update(clip["counts"])
    for kind in ("train_pairs", "test_views"):
        if not counts[kind]:
            raise ValueError(
                f"`{kind}` must not be empty: the recordings and the split leave nothing to use. "
                f"Received: {dict(counts)}."
            )
    summary = {
        "clips": clips,
        "counts": dict(counts),
        "reference": " and ".join(sorted({clip["reference"] for clip in clips})),
        "rig_distance": float(np.mean([clip["rig_distance"] for clip in clips])),
        "intrinsics": np.mean([clip["intrinsics"] for clip in clips], axis=0).tolist(),
    }
    return json.dumps(summary, indent=2, sort_keys=True)


def read_dataset(examples_uri: str) -> dict[str, Any]:
    """Reads `dataset.json` of an `EXAMPLES` artifact."""
    with tf.io.gfile.GFile(os.path.join(examples_uri, DATASET)) as file:
        return json.loads(file.read())


def _split_folders(folders: dict[str, str]) -> dict[str, str]:
    return {
        split: split_folder(folders[name], split)
        for name, splits in SPLITS.items()
        for split in splits
    }


def split_folder(uri: str, split: str) -> str:
    """Gives the folder of a split, as TFX lays it out."""
    return os.path.join(uri, f"Split-{split}")


def _write_text(text: str, path: str) -> None:
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text)
