"""How a cell gets its poses. Another method is one function and one line of `METHODS`."""

import dataclasses
import math
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs, errors, inference
from keras_mvlift.datasets import view_windows, views
from keras_mvlift.experiments import adversarial, origins, peers, variants
from keras_mvlift.experiments import data as training_data
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines, pose_error
from keras_mvlift.training import (
    batches,
    lifters,
    multi_view_lifter,
    objectives,
    stage_data,
    stages,
)


@dataclasses.dataclass(frozen=True)
class Watch:
    """What is kept of a cell while it runs: its checkpoints, and what is measured after each epoch.

    `show` is told the stage and the epoch.
    """

    folder: pathlib.Path
    show: Callable[[str], None] = lambda text: None
    curve: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class Run(NamedTuple):
    """A cell, what it is trained and tested on, and who watches."""

    cell: variants.Cell
    data: training_data.TrainingData
    watch: Watch


Method = Callable[[Run], np.ndarray]
"""From a run to poses `[N, J, 3]` of the test views, meters, camera axes; what it measures on the
way is appended to the watch's curve."""

ERROR = "test_mpjpe_mm"
"""The name of the error in the logs of an epoch."""


class EpochCurve(keras.callbacks.Callback):
    """Shows each epoch's number, and adds the error on `data.NUM_WATCHED` views to its logs.

    Args:
        lifter: What is measured; its name there is `ERROR`.
        test: The views.
        show: Told the epoch, counted from 1.
    """

    def __init__(
        self,
        lifter: keras.Model,
        test: baselines.TestViews,
        show: Callable[[int], None] = lambda epoch: None,
    ):
        super().__init__()
        index = training_data.watched_views(test)
        self.view = tf.nest.map_structure(lambda field: tf.constant(field[index]), test.view)
        self.pose_true = tf.constant(test.reference_pose[index])
        self.lifter, self.show = lifter, show

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.show(epoch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        pose = self.lifter(self.view, training=False).root_relative_pose
        error = tf.reduce_mean(pose_error.mpjpe(self.pose_true, pose))
        if logs is not None:
            logs[ERROR] = pose_error.MILLIMETERS_PER_METER * float(error)


# Test views lifted at once.
_BATCH_SIZE = 8192


def finetune_config(cell: variants.Cell) -> configs.FinetuneConfig:
    """Returns the settings of the main stage, those among the variant's options included."""
    budget = cell.budget
    settings: dict[str, Any] = {
        "num_epochs": budget.num_epochs,
        "batch_size": budget.batch_size,
        "decay_every": budget.decay_every,
        "precision": budget.precision,
        "seed": cell.seed,
        "clip_norm": configs.clip_norm(cell.variant.recipe),
    }
    return configs.FinetuneConfig(**(settings | _options(cell, variants.STAGE_OPTIONS)))


def _options(cell: variants.Cell, known: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in cell.variant.options if name in known}


def method_options(cell: variants.Cell) -> dict[str, Any]:
    """Returns the options that the method alone knows."""
    others = variants.STAGE_OPTIONS | variants.MODEL_OPTIONS
    return {name: value for name, value in cell.variant.options if name not in others}


def build(run: Run, config: configs.StageConfig) -> multi_view_lifter.MultiViewLifter:
    """Builds the untrained lifter of a stage."""
    variant, budget = run.cell.variant, run.cell.budget
    model = configs.ModelConfig(
        recipe=variant.recipe,
        backbone=variant.backbone,
        width=budget.width,
        dropout=budget.dropout,
        filter_widths=budget.filter_widths,
        is_causal=method_options(run.cell).get("is_causal", False),
        seed=run.cell.seed,
        **_options(run.cell, variants.MODEL_OPTIONS),
    )
    objective, kind = stages.objective(config, variant.recipe), stages.model(config)
    distance, precision = run.data.rig_distance, config.precision
    return lifters.build(model, objective, distance, model=kind, precision=precision)


def fit(
    model: keras.Model, config: configs.StageConfig, source: stage_data.Source, run: Run
) -> None:
    """Trains a model as the pipeline does, from its last checkpoint on, under watch.

    Args:
        model: As `stages.run` takes it.
        config: The stage's settings.
        source: What its batches are drawn from.
        run: Its cell says how many steps an epoch has; some of its test views are measured after
            each, and its watch gets an entry, also of an epoch that ends badly.

    Raises:
        NonFiniteLossError: If the loss stops being a number.
    """
    stage = type(config).__name__.removesuffix("Config").lower()
    trained = stage_data.Arrays(
        source=source, steps=run.cell.budget.steps_per_epoch, checkpoints=run.watch.folder / stage
    )
    curve = EpochCurve(
        getattr(model, "lifter", model),
        run.data.test,
        lambda epoch: run.watch.show(f"{stage} {epoch}/{config.num_epochs}"),
    )
    try:
        stages.run(model, config, trained, stage.capitalize(), [curve])
    finally:
        for row in stages.history(trained.checkpoints):
            entry = {"stage": stage, "epoch": int(row["epoch"]) + 1, "loss": row["loss"]}
            run.watch.curve.append({**entry, "mpjpe_mm": row[ERROR]})


def pretrain(lifter: multi_view_lifter.MultiViewLifter, run: Run) -> None:
    """Trains a lifter by the recipe's first stage."""
    finetune = finetune_config(run.cell)
    config = configs.PretrainConfig(
        num_epochs=run.cell.budget.num_pretrain_epochs,
        batch_size=finetune.batch_size,
        precision=finetune.precision,
        clip_norm=finetune.clip_norm,
        seed=run.cell.seed,
    )
    first = build(run, config)
    fit(first, config, run.data.pair_source(), run)
    lifters.copy_weights(first, lifter)


def lift(lifter: multi_view_lifter.MultiViewLifter, view: views.View) -> np.ndarray:
    """Returns root-relative poses `[N, J, 3]`, meters, camera axes."""
    poses = []
    for start in range(0, len(view.confidence), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        part = tf.nest.map_structure(lambda field, rows=rows: field[rows], view)
        poses.append(lifter(part, training=False).root_relative_pose.numpy())
    return np.concatenate(poses)


def train(run: Run) -> multi_view_lifter.MultiViewLifter:
    """Returns the trained lifter; one that sees windows takes `training_data.WindowedData`."""
    config = finetune_config(run.cell)
    lifter = started(run)
    fit(lifter, config, source_of(config, run.data), run)
    return lifter


def started(run: Run) -> multi_view_lifter.MultiViewLifter:
    """Returns the lifter that the main stage begins with: pre-trained where need be."""
    lifter = build(run, finetune_config(run.cell))
    variant = run.cell.variant
    if variant.is_pretrained and variant.recipe in configs.PRETRAINED_RECIPES:
        pretrain(lifter, run)
    return lifter


def source_of(
    config: configs.FinetuneConfig, data: training_data.TrainingData
) -> stage_data.Source:
    """Returns what batches of pairs, or of instants, are drawn from, as the stage wants.

    Of a pair both views are lifted, of an instant one: twice as many instants are as much work.
    """
    if not stages.takes_instants(config):
        return data.pair_source()
    index = np.unique(data.pairs[:, 0])
    seen: views.View = tf.nest.map_structure(lambda field: np.asarray(field)[index], data.seen)
    needs_agreement = stage_data.needs_agreement(config)
    values: batches.Seen = objectives.agreed_beforehand(seen) if needs_agreement else seen
    return stage_data.Rows(values, num_pairs=len(data.pairs))


def self_supervised(run: Run) -> np.ndarray:
    """Trains by eq. (7) on pairs or on all views of instants, where need be after eq. (6)."""
    return lift(train(run), run.data.test.view)


def self_supervised_by_windows(run: Run) -> np.ndarray:
    """Trains on pairs of windows by eq. (7), where need be after eq. (6).

    Option `is_causal` lifts a window's last frame, not its middle.
    """
    is_causal = method_options(run.cell).get("is_causal", False)
    windows = view_windows.Windows(math.prod(run.cell.budget.filter_widths), is_causal)
    windowed = training_data.WindowedData(run.data, windows)
    lifter = train(run._replace(data=windowed))  # type: ignore[arg-type]
    return windowed.lift(lifter)


def _on_labels(run: Run, labeled: peers.Labels) -> np.ndarray:
    config = finetune_config(run.cell)
    lifter = build(run, config)
    fit(peers.SupervisedLifter(lifter), config, stage_data.Rows(tuple(labeled)), run)
    return lift(lifter, run.data.test.view)


def supervised(run: Run) -> np.ndarray:
    """Trains the lifting network on true poses; a joint that one lacks does not count."""
    labeled = run.data.labeled
    is_known = np.isfinite(labeled.reference_pose).all(axis=-1)
    pose = np.where(is_known[..., np.newaxis], labeled.reference_pose, 0.0)
    labels = peers.Labels(labeled.view, pose, is_known.astype(np.float32))
    return _on_labels(run, labels)


def from_pseudo_labels(run: Run) -> np.ndarray:
    """Trains the lifting network on poses triangulated from all detections of an instant."""
    return _on_labels(run, peers.pseudo_labels(run.data.seen, run.data.min_confidence))


def halves(labeled: baselines.TestViews) -> tuple[views.View, np.ndarray]:
    """Parts views, clip by clip in turns: the one half's views, the other's poses.

    Returns:
        Views, fields `[N, ...]`, and poses `[M, J, 3]`, meters, world axes, root at 0.
    """
    clips, index = np.unique(labeled.clip, return_inverse=True)
    errors.require(len(clips) >= 2, "labeled", "be of two training clips or more", len(clips))
    is_seen = index % 2 == 0
    single_views = tf.nest.map_structure(lambda field: field[is_seen], labeled.view)
    # Of the others, those that the critic can look at whole.
    is_shown = ~is_seen & np.isfinite(labeled.reference_pose).all(axis=(1, 2))
    rotation = labeled.view.camera.rotation[is_shown]
    upright = cameras.rotate(labeled.reference_pose[is_shown], cameras.inverse(rotation))
    return single_views, np.asarray(upright)


def against_critic(run: Run) -> np.ndarray:
    """Trains on single views of one half of the clips against true poses of the other half.

    Options are those of `adversarial.AdversarialLifter`.
    """
    config = finetune_config(run.cell)
    lifter = started(run)
    single_views, unpaired_poses = halves(run.data.labeled)
    model = adversarial.AdversarialLifter(
        lifter,
        adversarial.critic(seed=run.cell.seed),
        unpaired_poses,
        distance=config.distance,
        least_depth=config.least_depth,
        seed=run.cell.seed,
        **method_options(run.cell),
    )
    fit(model, config, stage_data.Rows(single_views), run)
    return lift(lifter, run.data.test.view)


PARTIAL = ("triangulation", "constant_pose", "nearest_view")
"""The methods that leave joints open, as NaN, that they know nothing of."""


def from_all_test_views(run: Run) -> np.ndarray:
    """Triangulates each test instant, what all cameras together could know; NaN if they do not."""
    if not baselines.has_several_views(run.data.test):
        raise origins.NotApplicableError("No test instant was seen by several cameras.")
    return baselines.triangulated(run.data.test, run.data.min_confidence, unplaced=np.nan)


def constant_pose(run: Run) -> np.ndarray:
    """Answers every test view with the mean of the triangulated training poses in world axes."""
    pose = baselines.constant_pose(
        baselines.triangulated_poses(run.data.seen, run.data.min_confidence)
    )
    return cameras.rotate(pose, run.data.test.view.camera.rotation)


def nearest_view(run: Run) -> np.ndarray:
    """Answers a test view with the triangulated pose of the training view that looks most alike."""
    pose = baselines.triangulated_poses(run.data.seen, run.data.min_confidence)
    return baselines.nearest_poses(run.data.test, run.data.seen, pose, run.data.min_joints)


def shipped(run: Run) -> np.ndarray:
    """Lifts the test views by the model that comes with the package; nothing is trained here."""
    view = run.data.test.view
    lifted = inference.load_model("studio").lift(
        view.keypoints_2d, view.confidence, camera=view.camera
    )
    return lifted.root_relative_pose


METHODS: dict[str, Method] = {
    "self_supervised": self_supervised,
    "temporal": self_supervised_by_windows,
    "supervised": supervised,
    "pseudo_labels": from_pseudo_labels,
    "adversarial": against_critic,
    "triangulation": from_all_test_views,
    "constant_pose": constant_pose,
    "nearest_view": nearest_view,
    "shipped": shipped,
}
