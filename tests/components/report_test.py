import json
import pathlib

import jsonschema
import numpy as np
import pytest
from google.protobuf import json_format
from PIL import Image
from tfx.components.evaluator import executor as evaluator
from tfx.types import standard_artifacts

from components import candidates, checks, report
from components import evaluator as components_evaluator
from components import scores as components_scores
from components.example_gen import executor
from keras_mvlift import inference
from keras_mvlift.metrics import baselines as measures
from keras_mvlift.metrics import pose_error
from keras_mvlift.visualization import pictures
from tests.components import studio_examples

SCHEMA = pathlib.Path(__file__).parents[2] / "docs" / "results.schema.json"
# What the runner adds, which alone knows where everything lies in the end.
PLACES = {"results": "results.json", "picture": "picture.png", "log": "a.log"}
BOUNDS = {"mpjpe_mm": 1.0, "pck_150": 0.0, "held_out_mean_mm": 20.0}
SCORES = {
    "mean_px": 5.0,
    "median_px": 4.0,
    "mean_mm": 30.0,
    "median_mm": 20.0,
    "mean_share": 0.05,
    "median_share": 0.03,
    "num_instants": 3,
    "measured_on": "test",
}
FINDING = {
    "severity": "warning",
    "name": "calibration_off",
    "cameras": ["cam1"],
    "sentence": "The calibration is off.",
    "remedy": "Refine it.",
    "before": 17.0,
}
CHOICE = {
    "chosen": "adapted",
    "start_from": "studio",
    "num_instants": 4,
    "held_out": {"adapted": {"mean_mm": 40.0}, "started": {"mean_mm": 50.0}},
}


@pytest.fixture(scope="module")
def examples(studio_records):
    return studio_records


def artifact(kind, uri):
    made = kind()
    made.uri = str(uri)
    pathlib.Path(uri).mkdir(exist_ok=True)
    return made


@pytest.fixture(scope="module")
def model(untrained_model):
    return untrained_model


def told(kind, root, name, content):
    """An artifact of one JSON file."""
    made = artifact(kind, root / kind.__name__)
    (root / kind.__name__ / name).write_text(json.dumps(content))
    return made


@pytest.fixture(scope="module")
def written(examples, model, tmp_path_factory):
    """The folder of the report on a model that missed its bounds."""
    root = tmp_path_factory.mktemp("report")
    evaluated = artifact(standard_artifacts.ModelEvaluation, root / "evaluation")
    blessing = artifact(standard_artifacts.ModelBlessing, root / "blessing")
    evaluator.Executor().Do(
        {"examples": [examples["test_examples"]], "model": [model]},
        {"evaluation": [evaluated], "blessing": [blessing]},
        {
            "eval_config": json_format.MessageToJson(components_evaluator.eval_config(BOUNDS)),
            "example_splits": '["test"]',
        },
    )
    figures = artifact(components_scores.BaselineFigures, root / "figures")
    components_scores.Baselines.test_call(
        **studio_examples.lists(examples), figures=figures, min_confidence=0.3, code_version="abc"
    )
    found = {"findings": [FINDING]}
    made = artifact(report.ReportFiles, root / "report")
    report.Report.test_call(
        evaluated=evaluated,
        blessing=blessing,
        pushed=artifact(standard_artifacts.PushedModel, root / "pushed"),
        model=model,
        **studio_examples.lists(examples),
        figures=figures,
        scores=told(components_scores.HeldOutFigures, root, components_scores.SCORES, SCORES),
        report=made,
        data=json.dumps({"source": "studio", "data_root": ""}),
        bounds=json.dumps(BOUNDS),
        seed=5,
        code_version="abc",
        rig=told(checks.RigFindings, root, checks.RIG_REPORT, found),
        candidates=told(candidates.CandidateModels, root, candidates.CANDIDATES, CHOICE),
        adapted=model,
        started=model,
    )
    return pathlib.Path(made.uri)


@pytest.fixture
def found(written):
    return json.loads((written / report.RESULTS).read_text())


def read_test_views(examples):
    files = components_scores.patterns([examples["test_examples"]], "test")
    return measures.read_test_views(files)


def lift(model, test):
    lifter = inference.load_model(f"{model.uri}/Format-Serving")
    view = test.view
    return lifter, lifter.lift(view.keypoints_2d, view.confidence, camera=view.camera)


def test_results_keep_the_documented_schema(found):
    jsonschema.validate(found | PLACES, json.loads(SCHEMA.read_text()))


