import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.types import artifact_utils, standard_artifacts

from components import resolvers


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
    """Gives all artifacts of a type, as TFX makes them of what the store holds."""
    kinds = [kind for kind in store.get_artifact_types() if kind.name == name]
    found = store.get_artifacts_by_type(name)
    return artifact_utils.deserialize_artifacts(kinds[0], found) if kinds else []


def resolve(store, candidate=None):
    channels = {"model": read(store, "Model"), "model_blessing": read(store, "ModelBlessing")}
    if candidate is not None:
        channels["candidate"] = [candidate]
    found = resolvers.LastOtherBlessedModel().resolve_artifacts(store, channels)
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


def test_nothing_is_found_in_an_empty_store(store):
    assert resolve(store) == NOTHING
