import pathlib

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from ml_metadata.proto import metadata_store_pb2
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx import types
from tfx.dsl.component.experimental import annotations, decorators
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import span_range_strategy
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local import local_dag_runner
from tfx.proto import range_config_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils

from components import checks, rolling_window

THRESHOLDS = {"confidence": 0.1, "center": 0.1, "camera": 0.2}
RECORDS = 500


def statistics(sure=0.8, center=1.0, cameras=("a", "b"), seed=0):
    """Returns the statistics of a span's pairs, by split."""
    rng = np.random.default_rng(seed)
    confidence = np.clip(rng.normal(sure, 0.05, (2, RECORDS)), 0, 1)
    table = pd.DataFrame(
        {
            "source/confidence": confidence[0],
            "target/confidence": confidence[1],
            "source/center": center + rng.normal(0, 0.2, RECORDS),
            "source/camera": rng.choice(cameras, RECORDS),
        }
    )
    found = tfdv.generate_statistics_from_dataframe(table)
    return {"train": found, "eval": found}


@pytest.fixture(scope="module")
def spans():
    """A day, another like it, one of another detector, and one of a moved camera."""
    return {
        1: statistics(),
        2: statistics(seed=1),
        3: statistics(sure=0.6),
        4: statistics(center=2.0),
        5: statistics(cameras=("a", "c")),
    }


def validate(folder, spans, new, *former):
    """Runs the executor; gives the artifact."""
    schema = standard_artifacts.Schema()
    schema.uri = str(folder / "schema")
    (folder / "schema").mkdir()
    text = checks.comparators(checks.PAIRS, THRESHOLDS)
    (folder / "schema" / "schema.pbtxt").write_text(text)

    def written(span):
        artifact = standard_artifacts.ExampleStatistics()
        artifact.uri, artifact.span = str(folder / f"{span}"), span
        artifact.split_names = artifact_utils.encode_split_names([*spans[span]])
        for split, found in spans[span].items():
            path = folder / f"{span}" / f"Split-{split}" / "FeatureStats.pb"
            path.parent.mkdir(parents=True)
            path.write_bytes(found.SerializeToString())
        return artifact

    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.uri = str(folder / "anomalies")
    inputs = {"statistics": [written(new)], "schema": [schema]}
    inputs |= {"baseline_statistics": [*map(written, former)]} if former else {}
    properties = {"exclude_splits": json_utils.dumps(["train_instants"])}
    rolling_window.Executor().Do(inputs, {"anomalies": [anomalies]}, properties)
    return anomalies


def flagged(folder, spans, new, *former):
    return rolling_window.about(validate(folder, spans, new, *former))["flagged"]


@pytest.fixture
def store():
    in_memory = metadata_store_pb2.ConnectionConfig()
    in_memory.fake_database.SetInParent()
    with metadata.Metadata(in_memory) as handle:
        yield handle.store


def put(store, artifact):
    """Writes an artifact to the store, from where its number comes."""
    store.put_artifact_type(artifact.artifact_type)
    artifact.type_id = store.get_artifact_type(artifact.type_name).id
    (artifact.id,) = store.put_artifacts([artifact.mlmd_artifact])
    return artifact


def model(store, uri):
    artifact = standard_artifacts.Model()
    artifact.uri = uri
    return put(store, artifact)


def judge(store, judged, blessed):
    artifact = standard_artifacts.ModelBlessing()
    artifact.uri = f"{judged.uri}/blessing"
    artifact.set_int_custom_property("current_model_id", judged.id)
    artifact.set_int_custom_property("blessed", int(blessed))
    return put(store, artifact)


def read(store, name):
    """Returns all artifacts of a type, as TFX makes them of what the store holds."""
    kinds = [kind for kind in store.get_artifact_types() if kind.name == name]
    found = store.get_artifacts_by_type(name)
    return artifact_utils.deserialize_artifacts(kinds[0], found) if kinds else []


def resolve(store, candidate):
    channels = {"model": read(store, "Model"), "model_blessing": read(store, "ModelBlessing")}
    channels["candidate"] = [candidate]
    found = rolling_window.LastOtherBlessedModel().resolve_artifacts(store, channels)
    assert found.pop("candidate") == [candidate]
    return {name: [artifact.uri for artifact in artifacts] for name, artifacts in found.items()}


NOTHING: dict[str, list] = {"model": [], "model_blessing": []}
Examples = standard_artifacts.Examples
Anomalies = standard_artifacts.ExampleAnomalies
Model = standard_artifacts.Model