def test_results_are_the_models_own(found, examples, model):
    test = read_test_views(examples)
    _, lifted = lift(model, test)
    expected = pose_error.summary(test.reference_pose, lifted.root_relative_pose)
    for name in pose_error.FIGURE_NAMES:
        assert found["overall"][name] == pytest.approx(expected[name], rel=1e-4)
    assert found["overall"]["num_examples"] == len(test.frame)
    means = [figures["mpjpe_mm"] for figures in found["per_action"].values()]
    assert found["mean_over_actions"]["mpjpe_mm"] == pytest.approx(np.mean(means))


def test_results_say_why_a_model_is_not_blessed(found):
    error = found["overall"]["mpjpe_mm"]
    assert found["blessed"] is False
    assert found["model"] is None
    assert found["reasons"] == [
        f"mpjpe_mm {error:g} is not at most 1.",
        "held_out_mean_mm 30 is not at most 20.",
    ]
    assert found["bounds"] == BOUNDS


def test_results_hold_the_score_without_labels(found):
    assert found["held_out"] == SCORES
    assert "tuned" not in found


def test_results_hold_what_was_found_of_the_rig_in_words(found):
    assert found["rig"] == [{key: x for key, x in FINDING.items() if key != "before"}]


def test_results_hold_what_was_chosen_between(found):
    figures = {name: found["overall"][name] for name in pose_error.FIGURE_NAMES}
    (theirs, same) = found["candidates"].pop("test").values()
    assert found["candidates"] == CHOICE
    assert theirs == same == pytest.approx(figures, rel=1e-4)


def test_results_say_what_was_trained_and_how(found, examples):
    dataset = executor.read_dataset(examples["examples"].uri)
    assert found["data"]["source"] == "studio"
    assert found["data"]["clips"] == sorted(studio_examples.CLIPS)
    assert found["data"]["counts"] == dataset["counts"]
    assert found["data"]["train_pairs"] == dataset["counts"]["train_pairs"]
    assert found["data"]["reference"] == "recorded"
    assert (found["recipe"], found["seed"]) == ("solved_root", 5)


def test_results_name_the_list_of_clips_that_could_not_be_used(found):
    assert "lost_clips" not in found["data"]
    dataset = {"clips": [], "counts": {"train_pairs": 1, "test_views": 1}, "choices": ["a"]}
    dataset |= {"reference": "recorded", "lost_clips": 2, "dead_letters": "lost.json"}
    examples = standard_artifacts.Examples()
    examples.uri = "examples/1"
    data = report._about(dataset, [examples])
    assert (data["lost_clips"], data["choices"]) == (2, ["a"])
    assert data["dead_letters"] == str(pathlib.Path("examples/1/lost.json"))


def test_the_picture_has_a_row_for_each_camera(written):
    with Image.open(written / report.PICTURE) as picture:
        assert picture.size == (1440, 1960)


def test_the_picture_shows_the_instant_of_the_median_error(examples, model, monkeypatch, tmp_path):
    test, drawn = read_test_views(examples), []
    monkeypatch.setattr(pictures, "lifted_poses", lambda path, rows, note: drawn.extend(rows))
    lifter, lifted = lift(model, test)
    report.draw(tmp_path / "picture.png", lifter, test)
    error = np.linalg.norm(lifted.root_relative_pose - test.reference_pose, axis=-1).mean(axis=-1)
    keys = list(zip(test.clip, test.frame, strict=True))
    means = {key: error[[other == key for other in keys]].mean() for key in set(keys)}
    middle = sorted(means, key=means.get)[len(means) // 2]
    shown = [index for index, key in enumerate(keys) if key == middle]
    assert len(drawn) == len(shown) >= 2
    for row, index in zip(drawn, shown, strict=True):
        assert row.title == f"{test.camera[index]}, {test.action[index]}, frame {middle[1]}"
        assert row.error_mm == pytest.approx(1000 * error[index], rel=1e-4)
        np.testing.assert_allclose(row.pose_reference, test.reference_pose[index], rtol=1e-6)
        np.testing.assert_allclose(row.keypoints_2d, test.view.keypoints_2d[index], rtol=1e-6)


def test_artifacts_of_ours_can_be_made_where_tfx_makes_them():
    kinds = (
        components_scores.BaselineFigures,
        components_scores.HeldOutFigures,
        report.ReportFiles,
    )
    made = [kind() for kind in kinds]
    names = ["MVLiftBaselines", "MVLiftHeldOutScores", "MVLiftReport"]
    assert [one.type_name for one in made] == names
    made[0].uri = "somewhere"
    assert made[0].mlmd_artifact.uri == "somewhere"
