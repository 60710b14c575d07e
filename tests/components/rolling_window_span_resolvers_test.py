import pathlib

import pytest
from tfx import types
from tfx.dsl.component.experimental import annotations, decorators
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import span_range_strategy
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local import local_dag_runner
from tfx.proto import range_config_pb2
from tfx.types import standard_artifacts

from components import rolling_window
from tests.components import rolling_window_resolvers_test

Examples = standard_artifacts.Examples
Anomalies = standard_artifacts.ExampleAnomalies
Model = standard_artifacts.Model


@decorators.component
def read(
    examples: annotations.OutputArtifact[Examples],
    test_examples: annotations.OutputArtifact[Examples],
    span: annotations.Parameter[int],
) -> None:
    for artifact in (examples, test_examples):
        artifact.span = span
        artifact.set_int_custom_property("span", span)


@decorators.component
def check(
    examples: annotations.InputArtifact[Examples],
    anomalies: annotations.OutputArtifact[Anomalies],
    is_good: annotations.Parameter[int],
) -> None:
    anomalies.span = examples.span
    anomalies.set_json_value_custom_property("blessed", {"train": 1, "eval": is_good})


@decorators.component
def train(
    examples: annotations.InputArtifact[list[Examples]],
    test_examples: annotations.InputArtifact[list[Examples]],
    model: annotations.OutputArtifact[Model],
    code: annotations.Parameter[str],
    base_model: annotations.InputArtifact[Model] = None,
) -> None:
    former = pathlib.Path(base_model.uri, "about").read_text() if base_model else "nothing"
    seen = [sorted(one.span for one in kind) for kind in (examples, test_examples)]
    pathlib.Path(model.uri, "about").write_text(f"{code} of {seen[0]}")
    pathlib.Path(model.uri, "told").write_text(f"{seen} after {former}")
    assert {"/test_examples/" in one.uri for one in examples} == {False}
    assert {"/test_examples/" in one.uri for one in test_examples} == {True}


def make(folder, span, code="a", is_good=True, num_spans=2):
    """Makes a pipeline of one node a kind, with both resolvers, which blesses every model."""
    records = read(span=span).with_id("Read")
    checked = check(examples=records.outputs["examples"], is_good=int(is_good)).with_id("Check")

    def history(kind, producer, key):
        return types.Channel(type=kind, producer_component_id=producer, output_key=key)

    window = resolver.Resolver(
        strategy_class=rolling_window.RollingSpans,
        config={"num_spans": num_spans},
        newest=checked.outputs["anomalies"],
        examples=history(Examples, "Read", "examples"),
        test_examples=history(Examples, "Read", "test_examples"),
    ).with_id("Window")
    former = resolver.Resolver(
        strategy_class=rolling_window.LastBlessedBefore,
        newest=records.outputs["examples"],
        model=types.Channel(type=Model),
        model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("Former")
    given = {name: window.outputs[name] for name in ("examples", "test_examples")}
    model = train(**given, base_model=former.outputs["model"], code=code).with_id("Train")
    window.add_upstream_node(checked)
    judged = rolling_window_resolvers_test.bless(model=model.outputs["model"])
    return pipeline.Pipeline(
        pipeline_name="spans",
        pipeline_root=str(folder / "artifacts"),
        components=[records, checked, window, former, model, judged],
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(folder / "metadata.db")
        ),
        enable_cache=True,
    )


def run(folder, *arguments, **options):
    """Runs the pipeline; gives what the last model was told."""
    local_dag_runner.LocalDagRunner().run(make(folder, *arguments, **options))
    models = [*(folder / "artifacts" / "Train" / "model").iterdir()]
    return (max(models, key=lambda path: int(path.name)) / "told").read_text()


def test_a_window_rolls_from_run_to_run_and_each_goes_on_from_the_one_before(tmp_path):
    assert run(tmp_path, 1) == "[[1], [1]] after nothing"
    second = run(tmp_path, 2)
    assert second == "[[1, 2], [1, 2]] after a of [1]"
    # A run that is repeated is answered from the cache, or starts where it did.
    assert run(tmp_path, 2) == second
    assert len([*(tmp_path / "artifacts" / "Train" / "model").iterdir()]) == 2
    assert run(tmp_path, 2, code="b") == "[[1, 2], [1, 2]] after a of [1]"
    # A number that was never used makes no hole.
    assert run(tmp_path, 4) == "[[2, 4], [2, 4]] after b of [1, 2]"


@pytest.fixture
def store():
    yield from rolling_window_resolvers_test.store.__wrapped__()


def put(store, span, kind=Examples, blessed=None):
    artifact = kind()
    artifact.uri = f"{kind.TYPE_NAME}/{span}"
    artifact.span = span
    if kind is Examples:
        artifact.set_int_custom_property("span", span)
    if blessed is not None:
        artifact.set_json_value_custom_property("blessed", {"train": 1, "eval": blessed})
    return rolling_window_resolvers_test.put(store, artifact)


def window(examples, verdicts, newest, num_spans=5, **options):
    strategy = rolling_window.RollingSpans(num_spans, **options)
    channels = {"newest": [newest], "examples": examples, "verdict_0": verdicts}
    found = strategy.resolve_artifacts(None, channels)
    assert [one.span for one in found["verdict_0"]] == [one.span for one in found["examples"]]
    assert found["newest"] == [newest]
    return found["examples"]


@pytest.fixture
def days(store):
    """Five spans, of which the third broke its schema and the fifth was not checked yet."""
    examples = [put(store, span) for span in (1, 2, 3, 4, 5)]
    verdicts = [put(store, span, Anomalies, int(span != 3)) for span in (1, 2, 3, 4)]
    return examples, verdicts


def test_spans_that_were_refused_or_not_checked_do_not_count(days):
    examples, verdicts = days
    assert [one.span for one in window(examples, verdicts, examples[4])] == [4, 2, 1]
    assert [one.span for one in window(examples, verdicts, examples[4], 2)] == [4, 2]


def test_spans_after_the_newest_are_not_seen_nor_is_the_newest_where_former_ones_are_asked(days):
    examples, verdicts = days
    assert [one.span for one in window(examples, verdicts, examples[1])] == [2, 1]
    assert [one.span for one in window(examples, verdicts, examples[1], is_former=True)] == [1]
    assert window(examples, verdicts, examples[0], is_former=True) == []


def test_of_a_span_that_was_read_twice_the_last_counts(store, days):
    examples, verdicts = days
    again = put(store, 2)
    found = window([again, *examples], verdicts, examples[3])
    assert [one.id for one in found] == [examples[3].id, again.id, examples[0].id]
    condemned = put(store, 4, Anomalies, 0)
    found = window(examples, [condemned, *verdicts], examples[3])
    assert [one.span for one in found] == [2, 1]


def test_records_of_runs_without_spans_do_not_count(store, days):
    examples, verdicts = days
    plain = rolling_window_resolvers_test.put(store, Examples())
    put(store, 0, Anomalies, 1)
    found = window([plain, *examples], [*verdicts, put(store, 0, Anomalies, 1)], examples[3])
    assert [one.span for one in found] == [4, 2, 1]


def test_tfx_knows_the_spans_too(days):
    examples, _ = days
    config = range_config_pb2.RangeConfig()
    config.rolling_range.num_spans = 2
    found = span_range_strategy.SpanRangeStrategy(config).resolve_artifacts(
        None, {"examples": examples}
    )
    assert [one.span for one in found["examples"]] == [5, 4]
