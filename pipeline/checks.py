"""The checks of new records: a run stops at those that break their schema."""

from tfx.components.example_validator import component as example_validator
from tfx.components.statistics_gen import component as statistics_gen
from tfx.dsl.components.base import base_node, executor_spec

from components import curated_schema, gates, validating
from components.example_gen import executor


def nodes(examples: base_node.BaseNode, holds_out: bool) -> list[base_node.BaseNode]:
    """Holds both kinds of records against their schemas; the gates stop the run.

    Args:
        examples: The ExampleGen.
        holds_out: Whether its split `eval` holds anything.
    """
    made: list[base_node.BaseNode] = []
    for output, kind, name in (
        ("examples", curated_schema.PAIRS, "Pairs"),
        ("test_examples", curated_schema.TEST_VIEWS, "TestViews"),
    ):
        schema = curated_schema.CuratedSchema(text=curated_schema.read(kind)).with_id(
            f"Schema.{name}"
        )
        # Whole instants hold the same views as the pairs.
        excluded = executor.INSTANT_SPLITS + ([] if holds_out else [executor.HELD_OUT_SPLIT])
        statistics = statistics_gen.StatisticsGen(
            examples.outputs[output], exclude_splits=excluded
        ).with_id(f"StatisticsGen.{name}")
        validator = example_validator.ExampleValidator(
            statistics.outputs["statistics"],
            schema.outputs["schema"],
            exclude_splits=excluded,
            custom_validation_config=curated_schema.rules(kind),
        ).with_id(f"ExampleValidator.{name}")
        validator.executor_spec = executor_spec.ExecutorClassSpec(validating.Executor)
        gate = gates.DataGate(anomalies=validator.outputs["anomalies"]).with_id(f"DataGate.{name}")
        made += [schema, statistics, validator, gate]
    return made
