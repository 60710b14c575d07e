"""The models whose scores with and without labels are compared: trained well and badly."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.spatial
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import origins, peers, variants
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.metrics import baselines, held_out_views, pose_error
from keras_mvlift.training import lifters, multi_view_lifter, objectives, stage_data, stages

ERRORS = {
    "mpjpe_mm": pose_error.mpjpe,
    "n_mpjpe_mm": pose_error.n_mpjpe,
    "p_mpjpe_mm": pose_error.p_mpjpe,
}
# One view in so many is labeled for the semi-supervised run.
_LABELED_EVERY = 50
# Times that a run is scored; after so many of them the learning rate falls to a tenth.
_NUM_SCORES, _DECAY_EVERY = 3, 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A way to train.

    Attributes:
        method: `"pairs"`, `"instants"`, `"supervised"`, `"semi"` or a name of `LABELINGS`.
        recipe: A name of `multi_view_lifter.RECIPES`.
        share: Of the steps.
        width: Units of each dense layer, as a share of the trial's.
        transform_weight: λ.
        noise_px: Of the training detections.
        degrees: By which the training cameras are turned, each about an axis of its own.
        scale: By which the training rig is too large.
    """

    method: str = "pairs"
    recipe: str = "solved_root"
    share: float = 1.0
    width: float = 1.0
    transform_weight: float = 1.0
    noise_px: float = 5.0
    degrees: float = 0.0
    scale: float = 1.0


def _triangulated(seen: views.View, weights: np.ndarray) -> objectives.Agreement:
    points, is_seen = triangulation.triangulate(seen.keypoints_2d, weights, seen.camera)
    return objectives.Agreement(np.asarray(points), np.asarray(is_seen))


LABELINGS: dict[str, Callable[[views.View], Any]] = {
    "plain": lambda seen: _triangulated(seen, (seen.confidence > 0).astype(np.float32)),
    "weighted": lambda seen: _triangulated(seen, seen.confidence),
    "robust": lambda seen: objectives.agreed_beforehand(seen)[1],
}
"""By name: all detections alike, weighted by confidence, and by how well they agree, too."""

