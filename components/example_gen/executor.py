"""Reads, prepares and writes clips on Beam workers, a clip at a time."""

import functools
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import apache_beam as beam
import numpy as np
import tensorflow as tf
from absl import logging
from apache_beam import metrics
from tfx import types
from tfx.dsl.components.base import (
    base_beam_component,
    base_beam_executor,
    base_driver,
    executor_spec,
)
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components.example_gen import files
from keras_mvlift import configs, errors, sources
from keras_mvlift.datasets import preparation, sequences

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

Artifacts = dict[str, list[types.Artifact]]
"""What TFX gives an executor, by the names of inputs or outputs."""


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes one shard per clip and split, `dead_letters.json` and, at the end, `dataset.json`."""

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """Runs the Beam pipeline.

        Raises:
            UnusableError: If more clips were lost than the config allows, or what is left gives
                nothing to train or to test on, or nothing to hold out where that was asked for.
        """
        config = configs.DataConfig.from_json(exec_properties[DATA_CONFIG])
        data_root = exec_properties[DATA_ROOT]
        source = sources.open_source(config, data_root)
        clips, choices = source.clips(), _choices(source)
        roots = _prepare(output_dict)
        span = exec_properties.get(sources.SPAN)
        _number(output_dict, exec_properties)
        of_split = {split: roots[name] for name, splits in SPLITS.items() for split in splits}
        # Other spans may have clips of the same names.
        prefix = "" if span is None else f"{span:05d}/"
        with self._make_beam_pipeline() as pipeline:
            writer = WriteClip(config, data_root, of_split, prefix)
            files.run_jobs(pipeline, clips, writer, roots[EXAMPLES])
        outcomes = [Outcome(*fields) for fields in files.read_outcomes(roots[EXAMPLES])]
        losses = [outcome.loss for outcome in outcomes if outcome.loss]
        logging.info("Read %d clips, lost %d.", len(clips) - len(losses), len(losses))
        listed = files.to_json(losses, len(clips))
        files.write_text(roots[EXAMPLES], files.DEAD_LETTERS, listed)
        told = [f"{loss['clip']}: {loss['message']}" for loss in losses]
        keep = functools.partial(_keep_list, roots[EXAMPLES])
        files.hold_to_share(len(losses), len(clips), config.max_lost_share, "clips", told, keep)
        abouts = [outcome.about for outcome in outcomes if outcome.about]
        about_span = {} if span is None else {"span": span, "split": config.split}
        summary = summarize(abouts, len(losses), choices) | about_span
        if sources.open_split(config).holds_out:
            require(summary["counts"], "held_out_pairs")
        # Sorted, so that equal ones give equal text.
        text = json.dumps(summary, indent=2, sort_keys=True)
        files.write_text(roots[EXAMPLES], DATASET, text)
        for root in roots.values():
            files.clear(root, [])


def _choices(source: sequences.Source) -> list[str]:
    """Returns what the source chose of its field's protocol, and logs it."""
    choices = source.choices() if hasattr(source, "choices") else []
    for choice in choices:
        logging.info("Protocol: %s", choice)
    return choices


def _prepare(output_dict: Artifacts) -> dict[str, str]:
    """Makes empty folders of the splits; gives the folder of each artifact."""
    roots = {}
    for name, artifacts in output_dict.items():
        artifact = artifact_utils.get_single_instance(artifacts)
        artifact.split_names = artifact_utils.encode_split_names(SPLITS[name])
        folders = [files.folder(split) for split in SPLITS[name]]
        files.clear(artifact.uri, [DATASET, files.DEAD_LETTERS, *folders])
        for folder in folders:
            tf.io.gfile.makedirs(os.path.join(artifact.uri, folder))
        roots[name] = artifact.uri
    return roots


def _number(output_dict: Artifacts, properties: dict[str, Any]) -> None:
    """Tells TFX's resolvers, by custom properties, and StatisticsGen, by others, of the span."""
    for name in (sources.SPAN, sources.VERSION):
        if name in properties:
            for artifact in map(artifact_utils.get_single_instance, output_dict.values()):
                setattr(artifact, name, properties[name])
                artifact.set_int_custom_property(name, properties[name])


class Outcome(NamedTuple):
    """What became of a clip, by its place among them: what is to be known of it, or its loss."""

    number: int
    about: dict[str, Any] | None
    loss: files.Loss | None


