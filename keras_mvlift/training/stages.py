"""One stage of training, from records or arrays to a trained model, resumed where it stood."""

import contextlib
import csv
import functools
import importlib.metadata
import importlib.util
import json
import logging
import pathlib
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm
from tensorflow import keras

from keras_mvlift import configs, errors
from keras_mvlift.training import (
    batches,
    held_out,
    lifters,
    multi_view_lifter,
    objectives,
    stage_data,
    strategies,
)

_HISTORY = "history.csv"


def objective(config: configs.StageConfig, recipe: str) -> Any:
    """Returns what a stage minimizes; in the first, what the recipe of that name says."""
    if not isinstance(config, configs.FinetuneConfig):
        return multi_view_lifter.RECIPES[recipe].first_objective
    names = ("transform_weight", "confidence_weighting", "distance", "least_depth")
    chosen = {name: getattr(config, name) for name in names}
    if config.views == "pair":
        return objectives.TransformReprojection(**chosen)
    weight = config.reprojection_weight
    every = objectives.AllViewsReprojection(**chosen, reprojection_weight=weight)
    triangulated = objectives.TriangulatedPose(weight=config.triangulation_weight)
    return objectives.Sum(
        (every,) * (weight > 0) + (triangulated,) * (config.triangulation_weight > 0)
    )


def takes_instants(config: configs.StageConfig) -> bool:
    """Tells whether a stage reads instants rather than pairs."""
    return isinstance(config, configs.FinetuneConfig) and config.views == "all"


def model(config: configs.StageConfig) -> lifters.Make:
    """Returns what makes the model that a stage trains."""
    of_pairs, of_instants = multi_view_lifter.MultiViewLifter, multi_view_lifter.InstantLifter
    kind = of_instants if takes_instants(config) else of_pairs
    changes = (batches.Mirroring,) * getattr(config, "flip_augmentation", False)
    return functools.partial(kind, changes=changes)


def run(
    model: keras.Model,
    config: configs.StageConfig,
    data: stage_data.StageData,
    name: str,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
) -> list[dict[str, float]]:
    """Trains a model in place, going on from the stage's last checkpoint if there is one.

    Args:
        model: The model to train, a `MultiViewLifter`, or what trains one that it has as its
            `lifter`; it is trained with the strategy in whose scope it was built.
        config: The stage's settings.
        data: What to train on, and where to write. With several workers the chief alone writes.
        name: Of the stage, for messages and the progress bar.
        callbacks: What watches in place of the progress bar; what they add to the logs of an epoch
            is in its history.

    Returns:
        The losses of each epoch.

    Raises:
        ValueError: If the data do not fill one batch or lack what the stage asks for, as held-out
            records for `patience`, or the strategy is not the model's.
        NonFiniteLossError: If the loss stops being a number.
        WorkerLostError: If another worker ended before training did.
    """
    steps = data.steps_per_epoch(config, name)
    strategy = model.distribute_strategy
    strategies.check(model, config.strategy, config.batch_size)
    with contextlib.ExitStack() as stack:
        if strategy is not tf.distribute.get_strategy():
            stack.enter_context(strategy.scope())
        stack.enter_context(strategies.naming_lost_workers(strategy, name))
        written = stack.enter_context(strategies.own_folder(strategy, data.checkpoints))
        logs = data.logs and stack.enter_context(strategies.own_folder(strategy, data.logs))
        strategies.synchronize(model)
        model.compile(build_optimizer(config, steps))
        make_slots(model)
        watching = [_Bar(name)] if callbacks is None else [*callbacks]
        guarded = [StopOnNonFiniteLoss(name), *watching]
        return _fit(model, config, data, steps, guarded, written, logs)


