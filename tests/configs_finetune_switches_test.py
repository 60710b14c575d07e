import dataclasses

import pytest

from keras_mvlift import configs

CHANGED = {
    "reprojection_weight": 0.5,
    "image_space": "rays",
    "least_depth": 0.2,
    "flip_augmentation": True,
    "robust_steps": 2,
    "robust_loss": True,
    "robust_kernel": "huber",
    "robust_scale_px": 10.0,
    "gauss_newton_steps": 1,
    "agreement_weighting": True,
    "triangulation_weight": 0.5,
    "triangulation_epochs": 3,
    "symmetry_weight": 0.1,
    "bone_length_weight": 0.2,
}
OF_ALL_VIEWS = {
    name: value
    for name, value in CHANGED.items()
    if name
    not in (
        "image_space",
        "least_depth",
        "robust_kernel",
        "robust_scale_px",
        "triangulation_epochs",
    )
}


def test_every_switch_is_off_and_changes_something_here():
    off = dataclasses.asdict(configs.FinetuneSwitches())
    assert not any(value == off[name] for name, value in CHANGED.items())
    assert off.pop("reprojection_weight") == 1.0
    assert off.pop("image_space") == "pixels"
    assert off.pop("robust_kernel") == "cauchy"
    assert off.pop("least_depth") == 0.5
    assert not any(off.values())


def test_all_views_may_have_every_switch_at_once_and_keep_it_in_json():
    config = configs.FinetuneConfig(views="all", **CHANGED)
    assert configs.FinetuneConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("least_depth", [0.0, -1.0, float("nan")])
def test_a_least_depth_that_guards_nothing_is_refused(least_depth):
    with pytest.raises(
        ValueError, match=f"`least_depth` must be positive. Received: {least_depth}"
    ):
        configs.FinetuneConfig(least_depth=least_depth)


def test_every_recipe_may_measure_in_rays():
    assert configs.FinetuneConfig(image_space="rays").views == "pair"


@pytest.mark.parametrize(("name", "value"), OF_ALL_VIEWS.items())
def test_pairs_refuse_what_only_all_views_can_have(name, value):
    rule = f"`{name}` needs `views='all'`, not 'pair'. Received: {value!r}"
    with pytest.raises(ValueError, match=rule):
        configs.FinetuneConfig(**{name: value})
    assert getattr(configs.FinetuneConfig(views="all", **{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("robust_kernel", "`robust_steps` or `robust_loss`"),
        ("robust_scale_px", "`robust_steps` or `robust_loss`"),
        ("triangulation_epochs", "`triangulation_weight`"),
    ],
)
def test_a_switch_that_would_change_nothing_is_refused(name, needed):
    with pytest.raises(ValueError, match=f"`{name}` needs {needed}. Received: {CHANGED[name]!r}"):
        configs.FinetuneConfig(views="all", **{name: CHANGED[name]})


@pytest.mark.parametrize("switch", [{"robust_steps": 1}, {"robust_loss": True}])
def test_either_robust_switch_takes_a_kernel_and_a_scale(switch):
    options = {"robust_kernel": "huber", "robust_scale_px": 4.0}
    config = configs.FinetuneConfig(views="all", **switch, **options)
    assert config.robust_scale_px == 4.0


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("reprojection_weight", -0.5, "must be at least 0"),
        ("image_space", "screen", "must be one of pixels, rays"),
        ("robust_kernel", "tukey", "must be one of geman_mcclure, cauchy, huber"),
        ("robust_steps", -1, "must be at least 0"),
        ("robust_scale_px", float("nan"), "must be at least 0"),
        ("gauss_newton_steps", -1, "must be at least 0"),
        ("triangulation_weight", -0.5, "must be at least 0"),
        ("triangulation_epochs", -1, "must be at least 0"),
        ("symmetry_weight", float("nan"), "must be at least 0"),
        ("bone_length_weight", -1.0, "must be at least 0"),
    ],
)
def test_values_that_break_a_rule_are_refused(name, value, rule):
    with pytest.raises(ValueError, match=f"`{name}` {rule}.*Received: {value!r}"):
        configs.FinetuneConfig(views="all", **{name: value})


def test_the_triangulated_pose_may_stand_alone():
    config = configs.FinetuneConfig(views="all", triangulation_weight=1.0, reprojection_weight=0.0)
    assert configs.FinetuneConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "others",
    [{}, {"bone_length_weight": 1.0}, {"triangulation_weight": 1.0, "triangulation_epochs": 3}],
    ids=str,
)
def test_without_reprojection_something_else_must_determine_the_pose_in_all_epochs(others):
    rule = "`reprojection_weight` needs `triangulation_weight`, and 0 `triangulation_epochs`"
    with pytest.raises(ValueError, match=rule):
        configs.FinetuneConfig(views="all", reprojection_weight=0.0, **others)


@pytest.mark.parametrize("name", ["robust_loss", "refine_extrinsics"])
def test_what_only_reprojection_looks_at_is_refused_without_it(name):
    alone = {"triangulation_weight": 1.0, "reprojection_weight": 0.0, name: True}
    with pytest.raises(ValueError, match=f"`{name}` needs a `reprojection_weight` above 0"):
        configs.FinetuneConfig(views="all", **alone)