def _keep_list(root: str) -> str:
    # TFX removes the folder of an artifact whose component fails; the list is to outlive it.
    folder, number = os.path.split(root.rstrip("/"))
    kept = os.path.join(folder, f"{number}.{files.DEAD_LETTERS}")
    tf.io.gfile.copy(os.path.join(root, files.DEAD_LETTERS), kept, overwrite=True)
    return kept


def read_dataset(examples_uri: str) -> dict[str, Any]:
    """Reads `dataset.json` of an `EXAMPLES` artifact."""
    with tf.io.gfile.GFile(os.path.join(examples_uri, DATASET)) as file:
        return json.loads(file.read())


def read_datasets(examples: Sequence[types.Artifact]) -> dict[str, Any]:
    """Reads what several `EXAMPLES` artifacts have in common; of one, what its file says."""
    return combine([read_dataset(artifact.uri) for artifact in examples])


def spans_of(dataset: dict[str, Any]) -> list[int]:
    """Returns the numbers of the spans that a set is of; none where it is of no span."""
    return dataset.get("spans", [dataset["span"]] if "span" in dataset else [])


def split_folder(uri: str, split: str) -> str:
    """Returns the folder of a split, as TFX lays it out."""
    return os.path.join(uri, files.folder(split))


COUNTERS = "example_gen"
"""The namespace of Beam's counters `read_clips` and `lost_clips`."""

_TABLES = {
    "train": "train_pairs",
    "eval": "held_out_pairs",
    "train_instants": "train_instants",
    "eval_instants": "held_out_instants",
    "test": "test_views",
}


class WriteClip(beam.DoFn):
    """Writes the records of one clip; gives its outcome.

    `roots` has for each split the folder of its artifact; `prefix` stands before a clip's name in
    the records.
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

    def process(self, job: files.Job) -> Iterator[Outcome]:
        """Reads the clip and writes its shards, or says why it cannot be used."""
        try:
            sequence = self._source.read(job.name)
            prepared = preparation.prepare(sequence, self._split, self._config)
        except errors.RecordingError as error:
            self._num_lost.inc()
            logging.warning("Lost clip %s: %s", job.name, error)
            yield Outcome(job.number, None, files.of(job.name, error))
            return
        if sequence.out_of_sync:
            late = ", ".join(sequence.out_of_sync)
            logging.warning("Left out of clip %s: %s, out of sync.", job.name, late)
        name = self._prefix + job.name
        shard = f"data_tfrecord-{job.place}.gz"
        for split, root in self._roots.items():
            columns = dict(getattr(prepared, _TABLES[split]))
            # The split and the draws go by the clip's own name.
            columns["clip"] = np.full(len(columns["frame"]), name, dtype=object)
            files.write(root, f"{files.folder(split)}/{shard}", columns)
        self._num_read.inc()
        about = _about(name, sequence, prepared.counts, self._config.num_virtual_views)
        yield Outcome(job.number, about, None)


def _about(
    clip: str, sequence: sequences.MultiViewSequence, counts: dict[str, int], num_virtual_views: int
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


def summarize(
    clips: list[dict[str, Any]], num_lost: int = 0, choices: list[str] | None = None
) -> dict[str, Any]:
    """Puts together what is known of each clip that was read, in any order.

    So many others were lost; `choices` are what the source chose of its field's protocol, in words.

    Returns:
        The clips, the sums of their counts, and of those that give pairs to train on the mean rig
        distance in meters and the mean intrinsics in pixels.

    Raises:
        UnusableError: If there is nothing to train or to test on.
    """
    # Workers hand clips over in any order, and a mean of floats depends on it.
    clips = sorted(clips, key=lambda clip: clip["clip"])
    counts: Counter[str] = Counter()
    for clip in clips:
        counts.update(clip["counts"])
    require(counts, "train_pairs", "test_views")
    # Networks are made for the cameras they train on; a lone test camera is at no rig's distance.
    trained = [clip for clip in clips if clip["counts"]["train_pairs"]]
    return {
        "clips": clips,
        "counts": dict(counts),
        "read_clips": len(clips),
        "lost_clips": num_lost,
        "dead_letters": files.DEAD_LETTERS,
        "choices": choices or [],
        "reference": " and ".join(sorted({clip["reference"] for clip in clips})),
        "num_views": max(clip["num_views"] for clip in trained),
        "rig_distance": float(np.mean([clip["rig_distance"] for clip in trained])),
        "intrinsics": np.mean([clip["intrinsics"] for clip in trained], axis=0).tolist(),
    }


def require(counts: Mapping[str, int], *kinds: str) -> None:
    """Refuses a set that lacks a kind of records, with an `UnusableError`."""
    for kind in kinds:
        if not counts.get(kind):
            raise files.UnusableError(
                f"`{kind}` must not be empty: the recordings and the split leave nothing to use"
                f"{_TO_DO.get(kind, '')}. Received: {dict(counts)}."
            )


# What else helps where a kind of records is empty.
_TO_DO = {
    "held_out_pairs": "; film longer clips, or let nothing choose by what is held out, as the "
    "settings' `rival`, `patience`, `tune` and `uncertainty` do"
}


def combine(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Puts together what several sets have in common, such as the spans of a window.

    Of a single set that is what came; of several the same of all of their clips, with `"spans"`.

    Raises:
        ValueError: If a person trains in one set and tests in another although sets are split by
            people, as where the settings changed in between.
    """
    if len(summaries) == 1:
        return summaries[0]
    clips = [clip for summary in summaries for clip in summary["clips"]]
    if any(summary.get("split") == "subject" for summary in summaries):
        _check_people(clips)
    lost = sum(summary["lost_clips"] for summary in summaries)
    choices = [choice for summary in summaries for choice in summary["choices"]]
    spans = sorted(summary["span"] for summary in summaries)
    return summarize(clips, lost, list(dict.fromkeys(choices))) | {"spans": spans}


