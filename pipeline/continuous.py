"""What a run on spans has more: a window of them, a model to go on from, a look at drift."""

from typing import Any, NamedTuple

from tfx import types
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common import resolver
from tfx.types import standard_artifacts

from components import (
    curated_schema,
    drift_validator,
    gates,
    resolvers,
    span_resolvers,
)
from components.example_gen import executor
from pipeline import settings, span_config

DRIFT = "Drift"


class Followed(NamedTuple):
    """The nodes of a run on spans, by what others need of them.

    Attributes:
        nodes: All of them.
        window: Its outputs are the records of the window's spans.
        anomalies: What is known of drift.
        start: What the first stage takes more than others do.
    """

    nodes: list[base_node.BaseNode]
    window: base_node.BaseNode
    anomalies: types.BaseChannel
    start: dict[str, Any]


def follow(
    config: settings.PipelineConfig,
    examples: base_node.BaseNode,
    checks: list[base_node.BaseNode],
) -> Followed:
    """Makes the nodes between the checks of a new span and the training on a window of spans."""
    newest = {span_resolvers.NEWEST: examples.outputs[executor.EXAMPLES]}
    validators = [node.id for node in checks if node.id.startswith("ExampleValidator.")]
    if config.drift.action == span_config.STOP:
        validators.append(f"ExampleValidator.{DRIFT}")
    verdicts = {
        f"{span_resolvers.VERDICT}{index}": _history(
            standard_artifacts.ExampleAnomalies, name, "anomalies"
        )
        for index, name in enumerate(validators)
    }
    (statistics,) = (node for node in checks if node.id == "StatisticsGen.Pairs")
    drift = _drift(config, checks, statistics, newest | verdicts)
    window = resolver.Resolver(
        strategy_class=span_resolvers.RollingSpans,
        config={"num_spans": config.window.num_spans},
        # TFX takes a node's output of this run and of all runs for one, so it is another's.
        **{span_resolvers.NEWEST: statistics.outputs["statistics"]},
        **verdicts,
        **{
            name: _history(standard_artifacts.Examples, examples.id, name)
            for name in executor.SPLITS
        },
    ).with_id("RollingWindow")
    nodes, start = [*drift, window], {}
    if config.window.warm_start:
        former = resolver.Resolver(
            strategy_class=span_resolvers.LastBlessedBefore,
            **newest,
            **{resolvers.MODEL: types.Channel(type=standard_artifacts.Model)},
            **{resolvers.BLESSING: types.Channel(type=standard_artifacts.ModelBlessing)},
        ).with_id("LastBlessedBefore")
        nodes.append(former)
        start = {"base_model": former.outputs[resolvers.MODEL]}
    for node in (window, *nodes[len(drift) + 1 :]):
        node.add_upstream_nodes([*checks, *drift])
    (validator,) = (node for node in drift if node.id == f"ExampleValidator.{DRIFT}")
    return Followed(nodes, window, validator.outputs["anomalies"], start)


def _drift(
    config: settings.PipelineConfig,
    checks: list[base_node.BaseNode],
    statistics: base_node.BaseNode,
    channels: dict[str, types.BaseChannel],
) -> list[base_node.BaseNode]:
    """Compares what the new span trains on with the window before it."""
    former = resolver.Resolver(
        strategy_class=span_resolvers.RollingSpans,
        config={"num_spans": config.window.num_spans, "is_former": True},
        **channels,
        statistics=_history(standard_artifacts.ExampleStatistics, statistics.id, "statistics"),
    ).with_id("FormerSpans")
    text = curated_schema.comparators(curated_schema.PAIRS, config.drift.thresholds)
    schema = curated_schema.CuratedSchema(text=text).with_id(f"Schema.{DRIFT}")
    validator = drift_validator.DriftValidator(
        statistics.outputs["statistics"],
        former.outputs["statistics"],
        schema.outputs["schema"],
        exclude_splits=executor.INSTANT_SPLITS,
    ).with_id(f"ExampleValidator.{DRIFT}")
    gate = gates.DriftGate(
        anomalies=validator.outputs["anomalies"], stops=config.drift.action == span_config.STOP
    ).with_id(f"{DRIFT}Gate")
    former.add_upstream_nodes(checks)
    return [former, schema, validator, gate]


def _history(kind: type[types.Artifact], producer: str, output: str) -> types.BaseChannel:
    """Gives all that a node of this pipeline ever wrote, in this run and before."""
    return types.Channel(type=kind, producer_component_id=producer, output_key=output)
