"""What TFX's Tuner runs: short fine-tuning stages, compared by the score without labels."""

import contextlib
import dataclasses
import io
import logging
import math
import pathlib
import shutil
from typing import Any

import keras_tuner
import tensorflow as tf
from keras_tuner.engine import base_tuner, trial
from tensorflow import keras
from tfx.components.tuner import component as tuner

from components import trainers
from keras_mvlift import configs
from keras_mvlift.training import held_out, optimizers, stages

TUNER_FN = "components.tuning.tuner_fn"
OBJECTIVE = "held_out_mean_mm"

_FOLDER = "search"


def custom_config(
    tune: configs.TuneConfig,
    model: configs.ModelConfig,
    stage: configs.FinetuneConfig,
    checkpoint_root: str,
    code_version: str,
) -> dict[str, str]:
    """Packs what `tuner_fn` needs for `Tuner(custom_config=...)`.

    Args:
        tune: The search.
        model: The networks and the recipe.
        stage: The settings of a trial, but for those that are searched for.
        checkpoint_root: A folder that outlives a killed run.
        code_version: Identifies the code, so that results of older code are not reused.
    """
    # A trial is scored as its last epoch left it, as the stage itself will be at its end.
    whole = dataclasses.replace(stage, patience=0)
    packed = trainers.custom_config(model, whole, checkpoint_root, code_version)
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

    Args:
        fn_args: TFX's, with `custom_config` of this module.
    """

    def __init__(self, fn_args: Any):
        custom = fn_args.custom_config
        self._fn_args = fn_args
        self._tune = configs.TuneConfig.from_json(custom["tune_config"])
        self._stage = configs.FinetuneConfig.from_json(custom["stage_config"])
        self._model = configs.ModelConfig.from_json(custom["model_config"])
        self._folder = trainers.checkpoints_of(fn_args)
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
        del verbose
        config = dataclasses.replace(self._stage, **trial.hyperparameters.values)
        name = f"Trial {len(self.oracle.trials)}/{self._tune.num_trials}"
        try:
            score = self._score(config, name, self._folder / f"trial-{trial.trial_id}")
        except optimizers.NonFiniteLossError as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        except Exception as error:
            # KerasTuner would go on with the next trial.
            raise keras_tuner.errors.FatalError(str(error)) from error
        if not math.isfinite(score):
            raise keras_tuner.errors.FailedTrialError(f"{name}: the score is {score}.")
        logging.info("%s: %s of %s: %g", name, OBJECTIVE, trial.hyperparameters.values, score)
        return {OBJECTIVE: score}

    def on_search_end(self) -> None:
        """Leaves nothing behind.

        Raises:
            ValueError: If no trial ended with a score.
        """
        if not any(one.score is not None for one in self.oracle.trials.values()):
            failures = [str(one.message).strip().splitlines()[-1] for one in self._failed()]
            raise ValueError(f"No trial ended with a score. Received: {'; '.join(failures)}")
        shutil.rmtree(self._folder)

    def search_space_summary(self, extended: bool = False) -> None:
        """Logs the ranges; KerasTuner prints them."""
        del extended
        logging.info("Searching in %s", self._tune.ranges)

    def results_summary(self, num_trials: int = 10) -> None:
        """Logs the best trials; KerasTuner prints them."""
        for one in self.oracle.get_best_trials(num_trials):
            logging.info("%s %g: %s", OBJECTIVE, one.score, one.hyperparameters.values)

    def _score(self, config: configs.FinetuneConfig, name: str, folder: pathlib.Path) -> float:
        keras.utils.set_random_seed(config.seed)
        tf.config.experimental.enable_op_determinism()
        lifter, _ = trainers.start(self._fn_args, self._model, config)
        files = trainers.records(
            self._fn_args, self._model, config, folder / "checkpoints", folder / "logs"
        )
        seen = held_out.read_records(files.held_out, files.num_views)
        stages.run(lifter, config, files, name)
        return held_out.score(lifter, seen)["mean_mm"]

    def _failed(self) -> list[trial.Trial]:
        return [one for one in self.oracle.trials.values() if one.message]
