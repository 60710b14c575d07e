import contextlib
import csv
import dataclasses
import json
import types

import numpy as np
import pytest
import tensorflow as tf

from components import trainers
from components.example_gen import executor
from keras_mvlift import configs
from keras_mvlift.training import batches, lifters, objectives, stages
from tests import tiny_studio

MODEL = {"backbone": "res_linear", "layers_per_block": 1, "width": 16}
PRETRAIN = configs.PretrainConfig(num_epochs=2, batch_size=32)
FINETUNE = configs.FinetuneConfig(num_epochs=3, batch_size=32, decay_every=2)
SIGNATURES = {"serving_default", "lift_camera", "lift_world", "serving_examples"}


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def examples(studio_records):
    return studio_records["examples"].uri


@pytest.fixture(scope="module")
def train(examples, tmp_path_factory):
    """Runs a stage as TFX's Trainer does; gives the SavedModel's folder."""

    def run(
        stage,
        recipe="solved_root",
        base_model=None,
        checkpoint_root=None,
        code_version="abc",
        hyperparameters=None,
    ):
        train, held_out = (
            executor.INSTANT_SPLITS if stages.takes_instants(stage) else executor.PAIR_SPLITS
        )
        root = tmp_path_factory.mktemp("trainer")
        model = configs.ModelConfig(recipe=recipe, **MODEL)
        checkpoint_root = checkpoint_root or root / "checkpoints"
        trainers.run_fn(
            types.SimpleNamespace(
                custom_config=trainers.custom_config(
                    model, stage, str(checkpoint_root), code_version
                ),
                train_files=[f"{executor.split_folder(examples, train)}/*"],
                eval_files=[f"{executor.split_folder(examples, held_out)}/*"],
                base_model=base_model and str(base_model),
                hyperparameters=hyperparameters,
                serving_model_dir=str(root / "Format-Serving"),
                model_run_dir=str(root / "run"),
            )
        )
        return root / "Format-Serving"

    return run


@pytest.fixture(scope="module")
def unbroken(train):
    return train(FINETUNE)


@pytest.fixture(scope="module")
def pretrained(train):
    return train(PRETRAIN, recipe="paper")


@pytest.fixture(scope="module")
def finetuned(train, pretrained):
    return train(FINETUNE, "paper", pretrained)


@pytest.fixture
def first_epochs(monkeypatch):
    """Notes the epoch that each training begins with."""
    noted, load = [], batches.load_pairs

    def load_and_note(*arguments, first_epoch=0, **options):
        noted.append(first_epoch)
        return load(*arguments, first_epoch=first_epoch, **options)

    monkeypatch.setattr(batches, "load_pairs", load_and_note)
    return noted


@contextlib.contextmanager
def killed_after(num_epochs):
    """Lets training die once so many epochs are saved."""
    save = stages.EpochCheckpoints.on_epoch_end

    def save_and_die(callback, epoch, logs=None):
        save(callback, epoch, logs)
        if epoch + 1 == num_epochs:
            raise KilledError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stages.EpochCheckpoints, "on_epoch_end", save_and_die)
        with pytest.raises(KilledError):
            yield


def description(model):
    return json.loads((model / lifters.FOLDER / lifters.DESCRIPTION).read_text())


def weights(model):
    lifter, _ = lifters.load(model / lifters.FOLDER, objectives.TransformReprojection())
    return tiny_studio.weights(lifter)


def test_a_recipe_that_starts_from_any_weights_learns_of_pairs_first(train, examples):
    model = train(PRETRAIN)
    about = description(model)
    assert about["pretrain"]["num_epochs"] == 2
    assert about["pretrain"]["note"] == ""
    assert about["is_mirrored"] is False
    assert about["pretrain"]["last_epoch"]["transform_reprojection"] > 0
    assert about["model"]["width"] == 16
    assert about["rig_distance"] == executor.read_dataset(examples)["rig_distance"]
    assert set(tf.saved_model.load(str(model)).signatures) == SIGNATURES


def test_the_papers_recipe_is_pretrained(train, pretrained):
    untrained = train(dataclasses.replace(PRETRAIN, num_epochs=0), recipe="paper")
    about = description(pretrained)["pretrain"]
    assert about["num_epochs"] == 2
    assert about["note"] == ""
    assert about["last_epoch"]["consistency"] > 0
    assert not tiny_studio.same(weights(pretrained), weights(untrained))
    assert set(tf.saved_model.load(str(pretrained)).signatures) == SIGNATURES


