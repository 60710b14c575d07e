"""What TFX's Trainer runs: a stage of training, from pairs to a SavedModel."""

import contextlib
import dataclasses
import hashlib
import io
import json
import logging
import math
import os
import pathlib
import shutil
from typing import Any

import keras_tuner
import tensorflow as tf
from keras_tuner.engine import base_tuner, trial
from tensorflow import keras
from tfx.components.tuner import component as tuner

from components.example_gen import executor
from keras_mvlift import configs, inference, trained_models
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.export import compact, saved_model
from keras_mvlift.training import (
    held_out,
    lifters,
    stage_data,
    stages,
    strategies,
)

RUN_FN = "components.trainers.run_fn"
PRETRAIN, FINETUNE = "pretrain", "finetune"

_CONFIGS: dict[str, type[configs.StageConfig]] = {
    PRETRAIN: configs.PretrainConfig,
    FINETUNE: configs.FinetuneConfig,
}


def custom_config(
    model: configs.ModelConfig,
    stage: configs.StageConfig,
    checkpoint_root: str,
    code_version: str,
    warm_start: bool = False,
    start_from: str = "",
) -> dict[str, Any]:
    """Packs what `run_fn` needs for `Trainer(custom_config=...)`.

    `checkpoint_root` outlives a killed run; results of another `code_version` are not reused. With
    `warm_start` the first stage looks for a blessed model to go on from; where it finds none it
    begins with `start_from`, as `load_model` takes it, if that is said.
    """
    name = FINETUNE if isinstance(stage, configs.FinetuneConfig) else PRETRAIN
    return {
        "stage": name,
        "stage_config": stage.to_json(),
        "model_config": model.to_json(),
        "checkpoint_root": checkpoint_root,
        "code_version": code_version,
        **({KEY: True} if warm_start else {}),
        **(start_of(start_from) if start_from else {}),
    }


def run_fn(fn_args: Any) -> None:
    """Trains and writes a model; TFX calls it with `FnArgs`."""
    custom = fn_args.custom_config
    config = _CONFIGS[custom["stage"]].from_json(custom["stage_config"])
    tuned = _tuned(fn_args)
    config = dataclasses.replace(config, **tuned)
    model_config = configs.ModelConfig.from_json(custom["model_config"])
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    lifter, description = start(fn_args, model_config, config)
    checkpoint_folder = checkpoints_of(fn_args)
    history: list[dict[str, float]] = []
    note = _note(custom["stage"], description)
    if not note:
        logs = pathlib.Path(fn_args.model_run_dir)
        files = records(fn_args, model_config, config, checkpoint_folder, logs)
        history = stages.run(lifter, config, files, custom["stage"].capitalize())
    description[custom["stage"]] = {
        "config": dataclasses.asdict(config),
        "num_epochs": len(history),
        "last_epoch": history[-1] if history else {},
        "note": note,
        **({"tuned": tuned} if tuned else {}),
    } | stages.about(lifter)
    # What an earlier stage learned of mirrored people is not forgotten at once.
    is_mirrored = getattr(config, "flip_augmentation", False)
    description["is_mirrored"] = description.get("is_mirrored", False) or is_mirrored
    strategy = lifter.distribute_strategy
    with strategies.own_folder(strategy, pathlib.Path(fn_args.serving_model_dir)) as folder:
        saved_model.save(lifter, description, folder)
    if strategies.is_chief(strategy):
        shutil.rmtree(checkpoint_folder, ignore_errors=True)


def _note(stage: str, description: dict[str, Any]) -> str:
    """Says why a stage has nothing to do; nothing where it has."""
    if stage != PRETRAIN or not (model := description.get(KEY, {}).get("model")):
        return ""
    whose = model if description[KEY]["note"] else "the last blessed model"
    return f"Nothing to pre-train: the weights are those of {whose}."


def start(
    fn_args: Any, model_config: configs.ModelConfig, config: configs.StageConfig
) -> tuple[lifters.Model, dict[str, Any]]:
    """Builds a model, or loads the one of the stage before; gives it and its description."""
    with strategies.of_name(config.strategy).scope():
        objective = stages.objective(config, model_config.recipe)
        options: dict[str, Any] = {"model": stages.model(config), "precision": config.precision}
        former = fn_args.base_model and pathlib.Path(fn_args.base_model)
        if former and fn_args.custom_config["stage"] != PRETRAIN:
            return lifters.load(former / lifters.FOLDER, objective, **options)
        dataset, custom = _dataset(fn_args), fn_args.custom_config
        description = {
            "model": dataclasses.asdict(model_config),
            "rig_distance": dataset["rig_distance"],
            "intrinsics": dataset["intrinsics"],
            **({"spans": spans} if (spans := executor.spans_of(dataset)) else {}),
        }
        trained = None
        if former:
            trained, about = _blessed(former, model_config, objective, fn_args.train_files)
            description |= about
        elif custom.get(KEY):
            note = "No model was blessed on earlier spans: training starts from scratch."
            description[KEY] = {"model": None, "note": note}
        if trained is None and (path := custom.get(START)):
            trained, about = _asked(path, objective, fn_args.train_files)
            description |= about
        cameras = (description["rig_distance"], description["intrinsics"])
        lifter = lifters.build(model_config, objective, *cameras, **options)
        if trained is not None:
            lifters.copy_weights(trained, lifter)
        return lifter, description


