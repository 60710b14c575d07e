import shutil

import pytest

from keras_mvlift.serving import clients, rollouts
from tests.serving import polling, rollouts_version_labels_test, stand_in

Labels = rollouts.Labels


@pytest.fixture
def config(tmp_path):
    return shutil.copy(rollouts_version_labels_test.SHIPPED, tmp_path / "models.config")


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
