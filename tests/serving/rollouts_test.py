import pathlib
import shutil

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from keras_mvlift import errors
from keras_mvlift.serving import clients, rollouts
from tests.serving import polling, stand_in

Labels = rollouts.Labels


@pytest.fixture
def config(tmp_path):
    return shutil.copy(SHIPPED, tmp_path / "models.config")


@pytest.fixture
def served(folder, config):
    with stand_in.serving({1: folder, 2: folder}) as (versions, found):
        with polling.following(config, versions) as follower:
            yield follower, clients.parse(found["grpc"])


def test_a_trial_promotion_and_roll_back_leave_no_label_without_a_version(config, served):
    follower, address = served
    labels = rollouts.apply(config, lambda old: old.tried(2), address, 10.0)
    assert labels == Labels(1, 2, 1)
    assert rollouts.apply(config, Labels.promoted, address, 10.0) == Labels(2, 2, 1)
    assert rollouts.apply(config, Labels.rolled_back, address, 10.0) == Labels(1, 1, 1)
    assert follower.refusals == []
    assert [state for state, _ in follower.states] == [
        {"stable": 1, "canary": 1, "previous": 1},
        {"stable": 1, "canary": 1, "previous": 1},
        {"stable": 1, "canary": 2, "previous": 1},
        {"stable": 2, "canary": 2, "previous": 1},
        {"stable": 1, "canary": 1, "previous": 1},
    ]
    assert [loaded for _, loaded in follower.states] == [[1], [1, 2], [1, 2], [1, 2], [1]]


def test_a_version_that_does_not_load_leaves_the_config_as_it_was(config, served):
    before = rollouts.read_config(config)
    with pytest.raises(TimeoutError, match=r"loaded 1, 9 as stable 1, canary 1, .* within 0.2 s"):
        rollouts.apply(config, lambda old: old.tried(9), served[1], 0.2)
    assert rollouts.read_config(config) == before


def test_a_server_that_is_down_leaves_the_config_as_it_was(config):
    before = rollouts.read_config(config)
    down = clients.parse("http://127.0.0.1:1")
    with pytest.raises(TimeoutError, match=r"http://127\.0\.0\.1:1: the server must have loaded"):
        rollouts.apply(config, Labels.withdrawn, down, 0.1)
    assert rollouts.read_config(config) == before


def test_without_a_server_labels_move_among_loaded_versions_only(config):
    with pytest.raises(ValueError, match="`server` must be given, for it must have loaded"):
        rollouts.apply(config, lambda old: old.tried(2))
    assert rollouts.apply(config, Labels.withdrawn) == Labels(1, 1, 1)


SHIPPED = pathlib.Path(__file__).parents[2] / "serving" / "config" / "models.config"


@pytest.fixture
def versions():
    return rollouts.read_config(SHIPPED)


def loaded(versions):
    return [*rollouts.only_model("a", versions).model_version_policy.specific.versions]


def test_a_trial_promoted_and_rolled_back_ends_where_it_began():
    labels = rollouts.started(7)
    assert labels == Labels(stable=7, canary=7, previous=7)
    tried = labels.tried(8)
    assert tried == Labels(stable=7, canary=8, previous=7)
    assert tried.withdrawn() == labels
    promoted = tried.promoted()
    assert promoted == Labels(stable=8, canary=8, previous=7)
    assert promoted.rolled_back() == labels


def test_there_must_be_a_trial_to_promote_and_a_version_to_go_back_to():
    labels = rollouts.started(7)
    with pytest.raises(ValueError, match="`canary` must be another version than stable"):
        labels.promoted()
    with pytest.raises(ValueError, match="`previous` must be another version than stable"):
        labels.rolled_back()


def test_a_new_version_is_loaded_before_a_label_moves_to_it(versions):
    first, second = rollouts.label_steps("a", versions, Labels(1, 2, 1))
    assert loaded(first) == [1, 2]
    assert rollouts.labels_of("a", first) == Labels(1, 1, 1)
    assert loaded(second) == [1, 2]
    assert rollouts.labels_of("a", second) == Labels(1, 2, 1)


def test_labels_move_at_once_among_loaded_versions_and_the_rest_is_unloaded(versions):
    promoted = rollouts.label_steps("a", versions, Labels(5, 5, 4), is_start=True)[0]
    (step,) = rollouts.label_steps("a", promoted, Labels(4, 4, 4))
    assert loaded(step) == [4]
    assert rollouts.labels_of("a", step) == Labels(4, 4, 4)


def test_what_else_a_config_says_stays(versions, tmp_path):
    model = rollouts.only_model("a", versions)
    model.logging_config.sampling_config.sampling_rate = 0.5
    path = tmp_path / "models.config"
    rollouts.write_config(path, rollouts.label_steps("a", versions, Labels(1, 2, 1))[-1])
    again = text_format.Parse(path.read_text(), model_server_config_pb2.ModelServerConfig())
    changed = rollouts.only_model("a", again)
    assert (changed.name, changed.base_path, changed.model_platform) == (
        "mvlift",
        "/models/mvlift",
        "tensorflow",
    )
    assert changed.logging_config.sampling_config.sampling_rate == 0.5
    assert dict(changed.version_labels) == {"stable": 1, "canary": 2, "previous": 1}
    assert [child.name for child in tmp_path.iterdir()] == ["models.config"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("model_config_list { config { nme: 'a' } }", "`file` must be TensorFlow Serving's model"),
        ("model_config_list {}", "`model_config_list` must have one model. Received: 0"),
        ("model_config_list { config { name: 'a' } }", "must have the labels stable, canary"),
        (
            "model_config_list { config { version_labels { key: 'stable' value: 1 } } }",
            "previous. Received: stable.",
        ),
    ],
)
def test_other_configs_are_refused(tmp_path, text, sentence):
    path = tmp_path / "models.config"
    path.write_text(text)
    with pytest.raises(errors.RecordingError, match=r"models\.config: ") as caught:
        rollouts.labels_of(path, rollouts.read_config(path))
    assert sentence in str(caught.value)


def test_a_missing_config_is_said(tmp_path):
    with pytest.raises(errors.RecordingError, match="`file` must be a file that exists"):
        rollouts.read_config(tmp_path / "gone.config")