def records(
    fn_args: Any,
    model_config: configs.ModelConfig,
    config: configs.StageConfig,
    checkpoint_folder: pathlib.Path,
    logs: pathlib.Path,
) -> stage_data.Files:
    """Finds what a stage reads."""
    dataset = _dataset(fn_args) if stages.takes_instants(config) else {}
    return stage_data.Files(
        train=sorted(tf.io.gfile.glob(fn_args.train_files)),
        held_out=sorted(tf.io.gfile.glob(fn_args.eval_files)),
        checkpoints=checkpoint_folder,
        logs=logs,
        num_views=dataset.get("num_views", 0),
        num_pairs=dataset.get("counts", {}).get("train_pairs", 0),
        windows=lifters.window_of(model_config),
    )


def _dataset(fn_args: Any) -> dict[str, Any]:
    """Reads what is common to all records, of one artifact or of several spans."""
    roots = [os.path.dirname(os.path.dirname(pattern)) for pattern in fn_args.train_files]
    return executor.combine([executor.read_dataset(root) for root in roots])


def _tuned(fn_args: Any) -> dict[str, Any]:
    """Returns the settings that a Tuner found, if one was asked."""
    return dict((getattr(fn_args, "hyperparameters", None) or {}).get("values", {}))


def checkpoints_of(fn_args: Any) -> pathlib.Path:
    """Returns the folder of exactly this stage, settings, code and inputs."""
    custom = fn_args.custom_config
    inputs = [custom, fn_args.train_files, fn_args.base_model, _tuned(fn_args)]
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return pathlib.Path(custom["checkpoint_root"]) / f"{custom['stage']}-{digest[:16]}"


TUNER_FN = "components.trainers.tuner_fn"
OBJECTIVE = "held_out_mean_mm"

_FOLDER = "search"


def tuner_config(
    tune: configs.TuneConfig,
    model: configs.ModelConfig,
    stage: configs.FinetuneConfig,
    checkpoint_root: str,
    code_version: str,
) -> dict[str, str]:
    """Packs what `tuner_fn` needs, as `custom_config` does; trials have the settings of a stage."""
    # A trial is scored as its last epoch left it, as the stage itself will be at its end.
    whole = dataclasses.replace(stage, patience=0)
    packed = custom_config(model, whole, checkpoint_root, code_version)
    return packed | {"stage": "tune", "tune_config": tune.to_json()}


def tuner_fn(fn_args: Any) -> tuner.TunerFnResult:
    """Prepares the search; TFX calls it with `FnArgs`, and then searches."""
    # KerasTuner says on the console that it goes on.
    with contextlib.redirect_stdout(io.StringIO()):
        search = Search(fn_args)
    return tuner.TunerFnResult(tuner=search, fit_kwargs={"verbose": 0})


class GivenFirst(keras_tuner.oracles.RandomSearchOracle):
    """Tries the settings as they were given, then draws others."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Chooses the settings of a trial."""
        if not self.trials:
            given = {entry.name: entry.default for entry in self.hyperparameters.space}
            return {"status": trial.TrialStatus.RUNNING, "values": given}
        return super().populate_space(trial_id)