def _check_people(clips: list[dict[str, Any]]) -> None:
    trained, tested = (
        {clip["subject"] for clip in clips if clip["counts"][kind]}
        for kind in ("train_pairs", "test_views")
    )
    both = ", ".join(sorted(trained & tested))
    rule = "keep a person to train or to test on in all spans of a window"
    errors.require(not both, "split_options", rule, f"{both} on both sides")


class RecordingExampleGenSpec(types.ComponentSpec):
    """What goes in and what comes out."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        name: component_spec.ExecutionParameter(type=str)
        for name in (DATA_CONFIG, DATA_ROOT, CODE_VERSION)
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {}
    OUTPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        name: component_spec.ChannelParameter(type=standard_artifacts.Examples) for name in SPLITS
    }


class Driver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Adds a digest of the input files to the execution's properties, and which span they are.

    As in TFX's own ExampleGen, `{SPAN}` in the input's path stands for the newest.

    TFX has two base classes of this name and asks a component's driver to be both.
    """

    def __init__(self, metadata_handle: metadata.Metadata):
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns the properties with the digest and the span."""
        properties = dict(execution_info.exec_properties)
        if sources.has_spans(properties[DATA_ROOT]):
            newest = sources.newest_span(properties[DATA_ROOT])
            properties[DATA_ROOT] = newest.path
            properties |= {sources.SPAN: newest.number, sources.VERSION: newest.version}
        properties[FINGERPRINT] = sources.fingerprint(properties[DATA_ROOT])
        output = driver_output_pb2.DriverOutput()
        for name, value in properties.items():
            data_types_utils.set_metadata_value(output.exec_properties[name], value)
        return output


class RecordingExampleGen(base_beam_component.BaseBeamComponent):
    """Turns multi-view recordings into TFRecords.

    `outputs["examples"]` holds view pairs, splits `train` and `eval`, the same instants with all of
    their views, splits `train_instants` and `eval_instants`, and no 3D whatever.
    `outputs["test_examples"]` holds single views with their reference pose, split `test`; it goes
    to evaluation, never to a trainer. `data_config` is a `configs.DataConfig` as JSON, `data_root`
    what the source reads, empty for one that reads none; results of another `code_version` are not
    reused.
    """

    SPEC_CLASS = RecordingExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(self, data_config: str, data_root: str, code_version: str):
        kind = standard_artifacts.Examples
        channels = {name: types.Channel(type=kind) for name in self.SPEC_CLASS.OUTPUTS}
        super().__init__(
            RecordingExampleGenSpec(
                data_config=data_config, data_root=data_root, code_version=code_version, **channels
            )
        )
