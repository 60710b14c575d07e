import dataclasses
import inspect
import json

import pytest

from keras_mvlift import configs, sources
from keras_mvlift.datasets import preparation, view_windows
from keras_mvlift.losses import reprojection
from keras_mvlift.networks import residual, temporal

ALL = (configs.ModelConfig, configs.PretrainConfig, configs.FinetuneConfig, configs.DataConfig)
CHANGED = [
    configs.ModelConfig(recipe="paper", backbone="res_linear", width=64, dropout=0.0, seed=3),
    configs.PretrainConfig(num_epochs=0, batch_size=2, clip_norm=0.0, weight_averaging=0.999),
    configs.FinetuneConfig(transform_weight=0.0, confidence_weighting="none", decay_every=0),
    configs.ModelConfig(network_input="screen", initializer="glorot_uniform", output_stddev=0.1),
    configs.DataConfig(virtual_points="reference", virtual_elevation_margin=0.0),
    configs.ModelConfig(backbone="temporal_dilated", filter_widths=(3, 5), frame_step=2),
    configs.DataConfig(source="studio", source_options='{"num_clips": 1}', stride=4),
]


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
        (configs.ModelConfig, "filter_widths", 3, "must be two or more odd numbers"),
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
    with pytest.raises(ValueError, match=f"`{field}`.*{rule}.*Received: {value!r}"):
        kind(**{field: value})


def test_a_temporal_backbone_sees_rays_alone():
    assert configs.ModelConfig(backbone="temporal_dilated").is_temporal
    assert not configs.ModelConfig(network_input="screen").is_temporal
    with pytest.raises(ValueError, match=r"`network_input` must be 'rays' .*temporal_dilated.*sc"):
        configs.ModelConfig(backbone="temporal_dilated", network_input="screen")
