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
from tests.components import evaluator_evaluation_test, judged_examples

SCORES = {"mean_px": 9.0, "median_px": 8.0, "mean_mm": 50.0, "median_mm": 40.0}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    root = tmp_path_factory.mktemp("scene")
    pose = np.random.default_rng(0).normal(size=(6, skeletons.H36M_17.num_joints, 3))
    scores = artifacts.HeldOutScores()
    scores.uri = str(root)
    pathlib.Path(scores.uri, components_scores.SCORES).write_text(json.dumps(SCORES))
    return {
        "examples": [judged_examples.write(root / "examples", pose.astype(np.float32))],
        "model": [evaluator_evaluation_test.save_model(root / "model", 1.0)],
        evaluator.HELD_OUT: [scores],
    }


def judge(scene, root, bounds):
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


def test_the_component_takes_what_tfxs_takes_and_the_scores():
    kinds = {
        "examples": standard_artifacts.Examples,
        "model": standard_artifacts.Model,
        "baseline_model": standard_artifacts.Model,
        "held_out": artifacts.HeldOutScores,
    }
    made = evaluator.Evaluator(
        **{name: channel.Channel(type=kind) for name, kind in kinds.items()},
        example_splits=["test"],
        eval_config=evaluator.eval_config({"mpjpe_mm": 1.0}),
        held_out_bounds={"held_out_mean_px": 3.0},
        module_path="somewhere",
    )
    assert set(made.inputs) == set(kinds)
    assert set(made.outputs) == {"evaluation", "blessing"}
    assert made.exec_properties["held_out_bounds"] == '{"held_out_mean_px": 3.0}'
    assert made.exec_properties["module_path"] == "somewhere"
    assert made.id == "Evaluator"
