"""Puts the figures of a run together, with a picture."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact, standard_artifacts
from tfx.utils import path_utils

from components import candidates as components_candidates
from components import checks, evaluator, rolling_window
from components import scores as components_scores
from components.example_gen import executor
from keras_mvlift import inference
from keras_mvlift.metrics import baselines, pose_error
from keras_mvlift.visualization import pictures

RESULTS, PICTURE = "results.json", "picture.png"


class ReportFiles(artifact.Artifact):
    """`results.json` and `picture.png` of a run."""

    TYPE_NAME = "MVLiftReport"


@component
def Report(
    evaluated: InputArtifact[standard_artifacts.ModelEvaluation],
    blessing: InputArtifact[standard_artifacts.ModelBlessing],
    pushed: InputArtifact[standard_artifacts.PushedModel],
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[list[standard_artifacts.Examples]],
    test_examples: InputArtifact[list[standard_artifacts.Examples]],
    figures: InputArtifact[components_scores.BaselineFigures],
    scores: InputArtifact[components_scores.HeldOutFigures],
    report: OutputArtifact[ReportFiles],
    data: Parameter[str],
    bounds: Parameter[str],
    seed: Parameter[int],
    code_version: Parameter[str],
    drift: InputArtifact[standard_artifacts.ExampleAnomalies] = None,
    rig: InputArtifact[checks.RigFindings] = None,
    candidates: InputArtifact[components_candidates.CandidateModels] = None,
    adapted: InputArtifact[standard_artifacts.Model] = None,
    started: InputArtifact[standard_artifacts.Model] = None,
    scratch: InputArtifact[standard_artifacts.Model] = None,
) -> None:
    """Writes `results.json` and draws what the model makes of one test instant."""
    folder = pathlib.Path(report.uri)
    dataset = executor.read_datasets(examples)
    held_out_scores = components_scores.read_held_out(scores.uri)
    test = baselines.read_test_views(components_scores.patterns(test_examples, "test"))
    known = float(np.isfinite(test.reference_pose).mean())
    lifter = inference.load_model(path_utils.serving_model_path(model.uri))
    measured = evaluator.read(evaluated.uri)
    compared = components_scores.read_baselines(figures.uri)
    bounded = components_scores.values(held_out_scores, measured["overall"], compared)
    written = pose_error.with_averages(measured) | {
        "baselines": compared,
        "further": bounded,
        "blessed": bool(blessing.get_int_custom_property("blessed")),
        "bounds": json.loads(bounds),
        "reasons": evaluator.why(tfma.load_validation_result(evaluated.uri))
        + components_scores.why(bounded, json.loads(bounds)),
        "model": pushed.get_string_custom_property("pushed_destination") or None,
        "trained": path_utils.serving_model_path(model.uri),
        "recipe": lifter.description["model"]["recipe"],
        "data": json.loads(data)
        | _about(dataset, examples)
        | {"reference_coverage": pose_error.PERCENT * known},
        "seed": seed,
    }
    further = {
        "held_out": held_out_scores,
        "tuned": lifter.description.get("finetune", {}).get("tuned"),
        "warm_start": lifter.description.get("warm_start"),
        "drift": rolling_window.about(drift) if drift is not None else None,
    }
    written |= {name: value for name, value in further.items() if value}
    if rig is not None:
        told = ("severity", "name", "cameras", "sentence", "remedy")
        found = checks.read_findings(rig.uri)
        written["rig"] = [{key: one[key] for key in told} for one in found]
    if candidates is not None:
        models = components_candidates.models_of(adapted, started, scratch)
        written["candidates"] = components_candidates.about(candidates.uri, models, test)
    (folder / RESULTS).write_text(json.dumps(written, indent=2, sort_keys=True))
    draw(folder / PICTURE, lifter, test, _note(written))


def draw(
    path: pathlib.Path, lifter: inference.Lifter, test: baselines.TestViews, note: str = ""
) -> None:
    """Draws every view of the test instant whose error is the median, and a note below."""
    view = test.view
    lifted = components_scores.lift_views(lifter, test)
    errors = pose_error.per_pose(test.reference_pose, lifted.root_relative_pose)
    error = np.asarray(errors["mpjpe_mm"])
    instants = np.unique(test.instant)
    per_instant = np.array([error[test.instant == instant].mean() for instant in instants])
    middle = instants[np.argsort(per_instant)[len(instants) // 2]]
    rows = [
        pictures.Row(
            keypoints_2d=view.keypoints_2d[index],
            confidence=view.confidence[index],
            pose_pred=lifted.root_relative_pose[index],
            pose_reference=test.reference_pose[index],
            title=f"{test.camera[index]}, {test.action[index]}, frame {test.frame[index]}",
            error_mm=float(error[index]),
        )
        for index in np.flatnonzero(test.instant == middle)
    ]
    pictures.lifted_poses(path, rows, note)


def _note(written: dict[str, Any]) -> str:
    """Says how the model compares, over all test views."""
    names = {
        components_scores.NEAREST_VIEW: "nearest training view",
        components_scores.CONSTANT_POSE: "constant pose",
        components_scores.TRIANGULATION: "triangulation from all cameras",
    }
    figures = {"MPJPE over all test views, mm: model": written} | {
        name: written["baselines"][key]
        for key, name in names.items()
        if key in written["baselines"]
    }
    return ", ".join(f"{name} {of['overall']['mpjpe_mm']:.1f}" for name, of in figures.items())


def _about(dataset: dict[str, Any], examples: Sequence[types.Artifact]) -> dict[str, Any]:
    counts = dataset["counts"]
    trained = [clip for clip in dataset["clips"] if clip["counts"]["train_pairs"]]
    about = {
        "choices": dataset["choices"],
        "clips": [clip["clip"] for clip in dataset["clips"]],
        "reference": dataset["reference"],
        "train_people": len({clip["subject"] for clip in trained}),
        "train_instants": counts.get("train_instants", 0),
        "train_pairs": counts["train_pairs"],
        "test_views": counts["test_views"],
        "counts": counts,
    }
    if spans := executor.spans_of(dataset):
        about["spans"] = spans
    if dataset["lost_clips"]:
        lists = [str(pathlib.Path(one.uri, dataset["dead_letters"])) for one in examples]
        about |= {"lost_clips": dataset["lost_clips"], "dead_letters": ", ".join(lists)}
    return about
