"""Spans of recordings that keep coming: which are used, and whether they drift.

TFX's ExampleValidator is given one set of statistics and so never uses the comparators of a schema;
TFDV, which it calls, does when it is given others to compare with, here those of former spans.
"""

import pathlib
from collections.abc import Iterable
from typing import Any, ClassVar

import tensorflow_data_validation as tfdv
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx import types
from tfx.components.example_validator import executor, labels
from tfx.components.example_validator import executor as example_validator
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import io_utils, json_utils, writer_utils

from components import checks
from keras_mvlift import sources

COMPARED = {
    "train": ("keypoints_2d", "confidence", "intrinsics"),
    "eval": ("rotation", "center", "camera"),
}
"""What is compared in which split, of both sides of a pair.

Virtual cameras stand elsewhere each day. Where the cameras stand is compared in what is held out,
which real cameras alone have seen; a few records of them are enough, as cameras do not move.
"""

BASELINE = "baseline_statistics"
COMPARED_WITH = "compared_with"
"""A custom property of the anomalies: the former span that is most like the new one."""

Artifacts = dict[str, list[types.Artifact]]
Statistics = dict[str, statistics_pb2.DatasetFeatureStatisticsList]
"""Of a span, by split."""

_STANDARD = standard_component_specs.ExampleValidatorSpec
_STATISTICS = standard_component_specs.STATISTICS_KEY
_SCHEMA = standard_component_specs.SCHEMA_KEY


class Executor(checks.Executor):
    """Compares with each former span, and keeps what differs from the one most like the new one.

    What a model was trained on is a window of spans, and data is new to it if it resembles none
    of them: so a rig that moved is flagged once, and one that moves back within the window never.
    """

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> Any:
        """Runs TFX's executor."""
        new, *former = (
            {split: stats_artifact_utils.load_statistics(one, split).proto() for split in COMPARED}
            for one in (*input_dict[_STATISTICS], *input_dict.get(BASELINE, []))
        )
        numbers = [artifact.span for artifact in input_dict.get(BASELINE, [])]
        path = io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict[_SCHEMA]))
        schema = io_utils.SchemaReader().read(path)
        span, self._found = compare(new, dict(zip(numbers, former, strict=True)), schema)
        if span is not None:
            (anomalies,) = output_dict[standard_component_specs.ANOMALIES_KEY]
            anomalies.set_int_custom_property(COMPARED_WITH, span)
        return super().Do(input_dict, output_dict, exec_properties)

    def _Validate(self, inputs: dict[str, Any], outputs: dict[str, Any]) -> anomalies_pb2.Anomalies:
        folder = outputs[labels.SCHEMA_DIFF_PATH]
        found = self._found[pathlib.PurePath(folder).name.removeprefix("Split-")]
        path = pathlib.PurePath(folder, executor.DEFAULT_FILE_NAME)
        writer_utils.write_anomalies(str(path), found)
        return found


class DriftValidatorSpec(types.ComponentSpec):
    """TFX's, with the statistics of former spans."""

    PARAMETERS = _STANDARD.PARAMETERS
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        **_STANDARD.INPUTS,
        BASELINE: component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics, optional=True
        ),
    }
    OUTPUTS = _STANDARD.OUTPUTS


def compare(
    new: Statistics, former: dict[int, Statistics], schema: schema_pb2.Schema
) -> tuple[int | None, dict[str, anomalies_pb2.Anomalies]]:
    """Compares statistics with those of the former span, by number, that they are most like.

    Returns:
        The former span, None if there is none, and what TFDV finds, by split.
    """
    schemas = {split: _comparing(schema, split) for split in COMPARED}
    found = {
        span: {split: _validate(new[split], schemas[split], one[split]) for split in COMPARED}
        for span, one in former.items()
    }
    if not found:
        return None, {split: _validate(new[split], schemas[split], None) for split in COMPARED}
    nearest = min(found, key=lambda span: (_excess(found[span]), -span))
    return nearest, found[nearest]


def measured(found: Iterable[anomalies_pb2.Anomalies]) -> dict[str, tuple[float, float]]:
    """Returns of each feature that was compared how far it is off, and its threshold."""
    return {
        "/".join(info.path.step): (measurement.value, measurement.threshold)
        for anomalies in found
        for info in anomalies.drift_skew_info
        for measurement in info.drift_measurements
    }


def _comparing(schema: schema_pb2.Schema, split: str) -> schema_pb2.Schema:
    """Leaves of a schema's comparators those that are for a split."""
    kept = schema_pb2.Schema()
    kept.CopyFrom(schema)
    for feature in kept.feature:
        if feature.name.rpartition("/")[-1] not in COMPARED[split]:
            feature.ClearField("drift_comparator")
    return kept


def _validate(
    new: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    former: statistics_pb2.DatasetFeatureStatisticsList | None,
) -> anomalies_pb2.Anomalies:
    # TFDV takes a control without records for an anomaly.
    if former is None or not (_num_examples(new) and _num_examples(former)):
        return anomalies_pb2.Anomalies()
    return tfdv.validate_statistics(new, schema, previous_statistics=former)


def _num_examples(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> int:
    return sum(dataset.num_examples for dataset in statistics.datasets)


def _excess(found: dict[str, anomalies_pb2.Anomalies]) -> tuple[int, float]:
    ratios = [value / most for value, most in measured(found.values()).values()]
    return sum(ratio > 1 for ratio in ratios), max(ratios, default=0.0)


class DriftValidator(base_component.BaseComponent):
    """Finds how the records that a span trains on differ from those of former spans, if any.

    It is given `statistics`, `baseline_statistics`, of former spans, and a `schema` with a
    `drift_comparator` at each feature that is compared.
    """

    SPEC_CLASS = DriftValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, exclude_splits: list[str], **given: types.BaseChannel):
        super().__init__(
            DriftValidatorSpec(
                exclude_splits=json_utils.dumps(exclude_splits),
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
                **given,
            )
        )


