import dataclasses
import types

import pytest
from google.protobuf import json_format
from tfx.components.evaluator import executor as evaluator
from tfx.types import standard_artifacts

from components import evaluator as components_evaluator
from components import report, scores, trainers
from components.example_gen import executor
from keras_mvlift import configs, inference
from keras_mvlift.lifting import record_views
from keras_mvlift.metrics import baselines as measures
from keras_mvlift.metrics import pose_error
from keras_mvlift.visualization import pictures
from tests import temporal_networks
from tests.components import studio_examples

SINGLE = configs.ModelConfig(backbone="res_linear", layers_per_block=1, width=16)
STAGES = {
    "temporal": configs.FinetuneConfig(num_epochs=1, batch_size=32),
    # Trains nothing.
    "single": configs.PretrainConfig(num_epochs=0, batch_size=32),
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    config = dataclasses.replace(studio_examples.config(num_frames=12), num_virtual_views=0)
    return studio_examples.generate(tmp_path_factory.mktemp("studio"), config)


@pytest.fixture(scope="module")
def models(examples, tmp_path_factory):
    """A trained temporal model and one of single frames, as TFX's Trainer writes them."""
    made = {}
    for name, config in (("temporal", temporal_networks.CONFIG), ("single", SINGLE)):
        artifact = standard_artifacts.Model()
        artifact.uri = str(tmp_path_factory.mktemp(name))
        stage = STAGES[name]
        trainers.run_fn(
            types.SimpleNamespace(
                custom_config=trainers.custom_config(
                    config, stage, f"{artifact.uri}/checkpoints", "abc"
                ),
                train_files=[f"{executor.split_folder(examples['examples'].uri, 'train')}/*"],
                eval_files=[f"{executor.split_folder(examples['examples'].uri, 'eval')}/*"],
                base_model=None,
                serving_model_dir=f"{artifact.uri}/Format-Serving",
                model_run_dir=f"{artifact.uri}/run",
            )
        )
        made[name] = artifact
    return made


def judge(root, examples, model, baseline=None):
    """Runs the Evaluator as the pipeline does; gives its folder and whether it blessed."""
    outputs = {
        "evaluation": [standard_artifacts.ModelEvaluation()],
        "blessing": [standard_artifacts.ModelBlessing()],
    }
    for name, (artifact,) in outputs.items():
        artifact.uri = str(root / name)
        (root / name).mkdir()
    inputs = {"examples": [examples["test_examples"]], "model": [model]}
    config = components_evaluator.eval_config({"mpjpe_mm": 1e6}, {"mpjpe_mm": 1e6}, baseline=True)
    evaluator.Executor().Do(
        inputs | ({"baseline_model": [baseline]} if baseline else {}),
        outputs,
        {
            "eval_config": json_format.MessageToJson(config),
            "example_splits": '["test"]',
            "module_path": components_evaluator.EXTRACTORS_MODULE,
        },
    )
    (blessing,) = outputs["blessing"]
    return outputs["evaluation"][0].uri, bool(blessing.get_int_custom_property("blessed"))


def expected(examples, model):
    """Measures a model past the Evaluator."""
    test = measures.read_test_views(scores.pattern(examples["test_examples"].uri, "test"))
    lifter = inference.load_model(f"{model.uri}/Format-Serving")
    lifted = record_views.lift(lifter, test)
    return lifter, test, pose_error.summary(test.reference_pose, lifted.root_relative_pose)


@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [("temporal", None), ("temporal", "single"), ("single", "temporal")],
)
def test_each_model_is_judged_by_what_it_lifts_as_it_sees(
    examples, models, tmp_path, candidate, baseline
):
    uri, is_blessed = judge(tmp_path, examples, models[candidate], baseline and models[baseline])
    assert is_blessed
    found = components_evaluator.read(uri)
    lifter, test, figures = expected(examples, models[candidate])
    assert isinstance(lifter, inference.ClipLifter) == (candidate == "temporal")
    assert found["overall"]["num_examples"] == len(test.frame)
    for name in pose_error.FIGURE_NAMES:
        assert found["overall"][name] == pytest.approx(figures[name], rel=1e-4)
    assert set(found["per_camera"]) == set(test.camera)
    assert set(found["per_action"]) == set(test.action)


def test_the_report_draws_what_a_temporal_model_lifts(examples, models, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(pictures, "lifted_poses", lambda path, rows, note: drawn.extend(rows))
    lifter, test, _ = expected(examples, models["temporal"])
    report.draw(tmp_path / "picture.png", lifter, test)
    poses = record_views.lift(lifter, test).root_relative_pose
    assert all((row.pose_pred == poses).all(axis=(1, 2)).any() for row in drawn)
    assert drawn
