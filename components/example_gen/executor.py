"""Reads, prepares and writes clips on Beam workers, a clip at a time."""

import json
import os
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from components.example_gen import clip_writer, dead_letters, shards, spans, summaries
from keras_mvlift import configs, sources

DATA_CONFIG, DATA_ROOT, CODE_VERSION = "data_config", "data_root", "code_version"
FINGERPRINT = "input_fingerprint"
EXAMPLES, TEST_EXAMPLES = "examples", "test_examples"
HELD_OUT_SPLIT = "eval"
"""What neither trains nor tests, but chooses; without records where the split holds nothing out."""

PAIR_SPLITS = ["train", HELD_OUT_SPLIT]
INSTANT_SPLITS = [f"{split}_instants" for split in PAIR_SPLITS]
SPLITS = {EXAMPLES: [*PAIR_SPLITS, *INSTANT_SPLITS], TEST_EXAMPLES: ["test"]}
"""The splits of each output artifact: what training reads in pairs and again in whole instants."""

DATASET = "dataset.json"
"""What the whole set has in common, beside the splits of `EXAMPLES`; written last."""

_OUTCOMES = os.path.join(shards.PARTIAL, "outcomes.json")


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes one shard per clip and split, `dead_letters.json` and, at the end, `dataset.json`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the Beam pipeline.

        Raises:
            UnusableError: If more clips were lost than the config allows, or what is left gives
                nothing to train or to test on, or nothing to hold out where that was asked for.
        """
        del input_dict
        config = configs.DataConfig.from_json(exec_properties[DATA_CONFIG])
        data_root = exec_properties[DATA_ROOT]
        source = sources.open_source(config, data_root)
        clips, choices = source.clips(), _choices(source)
        roots = _prepare(output_dict)
        span = exec_properties.get(spans.SPAN)
        _number(output_dict, exec_properties)
        self._write_clips(clips, config, data_root, roots, clip_writer.prefix(span))
        outcomes = _read_outcomes(roots[EXAMPLES])
        losses = [outcome.loss for outcome in outcomes if outcome.loss]
        logging.info("Read %d clips, lost %d.", len(clips) - len(losses), len(losses))
        listed = dead_letters.to_json(losses, len(clips))
        shards.write_text(roots[EXAMPLES], dead_letters.DEAD_LETTERS, listed)
        _refuse_too_many(losses, len(clips), config.max_lost_share, roots[EXAMPLES])
        abouts = [outcome.about for outcome in outcomes if outcome.about]
        about_span = {} if span is None else {"span": span, "split": config.split}
        summary = summaries.summarize(abouts, len(losses), choices) | about_span
        if sources.open_split(config).holds_out:
            summaries.require(summary["counts"], "held_out_pairs")
        shards.write_text(roots[EXAMPLES], DATASET, summaries.to_json(summary))
        for root in roots.values():
            shards.clear(root, [])

    def _write_clips(
        self,
        clips: list[str],
        config: configs.DataConfig,
        data_root: str,
        roots: dict[str, str],
        prefix: str,
    ) -> None:
        jobs = [clip_writer.Job(clip, number, len(clips)) for number, clip in enumerate(clips)]
        of_split = {split: roots[name] for name, splits in SPLITS.items() for split in splits}
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Clips" >> beam.Create(jobs)
                | "Spread" >> beam.Reshuffle()
                | "Write" >> beam.ParDo(clip_writer.WriteClip(config, data_root, of_split, prefix))
                | "Gather" >> beam.combiners.ToList()
                | "Note" >> beam.Map(_write_outcomes, roots[EXAMPLES])
            )


def _choices(source: sources.Source) -> list[str]:
    """Gives what the source chose of its field's protocol, and logs it."""
    choices = source.choices() if hasattr(source, "choices") else []
    for choice in choices:
        logging.info("Protocol: %s", choice)
    return choices


def _prepare(output_dict: dict[str, list[types.Artifact]]) -> dict[str, str]:
    """Makes empty folders of the splits; gives the folder of each artifact."""
    roots = {}
    for name, artifacts in output_dict.items():
        artifact = artifact_utils.get_single_instance(artifacts)
        artifact.split_names = artifact_utils.encode_split_names(SPLITS[name])
        folders = [shards.folder(split) for split in SPLITS[name]]
        shards.clear(artifact.uri, [DATASET, dead_letters.DEAD_LETTERS, *folders])
        for folder in folders:
            tf.io.gfile.makedirs(os.path.join(artifact.uri, folder))
        roots[name] = artifact.uri
    return roots


def _number(output_dict: dict[str, list[types.Artifact]], properties: dict[str, Any]) -> None:
    """Says of the artifacts which span they are, where TFX's resolvers and its StatisticsGen look.

    The resolvers read custom properties, which TFX's ExampleGen sets; the others the properties.
    """
    for name in (spans.SPAN, spans.VERSION):
        if name in properties:
            for artifact in map(artifact_utils.get_single_instance, output_dict.values()):
                setattr(artifact, name, properties[name])
                artifact.set_int_custom_property(name, properties[name])


def _write_outcomes(outcomes: list[clip_writer.Outcome], root: str) -> None:
    # Workers may be other processes on other machines: what they say comes back in a file.
    shards.write_text(root, _OUTCOMES, json.dumps(sorted(outcomes, key=lambda x: x.number)))


def _read_outcomes(root: str) -> list[clip_writer.Outcome]:
    with tf.io.gfile.GFile(os.path.join(root, _OUTCOMES)) as file:
        return [clip_writer.Outcome(*outcome) for outcome in json.loads(file.read())]


def _refuse_too_many(
    losses: list[dead_letters.Loss], num_clips: int, max_lost_share: float, root: str
) -> None:
    if not dead_letters.are_too_many(losses, num_clips, max_lost_share):
        return
    # TFX removes the folder of an artifact whose component fails; the list is to outlive it.
    folder, number = os.path.split(root.rstrip("/"))
    kept = os.path.join(folder, f"{number}.{dead_letters.DEAD_LETTERS}")
    tf.io.gfile.copy(os.path.join(root, dead_letters.DEAD_LETTERS), kept, overwrite=True)
    complaint = dead_letters.complaint(losses, num_clips, max_lost_share, kept)
    raise dead_letters.UnusableError(complaint)


def read_dataset(examples_uri: str) -> dict[str, Any]:
    """Reads `dataset.json` of an `EXAMPLES` artifact."""
    with tf.io.gfile.GFile(os.path.join(examples_uri, DATASET)) as file:
        return json.loads(file.read())


def read_datasets(examples: Sequence[types.Artifact]) -> dict[str, Any]:
    """Reads what several `EXAMPLES` artifacts have in common; of one, what its file says."""
    return summaries.combine([read_dataset(artifact.uri) for artifact in examples])


def spans_of(dataset: dict[str, Any]) -> list[int]:
    """Gives the numbers of the spans that a set is of; none where it is of no span."""
    return dataset.get("spans", [dataset["span"]] if "span" in dataset else [])


def split_folder(uri: str, split: str) -> str:
    """Gives the folder of a split, as TFX lays it out."""
    return os.path.join(uri, shards.folder(split))
