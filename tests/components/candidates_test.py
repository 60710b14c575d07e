import json
import pathlib

import numpy as np
import pytest
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components import candidates, scores
from keras_mvlift import inference
from keras_mvlift.export import compact
from keras_mvlift.metrics import pose_error
from keras_mvlift.training import lifters, objectives
from tests.components import studio_examples


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    root = tmp_path_factory.mktemp("studio")
    return studio_examples.generate(root, studio_examples.config(num_frames=12))


def artifact(kind, root):
    made = kind()
    made.uri = str(root)
    pathlib.Path(root).mkdir(parents=True)
    return made


def load(model):
    return inference.load_model(path_utils.serving_model_path(model.uri))


@pytest.fixture(scope="module")
def adapted(examples, tmp_path_factory):
    model = artifact(standard_artifacts.Model, tmp_path_factory.mktemp("adapted") / "1")
    candidates.Adapt.test_call(
        examples=[examples["examples"]],
        model=model,
        start_from="studio",
        start_digest="abc",
        code_version="abc",
    )
    return model


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """The shipped model with poses three times as large."""
    model = artifact(standard_artifacts.Model, tmp_path_factory.mktemp("spoiled") / "1")
    layer = compact.LastLayer(inference.load_model("studio"))
    layer.write(3 * layer.weights, {}, pathlib.Path(path_utils.serving_model_path(model.uri)))
    return model


@pytest.fixture(scope="module")
def made(examples, adapted, spoiled, tmp_path_factory):
    root = tmp_path_factory.mktemp("choice")
    outputs = {
        "model": artifact(standard_artifacts.Model, root / "model"),
        "candidates": artifact(candidates.CandidateModels, root / "candidates"),
    }
    candidates.Choice.test_call(
        examples=[examples["examples"]],
        adapted=spoiled,
        started=adapted,
        scratch=spoiled,
        start_from="studio",
        min_joints=8,
        code_version="abc",
        **outputs,
    )
    return outputs


def test_a_model_is_fitted_to_what_real_cameras_saw_of_the_training_instants(adapted, examples):
    seen, clip = scores.training_instants([examples["examples"]])
    is_real = (seen.confidence > 0).any(axis=(0, 2))
    about = load(adapted).description["adapted"]
    assert about["start"] == "studio"
    assert about["num_views"] == len(clip) * is_real.sum()
    assert about["score_mm"]["after"] < about["score_mm"]["before"]


def test_parts_are_clips_or_blocks_of_a_single_one(examples, tmp_path):
    parts, num_clips = candidates._parts([examples["examples"]])
    assert (len(parts), num_clips) == (2, 2)
    alone = studio_examples.generate(tmp_path, studio_examples.config(num_frames=12, num_clips=1))
    parts, num_clips = candidates._parts([alone["examples"]])
    assert (len(parts), num_clips) == (4, 1)
    rows = np.concatenate([part.frame for part in parts])
    np.testing.assert_array_equal(rows, np.arange(len(rows)))


def test_what_scores_best_without_labels_is_handed_on(made, adapted, spoiled, examples):
    told = json.loads(pathlib.Path(made["candidates"].uri, candidates.CANDIDATES).read_text())
    assert told["chosen"] == "started"
    assert list(told["held_out"]) == ["adapted", "started", "scratch"]
    assert told["held_out"]["started"]["mean_mm"] < told["held_out"]["adapted"]["mean_mm"]
    assert load(made["model"]).description == load(adapted).description
    # Two instants of each training clip are held out.
    assert told["num_instants"] == 4


def test_without_held_out_instants_nothing_can_be_chosen(examples, adapted, tmp_path):
    nothing = artifact(standard_artifacts.Examples, tmp_path / "examples")
    dataset = pathlib.Path(examples["examples"].uri, "dataset.json")
    told = json.loads(dataset.read_text())
    told["counts"]["held_out_instants"] = 0
    (tmp_path / "examples" / "dataset.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match="`examples` must hold instants out"):
        candidates.Choice.test_call(
            examples=[nothing],
            adapted=adapted,
            started=adapted,
            model=artifact(standard_artifacts.Model, tmp_path / "model"),
            candidates=artifact(candidates.CandidateModels, tmp_path / "candidates"),
            start_from="studio",
            min_joints=8,
            code_version="abc",
        )


def test_the_report_is_told_errors_on_test_views(made, adapted, spoiled, examples):
    test = scores.unseen_views([examples["examples"]], [examples["test_examples"]])[0]
    models = candidates.models_of(adapted, spoiled, None)
    told = candidates.about(made["candidates"].uri, models, test)
    assert [*told["test"]] == ["adapted", "started"]
    view = test.view
    lifted = load(adapted).lift(view.keypoints_2d, view.confidence, camera=view.camera)
    expected = pose_error.summary(test.reference_pose, lifted.root_relative_pose)
    assert told["test"]["adapted"] == pytest.approx(expected)


def test_a_model_is_trained_on_and_says_so(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates.refinement, "NUM_STEPS", 2)
    model = artifact(standard_artifacts.Model, tmp_path / "model")
    candidates.Refine.test_call(
        examples=[examples["examples"]],
        model=model,
        start_from="studio",
        start_digest="abc",
        seed=0,
        code_version="abc",
    )
    refined = load(model)
    assert refined.description["refined"] == {"start": "studio", "num_steps": 2}
    assert not refined.joint_mixes
    objective, instants = objectives.Consistency(), candidates._parts([examples["examples"]])[0]
    again = compact.reopened(refined, objective)
    start = compact.reopened(
        inference.load_model("studio"), objective, seen=lambda: candidates._seen(instants)
    )
    moved = [
        np.abs(one.numpy() - other.numpy()).max()
        for one, other in zip(lifters.weights_of(again), lifters.weights_of(start), strict=True)
    ]
    assert 1e-6 < max(moved) < 1e-3