def _fit(
    model: keras.Model,
    config: configs.StageConfig,
    data: stage_data.StageData,
    steps: int,
    callbacks: list[keras.callbacks.Callback],
    written: pathlib.Path,
    logs: pathlib.Path | None,
) -> list[dict[str, float]]:
    """Trains a compiled model, an epoch of so many steps; writes below the last two folders."""
    lifter, strategy = getattr(model, "lifter", model), model.distribute_strategy
    best = _best_epoch(lifter, config, data)
    saver = EpochCheckpoints(data.checkpoints, written)
    epochs_done = saver.restore(model, best.state if best else None)
    logging.info("Training begins after epoch %d.", epochs_done)
    is_done = best is not None and best.is_done(epochs_done)
    known = _history_of(data.checkpoints, epochs_done)
    # Nothing is written before all workers have read what lies there.
    strategies.check_same(strategy, epochs_done)
    written.mkdir(parents=True, exist_ok=True)
    (written / _HISTORY).write_text(known)
    drawn = data.batches(config, epochs_done, _keep(model))
    model.fit(
        batches.share(strategy, drawn),
        **batches.repeat(strategy, data.held_out_batches(config)),
        steps_per_epoch=steps,
        epochs=epochs_done if is_done else config.num_epochs,
        initial_epoch=epochs_done,
        # The score comes before those that write it down.
        callbacks=[
            *([best] if best else []),
            *callbacks,
            *_writers(written / _HISTORY, logs, lifter, data),
            saver,
        ],
        verbose=0,
    )
    if best:
        best.restore()
    elif config.weight_averaging and config.num_epochs:
        model.optimizer.assign_average_vars(lifter.trainable_variables)
    if lifter.uncertainty is not None and (seen := data.held_out_views()) is not None:
        found = held_out.calibrate_uncertainty(lifter, lifter.uncertainty, seen)
        lifter.uncertainty.calibration = json.dumps(found)
    if logs:
        shutil.copy(written / _HISTORY, logs / _HISTORY)
    return history(written)


def _keep(model: keras.Model) -> stage_data.Keep:
    # Replicas share the rows of a batch, and each would need the views of all of them.
    is_alone = model.distribute_strategy.num_replicas_in_sync == 1
    return getattr(model, "keep", None) if is_alone else None


def history(folder: pathlib.Path) -> list[dict[str, float]]:
    """Reads what a stage noted in its folder of checkpoints: losses by name for each epoch."""
    path = folder / _HISTORY
    if not path.exists():
        return []
    with path.open() as file:
        table = list(csv.DictReader(file))
    # Keras writes columns of validation losses, as "NA", even where nothing was held out.
    return [{key: float(x) for key, x in row.items() if x != "NA"} for row in table]


def about(lifter: lifters.Model) -> dict[str, Any]:
    """Tells, as JSON, what a stage found beside the networks' weights."""
    if lifter.uncertainty is None or not lifter.uncertainty.calibration:
        return {}
    return {"uncertainty": json.loads(lifter.uncertainty.calibration)}


def _best_epoch(
    lifter: lifters.Model, config: configs.StageConfig, data: stage_data.StageData
) -> held_out.BestEpoch | None:
    if not config.patience:
        return None
    seen = data.held_out_views()
    if seen is None:
        raise ValueError("No instant is held out: the score without labels needs some.")
    return held_out.BestEpoch(seen, lifter, config.patience)


def _history_of(folder: pathlib.Path, epochs_done: int) -> str:
    """Returns the lines of the history that are of epochs that the checkpoint knows of."""
    path = folder / _HISTORY
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return "".join(lines[: epochs_done + 1])


class _Bar(keras.callbacks.Callback):
    """Shows on the chief's terminal how many epochs of a stage are done."""

    def __init__(self, name: str):
        super().__init__()
        done = "{percentage:4.0f} % {bar:30} {n_fmt}/{total_fmt} epochs, {remaining} left"
        self.format = f"  {name:<10}{done}"

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Into a file or a pipe a bar would be drawn line upon line.
        is_shown = sys.stderr.isatty() and strategies.is_chief(tf.distribute.get_strategy())
        options = {"bar_format": self.format, "dynamic_ncols": True, "disable": not is_shown}
        self.bar = tqdm.tqdm(total=self.params["epochs"], **options)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.bar.update()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.bar.close()


def _writers(
    path: pathlib.Path, logs: pathlib.Path | None, lifter: lifters.Model, data: stage_data.StageData
) -> list[keras.callbacks.Callback]:
    history = keras.callbacks.CSVLogger(str(path), append=True)
    if logs is None:
        return [history]
    logs.mkdir(parents=True, exist_ok=True)
    board = keras.callbacks.TensorBoard(str(logs), write_graph=False, profile_batch=0)
    shown = data.shown_views()
    return [board, history, *([held_out.Board(shown, lifter, logs / "poses")] if shown else [])]


