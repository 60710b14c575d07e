"""What the method is compared with: labels, labels by triangulation, other people's poses."""

import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.experiments import (
    label_free_methods,
    origins,
    training_data,
    training_runs,
    variants,
)
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.metrics import baselines
from keras_mvlift.networks import critic
from keras_mvlift.training import (
    adversarial_lifter,
    peers,
    pseudo_labels,
    semi_supervised,
    stage_data,
)

# Of the labeled views, those that a method with few labels gets.
_LABELED_SHARE = 0.02


def supervised(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> np.ndarray:
    """Trains the lifting network on true poses."""
    return _on_labels(cell, data, watch, _true(data.labeled))


def from_pseudo_labels(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> np.ndarray:
    """Trains the lifting network on poses triangulated from all detections of an instant.

    Option `labels` is a name of `pseudo_labels.VARIANTS`.
    """
    options = {"labels": "weighted"} | training_runs.method_options(cell)
    found = pseudo_labels.labels(data.seen, options["labels"], data.min_confidence)
    return _on_labels(cell, data, watch, found)


def few_labels(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> np.ndarray:
    """Trains without labels on everything, and beside it on few true poses, evenly spread.

    Options `label_share` and `label_weight`; the latter is of the loss on labels in pixels.
    """
    default = {"label_share": _LABELED_SHARE, "label_weight": 1.0}
    options = default | training_runs.method_options(cell)
    config = training_runs.finetune_config(cell)
    lifter = training_runs.build(cell, data, config)
    every = _true(data.labeled)
    step = max(round(1 / options["label_share"]), 1)
    few = every.select(np.arange(0, len(every.pose), step))
    scale = semi_supervised.pixels_per_meter(few, data.rig_distance)
    model = semi_supervised.SemiSupervisedLifter(lifter, scale, options["label_weight"])
    source = stage_data.Beside(
        label_free_methods.source_of(config, data), stage_data.Rows(tuple(few), rows_per_pair=1)
    )
    training_runs.fit(model, config, source, cell, data, watch)
    return training_runs.lift(lifter, data.test.view)


def adversarial(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> np.ndarray:
    """Trains on single views of one half of the clips against true poses of the other half.

    Options are those of `adversarial_lifter.AdversarialOptions`.
    """
    config = training_runs.finetune_config(cell)
    lifter = training_runs.build(cell, data, config)
    if label_free_methods.is_pretrained(cell.variant):
        training_runs.pretrain(lifter, cell, data, watch)
    single_views, unpaired_poses = halves(data.labeled)
    options = adversarial_lifter.AdversarialOptions(
        distance=config.distance,
        least_depth=config.least_depth,
        seed=cell.seed,
        **training_runs.method_options(cell),
    )
    model = adversarial_lifter.AdversarialLifter(
        lifter, critic.critic(seed=cell.seed), unpaired_poses, options
    )
    training_runs.fit(model, config, stage_data.Rows(single_views), cell, data, watch)
    return training_runs.lift(lifter, data.test.view)


def from_all_test_views(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> np.ndarray:
    """Triangulates the test views of each instant: what all cameras together could know.

    Joints that could not be placed are NaN. Option `is_robust` weights detections by how well they
    agree, too.
    """
    del watch
    if not baselines.has_several_views(data.test):
        raise origins.NotApplicableError("No test instant was seen by several cameras.")
    is_robust = training_runs.method_options(cell).get("is_robust", False)
    solve = triangulation.triangulate_robustly if is_robust else triangulation.triangulate
    return baselines.triangulated(data.test, data.min_confidence, solve, unplaced=np.nan)


def constant_pose(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> np.ndarray:
    """Answers every test view with the mean of the triangulated training poses in world axes."""
    del cell, watch
    pose = baselines.constant_pose(baselines.triangulated_poses(data.seen, data.min_confidence))
    return baselines.in_camera_axes(pose, data.test.view.camera.rotation)


def nearest_view(
    cell: variants.Cell, data: training_data.TrainingData, watch: training_runs.Watch
) -> np.ndarray:
    """Answers a test view with the triangulated pose of the training view that looks most alike."""
    del cell, watch
    pose = baselines.triangulated_poses(data.seen, data.min_confidence)
    return baselines.nearest_poses(data.test, data.seen, pose, data.min_joints)


def halves(labeled: baselines.TestViews) -> tuple[views.View, np.ndarray]:
    """Parts views, clip by clip in turns, and gives the one half's views and the other's poses.

    Returns:
        Views, fields `[N, ...]`, and poses `[M, J, 3]`, meters, world axes, root at 0.

    Raises:
        ValueError: If the views are of fewer than two clips.
    """
    clips, index = np.unique(labeled.clip, return_inverse=True)
    if len(clips) < 2:
        raise ValueError(f"Unpaired poses need two training clips or more. Received: {len(clips)}.")
    is_seen = index % 2 == 0
    single_views = tf.nest.map_structure(lambda field: field[is_seen], labeled.view)
    # Of the others, those that the critic can look at whole.
    is_shown = ~is_seen & np.isfinite(labeled.reference_pose).all(axis=(1, 2))
    rotation = labeled.view.camera.rotation[is_shown]
    upright = cameras.rotate(labeled.reference_pose[is_shown], cameras.inverse(rotation))
    return single_views, upright.numpy()


def _true(labeled: baselines.TestViews) -> pseudo_labels.Labels:
    """Makes labels of true poses; a joint that the reference lacks does not count."""
    is_known = np.isfinite(labeled.reference_pose).all(axis=-1)
    pose = np.where(is_known[..., np.newaxis], labeled.reference_pose, 0.0)
    return pseudo_labels.Labels(labeled.view, pose, is_known.astype(np.float32))


def _on_labels(
    cell: variants.Cell,
    data: training_data.TrainingData,
    watch: training_runs.Watch,
    labeled: pseudo_labels.Labels,
) -> np.ndarray:
    config = training_runs.finetune_config(cell)
    lifter = training_runs.build(cell, data, config)
    model = peers.SupervisedLifter(lifter)
    training_runs.fit(model, config, stage_data.Rows(tuple(labeled)), cell, data, watch)
    return training_runs.lift(lifter, data.test.view)
