import dataclasses
import inspect
import json
import pathlib
import re
from typing import Any

import pytest

from components.bulk_inference import job
from keras_mvlift import configs, errors, reprojection, sources
from keras_mvlift.datasets import preparation, view_windows
from keras_mvlift.datasets.rigs import recordings
from keras_mvlift.networks import residual, temporal
from pipeline import settings

ALL = (
    *(configs.ModelConfig, configs.PretrainConfig, configs.FinetuneConfig),
    *(configs.DataConfig, configs.TuneConfig),
)
OF_ALL_VIEWS: dict[str, Any] = {"reprojection_weight": 0.5, "triangulation_weight": 0.5}
CHANGED = [
    configs.ModelConfig(recipe="paper", backbone="res_linear", width=64, dropout=0.0, seed=3),
    configs.PretrainConfig(num_epochs=0, batch_size=2, clip_norm=0.0, weight_averaging=0.999),
    configs.FinetuneConfig(transform_weight=0.0, confidence_weighting="none", decay_every=0),
    configs.ModelConfig(network_input="screen", initializer="glorot_uniform", output_stddev=0.1),
    configs.DataConfig(virtual_points="reference", virtual_elevation_margin=0.0),
    configs.ModelConfig(backbone="temporal_dilated", filter_widths=(3, 5), frame_step=2),
    configs.TuneConfig(num_trials=3, learning_rate=(0.1, 0.2), seed=4),
    configs.DataConfig(source="studio", source_options='{"num_clips": 1}', stride=4),
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(configs.Json):
    flour: float = 1.0
    steps: tuple[str, ...] = ("knead", "rest")


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


OF_ALL_VIEWS = {"reprojection_weight": 0.5, "triangulation_weight": 0.5}


@pytest.mark.parametrize("config", [*(kind() for kind in ALL), *CHANGED], ids=repr)
def test_a_config_survives_json(config):
    again = type(config).from_json(config.to_json())
    assert again == config
    assert type(again) is type(config)


def test_equal_configs_give_equal_text_and_a_change_another():
    first, again = configs.DataConfig(seed=1, stride=2), configs.DataConfig(stride=2, seed=1)
    assert first.to_json() == again.to_json()
    assert first.to_json() != dataclasses.replace(first, seed=2).to_json()
    assert list(json.loads(first.to_json())) == sorted(json.loads(first.to_json()))


def test_fields_that_json_leaves_out_take_their_defaults():
    expected = configs.FinetuneConfig(learning_rate=0.01)
    assert configs.FinetuneConfig.from_json('{"learning_rate": 0.01}') == expected


def test_the_defaults_are_the_papers():
    pretrain, finetune = configs.PretrainConfig(), configs.FinetuneConfig()
    assert (pretrain.num_epochs, pretrain.decay_every) == (20, 0)
    assert (finetune.num_epochs, finetune.decay_every, finetune.decay_rate) == (300, 100, 0.1)
    assert pretrain.learning_rate == finetune.learning_rate == 1e-3
    assert (finetune.confidence_weighting, finetune.distance) == ("source", "norm")
    assert (configs.ModelConfig().backbone, configs.ModelConfig().width) == ("paper", 1024)


def test_the_names_allowed_are_the_names_known():
    assert configs.CONFIDENCE_WEIGHTINGS == tuple(reprojection.WEIGHTINGS)
    assert configs.DISTANCES == tuple(reprojection.DISTANCES)
    assert configs.BACKBONES == (*residual.NUM_BLOCKS, configs.TEMPORAL)
    assert configs.DataConfig().source in sources.SOURCES
    assert configs.DataConfig().split in preparation.SPLITS


def test_no_3d_label_is_used_unless_asked_for():
    assert configs.DataConfig().virtual_points == "triangulated"


def test_defaults_are_those_of_what_they_set():
    config = configs.ModelConfig()
    defaults = inspect.signature(residual.residual).parameters
    for field in ("width", "layers_per_block", "dropout", "initializer", "output_stddev"):
        assert getattr(config, field) == defaults[field].default
    temporal_defaults = inspect.signature(temporal.temporal).parameters
    for field in ("filter_widths", "is_causal", "width", "dropout", "initializer", "output_stddev"):
        assert getattr(config, field) == temporal_defaults[field].default
    assert config.frame_step == view_windows.Windows(1).step
    margin = configs.DataConfig().virtual_elevation_margin
    assert margin == preparation.ELEVATION_MARGIN


@pytest.mark.parametrize("kind", ALL)
def test_unknown_fields_are_refused(kind):
    with pytest.raises(ValueError, match=f"`{kind.__name__}` has no such fields.*'colour', 'size'"):
        kind.from_json('{"size": 1, "colour": 2, "seed": 0}')


@pytest.mark.parametrize("kind", ALL)
def test_configs_do_not_change(kind):
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind().seed = 1


@pytest.mark.parametrize(
    ("kind", "field", "value", "rule"),
    [
        (configs.ModelConfig, "recipe", "papre", "must be one of paper, ray_root, solved_root"),
        (configs.ModelConfig, "backbone", "", "must be one of paper, res_linear"),
        (configs.ModelConfig, "width", 0, "must be at least 1"),
        (configs.ModelConfig, "layers_per_block", 0, "must be at least 1"),
        (configs.ModelConfig, "dropout", 1.0, r"must lie in \[0, 1\)"),
        (configs.ModelConfig, "network_input", "pixels", "must be one of rays, centered, screen"),
        (configs.ModelConfig, "initializer", "he", "must be one of he_normal, he_uniform"),
        (configs.ModelConfig, "output_stddev", -0.1, "must be at least 0"),
        (configs.ModelConfig, "dropout", -0.1, r"must lie in \[0, 1\)"),
        (configs.ModelConfig, "filter_widths", 3, "must be a list of whole numbers"),
        (configs.ModelConfig, "frame_step", 0, "must be at least 1"),
        (configs.PretrainConfig, "num_epochs", -1, "must be at least 0"),
        (configs.PretrainConfig, "batch_size", 1, "must be at least 2"),
        (configs.PretrainConfig, "decay_every", -1, "must be at least 0"),
        (configs.PretrainConfig, "clip_norm", -1.0, "must be at least 0"),
        (configs.FinetuneConfig, "patience", -1, "must be at least 0"),
        (configs.PretrainConfig, "learning_rate", 0.0, "must be positive"),
        (configs.PretrainConfig, "learning_rate", float("nan"), "must be positive"),
        (configs.FinetuneConfig, "learning_rate", -1e-3, "must be positive"),
        (configs.FinetuneConfig, "decay_rate", 0.0, r"must lie in \(0, 1\]"),
        (configs.FinetuneConfig, "decay_rate", 1.1, r"must lie in \(0, 1\]"),
        (configs.FinetuneConfig, "weight_averaging", 1.0, r"must lie in \[0, 1\)"),
        (configs.FinetuneConfig, "transform_weight", -1.0, "must be at least 0"),
        (configs.FinetuneConfig, "transform_weight", float("nan"), "must be at least 0"),
        (configs.FinetuneConfig, "confidence_weighting", "both", "source, target, product, none"),
        (configs.FinetuneConfig, "distance", "l1", "must be one of norm, squared_norm"),
        (configs.FinetuneConfig, "least_depth", 0.0, "must be positive"),
        (configs.FinetuneConfig, "least_depth", float("nan"), "must be positive"),
        (configs.TuneConfig, "num_trials", -1, "must be at least 0"),
        (configs.TuneConfig, "num_epochs", 0, "must be at least 1"),
        (configs.TuneConfig, "learning_rate", (0.1, 0.1), "must be two positive"),
        (configs.TuneConfig, "transform_weight", (0.0, 1.0), "must be two positive"),
        (configs.TuneConfig, "transform_weight", (1.0,), "must be two positive"),
        (configs.DataConfig, "stride", 0, "must be at least 1"),
        (configs.DataConfig, "min_joints", 0, "must be at least 1"),
        (configs.DataConfig, "num_virtual_views", -1, "must be at least 0"),
        (configs.DataConfig, "virtual_points", "true", "must be one of triangulated, reference"),
        (configs.DataConfig, "virtual_elevation_margin", -0.1, "must be at least 0"),
        (configs.DataConfig, "pairs_per_instant", -1, "must be at least 0"),
        (configs.DataConfig, "min_confidence", 1.1, r"must lie in \[0, 1\]"),
        (configs.DataConfig, "min_confidence", -0.1, r"must lie in \[0, 1\]"),
        (configs.DataConfig, "max_lost_share", 1.1, r"must lie in \[0, 1\]"),
        (configs.DataConfig, "max_lost_share", -0.1, r"must lie in \[0, 1\]"),
        (configs.DataConfig, "max_lost_share", float("nan"), r"must lie in \[0, 1\]"),
    ],
)
def test_values_that_break_a_rule_are_refused(kind, field, value, rule):
    with pytest.raises(ValueError, match=f"`{field}`.*{rule}.*Received: {re.escape(repr(value))}"):
        kind(**{field: value})


def test_a_temporal_backbone_sees_rays_alone():
    assert configs.ModelConfig(backbone="temporal_dilated").is_temporal
    assert not configs.ModelConfig(network_input="screen").is_temporal
    with pytest.raises(ValueError, match=r"`network_input` must be 'rays' .*temporal_dilated.*sc"):
        configs.ModelConfig(backbone="temporal_dilated", network_input="screen")


def test_no_search_unless_asked_for():
    assert configs.TuneConfig().num_trials == 0


def test_ranges_go_by_the_name_of_the_setting():
    config = configs.TuneConfig(transform_weight=(1.0, 2.0), learning_rate=(0.1, 0.2))
    assert config.ranges == {"transform_weight": (1.0, 2.0), "learning_rate": (0.1, 0.2)}


def test_a_dataclass_comes_back_from_json_hashable():
    again = Recipe.from_json(Recipe(flour=2.0, steps=("bake",)).to_json())
    assert again == Recipe(flour=2.0, steps=("bake",))
    assert hash(again) == hash(Recipe(flour=2.0, steps=("bake",)))


@pytest.mark.parametrize("widths", [3, (), (3,), (3, 4), (3, 1), (3, -3), (3.0, 3), "33"])
def test_filters_that_no_temporal_network_has_are_refused(widths):
    configs.filter_widths("filters", (3, 5))
    configs.filter_widths("filters", [1, 1])
    with pytest.raises(ValueError, match=r"`filters` must be two or more odd .* Received: "):
        configs.filter_widths("filters", widths)


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


@pytest.mark.parametrize(("name", "value"), OF_ALL_VIEWS.items())
def test_pairs_refuse_what_only_all_views_can_have(name, value):
    rule = f"`{name}` needs `views='all'`, not 'pair'. Received: {value!r}"
    with pytest.raises(ValueError, match=rule):
        configs.FinetuneConfig(**{name: value})
    assert getattr(configs.FinetuneConfig(views="all", **{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
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


def kinds(base: Any = configs.Checked) -> list[Any]:
    """Returns all that is checked by its fields' types."""
    return [each for kind in base.__subclasses__() for each in (kind, *kinds(kind))]


# What must be given of each, by field.
NEEDED = {
    "root": "lab",
    "path": "a.npz",
    "num_epochs": 1,
    "test_subjects": (),
    "test_clips": (),
    "model": "studio",
    "inputs": (),
    "output": "lifted",
}
FIELDS = [
    pytest.param(kind, field, id=f"{kind.__name__}.{field.name}")
    for kind in kinds()
    if hasattr(kind, "__dataclass_fields__")
    and "test" not in kind.__module__
    and not inspect.isabstract(kind)
    for field in dataclasses.fields(kind)
]


def test_every_source_and_split_is_checked():
    assert {*sources.SOURCES.values(), *preparation.SPLITS.values()} <= {*kinds()}
    assert {settings.PipelineConfig, job.BulkLift} <= {*kinds()}


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_value_of_another_type_is_refused_by_the_fields_name(kind, field):
    arguments = inspect.signature(kind).parameters.values()
    needed = [each.name for each in arguments if each.default is each.empty]
    given = {name: NEEDED[name] for name in needed}
    for value in (object(), 3.5j, (object(),)):
        with pytest.raises(errors.ArgumentError, match=f"^`{field.name}` must be "):
            kind(**given | {field.name: value})


def test_a_path_may_be_one_or_a_text_and_a_list_no_text():
    assert recordings.RigSource(root=pathlib.Path("lab")).root == pathlib.Path("lab")
    with pytest.raises(
        errors.ArgumentError, match=r"`root` must be a text or a path\. Received: 3"
    ):
        recordings.RigSource(root=3)
    with pytest.raises(errors.ArgumentError, match=r"`drop` must be a list of texts\..* 'S11'"):
        sources.SOURCES["human36m"](root="", drop="S11")
    with pytest.raises(errors.ArgumentError, match=r"`skeleton` must be one of .*mean coco_17\?"):
        recordings.RigSource(root="", skeleton="coco17")