class EpochCheckpoints(keras.callbacks.Callback):
    """Saves the whole training state after each epoch, and restores the last one.

    The state is the model, dropout generators included, the optimizer and the epoch. With the order
    of the pairs fixed by seed and epoch, a resumed run ends with the weights of an unbroken one. A
    folder is of one stage and settings; of several workers, only one has it `written`.
    """

    def __init__(self, folder: pathlib.Path, written: pathlib.Path | None = None):
        super().__init__()
        self.folder = folder
        self.written = written or folder

    def restore(self, model: keras.Model, state: dict[str, Any] | None = None) -> int:
        """Restores a compiled model, and variables by name; gives the number of epochs done."""
        done = tf.Variable(0, dtype=tf.int64, trainable=False)
        checkpoint = tf.train.Checkpoint(
            model=model, optimizer=model.optimizer, epochs_done=done, **state or {}
        )
        self.manager = tf.train.CheckpointManager(checkpoint, str(self.written), max_to_keep=1)
        self.epochs_done = done
        if latest := tf.train.latest_checkpoint(str(self.folder)):
            # What the optimizer makes only in its first step is restored then. After the last
            # epoch there is none, which is no reason to complain.
            status = checkpoint.restore(latest)
            status.assert_existing_objects_matched().expect_partial()
        return int(done.numpy())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epochs_done.assign(epoch + 1)
        self.manager.save(checkpoint_number=epoch + 1)


def build_optimizer(
    config: configs.StageConfig, steps_per_epoch: int
) -> keras.optimizers.legacy.Optimizer:
    """Builds Adam with the paper's staircase, clipped and averaged as the config says.

    The moving average of the weights is tensorflow-addons': it keeps its averages in optimizer
    slots, which go into the checkpoint, and works only around Keras' legacy optimizers.

    Raises:
        ValueError: If weights are to be averaged without tensorflow-addons, as from Python 3.12 on.
        ModuleNotFoundError: If Keras 3 is installed without tf_keras.
    """
    if importlib.metadata.version("keras") >= "3" and not importlib.util.find_spec("tf_keras"):
        raise ModuleNotFoundError("`tf_keras` must be installed beside Keras 3", name="tf_keras")
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = config.learning_rate
    if config.decay_every:
        learning_rate = keras.optimizers.schedules.ExponentialDecay(
            config.learning_rate,
            decay_steps=config.decay_every * steps_per_epoch,
            decay_rate=config.decay_rate,
            staircase=True,
        )
    clip_norm = config.clip_norm or None
    adam = keras.optimizers.legacy.Adam(learning_rate, global_clipnorm=clip_norm)
    if not config.weight_averaging:
        return adam
    has_addons = importlib.util.find_spec("tensorflow_addons")
    rule = "be 0 without tensorflow-addons, which ended with Python 3.11"
    errors.require(bool(has_addons), "weight_averaging", rule, config.weight_averaging)
    import tensorflow_addons as tfa

    # The wrapper hands Adam gradients that Adam no longer clips, so it clips them itself.
    return tfa.optimizers.MovingAverage(
        adam, config.weight_averaging, dynamic_decay=True, global_clipnorm=clip_norm
    )


def make_slots(model: keras.Model) -> None:
    """Makes what an optimizer remembers of each weight, before the first step would.

    A step in which variables are made is traced twice, and a stage that was killed behind its last
    epoch takes none, so that a strategy would not restore them.
    """
    model.optimizer._create_all_weights(model.trainable_variables)


class NonFiniteLossError(ArithmeticError):
    """The loss became NaN or infinite."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raises a `NonFiniteLossError` about a stage at the first step whose loss is not finite."""

    def __init__(self, stage: str):
        super().__init__()
        self.stage = stage

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        if not np.isfinite(logs["loss"]):
            raise NonFiniteLossError(
                f"{self.stage}: the loss must be finite. Received: {logs['loss']} at step "
                f"{batch + 1} of epoch {self.epoch + 1}. A lower learning rate or clip_norm, or "
                "a recipe with a bounded root (ray_root, solved_root), may help."
            )
