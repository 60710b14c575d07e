"""Scores beside TFMA's: held-out views, which need no labels, and baselines."""

import copy
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact, standard_artifacts
from tfx.utils import path_utils

from components.example_gen import executor
from keras_mvlift import inference
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines, held_out_views, pose_error
from keras_mvlift.training import held_out

SCORES = "held_out.json"
BASELINES = "baselines.json"
TRIANGULATION, NEAREST_VIEW, CONSTANT_POSE = "triangulation", "nearest_view", "constant_pose"
PREFIX = "held_out_"
RATIO = "_ratio"
NAMES = (
    *(PREFIX + name for name in held_out_views.SCORE_NAMES),
    CONSTANT_POSE + RATIO,
    NEAREST_VIEW + RATIO,
)
"""What bounds may be set on beside TFMA's metrics; the lower the better. A ratio is of the model's
MPJPE to that of what needs no network."""


class HeldOutFigures(artifact.Artifact):
    """`held_out.json`: how well a model explains views that it did not lift from."""

    TYPE_NAME = "MVLiftHeldOutScores"


class BaselineFigures(artifact.Artifact):
    """`baselines.json`: the figures of what a model is compared with."""

    TYPE_NAME = "MVLiftBaselines"


@component
def HeldOutViews(
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[list[standard_artifacts.Examples]],
    test_examples: InputArtifact[list[standard_artifacts.Examples]],
    scores: OutputArtifact[HeldOutFigures],
    min_joints: Parameter[int],
    code_version: Parameter[str],
) -> None:
    """Lifts every view of the test instants, or of those held out, and compares it with others."""
    lifter = inference.load_model(path_utils.serving_model_path(model.uri))
    test, measured_on = unseen_views(examples, test_examples)
    found: dict[str, Any] = {}
    if test is not None:
        pose = lift_views(lifter, test).root_relative_pose
        some, index = _some_instants(test)
        found |= held_out_views.score_test_views(some, pose[index], min_joints=min_joints)
        found |= {"num_instants": len(np.unique(some.instant)), "measured_on": measured_on}
    (pathlib.Path(scores.uri) / SCORES).write_text(json.dumps(found, indent=2, sort_keys=True))


def unseen_views(
    examples: Sequence[types.Artifact], test_examples: Sequence[types.Artifact]
) -> tuple[baselines.TestViews | None, str]:
    """Chooses the views to score a model on, none of which it was trained on.

    Returns:
        The test views, if some show the same instant; else those of the held-out instants; None
        if there are neither. And the split that they are of.
    """
    test = baselines.read_test_views(patterns(test_examples, "test"))
    if baselines.has_several_views(test):
        return test, "test"
    return held_out_instants(examples), executor.HELD_OUT_SPLIT


def held_out_instants(examples: Sequence[types.Artifact]) -> baselines.TestViews | None:
    """Reads the instants that were held out of training as single views; None if there are none."""
    dataset = executor.read_datasets(examples)
    if not dataset["counts"].get("held_out_instants"):
        return None
    num_views = max(clip["num_views"] for clip in dataset["clips"])
    seen, about = _read_instants(examples, "eval_instants", num_views)
    instant, camera = np.nonzero(np.any(seen.confidence, axis=-1))
    view = tf.nest.map_structure(lambda field: field[instant, camera], seen)
    unknown = np.full((*view.confidence.shape, 3), np.nan, np.float32)
    clip, action, frame = (about[key][instant] for key in ("clip", "action", "frame"))
    names = (action.astype(str), camera.astype(str), clip.astype(str))
    return baselines.TestViews(view, unknown, instant, *names, frame)


def _read_instants(
    examples: Sequence[types.Artifact], split: str, num_views: int, every: int = 1
) -> tuple[views.View, dict[str, np.ndarray]]:
    """Reads every so many whole instants, fields `[T, V, ...]`, and what is told of each."""
    files = tf.data.Dataset.list_files(patterns(examples, split), shuffle=False)
    kept = tf.data.TFRecordDataset(files, "GZIP").shard(every, 0)
    records = tf.constant(list(kept.as_numpy_iterator()))
    kinds = {"clip": tf.string, "action": tf.string, "frame": tf.int64}
    features = {key: tf.io.FixedLenFeature((), kind) for key, kind in kinds.items()}
    found = tfrecords.decode_instants(records, num_views), tf.io.parse_example(records, features)
    return tf.nest.map_structure(lambda field: field.numpy(), found)


def read_held_out(scores_uri: str) -> dict[str, Any]:
    """Reads what the component wrote; empty if no instant was seen by two cameras."""
    return json.loads((pathlib.Path(scores_uri) / SCORES).read_text())


def values(
    held_out: Mapping[str, Any],
    overall: Mapping[str, Any],
    baselines: Mapping[str, pose_error.Figures],
) -> dict[str, float]:
    """Puts together what bounds may be set on beside TFMA's metrics, `NAMES`.

    `held_out` and `baselines` are what components wrote, `overall` the model's figures.
    """
    found = {PREFIX + name: held_out[name] for name in held_out_views.SCORE_NAMES if held_out}
    for name in (CONSTANT_POSE, NEAREST_VIEW):
        if name in baselines:
            theirs = baselines[name]["overall"]["mpjpe_mm"]
            found[name + RATIO] = overall["mpjpe_mm"] / theirs if theirs else float("inf")
    return found


