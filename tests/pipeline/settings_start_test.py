import dataclasses
import json
import pathlib
import shutil

import pytest

from keras_mvlift import configs
from keras_mvlift.training import lifters
from pipeline import presets, settings
from tests import tiny_studio


@pytest.fixture(scope="module")
def tiny(model_folder):
    return str(model_folder)


def test_the_model_of_the_settings_follows_the_start():
    former = presets.human36m().with_seed(3)
    config = former.updated({"start_from": "studio"})
    assert config.model == configs.ModelConfig(
        backbone="res_linear",
        width=512,
        network_input="centered",
        dropout=0.1,
        initializer="he_normal",
        seed=3,
    )
    # And both stages follow the model.
    assert config.finetune == dataclasses.replace(
        former.finetune, flip_augmentation=True, learning_rate=1e-4
    )
    assert config.pretrain == former.pretrain


def test_what_is_said_beside_the_start_is_kept(tiny):
    said = {"model": {"dropout": 0.4}, "finetune": {"learning_rate": 3e-4}}
    config = presets.recording().updated({"start_from": tiny, **said})
    assert (config.model.width, config.model.dropout) == (16, 0.4)
    assert config.finetune.learning_rate == 3e-4
    assert settings.PipelineConfig().updated(config.as_settings()) == config
    assert config.updated({"start_from": ""}).start_from == ""


@pytest.mark.parametrize(
    ("model", "asked", "has"),
    [
        ({"width": 256}, "width 256", "width 512"),
        (
            {"backbone": "paper", "network_input": "rays"},
            "backbone 'paper', network_input 'rays'",
            "backbone 'res_linear', network_input 'centered'",
        ),
        ({"recipe": "ray_root"}, "recipe 'ray_root'", "recipe 'solved_root'"),
    ],
)
def test_other_networks_than_the_starts_are_refused_by_name(model, asked, has):
    told = rf"^`start_from` must be a model with {asked}, as `model` says\. "
    with pytest.raises(ValueError, match=rf"{told}Received: 'studio' with {has}\.$"):
        presets.recording().updated({"start_from": "studio", "model": model})
    made = presets.recording().updated({"start_from": "studio"})
    with pytest.raises(ValueError, match=told):
        made.updated({"model": model})


@pytest.mark.parametrize("start", ["studioo", 7, ["studio"]], ids=str)
def test_a_start_that_is_no_model_is_refused(start):
    with pytest.raises(ValueError, match=r"^`start_from` must be a trained model: .* Received: "):
        presets.recording().updated({"start_from": start})


def test_a_model_that_does_not_say_its_networks_is_refused(tmp_path):
    tiny_studio.save(tiny_studio.lifter(), tmp_path / "1")
    path = tmp_path / "1" / "assets.extra" / "keras_mvlift" / "model.json"
    about = json.loads(path.read_text())
    del about["model"]
    path.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"^`start_from` must be a trained model"):
        presets.recording().updated({"start_from": str(tmp_path / "1")})


def test_the_papers_road_starts_from_random_weights(tmp_path):
    path = pathlib.Path(tmp_path / "settings.json")
    path.write_text(json.dumps({"preset": "paper", "start_from": "studio"}))
    with pytest.raises(ValueError, match=r"^`start_from` must be left out with preset 'paper'"):
        presets.configure(presets.Request(settings=path))


def test_the_networks_do_not_follow_a_rival(tiny):
    config = presets.recording().updated({"rival": tiny})
    assert (config.start_from, config.candidate, config.model.width) == ("", tiny, 256)


def test_a_start_is_the_candidate_where_there_is_one(tiny):
    config = presets.recording().updated({"start_from": tiny})
    assert (config.rival, config.candidate) == ("studio", tiny)
    assert config.updated({"rival": ""}).candidate == ""


def test_a_rival_that_sees_pixels_is_refused_by_name(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "screen")
    path = tmp_path / "screen" / lifters.FOLDER / lifters.DESCRIPTION
    told = json.loads(path.read_text())
    told["model"]["network_input"] = "screen"
    path.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"^`rival` must lift single frames by rays or centered"):
        presets.recording().updated({"rival": str(tmp_path / "screen")})


def test_a_rival_that_is_no_model_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^`rival` must be a trained model.*'nowhere'"):
        presets.recording().updated({"rival": "nowhere"})
