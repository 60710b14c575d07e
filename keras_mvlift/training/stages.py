"""One stage of training, from records to a trained model."""

import contextlib
import csv
import functools
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_addons as tfa
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import distinct_cameras
from keras_mvlift.training import (
    camera_refinement,
    checkpoints,
    early_stopping,
    guards,
    held_out_records,
    instant_lifter,
    instant_switches,
    multi_view_lifter,
    objectives,
    optimizers,
    resident_lifter,
    shared_batches,
    stage_files,
    strategies,
    uncertainty_calibration,
)

_HISTORY = "history.csv"

# By `FinetuneConfig.views`.
_OBJECTIVES = {
    "pair": objectives.TransformReprojection,
    "all": objectives.AllViewsReprojection,
}


def objective(config: configs.StageConfig) -> Any:
    """Gives what a stage minimizes."""
    if not isinstance(config, configs.FinetuneConfig):
        return objectives.Consistency()
    names = ["transform_weight", "confidence_weighting", "distance", "image_space"]
    if config.views == "all":
        names += ["reprojection_weight", "robust_loss", "robust_kernel", "robust_scale_px"]
    return _OBJECTIVES[config.views](**{name: getattr(config, name) for name in names})


def takes_instants(config: configs.StageConfig) -> bool:
    """Tells whether a stage reads instants rather than pairs."""
    return isinstance(config, configs.FinetuneConfig) and config.views == "all"


def model(config: configs.StageConfig) -> Callable[..., multi_view_lifter.MultiViewLifter]:
    """Gives what makes the model that a stage trains."""
    if not isinstance(config, configs.FinetuneConfig) or config.views == "pair":
        return resident_lifter.ResidentLifter
    switches = instant_switches.of_config(config)
    return functools.partial(instant_lifter.InstantLifter, switches=switches)


def run(
    lifter: multi_view_lifter.MultiViewLifter,
    config: configs.StageConfig,
    files: stage_files.Files,
    name: str,
) -> list[dict[str, float]]:
    """Trains a model in place, going on from the stage's last checkpoint if there is one.

    Args:
        lifter: The model to train; it is trained with the strategy in whose scope it was built.
        config: The stage's settings.
        files: Where to read and write. With several workers the chief alone writes there.
        name: Of the stage, for messages and the progress bar.

    Returns:
        The losses of each epoch.

    Raises:
        ValueError: If the records do not fill one batch, a stage with `patience` has no held-out
            records, windows of whole instants are asked for, or the strategy is not the model's.
        NonFiniteLossError: If the loss stops being a number.
        WorkerLostError: If another worker ended before training did.
    """
    _check_windows(config, files, name)
    steps = _steps_per_epoch(config, files, name)
    strategy = lifter.distribute_strategy
    strategies.check(lifter, config.strategy, config.batch_size)
    with contextlib.ExitStack() as stack:
        if strategy is not tf.distribute.get_strategy():
            stack.enter_context(strategy.scope())
        stack.enter_context(strategies.naming_lost_workers(strategy, name))
        checkpoint_folder, logs = (
            stack.enter_context(strategies.own_folder(strategy, folder))
            for folder in (files.checkpoints, files.logs)
        )
        written = files._replace(checkpoints=checkpoint_folder, logs=logs)
        return _run(lifter, config, files, written, steps, name)


def _run(
    lifter: multi_view_lifter.MultiViewLifter,
    config: configs.StageConfig,
    files: stage_files.Files,
    written: stage_files.Files,
    steps: int,
    name: str,
) -> list[dict[str, float]]:
    strategy = lifter.distribute_strategy
    if isinstance(config, configs.FinetuneConfig) and config.refine_extrinsics:
        known = distinct_cameras.of_records(files.train, files.num_views)
        lifter.refine_extrinsics(camera_refinement.CameraRefinement(known))
    strategies.synchronize(lifter)
    lifter.compile(optimizers.build(config, steps))
    optimizers.prepare(lifter)
    saver = checkpoints.EpochCheckpoints(files.checkpoints, written.checkpoints)
    best = _best_epoch(lifter, config, files)
    epochs_done = saver.restore(lifter, best.state if best else None)
    is_done = best is not None and best.is_done(epochs_done)
    rows = _rows(files.checkpoints, epochs_done)
    # Nothing is written before all workers have read what lies there.
    strategies.check_same(strategy, epochs_done)
    history = _history(written.checkpoints, rows)
    batches = files.batches(config, epochs_done, resident_lifter.keeper(lifter))
    lifter.fit(
        shared_batches.share(strategy, batches, files.num_rows(config)),
        **shared_batches.repeat(strategy, files.held_out_batches(config)),
        steps_per_epoch=steps,
        epochs=epochs_done if is_done else config.num_epochs,
        initial_epoch=epochs_done,
        callbacks=_callbacks(best, saver, history, written.logs, name),
        verbose=0,
    )
    if best:
        best.restore()
    elif config.weight_averaging and config.num_epochs:
        lifter.optimizer.assign_average_vars(lifter.trainable_variables)
    _calibrate(lifter, files)
    shutil.copy(history, written.logs / _HISTORY)
    with history.open() as file:
        table = list(csv.DictReader(file))
    # Keras writes columns of validation losses, as "NA", even where nothing was held out.
    return [{key: float(x) for key, x in row.items() if x != "NA"} for row in table]


