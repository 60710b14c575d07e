"""Compares the recipes with each other and with training on labels, on the synthetic studio.

    python -m benchmarks.recipes            the table of docs/method.md
    python -m benchmarks.recipes --quick    as the test does

All runs of a table see the same people, the same views, the same network and the same number of
steps; they are tested on people that none of them trained on.
"""

import argparse
import dataclasses
import pathlib
import tempfile
from typing import NamedTuple

import numpy as np
import rich.box
import rich.console
import rich.table
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import examples, instants, preparation, splits, synthetic, views
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import summary
from keras_mvlift.training import (
    instant_lifter,
    lifters,
    multi_view_lifter,
    objectives,
    optimizers,
    peers,
    stage_data,
    stage_files,
    stages,
)

SUPERVISED, NOT_PRETRAINED = "supervised", "paper, not pre-trained"
ALL_VIEWS = "solved_root, all views"
RUNS = (SUPERVISED, ALL_VIEWS, "solved_root", "ray_root", "paper", NOT_PRETRAINED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """The size of a comparison.

    Attributes:
        studio: The people, clips and cameras; the last two people are tested on.
        width: Units of each dense layer of the two-block network.
        pretrain: The first stage, of the recipe that needs it.
        finetune: The second stage, of all.
    """

    studio: synthetic.Studio
    width: int
    pretrain: configs.PretrainConfig
    finetune: configs.FinetuneConfig


QUICK = Trial(
    studio=synthetic.Studio(num_subjects=6, num_frames=40, frame_rate=10.0),
    width=128,
    pretrain=configs.PretrainConfig(num_epochs=5, batch_size=256),
    finetune=configs.FinetuneConfig(num_epochs=10, decay_every=4, batch_size=256),
)
FULL = Trial(
    studio=synthetic.Studio(num_subjects=12, num_frames=60, frame_rate=10.0),
    width=256,
    pretrain=configs.PretrainConfig(num_epochs=5, batch_size=256),
    finetune=configs.FinetuneConfig(num_epochs=30, decay_every=10, batch_size=256),
)


class Labeled(NamedTuple):
    """Views with their true poses.

    Attributes:
        view: Fields `[N, ...]`.
        pose: `[N, J, 3]`, meters, camera axes, root at 0.
    """

    view: views.View
    pose: tf.Tensor


class Data(NamedTuple):
    """What the runs of a trial share.

    Attributes:
        folder: Holds the record file of training pairs.
        num_pairs: How many there are.
        instants: All views of the same instants, fields `[T, V, ...]`.
        train: The same views with labels; the supervised run alone sees them.
        test: Views of other people.
        rig_distance: Meters.
    """

    folder: pathlib.Path
    num_pairs: int
    instants: views.View
    train: Labeled
    test: Labeled
    rig_distance: float


def make_data(studio: synthetic.Studio, folder: pathlib.Path) -> Data:
    """Films the studio's people and writes the training pairs."""
    config = configs.DataConfig(source="studio")
    clips = list(studio)
    test_subjects = sorted({clip.subject for clip in clips})[-2:]
    split = splits.BySubject(test_subjects=tuple(test_subjects))
    prepared = [preparation.prepare(clip, split, config) for clip in clips]
    records = [record for clip in prepared for record in examples.encode(clip.train_pairs)]
    with tf.io.TFRecordWriter(str(folder / "pairs.gz"), "GZIP") as writer:
        for record in records:
            writer.write(record)
    seen = [preparation.training_instants(clip, split, config) for clip in clips]
    parts = [instants.to_view(part) for part in seen if len(part.frame)]
    together = tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts)
    # The pipeline writes no labels of training people; this asks for them as if all were tests.
    everyone = splits.BySubject(test_subjects=tuple(clip.subject for clip in clips))
    labels = [
        preparation.prepare(clip, everyone, config).test_views
        for clip in clips
        if clip.subject not in test_subjects
    ]
    test = [clip.test_views for clip in prepared]
    distance = preparation.rig_distance(clips[0])
    return Data(folder, len(records), together, _labeled(labels), _labeled(test), distance)


