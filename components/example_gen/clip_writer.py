"""What a Beam worker does: reads a clip, prepares it, writes its shards."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from absl import logging
from apache_beam import metrics

from components.example_gen import dead_letters, shards
from keras_mvlift import configs, errors, sources
from keras_mvlift.datasets import preparation, sequences

COUNTERS = "example_gen"
"""The namespace of Beam's counters `read_clips` and `lost_clips`."""

_TABLES = {
    "train": "train_pairs",
    "eval": "held_out_pairs",
    "train_instants": "train_instants",
    "eval_instants": "held_out_instants",
    "test": "test_views",
}


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


class Outcome(NamedTuple):
    """What became of a clip; one of the two is there.

    Attributes:
        number: The clip's place among the clips.
        about: What is to be known of it.
        loss: Why it could not be used.
    """

    number: int
    about: dict[str, Any] | None
    loss: dead_letters.Loss | None


def prefix(span: int | None) -> str:
    """Gives what tells the clips of a span from those of the same names in other spans."""
    return "" if span is None else f"{span:05d}/"


class WriteClip(beam.DoFn):
    """Writes the records of one clip; gives its outcome.

    Args:
        config: How records are made.
        data_root: What the source reads.
        roots: For each split the folder of its artifact.
        prefix: Put before a clip's name in the records.
    """

    def __init__(
        self, config: configs.DataConfig, data_root: str, roots: dict[str, str], prefix: str = ""
    ):
        self._config, self._data_root, self._roots = config, data_root, roots
        self._prefix = prefix
        self._num_read = metrics.Metrics.counter(COUNTERS, "read_clips")
        self._num_lost = metrics.Metrics.counter(COUNTERS, "lost_clips")

    def setup(self) -> None:
        """Opens the source once per worker."""
        self._source = sources.open_source(self._config, self._data_root)
        self._split = sources.open_split(self._config)

    def process(self, job: Job) -> Iterator[Outcome]:
        """Reads the clip and writes its shards, or says why it cannot be used."""
        try:
            sequence = self._source.read(job.clip)
            prepared = preparation.prepare(sequence, self._split, self._config)
        except errors.RecordingError as error:
            self._num_lost.inc()
            logging.warning("Lost clip %s: %s", job.clip, error)
            yield Outcome(job.number, None, dead_letters.of(job.clip, error))
            return
        if sequence.out_of_sync:
            late = ", ".join(sequence.out_of_sync)
            logging.warning("Left out of clip %s: %s, out of sync.", job.clip, late)
        name = self._prefix + job.clip
        shard = f"data_tfrecord-{job.number:05d}-of-{job.num_clips:05d}.gz"
        for split, root in self._roots.items():
            columns = dict(getattr(prepared, _TABLES[split]))
            # The split and the draws go by the clip's own name.
            columns["clip"] = np.full(len(columns["frame"]), name, dtype=object)
            shards.write(root, f"{shards.folder(split)}/{shard}", columns)
        self._num_read.inc()
        num_virtual_views = self._config.num_virtual_views
        about = _about(name, sequence, prepared.counts, num_virtual_views)
        yield Outcome(job.number, about, None)


def _about(
    clip: str,
    sequence: sequences.MultiViewSequence,
    counts: dict[str, int],
    num_virtual_views: int,
) -> dict[str, Any]:
    # The optical axis of a lone camera meets no other.
    distance = preparation.rig_distance(sequence) if sequence.num_views > 1 else None
    return {
        "clip": clip,
        "subject": sequence.subject,
        "action": sequence.action,
        "frame_rate": sequence.frame_rate,
        "cameras": list(sequence.camera_names),
        "out_of_sync": list(sequence.out_of_sync),
        "num_views": sequence.num_views + num_virtual_views,
        "rig_distance": distance,
        "intrinsics": np.asarray(sequence.camera.intrinsics).mean(axis=0).tolist(),
        "reference": "recorded" if sequence.pose_world is not None else "triangulated",
        "counts": counts,
    }
