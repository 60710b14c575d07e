"""Measures what a model is compared with."""

import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components import artifacts
from components.example_gen import executor
from keras_mvlift.datasets import tfrecords as examples_module
from keras_mvlift.datasets import views
from keras_mvlift.metrics import baselines, pose_error

BASELINES = "baselines.json"
TRIANGULATION, NEAREST_VIEW, CONSTANT_POSE = "triangulation", "nearest_view", "constant_pose"

MAX_INSTANTS = 10_000
"""Training instants that are looked at; of more, every so many."""


@component
def Baselines(
    examples: InputArtifact[list[standard_artifacts.Examples]],
    test_examples: InputArtifact[list[standard_artifacts.Examples]],
    figures: OutputArtifact[artifacts.Baselines],
    min_confidence: Parameter[float],
    code_version: Parameter[str],
) -> None:
    """Measures on the test views what needs no network, and knows of no label either."""
    del code_version
    test = baselines.read_test_views(patterns(test_examples, "test"))
    seen = training_instants(examples)
    pose = baselines.triangulated_poses(seen, min_confidence)
    constant = baselines.constant_pose(pose)
    poses = {
        CONSTANT_POSE: baselines.in_camera_axes(constant, test.view.camera.rotation),
        NEAREST_VIEW: baselines.nearest_poses(test, seen, pose),
    }
    if baselines.has_several_views(test):
        poses[TRIANGULATION] = baselines.triangulated(test, min_confidence, unplaced=np.nan)
    found = {name: pose_error.figures_of_poses(test, given) for name, given in poses.items()}
    measured = {name: of_baseline for name, of_baseline in found.items() if of_baseline}
    path = pathlib.Path(figures.uri) / BASELINES
    path.write_text(json.dumps(measured, indent=2, sort_keys=True))


def training_instants(examples: Sequence[types.Artifact]) -> views.View:
    """Reads the instants that were trained on, `MAX_INSTANTS` at most, as real cameras saw them.

    Returns:
        Fields `[T, V, ...]`; confidence 0 throughout for a view that an instant lacks.
    """
    dataset = executor.read_datasets(examples)
    every = -(-dataset["counts"]["train_instants"] // MAX_INSTANTS)
    files = tf.data.Dataset.list_files(patterns(examples, "train_instants"), shuffle=False)
    kept = tf.data.TFRecordDataset(files, "GZIP").shard(every, 0)
    records = tf.constant(list(kept.as_numpy_iterator()))
    seen = examples_module.decode_instants(records, dataset["num_views"])
    clip = tf.io.parse_example(records, {"clip": tf.io.FixedLenFeature((), tf.string)})["clip"]
    num_cameras = {about["clip"]: len(about["cameras"]) for about in dataset["clips"]}
    num_real = np.array([num_cameras[name] for name in clip.numpy().astype(str)])
    # Virtual cameras come last.
    is_real = np.arange(dataset["num_views"]) < num_real[:, np.newaxis]
    view = tf.nest.map_structure(lambda field: field.numpy(), seen)
    return view._replace(confidence=np.where(is_real[..., np.newaxis], view.confidence, 0.0))


def read(figures_uri: str) -> dict[str, pose_error.Figures]:
    """Reads what the component wrote: baseline to figures."""
    return json.loads((pathlib.Path(figures_uri) / BASELINES).read_text())


def patterns(examples: Sequence[types.Artifact], split: str) -> list[str]:
    """Gives the patterns of the files of a split, of several artifacts."""
    return [pattern(artifact.uri, split) for artifact in examples]


def pattern(examples_uri: str, split: str) -> str:
    """Gives the pattern of a split's files."""
    return os.path.join(executor.split_folder(examples_uri, split), "*.gz")
