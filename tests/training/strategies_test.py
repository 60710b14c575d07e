"""Trains in two processes that talk over loopback, one of which is killed on the way."""

import dataclasses
import json
import os
import signal
import socket
import sys

import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.training import stage_data, stages, strategies
from tests import forks, tiny_studio

pytestmark = pytest.mark.e2e

# Everything that replicas might do apart: batch norm, draws, clipped gradients, averaged weights.
# Without dropout, whose masks are each replica's own.
PAIRS = {"num_epochs": 1, "batch_size": 16, "weight_averaging": 0.9}
INSTANTS = configs.finetuning(configs.ModelConfig()) | {
    "num_epochs": 3,
    "batch_size": 8,
    "flip_augmentation": True,
}
STAGES = {"pairs": PAIRS, "instants": INSTANTS}
KILLED_IN_EPOCH = 2
PATIENCE_SECONDS = 300
PLACES = [(is_killed, index) for is_killed in (True, False) for index in range(2)]


class KillWorker(stages.StopOnNonFiniteLoss):
    """Kills the second of two workers in the middle of an epoch."""

    def on_train_batch_end(self, batch, logs):
        super().on_train_batch_end(batch, logs)
        place = json.loads(os.environ[strategies.VARIABLE])["task"]["index"], self.epoch, batch
        if place == (1, KILLED_IN_EPOCH, 1):
            os.kill(os.getpid(), signal.SIGKILL)


def train(folder, files, strategy="none"):
    """Runs both stages; gives the history of each."""
    made, histories = strategies.of_name(strategy), {}
    for name, stage in STAGES.items():
        config = configs.FinetuneConfig(**stage, strategy=strategy)
        with made.scope():
            lifter = tiny_studio.lifter(
                objective=stages.objective(config, "solved_root"), model=stages.model(config)
            )
        own = {"checkpoints": folder / name / "checkpoints", "logs": folder / name / "logs"}
        histories[name] = stages.run(lifter, config, dataclasses.replace(files[name], **own), name)
        histories[f"{name} weights"] = [float(tf.norm(x)) for x in lifter.trainable_variables]
    return histories


def refusals(strategy, index):
    """What is said of what two workers must not do."""
    with strategy.scope():
        model = keras.Sequential()
    said = []
    for refused in (
        lambda: strategies.check_same(strategy, index),
        lambda: strategies.check(model, "multi_worker", 15),
        lambda: strategies.check(model, "multi_worker", 2),
        lambda: strategies.check(model, "none", 16),
    ):
        with pytest.raises(ValueError, match="must be") as refusal:
            refused()
        said.append(str(refusal.value))
    return said


def work(folder, files, cluster, index, is_killed):
    """Is one of the workers; leaves what it found, and what it was told, in a file."""
    os.environ[strategies.VARIABLE] = json.dumps(
        {"cluster": {"worker": cluster}, "task": {"type": "worker", "index": index}}
    )
    with (folder / f"said-{is_killed}-{index}").open("w") as said:
        os.dup2(said.fileno(), 2)
    # As on a terminal, where progress is shown.
    sys.stderr.isatty = lambda: True
    if is_killed:
        stages.StopOnNonFiniteLoss = KillWorker
    try:
        found = train(folder / "shared", files, "multi_worker")
        found |= {"refusals": refusals(strategies.of_name("multi_worker"), index)}
    except strategies.WorkerLostError as error:
        found = {"lost": str(error)}
    (folder / f"found-{is_killed}-{index}.json").write_text(json.dumps(found))


def free_addresses(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in sockets]
    for server in sockets:
        server.close()
    return addresses


def work_together(folder, files, is_killed):
    """Starts two workers and waits for both; gives their exit codes."""
    cluster = free_addresses(2)
    workers = [forks.start(work, folder, files, cluster, index, is_killed) for index in range(2)]
    for worker in workers:
        worker.join(PATIENCE_SECONDS)
        worker.kill()
        worker.join()
    return [worker.exitcode for worker in workers]