def run(name: str, trial: Trial, data: Data, seed: int) -> dict[str, float]:
    """Trains one model and measures it on the test people; gives `summary.NAMES`."""
    keras.utils.set_random_seed(seed)
    recipe = {NOT_PRETRAINED: "paper"}.get(name, name.split(",")[0])
    recipe = "solved_root" if name == SUPERVISED else recipe
    model = configs.ModelConfig(recipe=recipe, backbone="res_linear", width=trial.width, seed=seed)
    finetune = dataclasses.replace(trial.finetune, seed=seed)
    lifter = lifters.build(model, stages.objective(finetune, recipe), data.rig_distance)
    steps = data.num_pairs // finetune.batch_size
    if name == SUPERVISED:
        _supervised(lifter, finetune, data, steps)
    elif name == ALL_VIEWS:
        lifter = _all_views(model, finetune, data, steps)
    else:
        if name == "paper":
            _pretrain(lifter, model, dataclasses.replace(trial.pretrain, seed=seed), data)
        _stage(lifter, finetune, data)
    lift = tf.function(lambda view: lifter(view, training=False).root_relative_pose)
    return summary.summary(data.test.pose, lift(data.test.view).numpy())


def _supervised(
    lifter: multi_view_lifter.MultiViewLifter,
    config: configs.FinetuneConfig,
    data: Data,
    steps: int,
) -> None:
    source = stage_data.Rows(tuple(data.train))
    with tempfile.TemporaryDirectory() as folder:
        arrays = stage_data.Arrays(source=source, steps=steps, checkpoints=pathlib.Path(folder))
        stages.run(peers.SupervisedLifter(lifter), config, arrays, SUPERVISED)


def _all_views(
    model: configs.ModelConfig, config: configs.FinetuneConfig, data: Data, steps: int
) -> multi_view_lifter.MultiViewLifter:
    """Trains on all views of an instant; a step lifts as many views as one on pairs."""
    objective = objectives.AllViewsReprojection(transform_weight=config.transform_weight)
    lifter = lifters.build(model, objective, data.rig_distance, model=instant_lifter.InstantLifter)
    lifter.compile(optimizers.build(config, steps))
    slices = tf.data.Dataset.from_tensor_slices(data.instants)
    shuffled = slices.shuffle(len(data.instants.confidence), seed=config.seed).repeat()
    batches = shuffled.batch(2 * config.batch_size, drop_remainder=True)
    lifter.fit(batches, steps_per_epoch=steps, epochs=config.num_epochs, verbose=0)
    return lifter


def _pretrain(
    lifter: multi_view_lifter.MultiViewLifter,
    model: configs.ModelConfig,
    config: configs.PretrainConfig,
    data: Data,
) -> None:
    first = lifters.build(model, stages.objective(config, model.recipe), data.rig_distance)
    _stage(first, config, data)
    lifters.copy_weights(first, lifter)


def _stage(
    lifter: multi_view_lifter.MultiViewLifter, config: configs.StageConfig, data: Data
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkpoints, logs = (pathlib.Path(folder) / name for name in ("checkpoints", "logs"))
        files = stage_files.Files([str(data.folder / "pairs.gz")], [], checkpoints, logs)
        stages.run(lifter, config, files, type(config).__name__.removesuffix("Config"))


def _labeled(tables: list[examples.Columns]) -> Labeled:
    columns = {
        name: np.concatenate([t[name] for t in tables])
        for name in tables[0]
        if name != "camera_confidence"
    }

    def column(name: str) -> tf.Tensor:
        return tf.constant(columns[name].astype(np.float32))

    camera = cameras.Camera(*(column(field) for field in cameras.Camera._fields))
    view = views.View(column("keypoints_2d"), column("confidence"), camera)
    pose = tf.reshape(column(examples.REFERENCE_POSE), [*view.confidence.shape, 3])
    return Labeled(view, pose)


def show(figures: dict[str, dict[str, float]]) -> None:
    """Prints the table; the last column is the MPJPE over that of the supervised run."""
    table = rich.table.Table("run", *summary.NAMES, "ratio", box=rich.box.MARKDOWN)
    for name, values in figures.items():
        ratio = values["mpjpe_mm"] / figures[SUPERVISED]["mpjpe_mm"]
        table.add_row(name, *(f"{values[key]:.1f}" for key in summary.NAMES), f"{ratio:.2f}")
    rich.console.Console().print(table)


def main() -> None:
    """Runs the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(description="Compares the recipes.")
    parser.add_argument("--quick", action="store_true", help="a minute or two")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS, help="some of them")
    options = parser.parse_args()
    trial = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(trial.studio, pathlib.Path(folder))
        show({name: run(name, trial, data, options.seed) for name in options.runs})


if __name__ == "__main__":
    main()