RUNS = {
    "supervised": Run(method="supervised"),
    "semi-supervised, 2 % labels": Run(method="semi"),
    "labels, plain triangulation": Run(method="plain"),
    "labels, weighted triangulation": Run(method="weighted"),
    "labels, robust triangulation": Run(method="robust"),
    "solved_root, all views": Run(method="instants"),
    "solved_root": Run(),
    "solved_root, half the steps": Run(share=0.5),
    "solved_root, an eighth of the steps": Run(share=0.125),
    "solved_root, a quarter of the width": Run(width=0.25),
    "solved_root, noise 12 px": Run(noise_px=12.0),
    "solved_root, cameras off by 1 degree": Run(degrees=1.0),
    "solved_root, cameras off by 3 degrees": Run(degrees=3.0),
    "solved_root, rig 10 % too large": Run(scale=1.1),
    "ray_root": Run(recipe="ray_root"),
    "paper, pre-trained": Run(recipe="paper"),
    "ray_root, own view alone": Run(recipe="ray_root", transform_weight=0.0),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """The size of a comparison.

    Attributes:
        width: Units of each dense layer of the two-block network.
        num_steps: Steps of a whole run.
        batch_size: Pairs, or half the views, of a step.
        degrees: By which the cameras are turned that the last score is measured with.
    """

    width: int = 256
    num_steps: int = 400
    batch_size: int = 128
    degrees: float = 1.0


def turned(camera: cameras.Camera, degrees: float, scale: float, seed: int) -> cameras.Camera:
    """Returns a wrong calibration: each camera turned about an axis of its own, the rig scaled.

    Args:
        camera: A rig, fields `[..., V, ...]`.
        degrees: How far.
        scale: On the centers.
        seed: Of the axes.
    """
    rng = np.random.default_rng(seed)
    num_views = np.shape(camera.center)[-2]
    axis = rng.normal(size=(num_views, 3))
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    turn = scipy.spatial.transform.Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()
    rotation = (turn @ camera.rotation).astype(np.float32)
    return camera._replace(rotation=rotation, center=np.float32(scale) * camera.center)


def train(
    run: Run, trial: Trial, data: training_data.TrainingData, seed: int
) -> list[dict[str, float]]:
    """Trains a model and scores it now and then, last of all at the end."""
    keras.utils.set_random_seed(seed)
    steps = max(int(run.share * trial.num_steps) // _NUM_SCORES, 1)
    config = configs.FinetuneConfig(
        num_epochs=_NUM_SCORES, batch_size=trial.batch_size, decay_every=_DECAY_EVERY, seed=seed
    )
    objective = objectives.TransformReprojection(transform_weight=run.transform_weight)
    lifter = _build(run, trial, data.rig_distance, seed, objective)
    if run.recipe in configs.PRETRAINED_RECIPES:
        _pretrain(lifter, run, trial, data, seed)
    model, source = _model_and_source(lifter, run, data)
    batches = source.batches(config, 0, None)
    model.compile(stages.build_optimizer(config, steps))
    stages.make_slots(model)
    scores: list[dict[str, float]] = []

    def score(epoch: int, logs: Any) -> None:
        del logs
        scores.append({"step": steps * (epoch + 1), **measure(lifter, data.test, trial.degrees)})

    callback = keras.callbacks.LambdaCallback(on_epoch_end=score)
    model.fit(batches, steps_per_epoch=steps, epochs=_NUM_SCORES, callbacks=[callback], verbose=0)
    return scores


WAYS = ("anchored", "solved", "predicted", "two cameras", "bad calibration")
"""What is scored without labels: places of poses, and less than the whole rig."""


def measure(
    lifter: multi_view_lifter.MultiViewLifter, test: baselines.TestViews, degrees: float
) -> dict[str, float]:
    """Scores a model with and without labels."""
    result = lifter(tf.nest.map_structure(tf.constant, test.view), training=False)
    pose, root = (field.numpy() for field in result)
    seen, column = baselines.by_instant(test)
    wrong = turned(seen.camera, degrees, 1.0, seed=1)
    fields = (field[test.instant, column].astype(np.float32) for field in wrong)
    off = test._replace(view=test.view._replace(camera=cameras.Camera(*fields)))
    # Two of the cameras stand for a rig of two.
    index = np.flatnonzero(np.isin(test.camera, np.unique(test.camera)[:2]))
    two = baselines.TestViews(*tf.nest.map_structure(lambda field: field[index], tuple(test)))
    score = held_out_views.score_test_views
    scores = {
        "anchored": score(test, pose),
        "solved": score(test, pose, place=held_out_views.solved),
        "predicted": score(test, pose + root[:, np.newaxis], place=predicted),
        "two cameras": score(two, pose[index]),
        "bad calibration": score(off, pose),
    }
    flat = {f"{way}/{name}": x for way, found in scores.items() for name, x in found.items()}
    true = tf.constant(test.reference_pose)
    return flat | {
        name: pose_error.MILLIMETERS_PER_METER * float(tf.reduce_mean(error(true, pose)))
        for name, error in ERRORS.items()
    }


def predicted(pose_camera: tf.Tensor, seen: views.View, min_joints: int = 8) -> tf.Tensor:
    """Leaves poses, camera frame, where the root network has them; else as `anchored`."""
    del min_joints
    pose_world = cameras.world_from_camera(pose_camera, seen.camera)
    return tf.repeat(pose_world[..., tf.newaxis, :, :], seen.confidence.shape[-2], axis=-3)


def _build(
    run: Run, trial: Trial, rig_distance: float, seed: int, objective: Any
) -> multi_view_lifter.MultiViewLifter:
    config = configs.ModelConfig(
        recipe=run.recipe, backbone="res_linear", width=int(run.width * trial.width), seed=seed
    )
    if run.method == "instants":
        every = objectives.AllViewsReprojection()
        return lifters.build(config, every, rig_distance, model=multi_view_lifter.InstantLifter)
    return lifters.build(config, objective, rig_distance)


def _pretrain(
    lifter: multi_view_lifter.MultiViewLifter,
    run: Run,
    trial: Trial,
    data: training_data.TrainingData,
    seed: int,
) -> None:
    config = configs.PretrainConfig(num_epochs=1, batch_size=trial.batch_size, seed=seed)
    first = _build(run, trial, data.rig_distance, seed, objectives.Consistency())
    steps = max(trial.num_steps // _NUM_SCORES, 1)
    first.compile(stages.build_optimizer(config, steps))
    stages.make_slots(first)
    first.fit(data.pair_source().batches(config, 0, None), steps_per_epoch=steps, verbose=0)
    lifters.copy_weights(first, lifter)


def _model_and_source(
    lifter: multi_view_lifter.MultiViewLifter, run: Run, data: training_data.TrainingData
) -> tuple[keras.Model, stage_data.Source]:
    if run.method == "instants":
        return lifter, stage_data.Rows(data.seen)
    if run.method == "pairs":
        return lifter, data.pair_source()
    true = peers.Labels(
        data.labeled.view,
        data.labeled.reference_pose,
        np.ones(data.labeled.reference_pose.shape[:2], np.float32),
    )
    if run.method == "semi":
        few = tf.nest.map_structure(lambda field: np.asarray(field)[::_LABELED_EVERY], true)
        focal = few.view.camera.intrinsics[..., [0, 1], [0, 1]]
        model = SemiSupervisedLifter(lifter, float(focal.mean() / data.rig_distance))
        return model, Beside(data.pair_source(), stage_data.Rows(tuple(few), rows_per_pair=1))
    labels = true
    if run.method != "supervised":
        is_sure = data.seen.confidence >= data.min_confidence
        sure = data.seen._replace(confidence=np.where(is_sure, data.seen.confidence, 0.0))
        labels = peers.labels_of(data.seen, *LABELINGS[run.method](sure))
    return peers.SupervisedLifter(lifter), stage_data.Rows(tuple(labels))


class SemiSupervisedLifter(keras.Model):
    """Trains a lifter on the sum of its own loss, pixels, and of that on labels.

    A batch is `(unlabeled, (View, pose, weight))`; `pixels_per_meter` turns the loss on labels
    into pixels.
    """

    def __init__(self, lifter: multi_view_lifter.MultiViewLifter, pixels_per_meter: float):
        super().__init__()
        self.lifter, self.factor = lifter, pixels_per_meter

    def train_step(self, data: tuple[Any, tuple[tf.Tensor, ...]]) -> dict[str, tf.Tensor]:
        """Takes one step on two batches."""
        unlabeled, (view, pose_true, weight) = data
        variables = self.lifter.trainable_variables
        with tf.GradientTape() as tape:
            loss = tf.add_n(list(self.lifter.losses_of(unlabeled, training=True).values()))
            pose = self.lifter(view, training=True).root_relative_pose
            loss += self.factor * tf.reduce_mean(peers.pose_loss(pose, pose_true, weight))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss}


class Beside(NamedTuple):
    """A batch of labeled views beside each batch without labels; one kind of `Source`."""

    unlabeled: stage_data.Source
    labeled: stage_data.Rows

    def batches(
        self,
        config: configs.StageConfig,
        first_batch: int,
        keep: stage_data.Keep | None = None,
    ) -> tf.data.Dataset:
        """Returns pairs of batches."""
        return tf.data.Dataset.zip(tuple(each.batches(config, first_batch, keep) for each in self))


def make_data(
    run: Run, origin: origins.Origin, made: dict[float, training_data.TrainingData]
) -> training_data.TrainingData:
    """Films the people as a run wants it; those that are tested on, always alike."""
    if run.noise_px not in made:
        settings = variants.DataSettings(
            filming=variants.Filming(noise_px=run.noise_px), test_filming=variants.Filming()
        )
        made[run.noise_px] = training_data.TrainingData(origin, settings)
    data = copy.copy(made[run.noise_px])
    camera = turned(data.seen.camera, run.degrees, run.scale, seed=0)
    data.seen = data.seen._replace(camera=camera)
    return data
