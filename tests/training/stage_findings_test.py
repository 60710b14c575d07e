"""What a stage finds beside the networks' weights, from records to the description."""

import dataclasses
import json

import pytest

from keras_mvlift import configs
from keras_mvlift.training import lifters, objectives, stage_data, stages
from tests import tiny_studio

STAGE = configs.FinetuneConfig(num_epochs=1, batch_size=7, views="all")


def train(folder, files, config=STAGE):
    objective = objectives.AllViewsReprojection()
    lifter = tiny_studio.lifter(objective=objective, model=stages.model(config), uncertainty=True)
    written = dataclasses.replace(files, checkpoints=folder / "checkpoints", logs=folder / "logs")
    return lifter, stages.run(lifter, config, written, "Finetune")


@pytest.fixture(scope="module")
def files(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    train, held_out = [shards["train_instants"]], [shards["held_out_instants"]]
    return stage_data.Files(train, held_out, folder, folder, num_views=4, num_pairs=84)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("trained")
    return folder, *train(folder, files)


def test_a_stage_tells_how_sure_poses_are(trained):
    _, lifter, history = trained
    found = json.loads(json.dumps(stages.about(lifter)))
    assert found["uncertainty"]["factor"] > 0
    assert {"uncertainty", "val_uncertainty"} <= {*history[-1]}


def test_a_stage_that_was_done_ends_as_sure_as_it_was(trained, files):
    folder, lifter, _ = trained
    again, _ = train(folder, files)
    assert stages.about(again) == stages.about(lifter)
    assert tiny_studio.same(
        *([x.numpy() for x in model.lifting_network.variables] for model in (again, lifter))
    )


def test_a_model_without_uncertainty_tells_nothing():
    assert stages.about(tiny_studio.lifter()) == {}


def test_the_weights_of_a_model_include_those_that_say_how_sure_it_is(trained):
    _, lifter, _ = trained
    names = {id(variable) for variable in lifters.weights_of(lifter)}
    assert {id(variable) for variable in lifter.uncertainty.network.variables} <= names
