import dataclasses
import json

import pytest
from google.protobuf import json_format
from keras_tuner import errors
from tfx.components.tuner import executor as tuner_executor
from tfx.proto import trainer_pb2
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from components import trainers
from components.example_gen import executor
from keras_mvlift import configs
from keras_mvlift.training import stages

MODEL = configs.ModelConfig(backbone="res_linear", layers_per_block=1, width=16)
STAGE = configs.FinetuneConfig(num_epochs=1, batch_size=64, decay_every=0, patience=1)
TUNE = configs.TuneConfig(num_trials=2, num_epochs=1, learning_rate=(1e-3, 1e-1))


@pytest.fixture(scope="module")
def examples(studio_records):
    return studio_records["examples"]


def search(examples, root, tune=TUNE, stage=STAGE):
    """Runs what TFX's Tuner runs; gives the best settings and all trials."""
    outputs = {
        "best_hyperparameters": [standard_artifacts.HyperParameters()],
        "tuner_results": [standard_artifacts.TunerResults()],
    }
    for name, (artifact,) in outputs.items():
        artifact.uri = str(root / name)
    train, held_out = (
        executor.INSTANT_SPLITS if stages.takes_instants(stage) else executor.PAIR_SPLITS
    )
    custom = trainers.tuner_config(tune, MODEL, stage, str(root / "checkpoints"), "abc")
    properties = {
        "tuner_fn": trainers.TUNER_FN,
        "train_args": json_format.MessageToJson(trainer_pb2.TrainArgs(splits=[train])),
        "eval_args": json_format.MessageToJson(trainer_pb2.EvalArgs(splits=[held_out])),
        "custom_config": json_utils.dumps(custom),
    }
    context = tuner_executor.Executor.Context(tmp_dir=str(root / "tmp"), unique_id="1")
    tuner_executor.Executor(context).Do({"examples": [examples]}, outputs, properties)
    best = json.loads((root / "best_hyperparameters" / "best_hyperparameters.txt").read_text())
    results = json.loads((root / "tuner_results" / "tuner_results.json").read_text())
    return best["values"], sorted(results, key=lambda row: row["trial_id"])


@pytest.fixture(scope="module")
def unbroken(examples, tmp_path_factory):
    root = tmp_path_factory.mktemp("unbroken")
    return root, *search(examples, root)


def test_the_first_trial_is_of_the_settings_as_they_are_given(unbroken):
    first = unbroken[2][0]
    assert first["transform_weight"] == STAGE.transform_weight
    assert first["learning_rate"] == STAGE.learning_rate


def test_other_trials_are_drawn_from_the_ranges(unbroken):
    _, *others = unbroken[2]
    assert len(others) == TUNE.num_trials - 1
    for name, (least, most) in TUNE.ranges.items():
        values = [row[name] for row in others]
        assert all(least <= value <= most for value in values)
        assert len(set(values)) == len(values)


def test_the_best_has_the_least_error_in_held_out_views(unbroken):
    _, best, rows = unbroken
    least = min(rows, key=lambda row: row["score"])
    assert len({row["score"] for row in rows}) == len(rows)
    assert best == {name: least[name] for name in TUNE.ranges}


def test_a_search_leaves_no_checkpoints(unbroken):
    assert not any((unbroken[0] / "checkpoints").iterdir())


@pytest.mark.e2e
def test_a_killed_search_goes_on_and_ends_like_an_unbroken_one(
    unbroken, examples, tmp_path, monkeypatch, capfd
):
    run, names = stages.run, []

    def run_or_die(lifter, config, files, name):
        names.append(name)
        if len(names) == 2:
            raise KeyboardInterrupt
        return run(lifter, config, files, name)

    monkeypatch.setattr(stages, "run", run_or_die)
    with pytest.raises(KeyboardInterrupt):
        search(examples, tmp_path)
    assert search(examples, tmp_path) == unbroken[1:]
    assert names == ["Trial 1/2", "Trial 2/2", "Trial 2/2"]
    assert capfd.readouterr().out == ""


@pytest.mark.e2e
def test_whole_instants_are_searched_on_too(examples, tmp_path):
    stage = dataclasses.replace(STAGE, views="all", batch_size=4)
    best, (row,) = search(examples, tmp_path, dataclasses.replace(TUNE, num_trials=1), stage)
    assert best == {"transform_weight": 1.0, "learning_rate": 1e-3}
    assert row["score"] > 0


def test_a_search_without_a_score_says_why(examples, tmp_path, monkeypatch):
    def explode(lifter, config, files, name):
        raise stages.NonFiniteLossError(f"{name}: the loss must be finite.")

    monkeypatch.setattr(stages, "run", explode)
    with pytest.raises(ValueError, match=r"No trial ended with a score.*Trial 2/2: the loss must"):
        search(examples, tmp_path)


def test_what_no_settings_would_mend_ends_the_search(examples, tmp_path):
    stage = dataclasses.replace(STAGE, batch_size=99_999)
    with pytest.raises(errors.FatalError, match=r"Trial 1/2: `batch_size` must be at most"):
        search(examples, tmp_path, stage=stage)


def test_other_settings_search_elsewhere():
    told = trainers.tuner_config(TUNE, MODEL, STAGE, "checkpoints", "abc")
    assert told["stage"] == "tune"
    assert configs.FinetuneConfig.from_json(told["stage_config"]).patience == 0
    assert configs.TuneConfig.from_json(told["tune_config"]) == TUNE