def why(values: Mapping[str, float], bounds: Mapping[str, float]) -> list[str]:
    """Says which bounds, the most by metric, a model misses, or what could not be measured."""
    reasons = []
    for name in (name for name in NAMES if name in bounds):
        value = values.get(name)
        if value is None and name.endswith(RATIO):
            reasons.append(f"{name} was not computed: there is no {_words(name)} to compare with.")
        elif value is None:
            reasons.append(f"{name} was not computed: no instant was held out in two views.")
        elif not value <= bounds[name]:
            told = f"{name} {value:.3g} is not at most {bounds[name]:.3g}"
            more = f": MPJPE over that of the {_words(name)}" if name.endswith(RATIO) else ""
            reasons.append(f"{told}{more}.")
    return reasons


def _words(name: str) -> str:
    return name.removesuffix(RATIO).replace("_", " ")


def _some_instants(test: baselines.TestViews) -> tuple[baselines.TestViews, np.ndarray]:
    """Spreads over the instants as many as are enough; gives their views, and which they are."""
    instants = np.unique(test.instant)
    count = min(len(instants), held_out.MAX_RECORDS)
    kept = instants[np.linspace(0, len(instants) - 1, count).astype(int)]
    index = np.flatnonzero(np.isin(test.instant, kept))
    some = baselines.TestViews(*tf.nest.map_structure(lambda field: field[index], tuple(test)))
    return some._replace(instant=np.searchsorted(kept, some.instant)), index


MAX_INSTANTS = 10_000
"""Training instants that are looked at; of more, every so many."""


@component
def Baselines(
    examples: InputArtifact[list[standard_artifacts.Examples]],
    test_examples: InputArtifact[list[standard_artifacts.Examples]],
    figures: OutputArtifact[BaselineFigures],
    min_confidence: Parameter[float],
    code_version: Parameter[str],
) -> None:
    """Measures on the test views what needs no network, and knows of no label either."""
    test = baselines.read_test_views(patterns(test_examples, "test"))
    seen, _ = training_instants(examples)
    pose = baselines.triangulated_poses(seen, min_confidence)
    constant = baselines.constant_pose(pose)
    poses = {
        CONSTANT_POSE: cameras.rotate(constant, test.view.camera.rotation),
        NEAREST_VIEW: baselines.nearest_poses(test, seen, pose),
    }
    if baselines.has_several_views(test):
        poses[TRIANGULATION] = baselines.triangulated(test, min_confidence, unplaced=np.nan)
    found = {name: pose_error.figures_of_poses(test, given) for name, given in poses.items()}
    measured = {name: of_baseline for name, of_baseline in found.items() if of_baseline}
    path = pathlib.Path(figures.uri) / BASELINES
    path.write_text(json.dumps(measured, indent=2, sort_keys=True))


def training_instants(examples: Sequence[types.Artifact]) -> tuple[views.View, np.ndarray]:
    """Reads the instants that were trained on, `MAX_INSTANTS` at most, as real cameras saw them.

    Returns:
        Fields `[T, V, ...]`, confidence 0 throughout for a view that an instant lacks; and the
        names `[T]` of their clips.
    """
    dataset = executor.read_datasets(examples)
    every = -(-dataset["counts"]["train_instants"] // MAX_INSTANTS)
    seen, about = _read_instants(examples, "train_instants", dataset["num_views"], every)
    clip = about["clip"].astype(str)
    num_cameras = {one["clip"]: len(one["cameras"]) for one in dataset["clips"]}
    num_real = np.array([num_cameras[name] for name in clip])
    # Virtual cameras come last.
    is_real = np.arange(dataset["num_views"]) < num_real[:, np.newaxis]
    confidence = np.where(is_real[..., np.newaxis], seen.confidence, 0.0)
    return seen._replace(confidence=confidence), clip


def read_baselines(figures_uri: str) -> dict[str, pose_error.Figures]:
    """Reads what the component wrote: baseline to figures."""
    return json.loads((pathlib.Path(figures_uri) / BASELINES).read_text())


def patterns(examples: Sequence[types.Artifact], split: str) -> list[str]:
    """Returns the patterns of the files of a split, of several artifacts."""
    return [os.path.join(executor.split_folder(one.uri, split), "*.gz") for one in examples]


def lift_views(lifter: inference.Lifter, test: baselines.TestViews) -> inference.LiftedPose:
    """Lifts test views, in any order, each once; returns the poses in that order.

    A `ClipLifter` is given the frames of a clip and a camera together, as windows in training are:
    missing frames repeat the one before, up to `views.MAX_GAP` of them in a row, and a longer gap
    ends a clip.
    """
    view = test.view
    if not isinstance(lifter, inference.ClipLifter):
        return lifter.lift(view.keypoints_2d, view.confidence, camera=view.camera)
    names = np.stack([test.clip, test.camera], axis=1)
    _, track = np.unique(names, axis=0, return_inverse=True)
    tracks, cell = views.lay(view, track.reshape(-1), test.frame, step=lifter.frame_step)
    # What is laid out is one step apart.
    steps = copy.copy(lifter)
    steps.frame_step = 1
    pose = np.zeros((*tracks.view.confidence.shape, 3), np.float32)
    root_position = np.zeros((len(pose), 3), np.float32)
    for first, last in np.unique(np.stack([tracks.first, tracks.last], axis=1), axis=0):
        run = slice(first, last + 1)
        parts = (tracks.view.keypoints_2d, tracks.view.confidence, tracks.view.camera.intrinsics)
        lifted = steps.lift(*(part[run] for part in parts))
        pose[run], root_position[run] = lifted.root_relative_pose, lifted.root_position
    pose, root_position = pose[cell], root_position[cell]
    pose_camera = pose + root_position[:, np.newaxis]
    return inference.LiftedPose(lifter.joint_names, pose, root_position, pose_camera)
