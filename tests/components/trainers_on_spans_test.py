import pathlib
import types
from typing import Any

import pytest

from components import trainers
from components.example_gen import executor
from keras_mvlift import configs
from tests import tiny_studio
from tests.components import studio_examples

TINY: dict[str, Any] = tiny_studio.TINY
MODEL = configs.ModelConfig(**TINY)
PRETRAIN = configs.PretrainConfig(num_epochs=1)


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    """Two spans, the newest first, of rigs that differ in cameras and distances."""
    made = []
    for span, changes in ((2, {"seed": 4, "rig": "ring", "num_cameras": 3}), (1, {})):
        root = tmp_path_factory.mktemp(f"span_{span}")
        config = studio_examples.config(**changes)
        made.append(studio_examples.generate(root, config, span=span, version=0)["examples"].uri)
    return made


def arguments(window, stage, base_model=None, split="train", start_from=""):
    """Makes what TFX hands over for a window of spans."""
    return types.SimpleNamespace(
        custom_config=trainers.custom_config(
            MODEL, stage, "", "", warm_start=True, start_from=str(start_from)
        ),
        train_files=[f"{executor.split_folder(one, split)}/*" for one in window],
        eval_files=[],
        base_model=base_model and str(base_model),
    )


def test_a_stage_reads_all_spans_of_a_window(window):
    newest, oldest = map(executor.read_dataset, window)
    stage = configs.FinetuneConfig(views="all")
    given = arguments(window, stage, split="train_instants")
    files = trainers.records(given, MODEL, stage, pathlib.Path(), pathlib.Path())
    assert (newest["num_views"], oldest["num_views"], files.num_views) == (4, 5, 5)
    assert files.num_pairs == sum(one["counts"]["train_pairs"] for one in (newest, oldest))
    # Each rig has two clips to train on.
    assert [file.split("/Split-")[0] for file in files.train].count(window[0]) == 2
    assert {file.split("/Split-")[0] for file in files.train} == set(window)


def test_networks_are_made_for_the_cameras_of_all_spans(window):
    newest, oldest = map(executor.read_dataset, window)
    _, about = trainers.start(arguments(window, PRETRAIN), MODEL, PRETRAIN)
    assert newest["rig_distance"] != oldest["rig_distance"]
    mean = (newest["rig_distance"] + oldest["rig_distance"]) / 2
    assert about["rig_distance"] == pytest.approx(mean)
    assert about["spans"] == [1, 2]
    assert about["warm_start"]["model"] is None
    assert about["warm_start"]["note"].startswith("No model was blessed on earlier spans")


def test_the_first_stage_goes_on_from_a_blessed_model_of_the_same_networks(window, tmp_path):
    blessed, folder = tiny_studio.trained(), tmp_path / "model" / "5" / "Format-Serving"
    tiny_studio.save(blessed, folder)
    given = arguments(window, PRETRAIN, folder)
    started, about = trainers.start(given, MODEL, PRETRAIN)
    assert tiny_studio.same(tiny_studio.weights(started), tiny_studio.weights(blessed))
    assert about["warm_start"]["model"].endswith("model/5")
    assert about["rig_distance"] == tiny_studio.RIG_DISTANCE
    assert trainers._note("pretrain", about).startswith("Nothing to pre-train: the weights")
    other = configs.ModelConfig(**TINY, recipe="paper")
    drawn, about = trainers.start(given, other, PRETRAIN)
    assert not tiny_studio.same(tiny_studio.weights(drawn), tiny_studio.weights(blessed))
    assert "(recipe)" in about["warm_start"]["note"]
    assert about["rig_distance"] != tiny_studio.RIG_DISTANCE
    # It is pre-trained as any that starts from scratch.
    assert trainers._note("pretrain", about) == ""


def test_a_model_that_was_asked_for_stands_in_until_one_is_blessed(window, tmp_path):
    asked, blessed = (tmp_path / name / "5" / "Format-Serving" for name in ("asked", "model"))
    for folder, model in ((asked, tiny_studio.lifter()), (blessed, tiny_studio.trained())):
        tiny_studio.save(model, folder)
    _, about = trainers.start(arguments(window, PRETRAIN, start_from=asked), MODEL, PRETRAIN)
    assert about["warm_start"]["note"] == f"Training started from {asked}."
    both = arguments(window, PRETRAIN, blessed, start_from=asked)
    started, about = trainers.start(both, MODEL, PRETRAIN)
    assert tiny_studio.same(
        tiny_studio.weights(started), tiny_studio.weights(tiny_studio.trained())
    )
    assert about["warm_start"]["model"].endswith("model/5")
