"""One stage of training, from records to a trained model."""

import csv
import functools
import pathlib
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_addons as tfa
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import examples, view_pairs
from keras_mvlift.training import (
    checkpoints,
    guards,
    instant_lifter,
    multi_view_lifter,
    objectives,
    optimizers,
)

_HISTORY = "history.csv"

# By `FinetuneConfig.views`.
_OBJECTIVES = {
    "pair": objectives.TransformReprojection,
    "all": objectives.AllViewsReprojection,
}
_MODELS = {"pair": multi_view_lifter.MultiViewLifter, "all": instant_lifter.InstantLifter}


class Files(NamedTuple):
    """Where a stage reads and writes.

    Attributes:
        train: Record files of pairs to train on.
        held_out: Record files of pairs to measure the loss on; empty for none.
        checkpoints: A folder that outlives a killed run; this stage and settings alone use it.
        logs: A folder for TensorBoard and the history.
        num_views: Most views of an instant, where the records are instants; 0 where they are pairs.
    """

    train: list[str]
    held_out: list[str]
    checkpoints: pathlib.Path
    logs: pathlib.Path
    num_views: int = 0

    @property
    def decode(self) -> Callable[[tf.Tensor], Any]:
        """What parses a batch of the records."""
        if not self.num_views:
            return examples.decode_pairs
        return functools.partial(examples.decode_instants, num_views=self.num_views)


def objective(config: configs.StageConfig) -> Any:
    """Gives what a stage minimizes."""
    if not isinstance(config, configs.FinetuneConfig):
        return objectives.Consistency()
    return _OBJECTIVES[config.views](
        transform_weight=config.transform_weight,
        confidence_weighting=config.confidence_weighting,
        distance=config.distance,
    )


def takes_instants(config: configs.StageConfig) -> bool:
    """Tells whether a stage reads instants rather than pairs."""
    return isinstance(config, configs.FinetuneConfig) and config.views == "all"


def model(config: configs.StageConfig) -> type[multi_view_lifter.MultiViewLifter]:
    """Gives the class of the model that a stage trains."""
    return _MODELS[config.views if isinstance(config, configs.FinetuneConfig) else "pair"]


def run(
    lifter: multi_view_lifter.MultiViewLifter, config: configs.StageConfig, files: Files, name: str
) -> list[dict[str, float]]:
    """Trains a model in place, going on from the stage's last checkpoint if there is one.

    Args:
        lifter: The model to train.
        config: The stage's settings.
        files: Where to read and write.
        name: Of the stage, for messages and the progress bar.

    Returns:
        The losses of each epoch.

    Raises:
        ValueError: If the records do not fill one batch.
        NonFiniteLossError: If the loss stops being a number.
    """
    steps = _steps_per_epoch(config, files, name)
    lifter.compile(optimizers.build(config, steps))
    saver = checkpoints.EpochCheckpoints(files.checkpoints)
    epochs_done = saver.restore(lifter)
    history = _history(files.checkpoints, epochs_done)
    lifter.fit(
        view_pairs.load(
            files.train,
            config.batch_size,
            seed=config.seed,
            first_epoch=epochs_done,
            decode=files.decode,
        ),
        validation_data=view_pairs.load_once(files.held_out, config.batch_size, files.decode)
        if files.held_out
        else None,
        steps_per_epoch=steps,
        epochs=config.num_epochs,
        initial_epoch=epochs_done,
        callbacks=_callbacks(saver, history, files, name),
        verbose=0,
    )
    if config.weight_averaging and config.num_epochs:
        lifter.optimizer.assign_average_vars(lifter.trainable_variables)
    shutil.copy(history, files.logs / _HISTORY)
    with history.open() as file:
        rows = list(csv.DictReader(file))
    # Keras writes columns of validation losses, as "NA", even where nothing was held out.
    return [{key: float(x) for key, x in row.items() if x != "NA"} for row in rows]


def _steps_per_epoch(config: configs.StageConfig, files: Files, name: str) -> int:
    num_records = view_pairs.count(files.train)
    steps = num_records // config.batch_size
    if not steps:
        raise ValueError(
            f"{name}: `batch_size` must be at most the number of records, {num_records}. "
            f"Received: {config.batch_size}."
        )
    return steps


def _history(folder: pathlib.Path, epochs_done: int) -> pathlib.Path:
    """Cuts the history to the epochs that the checkpoint knows of."""
    path = folder / _HISTORY
    folder.mkdir(parents=True, exist_ok=True)
    path.touch()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: epochs_done + 1]))
    return path


def _callbacks(
    saver: checkpoints.EpochCheckpoints, history: pathlib.Path, files: Files, name: str
) -> list[keras.callbacks.Callback]:
    files.logs.mkdir(parents=True, exist_ok=True)
    bar = tfa.callbacks.TQDMProgressBar(
        overall_bar_format=f"  {name:<10}{{percentage:4.0f}} % {{bar:30}} {{n_fmt}}/{{total_fmt}} "
        "epochs, {remaining} left",
        show_epoch_progress=False,
    )
    return [
        guards.StopOnNonFiniteLoss(name),
        bar,
        keras.callbacks.TensorBoard(str(files.logs), write_graph=False, profile_batch=0),
        keras.callbacks.CSVLogger(str(history), append=True),
        saver,
    ]
