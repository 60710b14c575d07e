import dataclasses

import pytest

from keras_mvlift import configs

SOLVED = configs.ModelConfig(recipe="solved_root")
PAPER = configs.ModelConfig(recipe="paper")
RAY = configs.ModelConfig(recipe="ray_root")
CENTERED = configs.ModelConfig(network_input="centered")
TEMPORAL = configs.ModelConfig(backbone=configs.TEMPORAL)


def changed(*arguments):
    return configs.changed(configs.finetuning, *arguments)


def fields(model, **changes):
    config = configs.FinetuneConfig(**configs.finetuning(model) | changes)
    return dataclasses.asdict(config)


def test_a_solved_root_is_trained_on_all_views_and_their_triangulated_pose():
    config = configs.FinetuneConfig(**configs.finetuning(SOLVED))
    assert (config.views, config.triangulation_weight) == ("all", 1.0)
    assert config.confidence_weighting == "target"


def test_who_sees_centered_views_is_trained_on_mirrored_people_where_all_views_are():
    found = {model: configs.finetuning(model) for model in (SOLVED, CENTERED, PAPER)}
    assert [stage["flip_augmentation"] for stage in found.values()] == [False, True, False]
    of_pairs = configs.ModelConfig(recipe="paper", network_input="centered")
    assert configs.finetuning(of_pairs) == configs.finetuning(PAPER)


@pytest.mark.parametrize("model", [PAPER, RAY, TEMPORAL])
def test_what_cannot_see_all_views_is_trained_on_pairs(model):
    found = configs.FinetuneConfig(**configs.finetuning(model))
    assert dataclasses.replace(found, clip_norm=1.0) == configs.FinetuneConfig()


@pytest.mark.parametrize("stage", [configs.pretraining, configs.finetuning])
def test_the_papers_recipe_alone_clips_no_gradients(stage):
    norms = {model.recipe: stage(model)["clip_norm"] for model in (PAPER, RAY, SOLVED)}
    assert norms == {"paper": 0.0, "ray_root": 1.0, "solved_root": 1.0}


@pytest.mark.parametrize(("former", "model"), [(SOLVED, PAPER), (PAPER, SOLVED), (CENTERED, PAPER)])
def test_what_nobody_chose_follows_the_recipe(former, model):
    found = changed(fields(former, num_epochs=7), former, model, {})
    assert found == fields(model, num_epochs=7)


def test_what_was_chosen_before_stays():
    chosen = fields(SOLVED, triangulation_weight=0.5)
    assert changed(chosen, SOLVED, SOLVED, {"num_epochs": 3}) == {
        **chosen,
        "num_epochs": 3,
    }


def test_what_is_chosen_now_wins():
    given = {"triangulation_weight": 0.0, "seed": 4}
    assert changed(fields(PAPER), PAPER, SOLVED, given) == fields(SOLVED, **given)


def test_pairs_alone_turn_off_what_needs_all_views():
    found = changed(fields(CENTERED), CENTERED, CENTERED, {"views": "pair"})
    assert configs.FinetuneConfig(**found) == configs.FinetuneConfig()
