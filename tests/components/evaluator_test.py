import json
import pathlib

import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tfx.types import channel, standard_artifacts

from components import artifacts, evaluator
from components import scores as components_scores
from keras_mvlift import skeletons
from keras_mvlift.metrics import held_out_views
from tests.components import evaluator_evaluation_test, judged_examples

SCORES = dict.fromkeys(held_out_views.SCORE_NAMES, 0.1) | {"mean_px": 9.0, "median_mm": 40.0}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    root = tmp_path_factory.mktemp("scene")
    pose = np.random.default_rng(0).normal(size=(6, skeletons.H36M_17.num_joints, 3))
    scores = artifacts.HeldOutScores()
    scores.uri = str(root)
    pathlib.Path(scores.uri, components_scores.SCORES).write_text(json.dumps(SCORES))
    compared = artifacts.Baselines()
    compared.uri = str(root / "baselines")
    pathlib.Path(compared.uri).mkdir()
    return {
        evaluator.BASELINES: [compared],
        "examples": [judged_examples.write(root / "examples", pose.astype(np.float32))],
        "model": [evaluator_evaluation_test.save_model(root / "model", 1.0)],
        evaluator.HELD_OUT: [scores],
    }


def judge(scene, root, bounds, constant_pose_mm=1.0):
    (compared,) = scene[evaluator.BASELINES]
    figures = {components_scores.CONSTANT_POSE: {"overall": {"mpjpe_mm": constant_pose_mm}}}
    pathlib.Path(compared.uri, components_scores.BASELINES).write_text(json.dumps(figures))
    outputs = {
        "evaluation": [standard_artifacts.ModelEvaluation()],
        "blessing": [standard_artifacts.ModelBlessing()],
    }
    for key, (artifact,) in outputs.items():
        artifact.uri = str(root / key)
    properties = {
        "eval_config": json_format.MessageToJson(evaluator.eval_config(bounds)),
        "example_splits": "null",
        evaluator.BOUNDS: json.dumps(
            {name: value for name, value in bounds.items() if name in components_scores.NAMES}
        ),
    }
    evaluator.Executor().Do(scene, outputs, properties)
    (blessing,) = outputs["blessing"]
    return blessing.get_int_custom_property("blessed"), [
        path.name for path in pathlib.Path(blessing.uri).iterdir()
    ]


def test_a_bound_without_labels_is_enough_to_be_blessed(scene, tmp_path):
    assert judge(scene, tmp_path, {"held_out_median_mm": 41.0}) == (1, ["BLESSED"])


def test_a_model_that_only_misses_the_bound_without_labels_is_not_blessed(scene, tmp_path):
    bounds = {"held_out_median_mm": 39.0, "mpjpe_mm": 1e9}
    assert judge(scene, tmp_path, bounds) == (0, ["NOT_BLESSED"])
    # TFMA saw nothing wrong with it.
    assert tfma.load_validation_result(str(tmp_path / "evaluation")).validation_ok


def test_a_model_that_misses_a_bound_of_tfma_stays_unblessed(scene, tmp_path):
    bounds = {"held_out_median_mm": 41.0, "mpjpe_mm": 1.0}
    assert judge(scene, tmp_path, bounds) == (0, ["NOT_BLESSED"])


def test_a_model_is_held_to_a_share_of_what_needs_no_network(scene, tmp_path):
    judge(scene, tmp_path / "first", {"mpjpe_mm": 1e9})
    mpjpe = evaluator.read(str(tmp_path / "first" / "evaluation"))["overall"]["mpjpe_mm"]
    bounds = {"constant_pose_ratio": 0.9}
    assert judge(scene, tmp_path / "worse", bounds, mpjpe / 0.91) == (0, ["NOT_BLESSED"])
    assert judge(scene, tmp_path / "better", bounds, mpjpe / 0.89) == (1, ["BLESSED"])


def test_the_component_takes_what_tfxs_takes_the_scores_and_baselines():
    kinds = {
        "examples": standard_artifacts.Examples,
        "model": standard_artifacts.Model,
        "baseline_model": standard_artifacts.Model,
        "held_out": artifacts.HeldOutScores,
        "baselines": artifacts.Baselines,
    }
    made = evaluator.Evaluator(
        **{name: channel.Channel(type=kind) for name, kind in kinds.items()},
        example_splits=["test"],
        eval_config=evaluator.eval_config({"mpjpe_mm": 1.0}),
        further_bounds={"held_out_mean_px": 3.0},
        module_path="somewhere",
    )
    assert set(made.inputs) == set(kinds)
    assert set(made.outputs) == {"evaluation", "blessing"}
    assert made.exec_properties["further_bounds"] == '{"held_out_mean_px": 3.0}'
    assert made.exec_properties["module_path"] == "somewhere"
    assert made.id == "Evaluator"
