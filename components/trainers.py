"""What TFX's Trainer runs: a stage of training, from pairs to a SavedModel."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any

import tensorflow as tf
from tensorflow import keras

from components import warm_starts
from components.example_gen import executor, summaries
from keras_mvlift import configs
from keras_mvlift.export import saved_model
from keras_mvlift.training import lifters, multi_view_lifter, stages, strategies

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
) -> dict[str, Any]:
    """Packs what `run_fn` needs for `Trainer(custom_config=...)`.

    Args:
        model: The networks and the recipe.
        stage: The stage's settings; their type names the stage.
        checkpoint_root: A folder that outlives a killed run.
        code_version: Identifies the code, so that results of older code are not reused.
        warm_start: Whether the first stage looks for a blessed model to go on from.
    """
    name = FINETUNE if isinstance(stage, configs.FinetuneConfig) else PRETRAIN
    return {
        "stage": name,
        "stage_config": stage.to_json(),
        "model_config": model.to_json(),
        "checkpoint_root": checkpoint_root,
        "code_version": code_version,
        **({warm_starts.KEY: True} if warm_start else {}),
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
    strategy = lifter.distribute_strategy
    with strategies.own_folder(strategy, pathlib.Path(fn_args.serving_model_dir)) as folder:
        saved_model.save(lifter, description, folder)
    if strategies.is_chief(strategy):
        shutil.rmtree(checkpoint_folder, ignore_errors=True)


def _note(stage: str, description: dict[str, Any]) -> str:
    """Says why a stage has nothing to do; nothing where it has."""
    if stage == PRETRAIN and description.get(warm_starts.KEY, {}).get("model"):
        return "Nothing to pre-train: the weights are those of the last blessed model."
    return ""


def start(
    fn_args: Any, model_config: configs.ModelConfig, config: configs.StageConfig
) -> tuple[multi_view_lifter.MultiViewLifter, dict[str, Any]]:
    """Builds a model, or loads the one of the stage before; gives it and its description."""
    with strategies.of_name(config.strategy).scope():
        return _start(fn_args, model_config, config)


def _start(
    fn_args: Any, model_config: configs.ModelConfig, config: configs.StageConfig
) -> tuple[multi_view_lifter.MultiViewLifter, dict[str, Any]]:
    objective = stages.objective(config, model_config.recipe)
    options: dict[str, Any] = {"model": stages.model(config), "precision": config.precision}
    former = fn_args.base_model and pathlib.Path(fn_args.base_model)
    if former and fn_args.custom_config["stage"] != PRETRAIN:
        return lifters.load(former / lifters.FOLDER, objective, **options)
    dataset = _dataset(fn_args)
    description = {
        "model": dataclasses.asdict(model_config),
        "rig_distance": dataset["rig_distance"],
        "intrinsics": dataset["intrinsics"],
        **({"spans": spans} if (spans := executor.spans_of(dataset)) else {}),
    }
    lifter = None
    if former:
        lifter, about = warm_starts.load(former, model_config, objective, **options)
        description |= about
    elif fn_args.custom_config.get(warm_starts.KEY):
        description |= warm_starts.none_yet()
    if lifter is None:
        cameras = (dataset["rig_distance"], dataset["intrinsics"])
        lifter = lifters.build(model_config, objective, *cameras, **options)
    return lifter, description


def records(
    fn_args: Any,
    model_config: configs.ModelConfig,
    config: configs.StageConfig,
    checkpoint_folder: pathlib.Path,
    logs: pathlib.Path,
) -> stages.Files:
    """Finds what a stage reads."""
    dataset = _dataset(fn_args) if stages.takes_instants(config) else {}
    return stages.Files(
        train=_files(fn_args.train_files),
        held_out=_files(fn_args.eval_files),
        checkpoints=checkpoint_folder,
        logs=logs,
        num_views=dataset.get("num_views", 0),
        num_pairs=dataset.get("counts", {}).get("train_pairs", 0),
        windows=lifters.window_of(model_config),
    )


def _dataset(fn_args: Any) -> dict[str, Any]:
    """Reads what is common to all records, of one artifact or of several spans."""
    roots = [os.path.dirname(os.path.dirname(pattern)) for pattern in fn_args.train_files]
    return summaries.combine([executor.read_dataset(root) for root in roots])


def _tuned(fn_args: Any) -> dict[str, Any]:
    """Gives the settings that a Tuner found, if one was asked."""
    return dict((getattr(fn_args, "hyperparameters", None) or {}).get("values", {}))


def checkpoints_of(fn_args: Any) -> pathlib.Path:
    """Gives the folder of exactly this stage, settings, code and inputs."""
    custom = fn_args.custom_config
    inputs = [custom, fn_args.train_files, fn_args.base_model, _tuned(fn_args)]
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return pathlib.Path(custom["checkpoint_root"]) / f"{custom['stage']}-{digest[:16]}"


def _files(patterns: list[str]) -> list[str]:
    return sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))