def about(artifact: types.Artifact) -> dict[str, Any]:
    """Returns what a report tells of a validator's artifact."""
    found = [checks.load_anomalies(artifact.uri, split) for split in COMPARED]
    features = dict(sorted(measured(found).items()))
    is_compared = artifact.has_custom_property(COMPARED_WITH)
    return {
        "span": artifact.span,
        COMPARED_WITH: artifact.get_int_custom_property(COMPARED_WITH) if is_compared else None,
        "flagged": [name for name, (value, most) in features.items() if value > most],
        "measured": {name: value for name, (value, _) in features.items()},
        "thresholds": {name: most for name, (_, most) in features.items()},
    }


NEWEST = "newest"
"""The key of what is of the span that a run is about."""

VERDICT = "verdict_"
"""How keys of anomalies begin that decide whether a span counts."""


class RollingSpans(resolver.ResolverStrategy):
    """Chooses the last `num_spans` spans up to the newest, or those before it.

    Of each key but `NEWEST` it gives an artifact a span, the newest first. TFX's own
    `SpanRangeStrategy` counts numbers, and gives a span twice that was read twice. Here a span
    counts if its data was found in order, so that one that was refused makes no hole and no harm,
    and what stands for it is what was written last.
    """

    def __init__(self, num_spans: int, is_former: bool = False):
        self._num_spans, self._is_former = num_spans, is_former

    def resolve_artifacts(self, store: MetadataStore, input_dict: Artifacts) -> Artifacts:
        """Returns the artifacts of the chosen spans; empty lists where there are none."""
        newest = input_dict[NEWEST]
        last = newest[0].span
        of_span = {
            key: _last_of_each_span(artifacts)
            for key, artifacts in input_dict.items()
            if key != NEWEST
        }
        known = set.intersection(*map(set, of_span.values()))
        chosen = [
            span
            for span in sorted(known, reverse=True)
            if span + self._is_former <= last and _is_in_order(span, of_span)
        ][: self._num_spans]
        found = {key: [by_span[span] for span in chosen] for key, by_span in of_span.items()}
        return {NEWEST: newest} | found


class LastBlessedBefore(resolver.ResolverStrategy):
    """Chooses the last blessed model that has not seen the newest span.

    A run that is repeated then starts where it started, and not from its own result.
    """

    def resolve_artifacts(self, store: MetadataStore, input_dict: Artifacts) -> Artifacts:
        """Returns the model and its blessing, or empty lists."""
        newest, models = input_dict[NEWEST], [*input_dict[MODEL]]
        last = newest[0].span
        while (found := _last_blessed(store, models, input_dict[BLESSING]))[MODEL]:
            (model,) = found[MODEL]
            if all(span < last for span in trained_on(store, model)):
                break
            models = [other for other in models if other.id < model.id]
        return {NEWEST: newest} | found


def _last_blessed(
    store: MetadataStore, models: list[types.Artifact], blessings: list[types.Artifact]
) -> Artifacts:
    strategy = latest_blessed_model_strategy.LatestBlessedModelStrategy()
    found = models and strategy.resolve_artifacts(store, {MODEL: models, BLESSING: [*blessings]})
    return found or {MODEL: [], BLESSING: []}


def trained_on(store: MetadataStore, model: types.Artifact) -> list[int]:
    """Returns the spans whose records a model's training was given; none where it was of none."""
    events = store.get_events_by_artifact_ids([model.id])
    outputs = (metadata_store_pb2.Event.OUTPUT, metadata_store_pb2.Event.DECLARED_OUTPUT)
    producers = [event.execution_id for event in events if event.type in outputs]
    given = [
        event.artifact_id
        for event in store.get_events_by_execution_ids(producers)
        if event.type not in outputs
    ]
    artifacts = store.get_artifacts_by_id(given) if given else []
    found = [one.custom_properties.get(sources.SPAN) for one in artifacts]
    return sorted(value.int_value for value in found if value is not None)


def _last_of_each_span(artifacts: list[types.Artifact]) -> dict[int, types.Artifact]:
    # Runs without spans leave records that have none.
    of_spans = [
        one
        for one in artifacts
        if one.type_name != "Examples" or one.has_custom_property(sources.SPAN)
    ]
    return {one.span: one for one in sorted(of_spans, key=lambda one: one.id)}


def _is_in_order(span: int, of_span: dict[str, dict[int, types.Artifact]]) -> bool:
    key = example_validator.ARTIFACT_PROPERTY_BLESSED_KEY
    verdicts = [by_span[span] for name, by_span in of_span.items() if name.startswith(VERDICT)]
    return all(
        set(verdict.get_json_value_custom_property(key).values())
        == {example_validator.BLESSED_VALUE}
        for verdict in verdicts
    )


CANDIDATE, MODEL, BLESSING = "candidate", "model", "model_blessing"


class LastOtherBlessedModel(resolver.ResolverStrategy):
    """Chooses the last blessed model that is not the candidate itself.

    TFX's own strategy would, in a second run of an unchanged pipeline, find the model of the
    first: a new input, for which Evaluator and Pusher would run again instead of being answered
    from the cache.
    """

    def resolve_artifacts(self, store: MetadataStore, input_dict: Artifacts) -> Artifacts:
        """Returns the model and its blessing, or empty lists, and the candidate as it came."""
        candidates = {artifact.id for artifact in input_dict[CANDIDATE]}
        others = [model for model in input_dict[MODEL] if model.id not in candidates]
        found = _last_blessed(store, others, input_dict[BLESSING])
        return {CANDIDATE: input_dict[CANDIDATE]} | found
