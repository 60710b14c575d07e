"""Measures what a model is compared with."""

import json
import os
import pathlib
from collections.abc import Sequence

from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components import artifacts
from components.example_gen import executor
from keras_mvlift.datasets import view_pairs
from keras_mvlift.metrics import baselines, results

BASELINES = "baselines.json"

_BATCH_SIZE = 4096


@component
def Baselines(
    examples: InputArtifact[list[standard_artifacts.Examples]],
    test_examples: InputArtifact[list[standard_artifacts.Examples]],
    figures: OutputArtifact[artifacts.Baselines],
    min_confidence: Parameter[float],
    code_version: Parameter[str],
) -> None:
    """Measures triangulation from all cameras and the mean pose on the test views."""
    del code_version
    test = baselines.read_test_views(patterns(test_examples, "test"))
    pairs = view_pairs.load_once(patterns(examples, "train"), _BATCH_SIZE)
    mean_pose = baselines.mean_pose(pairs, min_confidence) + 0 * test.reference_pose
    measured = {"mean_pose": results.of_poses(test, mean_pose)}
    if baselines.has_several_views(test):
        pose = baselines.triangulated(test, min_confidence)
        measured["triangulation"] = results.of_poses(test, pose)
    path = pathlib.Path(figures.uri) / BASELINES
    path.write_text(json.dumps(measured, indent=2, sort_keys=True))


def read(figures_uri: str) -> dict[str, results.Figures]:
    """Reads what the component wrote: baseline to figures."""
    return json.loads((pathlib.Path(figures_uri) / BASELINES).read_text())


def patterns(examples: Sequence[types.Artifact], split: str) -> list[str]:
    """Gives the patterns of the files of a split, of several artifacts."""
    return [pattern(artifact.uri, split) for artifact in examples]


def pattern(examples_uri: str, split: str) -> str:
    """Gives the pattern of a split's files."""
    return os.path.join(executor.split_folder(examples_uri, split), "*.gz")