class Search(base_tuner.BaseTuner):
    """Trains a model per trial and scores it in held-out views.

    A search that was killed goes on with the trial, and within it with the epoch, where it was.
    """

    def __init__(self, fn_args: Any):
        custom = fn_args.custom_config
        self._fn_args = fn_args
        self._tune = configs.TuneConfig.from_json(custom["tune_config"])
        self._stage = configs.FinetuneConfig.from_json(custom["stage_config"])
        self._model = configs.ModelConfig.from_json(custom["model_config"])
        self._folder = checkpoints_of(fn_args)
        space = keras_tuner.HyperParameters()
        for name, (least, most) in self._tune.ranges.items():
            given = getattr(self._stage, name)
            space.Float(name, least, most, sampling="log", default=given)
        oracle = GivenFirst(
            keras_tuner.Objective(OBJECTIVE, "min"),
            max_trials=self._tune.num_trials,
            # To KerasTuner 0 is no seed.
            seed=self._tune.seed + 1,
            hyperparameters=space,
        )
        super().__init__(oracle, directory=str(self._folder), project_name=_FOLDER)

    def run_trial(self, trial: trial.Trial, verbose: int = 0) -> dict[str, float]:
        """Trains and scores.

        Raises:
            FailedTrialError: If the settings let training explode.
            FatalError: If training fails in a way that other settings would not mend.
        """
        config = dataclasses.replace(self._stage, **trial.hyperparameters.values)
        name = f"Trial {len(self.oracle.trials)}/{self._tune.num_trials}"
        try:
            score = self._score(config, name, self._folder / f"trial-{trial.trial_id}")
        except stages.NonFiniteLossError as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        except Exception as error:
            # KerasTuner would go on with the next trial.
            raise keras_tuner.errors.FatalError(str(error)) from error
        if not math.isfinite(score):
            raise keras_tuner.errors.FailedTrialError(f"{name}: the score is {score}.")
        logging.info("%s: %s of %s: %g", name, OBJECTIVE, trial.hyperparameters.values, score)
        return {OBJECTIVE: score}

    def on_search_end(self) -> None:
        """Leaves nothing behind; raises a ValueError if no trial ended with a score."""
        if not any(one.score is not None for one in self.oracle.trials.values()):
            messages = [one.message for one in self.oracle.trials.values() if one.message]
            failures = [str(message).strip().splitlines()[-1] for message in messages]
            raise ValueError(f"No trial ended with a score. Received: {'; '.join(failures)}")
        shutil.rmtree(self._folder)

    def search_space_summary(self, extended: bool = False) -> None:
        """Logs the ranges; KerasTuner prints them."""
        logging.info("Searching in %s", self._tune.ranges)

    def results_summary(self, num_trials: int = 10) -> None:
        """Logs the best trials; KerasTuner prints them."""
        for one in self.oracle.get_best_trials(num_trials):
            logging.info("%s %g: %s", OBJECTIVE, one.score, one.hyperparameters.values)

    def _score(self, config: configs.FinetuneConfig, name: str, folder: pathlib.Path) -> float:
        keras.utils.set_random_seed(config.seed)
        tf.config.experimental.enable_op_determinism()
        lifter, _ = start(self._fn_args, self._model, config)
        files = records(self._fn_args, self._model, config, folder / "checkpoints", folder / "logs")
        seen = held_out.read_records(files.held_out, files.num_views)
        stages.run(lifter, config, files, name)
        return held_out.score(lifter, seen)["mean_mm"]


KEY = "warm_start"
"""Of a stage's custom config: whether a blessed model is gone on from; of a description: which."""
START = "start_from"
"""Of a stage's custom config: the model to start from."""

# Views that batch norms are set to norm by.
_NUM_VIEWS = 4096

# What a description says of the cameras that a model was made for.
_CAMERAS = ("rig_distance", "intrinsics")

# Of a model's folder as TFX lays it out: component, output, number.
_NUM_TOLD = 3


def _blessed(
    former: pathlib.Path, config: configs.ModelConfig, objective: Any, files: list[str]
) -> tuple[lifters.Model | None, dict[str, Any]]:
    """Reads the last blessed model, None if of other networks, and what a description tells."""
    model = inference.load_model(former)
    name = "/".join(former.parent.parts[-_NUM_TOLD:])
    if different := config.differences(configs.ModelConfig.from_description(model.description)):
        note = (
            f"The last blessed model, {name}, is of other networks ({', '.join(different)}): "
            "training starts from scratch."
        )
        return None, {KEY: {"model": None, "note": note}}
    # One that was fitted in closed form may lack its batch norms.
    trained = compact.reopened(model, objective, seen=lambda: _views(files))
    # The cameras that it was made for stay, as its weights were trained with them.
    told = {"model": name, "note": "", "spans": model.description.get("spans")}
    return trained, {key: model.description[key] for key in _CAMERAS} | {KEY: told}


def _asked(path: str, objective: Any, files: list[str]) -> tuple[lifters.Model, dict[str, Any]]:
    """Reads the model that was asked for, as `load_model` takes it, and what to tell of it."""
    model = inference.load_model(path)
    trained = compact.reopened(model, objective, seen=lambda: _views(files))
    about = {key: model.description[key] for key in _CAMERAS}
    about |= {"is_mirrored": model.description.get("is_mirrored", False)}
    return trained, about | {KEY: {"model": path, "note": f"Training started from {path}."}}


def _views(files: list[str]) -> views.View:
    """Returns both views of pairs of all files, as many as batch norms need."""
    num_pairs = max(min(tfrecords.count(files), _NUM_VIEWS // 2), 1)
    pair = next(iter(tfrecords.load(files, num_pairs, seed=0)))
    return tf.nest.map_structure(lambda *sides: tf.concat(sides, axis=0), *pair)


def start_of(path: str) -> dict[str, str]:
    """Returns which model to start from, and a digest, as another may lie there later."""
    folder = inference.load_model(path).path
    digest = hashlib.sha256()
    for file in sorted((folder / lifters.FOLDER).iterdir()):
        digest.update(file.read_bytes())
    place = path if path in trained_models.shipped_names() else str(folder.resolve())
    return {START: place, "start_digest": digest.hexdigest()[:16]}
