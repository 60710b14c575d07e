"""What one's own model is chosen from: a trained model fitted to the rig, trained on, or neither.

A few views are lifted best by a model that has seen more than them; many by one of their own. The
score without labels decides, on instants that none of the candidates was fitted to.
"""

import json
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact, standard_artifacts
from tfx.utils import path_utils

from components import scores
from keras_mvlift import errors, inference, trained_models
from keras_mvlift.datasets import sequences, views
from keras_mvlift.export import compact, saved_model
from keras_mvlift.metrics import baselines, held_out_views, pose_error
from keras_mvlift.training import adaptation, objectives, refinement

ADAPTED, STARTED, SCRATCH = "adapted", "started", "scratch"
"""A trained model fitted in closed form, the same trained on, and one trained from random
weights; the earlier changes less."""

CANDIDATES = "candidates.json"

# Of a start's description, what other weights make untrue.
_OF_START = ("folded", trained_models.JOINT_MIXES)


@component
def Adapt(
    examples: InputArtifact[list[standard_artifacts.Examples]],
    model: OutputArtifact[standard_artifacts.Model],
    start_from: Parameter[str],
    start_digest: Parameter[str],
    code_version: Parameter[str],
) -> None:
    """Fits the last layer of a trained model to the training instants, as `keras-mvlift adapt`."""
    layer = compact.LastLayer(inference.load_model(start_from))
    instants, num_clips = _parts(examples)
    parts = list(adaptation.fed(instants, layer.features))
    steps = adaptation.STEPS if num_clips > 1 else adaptation.ONE_CLIP_STEPS
    found = adaptation.choose(parts, layer.weights, steps)
    notes = {"adapted": {"start": start_from} | found.summary(parts)}
    layer.write(found.weights, notes, pathlib.Path(path_utils.serving_model_path(model.uri)))


@component
def Refine(
    examples: InputArtifact[list[standard_artifacts.Examples]],
    model: OutputArtifact[standard_artifacts.Model],
    start_from: Parameter[str],
    start_digest: Parameter[str],
    seed: Parameter[int],
    code_version: Parameter[str],
) -> None:
    """Trains a trained model on by the training instants, without letting it forget the rest."""
    start = inference.load_model(start_from)
    instants, _ = _parts(examples)
    objective = objectives.TransformReprojection()
    lifter = compact.reopened(start, objective, seen=lambda: _seen(instants))
    refinement.refine(lifter, instants, refinement.NUM_STEPS, seed)
    kept = {key: x for key, x in start.description.items() if key not in _OF_START}
    notes = {"refined": {"start": start_from, "num_steps": refinement.NUM_STEPS}}
    folder = pathlib.Path(path_utils.serving_model_path(model.uri))
    saved_model.save(lifter, kept | notes, folder)


def _seen(instants: list[sequences.Instants]) -> views.View:
    """Returns all views of instants that see somebody, fields `[N, ...]`."""
    seen = [adaptation.flat(sequences.to_view(some)) for some in instants]
    together = tf.nest.map_structure(lambda *fields: np.concatenate(fields), *seen)
    is_seen = (together.confidence > 0).any(axis=-1)
    return tf.nest.map_structure(lambda field: field[is_seen], together)


def _parts(examples: list[types.Artifact]) -> tuple[list[sequences.Instants], int]:
    """Returns the training instants by clip, or blocks of a single one, and the number of clips."""
    seen, clip = scores.training_instants(examples)
    every = -(-seen.confidence.shape[0] * seen.confidence.shape[1] // adaptation.MAX_VIEWS)
    names = np.unique(clip)
    parts = []
    for name in names:
        rows = np.flatnonzero(clip == name)[::every]
        blocks = [rows] if len(names) > 1 else np.array_split(rows, adaptation.NUM_FOLDS)
        parts += [_instants(seen, block) for block in blocks if len(block)]
    return parts, len(names)


def _instants(seen: Any, rows: np.ndarray) -> sequences.Instants:
    """Returns instants with the views that a clip has; those of virtual cameras see nothing."""
    is_there = (seen.confidence[rows] > 0).any(axis=(0, 2))
    keypoints_2d, confidence = (field[rows][:, is_there] for field in seen[:2])
    camera = type(seen.camera)(*(field[rows][:, is_there] for field in seen.camera))
    names = tuple(map(str, np.flatnonzero(is_there)))
    return sequences.Instants(rows, names, keypoints_2d, confidence, camera)


class CandidateModels(artifact.Artifact):
    """`candidates.json`: the models that one is chosen from, with their scores without labels."""

    TYPE_NAME = "MVLiftCandidates"


@component
def Choice(
    examples: InputArtifact[list[standard_artifacts.Examples]],
    adapted: InputArtifact[standard_artifacts.Model],
    started: InputArtifact[standard_artifacts.Model],
    model: OutputArtifact[standard_artifacts.Model],
    candidates: OutputArtifact[CandidateModels],
    start_from: Parameter[str],
    min_joints: Parameter[int],
    code_version: Parameter[str],
    scratch: InputArtifact[standard_artifacts.Model] = None,
) -> None:
    """Scores all candidates on the held-out instants, without labels, and hands the best one on."""
    seen = scores.held_out_instants(examples)
    if seen is None:
        raise errors.ArgumentError("examples", "hold instants out", "none")
    given = models_of(adapted, started, scratch)
    found = {}
    for name, path in given.items():
        pose = scores.lift_views(inference.load_model(path), seen).root_relative_pose
        found[name] = held_out_views.score_test_views(seen, pose, min_joints=min_joints)
    # Those that change less come first.
    best = adaptation.first_good({name: score["mean_mm"] for name, score in found.items()})
    shutil.copytree(given[best], path_utils.serving_model_path(model.uri))
    told = {
        "chosen": best,
        "start_from": start_from,
        "num_instants": len(np.unique(seen.instant)),
        "held_out": found,
    }
    (pathlib.Path(candidates.uri) / CANDIDATES).write_text(json.dumps(told, indent=2))


def models_of(
    adapted: types.Artifact, started: types.Artifact, scratch: types.Artifact | None
) -> dict[str, str]:
    """Returns the folders of the candidates by name, those that change less first."""
    given = {ADAPTED: adapted, STARTED: started, SCRATCH: scratch}
    return {
        name: path_utils.serving_model_path(model.uri)
        for name, model in given.items()
        if model is not None
    }


def about(
    candidates_uri: str, models: Mapping[str, str], test: baselines.TestViews
) -> dict[str, Any]:
    """Returns what was chosen, with each candidate's score and, for the report, test figures."""
    told = json.loads((pathlib.Path(candidates_uri) / CANDIDATES).read_text())
    told["test"] = {}
    for name, path in models.items():
        pose = scores.lift_views(inference.load_model(path), test).root_relative_pose
        told["test"][name] = pose_error.summary(test.reference_pose, pose)
    return told