def records(folder):
    columns = tiny_studio.prepare(tiny_studio.film())
    files = {}
    for name, train_columns, held_out_columns in (
        ("pairs", columns.train_pairs, columns.held_out_pairs),
        ("instants", columns.train_instants, columns.held_out_instants),
    ):
        paths = (
            tiny_studio.write(folder / f"{name}-train.gz", train_columns),
            tiny_studio.write(folder / f"{name}-held-out.gz", held_out_columns),
        )
        files[name] = stage_data.Files([paths[0]], [paths[1]], folder, folder)
    about = {"num_views": 4, "num_pairs": files["pairs"].count_pairs()}
    return files | {"instants": dataclasses.replace(files["instants"], **about)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def alone(folder):
    """What one process finds that never stops."""
    return train(folder / "alone", records(folder))


@pytest.fixture(scope="module")
def ended(folder, alone):
    """How two workers ended, one of which was killed, and how two did that went on."""
    files = records(folder)
    return [work_together(folder, files, is_killed) for is_killed in (True, False)]


def found(folder, is_killed, index):
    return json.loads((folder / f"found-{is_killed}-{index}.json").read_text())


def said(folder, is_killed, index):
    return (folder / f"said-{is_killed}-{index}").read_text()


@pytest.mark.parametrize("stage", STAGES)
def test_two_workers_one_of_which_was_killed_report_the_losses_of_one(folder, alone, ended, stage):
    expected = alone[stage]
    assert len(expected) == STAGES[stage]["num_epochs"]
    for index in range(2):
        history = found(folder, False, index)[stage]
        assert [[*row] for row in history] == [[*row] for row in expected]
        for row, expected_row in zip(history, expected, strict=True):
            # Norms' statistics are summed over workers in single precision, and what is measured
            # outside of training rests on them.
            measured = {name: row.pop(name) for name in [*row] if name.startswith("val_")}
            expected_measured = {name: expected_row[name] for name in measured}
            assert measured == pytest.approx(expected_measured, rel=2e-3)
            assert row == pytest.approx({name: expected_row[name] for name in row}, rel=1e-4)


def test_two_workers_end_with_the_same_weights(folder, ended):
    first, second = (found(folder, False, index) for index in range(2))
    assert first["pairs weights"] == second["pairs weights"]
    assert first["instants weights"] == second["instants weights"]


def test_a_stage_that_had_ended_still_gives_the_average_of_its_weights(folder, alone, ended):
    for index in range(2):
        average = found(folder, False, index)["pairs weights"]
        assert average == pytest.approx(alone["pairs weights"], abs=2e-5)


def test_a_worker_that_is_left_alone_says_so(folder, ended):
    assert ended == [[0, -signal.SIGKILL], [0, 0]]
    lost = found(folder, True, 0)["lost"]
    assert lost.startswith("instants: /job:worker/task:1 was lost. Started again, all workers go")
    assert not (folder / "found-True-1.json").exists()


def test_workers_go_on_behind_the_last_epoch_that_was_saved(folder, ended):
    shown = said(folder, False, 0).rpartition("instants ")[2]
    assert f" {INSTANTS['num_epochs'] - KILLED_IN_EPOCH}/{INSTANTS['num_epochs']} epochs" in shown


def test_only_the_chief_shows_its_progress_and_writes_what_is_shared(folder, ended):
    bars = ["epochs, " in said(folder, is_killed, index) for is_killed, index in PLACES]
    assert bars == [True, False, True, False]
    for stage in STAGES:
        shared = folder / "shared" / stage
        history = (shared / "checkpoints" / "history.csv").read_text().splitlines()
        assert len(history) == 1 + STAGES[stage]["num_epochs"]
        # One process of the two that were killed or left, and one of those that went on.
        assert len({path.name.split(".")[-3] for path in shared.rglob("*tfevents*")}) == 2


def test_workers_refuse_other_epochs_and_batches_and_models_than_those_of_all(folder, ended):
    batch = "`batch_size` must be a multiple, two times or more, of the 2 replicas. Received: "
    for index in range(2):
        epochs, odd, small, other = found(folder, False, index)["refusals"]
        assert epochs.startswith("`checkpoints` must be a folder that all workers share. Received:")
        assert epochs.endswith("[0, 1] epochs.")
        assert (odd, small) == (f"{batch}15.", f"{batch}2.")
        assert other.startswith("`strategy` must be the one in whose scope the model was built,")


def test_a_stage_for_several_workers_refuses_a_model_that_was_built_alone():
    model = keras.Sequential()
    with pytest.raises(ValueError, match=r"`strategy` must be .* Received: 'multi_worker'"):
        strategies.check(model, "multi_worker", 16)
    strategies.check(model, "none", 15)


def test_a_strategy_is_one_of_those_with_a_name():
    with pytest.raises(ValueError, match=r"`strategy` must be one of none, .* Received: 'tpu'"):
        strategies.of_name("tpu")


def test_several_workers_are_not_joined_without_being_named(monkeypatch):
    monkeypatch.delenv(strategies.VARIABLE, raising=False)
    with pytest.raises(ValueError, match=r"`TF_CONFIG` must be set"):
        strategies.of_name("multi_worker")


def test_workers_are_joined_before_tensorflow_works_or_not_at_all(monkeypatch):
    tf.constant(0) + 1
    cluster = {"worker": free_addresses(2)}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv(strategies.VARIABLE, json.dumps({"cluster": cluster, "task": task}))
    with pytest.raises(RuntimeError, match="must be asked for before TensorFlow does any work"):
        strategies.of_name("multi_worker")


def test_on_one_processor_mirrored_is_none():
    assert strategies.of_name("mirrored") is strategies.of_name("none")
    assert strategies.is_chief(strategies.of_name("none"))
