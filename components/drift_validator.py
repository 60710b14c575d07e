"""TFX's ExampleValidator, which holds a span's statistics against those of former spans.

TFX's component is given one set of statistics and so never uses the comparators of a schema; TFDV,
which it calls, does when it is given others to compare with.
"""

import pathlib
from collections.abc import Iterable
from typing import Any, ClassVar

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx import types
from tfx.components.example_validator import executor, labels
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import (
    artifact_utils,
    component_spec,
    standard_artifacts,
    standard_component_specs,
)
from tfx.utils import io_utils, json_utils, writer_utils

from components import gates, validating

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

Statistics = dict[str, statistics_pb2.DatasetFeatureStatisticsList]
"""Of a span, by split."""

_STANDARD = standard_component_specs.ExampleValidatorSpec
_STATISTICS = standard_component_specs.STATISTICS_KEY
_SCHEMA = standard_component_specs.SCHEMA_KEY


class Executor(validating.Executor):
    """Compares with each former span, and keeps what differs from the one most like the new one.

    What a model was trained on is a window of spans, and data is new to it if it resembles none
    of them: so a rig that moved is flagged once, and one that moves back within the window never.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
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


class DriftValidator(base_component.BaseComponent):
    """Finds how the records that a span trains on differ from those of former spans.

    Args:
        statistics: Of the new span.
        baseline_statistics: Of former spans; of none, nothing differs.
        schema: With a `drift_comparator` at each feature that is compared.
        exclude_splits: Splits that are not compared.
    """

    SPEC_CLASS = DriftValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        baseline_statistics: types.BaseChannel,
        schema: types.BaseChannel,
        exclude_splits: list[str],
    ):
        super().__init__(
            DriftValidatorSpec(
                statistics=statistics,
                baseline_statistics=baseline_statistics,
                schema=schema,
                exclude_splits=json_utils.dumps(exclude_splits),
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )


def compare(
    new: Statistics, former: dict[int, Statistics], schema: schema_pb2.Schema
) -> tuple[int | None, dict[str, anomalies_pb2.Anomalies]]:
    """Compares statistics with those of the former span that they are most like.

    Args:
        new: Of the new span, by split.
        former: Of each former span, by its number.
        schema: With comparators.

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
    """Gives of each feature that was compared how far it is off, and its threshold."""
    return {
        "/".join(info.path.step): (measurement.value, measurement.threshold)
        for anomalies in found
        for info in anomalies.drift_skew_info
        for measurement in info.drift_measurements
    }


def about(artifact: types.Artifact) -> dict[str, Any]:
    """Gives what a report tells of a validator's artifact."""
    found = [gates.load_anomalies(artifact.uri, split) for split in COMPARED]
    features = dict(sorted(measured(found).items()))
    is_compared = artifact.has_custom_property(COMPARED_WITH)
    return {
        "span": artifact.span,
        COMPARED_WITH: artifact.get_int_custom_property(COMPARED_WITH) if is_compared else None,
        "flagged": [name for name, (value, most) in features.items() if value > most],
        "measured": {name: value for name, (value, _) in features.items()},
        "thresholds": {name: most for name, (_, most) in features.items()},
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
