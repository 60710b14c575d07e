import dataclasses

import pytest

from keras_mvlift import configs

OF_ALL_VIEWS = {
    "reprojection_weight": 0.5,
    "triangulation_weight": 0.5,
}


def test_every_switch_is_off_and_changes_something_here():
    off = dataclasses.asdict(configs.FinetuneConfig())
    assert not any(value == off[name] for name, value in OF_ALL_VIEWS.items())
    assert off["reprojection_weight"] == 1.0
    assert off["least_depth"] == 0.5
    assert not off["flip_augmentation"]
    assert not any(off[name] for name in OF_ALL_VIEWS if name != "reprojection_weight")


def test_all_views_may_have_every_switch_at_once_and_keep_it_in_json():
    switches = {"least_depth": 0.2, "flip_augmentation": True, **OF_ALL_VIEWS}
    config = configs.FinetuneConfig(views="all", **switches)
    assert configs.FinetuneConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("least_depth", [0.0, -1.0, float("nan")])
def test_a_least_depth_that_guards_nothing_is_refused(least_depth):
    with pytest.raises(
        ValueError, match=f"`least_depth` must be positive. Received: {least_depth}"
    ):
        configs.FinetuneConfig(least_depth=least_depth)


@pytest.mark.parametrize(("name", "value"), OF_ALL_VIEWS.items())
def test_pairs_refuse_what_only_all_views_can_have(name, value):
    rule = f"`{name}` needs `views='all'`, not 'pair'. Received: {value!r}"
    with pytest.raises(ValueError, match=rule):
        configs.FinetuneConfig(**{name: value})
    assert getattr(configs.FinetuneConfig(views="all", **{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transform_weight", -1.0),
        ("reprojection_weight", -0.5),
        ("triangulation_weight", float("nan")),
    ],
)
def test_weights_that_are_not_a_number_above_zero_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 0.*Received: {value!r}"):
        configs.FinetuneConfig(views="all", **{name: value})


@pytest.mark.parametrize("name", ["robust_steps", "image_space", "refine_extrinsics"])
def test_a_switch_that_there_is_no_more_is_refused_by_name(name):
    text = configs.FinetuneConfig().to_json().replace("{", f'{{"{name}": 1, ', 1)
    with pytest.raises(ValueError, match=rf"has no such fields. Received: \['{name}'\]"):
        configs.FinetuneConfig.from_json(text)


def test_the_triangulated_pose_may_stand_alone():
    config = configs.FinetuneConfig(views="all", triangulation_weight=1.0, reprojection_weight=0.0)
    assert configs.FinetuneConfig.from_json(config.to_json()) == config


def test_without_reprojection_something_else_must_determine_the_pose():
    with pytest.raises(ValueError, match="`reprojection_weight` needs `triangulation_weight`"):
        configs.FinetuneConfig(views="all", reprojection_weight=0.0)