def test_finetuning_starts_from_the_pretrained_weights(train, pretrained, finetuned):
    kept = train(dataclasses.replace(FINETUNE, num_epochs=0), "paper", pretrained)
    assert tiny_studio.same(weights(kept), weights(pretrained))
    assert not tiny_studio.same(weights(finetuned), weights(pretrained))
    assert description(finetuned)["pretrain"] == description(pretrained)["pretrain"]
    assert description(finetuned)["finetune"]["num_epochs"] == 3


def test_a_stage_learns_in_the_precision_of_its_settings(train, pretrained, unbroken, finetuned):
    half = dataclasses.replace(FINETUNE, precision="mixed_bfloat16")
    for model, single in (
        (train(half), unbroken),
        (train(half, "paper", pretrained), finetuned),
    ):
        losses = [description(one)["finetune"]["last_epoch"]["loss"] for one in (model, single)]
        assert losses[0] != losses[1]
        assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_history_and_settings_of_a_stage_are_kept(unbroken):
    with (unbroken.parent / "run" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    about = description(unbroken)["finetune"]
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert about["last_epoch"]["val_loss"] == float(rows[-1]["val_loss"])
    assert np.isfinite(list(about["last_epoch"].values())).all()
    assert configs.FinetuneConfig(**about["config"]) == FINETUNE


def test_a_killed_stage_goes_on_and_ends_with_the_weights_of_an_unbroken_one(
    train, unbroken, first_epochs, tmp_path
):
    with killed_after(1):
        train(FINETUNE, checkpoint_root=tmp_path)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("finetune-")
    resumed = train(FINETUNE, checkpoint_root=tmp_path)
    assert first_epochs == [0, 1]
    assert tiny_studio.same(weights(resumed), weights(unbroken))
    assert description(resumed) == description(unbroken)
    assert not left.exists()


def test_checkpoints_are_those_of_the_same_settings_code_and_inputs(train, tmp_path, monkeypatch):
    def note_and_die(lifter, config, files, name):
        noted.append(files.checkpoints)
        raise KilledError

    noted: list = []
    monkeypatch.setattr(stages, "run", note_and_die)
    changes = ({}, {}, {"recipe": "ray_root"}, {"code_version": "def"})
    for change in changes:
        with pytest.raises(KilledError):
            train(FINETUNE, checkpoint_root=tmp_path, **change)
    with pytest.raises(KilledError):
        train(dataclasses.replace(FINETUNE, seed=1), checkpoint_root=tmp_path)
    assert noted[0] == noted[1]
    assert len(set(noted)) == 4
    assert {folder.parent for folder in noted} == {tmp_path}


def test_a_batch_larger_than_the_set_is_refused_by_name(train):
    with pytest.raises(ValueError, match=r"Finetune: `batch_size` must be at most .* 80\..*99999"):
        train(dataclasses.replace(FINETUNE, batch_size=99_999))


def test_a_stage_on_all_views_goes_on_from_the_stage_before(train, pretrained):
    stage = dataclasses.replace(FINETUNE, views="all", batch_size=8, flip_augmentation=True)
    folder = train(stage, base_model=pretrained)
    description = json.loads((folder / lifters.FOLDER / lifters.DESCRIPTION).read_text())
    assert description["finetune"]["config"]["views"] == "all"
    assert description["is_mirrored"] is True
    assert description["finetune"]["num_epochs"] == 3
    assert description["finetune"]["last_epoch"]["val_loss"] > 0
    assert set(tf.saved_model.load(str(folder)).signatures) == SIGNATURES


def test_what_a_search_found_takes_the_place_of_the_settings(train, unbroken):
    found = {"learning_rate": 0.002, "transform_weight": 3.0}
    model = train(FINETUNE, hyperparameters={"space": [], "values": found})
    about = description(model)["finetune"]
    assert about["tuned"] == found
    assert configs.FinetuneConfig(**about["config"]) == dataclasses.replace(FINETUNE, **found)
    assert not tiny_studio.same(weights(model), weights(unbroken))
    assert "tuned" not in description(unbroken)["finetune"]


def test_checkpoints_of_other_inputs_lie_in_other_folders():
    custom = trainers.custom_config(configs.ModelConfig(), configs.FinetuneConfig(), "root", "code")

    def folder(**changes):
        given = {"custom_config": custom, "train_files": ["a/*.gz"], "base_model": None}
        return trainers.checkpoints_of(types.SimpleNamespace(**given | changes))

    changes = (
        {"train_files": ["b/*.gz"]},
        {"base_model": "former"},
        {"custom_config": custom | {"code_version": "other"}},
        {"hyperparameters": {"values": {"learning_rate": 0.1}}},
    )
    assert folder() == folder()
    assert len({folder(), *(folder(**change) for change in changes)}) == 5