@decorators.component
def read_span(
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
def train_span(
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
    records = read_span(span=span).with_id("Read")
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
    model = train_span(**given, base_model=former.outputs["model"], code=code).with_id("Train")
    window.add_upstream_node(checked)
    judged = bless(model=model.outputs["model"])
    return pipeline.Pipeline(
        pipeline_name="spans",
        pipeline_root=str(folder / "artifacts"),
        components=[records, checked, window, former, model, judged],
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(folder / "metadata.db")
        ),
        enable_cache=True,
    )


def run_spans(folder, *arguments, **options):
    """Runs the pipeline; gives what the last model was told."""
    local_dag_runner.LocalDagRunner().run(make(folder, *arguments, **options))
    models = [*(folder / "artifacts" / "Train" / "model").iterdir()]
    return (max(models, key=lambda path: int(path.name)) / "told").read_text()


def test_a_day_like_the_one_before_is_not_flagged(spans, tmp_path):
    artifact = validate(tmp_path, spans, 2, 1)
    about = rolling_window.about(artifact)
    assert about["flagged"] == checks.read_anomalies(artifact.uri, ["train", "eval"]) == []
    assert (about["span"], about["compared_with"]) == (2, 1)
    names = {"source/confidence", "target/confidence", "source/center", "source/camera"}
    assert set(about["measured"]) == set(about["thresholds"]) == names
    assert 0 < about["measured"]["source/confidence"] < 0.1 == about["thresholds"]["source/center"]
    assert artifact.get_json_value_custom_property("blessed") == {"train": 1, "eval": 1}


@pytest.mark.parametrize(
    ("new", "names", "verdict"),
    [
        (3, ["source/confidence", "target/confidence"], {"train": 0, "eval": 1}),
        (4, ["source/center"], {"train": 1, "eval": 0}),
        (5, ["source/camera"], {"train": 1, "eval": 0}),
    ],
    ids=["detector", "moved", "other camera"],
)
def test_what_changed_is_flagged_by_name(new, names, verdict, spans, tmp_path):
    artifact = validate(tmp_path, spans, new, 1)
    assert rolling_window.about(artifact)["flagged"] == names
    assert artifact.get_json_value_custom_property("blessed") == verdict
    (phrase, *_) = checks.read_anomalies(artifact.uri, ["train", "eval"])
    assert "above the threshold" in phrase


def test_a_span_is_held_against_the_one_that_it_is_most_like(spans, tmp_path):
    about = rolling_window.about(validate(tmp_path, spans, 2, 3, 1, 4))
    assert (about["compared_with"], about["flagged"]) == (1, [])


def test_a_mixture_of_what_two_spans_had_is_like_neither(spans, tmp_path):
    mixed = {6: statistics(sure=0.6, center=2.0)}
    assert flagged(tmp_path, spans | mixed, 6, 3, 4)


def test_the_first_span_is_compared_with_none(spans, tmp_path):
    artifact = validate(tmp_path, spans, 3)
    about = rolling_window.about(artifact)
    assert (about["compared_with"], about["flagged"], about["measured"]) == (None, [], {})
    assert artifact.get_json_value_custom_property("blessed") == {"train": 1, "eval": 1}


def test_a_split_without_records_is_compared_with_none(spans, tmp_path):
    empty = statistics_pb2.DatasetFeatureStatisticsList()
    empty.datasets.add(name="All Examples")
    hollow = {7: spans[1] | {"eval": empty}}
    artifact = validate(tmp_path, spans | hollow, 4, 7)
    about = rolling_window.about(artifact)
    assert about["flagged"] == checks.read_anomalies(artifact.uri, ["train", "eval"]) == []
    assert "source/center" not in about["measured"]
    assert "source/confidence" in about["measured"]


def test_the_last_other_blessed_model_is_found(store):
    first, second, third, candidate = (model(store, f"model_{i}") for i in range(4))
    for one, blessed in ((second, True), (first, True), (third, False), (candidate, True)):
        judge(store, one, blessed)
    assert resolve(store, candidate) == {
        "model": ["model_1"],
        "model_blessing": ["model_1/blessing"],
    }


def test_neither_the_candidate_nor_what_was_not_blessed_is_found(store):
    model(store, "never judged")
    judge(store, model(store, "former"), False)
    candidate = model(store, "candidate")
    judge(store, candidate, True)
    assert resolve(store, candidate) == NOTHING


def test_an_answer_does_not_change_when_the_candidate_is_blessed(store):
    # As in a second run of an unchanged pipeline, which is answered from the cache.
    former, candidate = model(store, "former"), model(store, "candidate")
    judge(store, former, True)
    before = resolve(store, candidate)
    judge(store, candidate, True)
    assert resolve(store, candidate) == before
    assert before["model"] == ["former"]


@decorators.component
def train(
    model: annotations.OutputArtifact[standard_artifacts.Model], seed: annotations.Parameter[int]
) -> None:
    (pathlib.Path(model.uri) / "seed").write_text(str(seed))


@decorators.component
def bless(
    model: annotations.InputArtifact[standard_artifacts.Model],
    blessing: annotations.OutputArtifact[standard_artifacts.ModelBlessing],
) -> None:
    blessing.set_int_custom_property("current_model_id", model.id)
    blessing.set_int_custom_property("blessed", 1)


def run(folder, seed):
    """Runs a pipeline that blesses every model; gives the seed of the one that was resolved."""
    connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.db"))
    trained = train(seed=seed)
    last_blessed = resolver.Resolver(
        strategy_class=rolling_window.LastOtherBlessedModel,
        candidate=trained.outputs["model"],
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("LastBlessedModel")
    judged = bless(model=trained.outputs["model"])
    judged.add_upstream_node(last_blessed)
    local_dag_runner.LocalDagRunner().run(
        pipeline.Pipeline(
            pipeline_name="blessing",
            pipeline_root=str(folder / "artifacts"),
            components=[trained, last_blessed, judged],
            metadata_connection_config=connection,
            enable_cache=True,
        )
    )
    with metadata.Metadata(connection) as handle:
        execution = handle.store.get_executions_by_type(last_blessed.type)[-1]
        events = handle.store.get_events_by_execution_ids([execution.id])
        chosen = [e.artifact_id for e in events if e.path.steps[0].key == "model"]
        return [
            int((pathlib.Path(artifact.uri) / "seed").read_text())
            for artifact in handle.store.get_artifacts_by_id(chosen)
        ]


def test_a_pipeline_finds_the_model_that_was_blessed_before_its_own(tmp_path):
    assert run(tmp_path, seed=1) == []
    assert run(tmp_path, seed=1) == []
    assert run(tmp_path, seed=2) == [1]
    assert run(tmp_path, seed=2) == [1]


def test_a_window_rolls_from_run_to_run_and_each_goes_on_from_the_one_before(tmp_path):
    assert run_spans(tmp_path, 1) == "[[1], [1]] after nothing"
    second = run_spans(tmp_path, 2)
    assert second == "[[1, 2], [1, 2]] after a of [1]"
    # A run that is repeated is answered from the cache, or starts where it did.
    assert run_spans(tmp_path, 2) == second
    assert len([*(tmp_path / "artifacts" / "Train" / "model").iterdir()]) == 2
    assert run_spans(tmp_path, 2, code="b") == "[[1, 2], [1, 2]] after a of [1]"
    # A number that was never used makes no hole.
    assert run_spans(tmp_path, 4) == "[[2, 4], [2, 4]] after b of [1, 2]"


def put_span(store, span, kind=Examples, blessed=None):
    artifact = kind()
    artifact.uri = f"{kind.TYPE_NAME}/{span}"
    artifact.span = span
    if kind is Examples:
        artifact.set_int_custom_property("span", span)
    if blessed is not None:
        artifact.set_json_value_custom_property("blessed", {"train": 1, "eval": blessed})
    return put(store, artifact)


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
    examples = [put_span(store, span) for span in (1, 2, 3, 4, 5)]
    verdicts = [put_span(store, span, Anomalies, int(span != 3)) for span in (1, 2, 3, 4)]
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
    again = put_span(store, 2)
    found = window([again, *examples], verdicts, examples[3])
    assert [one.id for one in found] == [examples[3].id, again.id, examples[0].id]
    condemned = put_span(store, 4, Anomalies, 0)
    found = window(examples, [condemned, *verdicts], examples[3])
    assert [one.span for one in found] == [2, 1]


def test_records_of_runs_without_spans_do_not_count(store, days):
    examples, verdicts = days
    plain = put(store, Examples())
    put_span(store, 0, Anomalies, 1)
    found = window([plain, *examples], [*verdicts, put_span(store, 0, Anomalies, 1)], examples[3])
    assert [one.span for one in found] == [4, 2, 1]


def test_tfx_knows_the_spans_too(days):
    examples, _ = days
    config = range_config_pb2.RangeConfig()
    config.rolling_range.num_spans = 2
    found = span_range_strategy.SpanRangeStrategy(config).resolve_artifacts(
        None, {"examples": examples}
    )
    assert [one.span for one in found["examples"]] == [5, 4]
