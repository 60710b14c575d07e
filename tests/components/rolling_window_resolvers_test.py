import pathlib

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.component.experimental import annotations, decorators
from tfx.dsl.components.common import resolver
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local import local_dag_runner
from tfx.types import artifact_utils, standard_artifacts

from components import rolling_window


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


def test_the_last_other_blessed_model_is_found(store):
    first, second, third, candidate = (model(store, f"model_{i}") for i in range(4))
    for one, blessed in ((second, True), (first, True), (third, False), (candidate, True)):
        judge(store, one, blessed)
    assert resolve(store, candidate) == {
        "model": ["model_1"],
        "model_blessing": ["model_1/blessing"],
    }


def test_the_candidate_itself_is_never_found(store):
    candidate = model(store, "model")
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


def test_models_that_were_not_blessed_are_not_found(store):
    judge(store, model(store, "former"), False)
    assert resolve(store, model(store, "candidate")) == NOTHING


def test_a_model_that_nothing_judged_is_not_found(store):
    model(store, "former")
    assert resolve(store, model(store, "candidate")) == NOTHING


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
