import json
import pathlib
import shutil
import types

import pytest
from tfx.types import standard_artifacts

from components import artifacts, trainers
from components import scores as components_scores
from components.example_gen import executor
from keras_mvlift import configs, inference
from keras_mvlift.metrics import baselines as measures
from keras_mvlift.metrics import held_out_views
from keras_mvlift.training import held_out as training_held_out
from keras_mvlift.training import lifters, objectives
from tests.components import studio_examples

MODEL = configs.ModelConfig(backbone="res_linear", layers_per_block=1, width=16)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return studio_examples.generate(tmp_path_factory.mktemp("studio"), studio_examples.config())


@pytest.fixture(scope="module")
def model(examples, tmp_path_factory):
    """An untrained model."""
    made = standard_artifacts.Model()
    made.uri = str(tmp_path_factory.mktemp("model"))
    stage = configs.PretrainConfig(num_epochs=0, batch_size=16)
    trainers.run_fn(
        types.SimpleNamespace(
            custom_config=trainers.custom_config(MODEL, stage, f"{made.uri}/checkpoints", "abc"),
            train_files=[f"{executor.split_folder(examples['examples'].uri, 'train')}/*"],
            base_model=None,
            hyperparameters=None,
            serving_model_dir=f"{made.uri}/Format-Serving",
            eval_files=[],
            model_run_dir=f"{made.uri}/run",
        )
    )
    return made


def measure(model, examples, root):
    scores = artifacts.HeldOutScores()
    scores.uri = str(root)
    components_scores.HeldOutViews.test_call(
        model=model,
        **studio_examples.lists(examples),
        scores=scores,
        min_joints=8,
        code_version="abc",
    )
    return components_scores.read_held_out(scores.uri)


def told_otherwise(examples, root, **changes):
    """Returns the same records, of which `dataset.json` says something else."""
    copy = standard_artifacts.Examples()
    copy.uri = str(shutil.copytree(examples["examples"].uri, root / "examples"))
    path = pathlib.Path(copy.uri, executor.DATASET)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return examples | {"examples": copy}


def test_test_instants_are_scored(model, examples, tmp_path):
    uri = examples["test_examples"].uri
    test = measures.read_test_views(components_scores.pattern(uri, "test"))
    view = test.view
    lifter = inference.load_model(f"{model.uri}/Format-Serving")
    lifted = lifter.lift(view.keypoints_2d, view.confidence, camera=view.camera)
    expected = held_out_views.score_test_views(test, lifted.root_relative_pose)
    found = measure(model, examples, tmp_path)
    assert found.pop("measured_on") == "test"
    assert found.pop("num_instants") == test.instant.max() + 1
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope="module")
def alone(examples, tmp_path_factory):
    """The same records, but for the test views of all cameras but one."""
    root = tmp_path_factory.mktemp("alone") / "test"
    test = studio_examples.of_camera(examples["test_examples"], "test", "camera_1", root)
    return examples | {"test_examples": test}


def test_where_a_camera_tests_alone_held_out_instants_are_scored(model, alone, tmp_path):
    found = measure(model, alone, tmp_path)
    files = components_scores.pattern(alone["examples"].uri, "eval_instants")
    seen = training_held_out.read_records(files, num_views=5)
    folder = pathlib.Path(model.uri, "Format-Serving", lifters.FOLDER)
    lifter, _ = lifters.load(folder, objectives.TransformReprojection())
    assert found.pop("measured_on") == "eval"
    assert found.pop("num_instants") == len(seen.confidence)
    assert found == pytest.approx(training_held_out.score(lifter, seen), rel=1e-3)


def test_of_many_instants_some_of_all_are_scored(model, examples, tmp_path, monkeypatch):
    everything = measure(model, examples, tmp_path)
    monkeypatch.setattr(training_held_out, "MAX_RECORDS", 5)
    some = measure(model, examples, tmp_path)
    assert (everything["num_instants"], some["num_instants"]) == (12, 5)
    assert some["mean_px"] != everything["mean_px"]
    assert some["mean_px"] == pytest.approx(everything["mean_px"], rel=0.5)


def test_no_instant_in_two_views_is_no_score(model, alone, tmp_path):
    found = measure(model, told_otherwise(alone, tmp_path, counts={}), tmp_path)
    assert found == {}
    bounds = {"held_out_mean_px": 1.0, "nearest_view_ratio": 1.0, "mpjpe_mm": 1.0}
    values = components_scores.values(found, {"mpjpe_mm": 10.0}, {})
    assert components_scores.why(values, bounds) == [
        "held_out_mean_px was not computed: no instant was held out in two views.",
        "nearest_view_ratio was not computed: there is no nearest view to compare with.",
    ]


def test_only_bounds_that_are_missed_are_reasons():
    scores = {"mean_px": 3.0, "median_px": 2.0, "mean_mm": 12.0, "median_mm": float("nan")}
    scores |= {"mean_share": 0.2, "median_share": 0.1}
    bounds = {f"held_out_{name}": 3.0 for name in scores} | {"mpjpe_mm": 0.0}
    bounds |= {"constant_pose_ratio": 0.9, "nearest_view_ratio": 0.9}
    compared = {
        components_scores.CONSTANT_POSE: {"overall": {"mpjpe_mm": 200.0}},
        components_scores.NEAREST_VIEW: {"overall": {"mpjpe_mm": 105.0}},
    }
    values = components_scores.values(scores, {"mpjpe_mm": 100.0}, compared)
    assert components_scores.why(values, bounds) == [
        "held_out_mean_mm 12 is not at most 3.",
        "held_out_median_mm nan is not at most 3.",
        "nearest_view_ratio 0.952 is not at most 0.9: MPJPE over that of the nearest view.",
    ]