def _check_windows(config: configs.StageConfig, files: stage_files.Files, name: str) -> None:
    # Whole instants, and the score that ends a stage, are read frame by frame.
    for field, value, rule in (
        ("views", files.num_views and "all", "be 'pair'"),
        ("patience", config.patience, "be 0"),
    ):
        if files.windows and value:
            whose = "for networks that see windows of frames"
            raise ValueError(f"{name}: `{field}` must {rule} {whose}. Received: {value!r}.")


def about(lifter: multi_view_lifter.MultiViewLifter) -> dict[str, Any]:
    """Tells, as JSON, what a stage found beside the networks' weights."""
    found: dict[str, Any] = {}
    if isinstance(lifter, instant_lifter.InstantLifter) and lifter.refinement is not None:
        found["cameras"] = lifter.refinement.report()
    if lifter.uncertainty is not None and lifter.uncertainty.calibration:
        found["uncertainty"] = json.loads(lifter.uncertainty.calibration)
    return found


def _calibrate(lifter: multi_view_lifter.MultiViewLifter, files: stage_files.Files) -> None:
    if lifter.uncertainty is None or not files.held_out:
        return
    seen = held_out_records.read(files.held_out, files.num_views)
    if isinstance(lifter, instant_lifter.InstantLifter) and lifter.refinement is not None:
        seen = lifter.refinement(tf.nest.map_structure(tf.constant, seen))
    found = uncertainty_calibration.calibrate(lifter, lifter.uncertainty, seen)
    lifter.uncertainty.calibration = json.dumps(found)


def _steps_per_epoch(config: configs.StageConfig, files: stage_files.Files, name: str) -> int:
    num_pairs = files.count_pairs()
    steps = num_pairs // config.batch_size
    if not steps:
        raise ValueError(
            f"{name}: `batch_size` must be at most the number of pairs, {num_pairs}. "
            f"Received: {config.batch_size}."
        )
    return steps


def _best_epoch(
    lifter: multi_view_lifter.MultiViewLifter, config: configs.StageConfig, files: stage_files.Files
) -> early_stopping.BestEpoch | None:
    if not config.patience:
        return None
    seen = held_out_records.read(files.held_out, files.num_views)
    return early_stopping.BestEpoch(seen, lifter, config.patience)


def _rows(folder: pathlib.Path, epochs_done: int) -> list[str]:
    """Gives the lines of the history that are of epochs that the checkpoint knows of."""
    path = folder / _HISTORY
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return lines[: epochs_done + 1]


def _history(folder: pathlib.Path, rows: list[str]) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _HISTORY
    path.write_text("".join(rows))
    return path


def _callbacks(
    best: early_stopping.BestEpoch | None,
    saver: checkpoints.EpochCheckpoints,
    history: pathlib.Path,
    logs: pathlib.Path,
    name: str,
) -> list[keras.callbacks.Callback]:
    logs.mkdir(parents=True, exist_ok=True)
    is_chief = strategies.is_chief(tf.distribute.get_strategy())
    bar = tfa.callbacks.TQDMProgressBar(
        overall_bar_format=f"  {name:<10}{{percentage:4.0f}} % {{bar:30}} {{n_fmt}}/{{total_fmt}} "
        "epochs, {remaining} left",
        show_epoch_progress=False,
    )
    return [
        guards.StopOnNonFiniteLoss(name),
        # Before those that write its score down.
        *([best] if best else []),
        *([bar] if is_chief else []),
        keras.callbacks.TensorBoard(str(logs), write_graph=False, profile_batch=0),
        keras.callbacks.CSVLogger(str(history), append=True),
        saver,
    ]
