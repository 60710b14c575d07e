import dataclasses
import json
import re
import sys

import jsonschema
import pytest

from keras_mvlift import configs, errors
from pipeline import presets, settings

MODEL = {"recipe": "solved_root", "backbone": "paper"}
TEMPORAL = {"backbone": "temporal_dilated", "frame_step": 10}
FIT = {"data": {"num_virtual_views": 0, "stride": 5, "test_stride": 2}, "model": TEMPORAL}


def test_what_a_settings_file_leaves_out_stays():
    former = settings.PipelineConfig(
        data=configs.DataConfig(stride=3, source_options='{"subject": "anna"}'),
        model=configs.ModelConfig(width=64),
    )
    updated = former.updated({"data": {"min_joints": 5}, "finetune": {"num_epochs": 7}})
    assert updated.data == configs.DataConfig(
        stride=3, source_options='{"subject": "anna"}', min_joints=5
    )
    assert updated.finetune == dataclasses.replace(former.finetune, num_epochs=7)
    assert (updated.model, updated.pretrain) == (former.model, former.pretrain)
    assert (updated.name, updated.bounds) == (former.name, former.bounds)


def test_fields_of_the_pipeline_itself_are_replaced_whole():
    updated = settings.PipelineConfig(bounds={"mpjpe_mm": 80.0}).updated(
        {
            "name": "mine",
            "bounds": {"auc": 50},
            "worsening": {},
            "beam_pipeline_args": ["--direct_num_workers=2"],
        }
    )
    assert (updated.name, updated.bounds, updated.worsening) == ("mine", {"auc": 50}, {})
    assert updated.beam_pipeline_args == ("--direct_num_workers=2",)


def test_what_a_served_model_must_do_is_set_like_any_part():
    first = settings.PipelineConfig().updated({"infra_validation": {"tag": "2.15.1"}})
    second = first.updated({"infra_validation": {"num_tries": 5}}).with_seed(3).infra_validation
    assert (second.tag, second.num_tries, second.num_examples) == ("2.15.1", 5, 8)


def test_options_are_written_as_objects_and_travel_as_text():
    split = {"split": "clip", "split_options": {"test_clips": ["b", "a"]}}
    updated = settings.PipelineConfig().updated({"data": split})
    assert json.loads(updated.data.split_options) == {"test_clips": ["b", "a"]}
    assert configs.DataConfig.from_json(updated.data.to_json()) == updated.data


def test_another_source_does_not_inherit_the_options_of_the_former():
    former = settings.PipelineConfig().updated({"data": {"source_options": {"subject": "anna"}}})
    assert former.updated({"data": {"source": "studio"}}).data.source_options == "{}"
    assert former.updated({"data": {"source": "pose2sim"}}).data == former.data


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 3}, r"`settings` must hold fields of \['beam_pipeline_args', .*\['epochs'\]"),
        ({"model": 3}, "`model` must be an object. Received: 3"),
        ({"model": {"soup": 3}}, r"`ModelConfig` has no such fields. Received: \['soup'\]\.$"),
        ({"model": {"widht": 3}}, r"Received: \['widht'\]; did you mean width\?$"),
        ({"modle": {}}, r"Received: \['modle'\]; did you mean model\?$"),
        ({"model": {"recipe": "papr"}}, r"Received: 'papr'; did you mean paper\?$"),
        ({"model": {"recipe": "soup"}}, "`model.recipe` must be one of paper, .* Received: 'soup'"),
        ({"data": {"stride": 0}}, "`data.stride` must be at least 1. Received: 0"),
        ({"tune": {"learning_rate": [1]}}, r"`tune.learning_rate` must be two positive .*\(1,\)"),
        (
            {"finetune": {"num_epochs": -1}},
            "`finetune.num_epochs` must be at least 0. Received: -1",
        ),
        (
            {"finetune": {"num_epochs": "3"}},
            "`finetune.num_epochs` must be a whole number.*'3'",
        ),
        ({"finetune": {"learning_rate": "1e-3"}}, "`finetune.learning_rate` must be a number"),
        ({"data": {"stride": True}}, r"`data\.stride` must be a whole number\. Received: True"),
        ({"model": {"is_causal": 1}}, r"`model\.is_causal` must be true or false\. Received: 1"),
        ({"pretrain": {"num_epochs": 2.5}}, r"`pretrain\.num_epochs` must be a whole number"),
        ({"infra_validation": "on"}, "`infra_validation` must be an object. Received: 'on'"),
        ({"infra_validation": {"image": "x"}}, r"`InfraValidationConfig` has no .*\['image'\]"),
        ({"infra_validation": {"tag": "a b"}}, "`infra_validation.tag` must be the name of an"),
        ({"name": 5}, "`name` must be a folder's name. Received: 5"),
        ({"name": "../elsewhere"}, "`name` must be a folder's name. Received: '../elsewhere'"),
        ({"name": ""}, "`name` must be a folder's name. Received: ''"),
        ({"bounds": [80]}, r"`bounds` must be an object of numbers. Received: \(80,\)"),
        ({"worsening": {"auc": "1"}}, "`worsening` must be an object of numbers.*'1'"),
        ({"beam_pipeline_args": "--x"}, "`beam_pipeline_args` must be a list of texts.*'--x'"),
        ({"window": {"num_spans": 0}}, "`window.num_spans` must be at least 1. Received: 0"),
        (
            {"window": {"num_spans": 2.5}},
            "`window.num_spans` must be a whole number. Received: 2.5",
        ),
        (
            {"window": {"warm_start": "no"}},
            "`window.warm_start` must be true or false. Received: 'no'",
        ),
        ({"window": 3}, "`window` must be an object. Received: 3"),
        ({"drift": {"action": "cry"}}, "`drift.action` must be one of warn, stop. Received: 'cry'"),
        ({"drift": {"center": 1.5}}, r"`drift.center` must lie in \[0, 1\]. Received: 1.5"),
        ({"drift": {"camera": True}}, "`drift.camera` must be a number. Received: True"),
        (
            {"drift": {"baseline": 0.1}},
            r"`DriftConfig` has no such fields. Received: \['baseline'\]",
        ),
    ],
)
def test_what_settings_may_not_say_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        settings.PipelineConfig().updated(changes)


def test_read_gives_what_the_file_says(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"name": "mine", "model": {"width": 8}}')
    assert settings.read(path) == {"name": "mine", "model": {"width": 8}}


YAML = "name: mine  # the first\nmodel: {width: 8}\n"


TOML = 'name = "mine"\n[model]\nwidth = 8\n'


@pytest.mark.parametrize(("ending", "text"), [("yaml", YAML), ("YML", YAML), ("toml", TOML)])
def test_yaml_and_toml_say_the_same(ending, text, tmp_path):
    path = tmp_path / f"settings.{ending}"
    path.write_text(text)
    assert settings.read(path) == {"name": "mine", "model": {"width": 8}}
    path.write_text("{")
    with pytest.raises(ValueError, match=r"settings\.\w+: `settings` must be (plain YAML|TOML)\."):
        settings.read(path)


@pytest.mark.parametrize(
    ("ending", "text", "met"),
    [
        ("json", '{"seed": 1,\n}', "a comma too many in line 2, column 1"),
        ("json", '{"seed" 1}', "no `:` in line 1, column 9"),
        ("yaml", "model:\n\twidth: 8", "a tab in place of spaces in line 2"),
        ("yaml", "model: {width: 8", "no `,` or `}` in line 1"),
        ("yaml", "name: mine\n width: 8", "a `:` too many or an indent in line 2"),
        ("toml", "seed = 1\nname = mine", "no value or text without quotes in line 2, column 8"),
        ("toml", "[model\nwidth = 8", "no `]` in line 1, column 7"),
    ],
)
def test_what_breaks_a_file_s_syntax_is_told_with_its_line(ending, text, met, tmp_path):
    path = tmp_path / f"settings.{ending}"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(met)) as caught:
        settings.read(path)
    assert str(caught.value).startswith(f"{path}: `settings` must be ")


@pytest.mark.parametrize("name", [*presets.PRESETS])
def test_what_is_shown_asks_for_the_same_again(name):
    config = presets.PRESETS[name]().with_seed(3)
    shown = json.loads(json.dumps(config.as_settings()))
    assert settings.PipelineConfig().updated(shown) == config
    assert isinstance(shown["data"]["source_options"], dict)


def test_the_schema_takes_what_is_shown_and_no_typo():
    validator = jsonschema.Draft202012Validator(settings.schema())
    validator.check_schema(settings.schema())
    shown = presets.paper(presets.demo()).as_settings()
    assert [*validator.iter_errors(shown | {"preset": "paper"})] == []
    for wrong in ({"modle": {}}, {"model": {"widht": 8}}, {"model": {"width": "8"}}):
        assert len([*validator.iter_errors(wrong)]) == 1
    about = settings.schema()["properties"]["model"]["properties"]["width"]
    assert about["description"] == "Units of each layer; the paper's 1024."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "settings.json: `settings` must be a file that exists. Received: nothing there"),
        (
            b"{name: 1}",
            "settings.json: `settings` must be JSON. Received: no name in double quotes",
        ),
        (b"\xff\xfe\x00", "settings.json: `settings` must be JSON. Received: UTF-16: save it"),
        (b"[1]", r"settings.json: `settings` must be an object. Received: \[1\]"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused_by_name(content, message, tmp_path):
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        settings.read(path)


@pytest.mark.parametrize(
    ("num_epochs", "decay_every"), [(300, 100), (30, 10), (60, 20), (4, 1), (1, 1), (0, 1)]
)
def test_decays_keep_their_share_of_the_epochs(num_epochs, decay_every):
    scaled = settings.PipelineConfig().with_num_epochs(num_epochs)
    finetune = settings.PipelineConfig().finetune
    expected = dataclasses.replace(finetune, num_epochs=num_epochs, decay_every=decay_every)
    assert scaled.finetune == expected
    assert scaled.pretrain == configs.PretrainConfig()


def test_a_constant_rate_stays_constant():
    constant = settings.PipelineConfig(finetune=configs.FinetuneConfig(decay_every=0))
    assert constant.with_num_epochs(7).finetune.decay_every == 0


def test_a_seed_is_everyones():
    seeded = settings.PipelineConfig().with_seed(7)
    parts = (seeded.data, seeded.model, seeded.pretrain, seeded.finetune, seeded.tune)
    assert [part.seed for part in parts] == [7, 7, 7, 7, 7]


@pytest.mark.parametrize(
    "model", [{"recipe": "paper"}, {"recipe": "ray_root"}, {"backbone": "temporal_dilated"}]
)
def test_networks_that_cannot_see_all_views_are_trained_on_pairs(model):
    former = settings.PipelineConfig()
    assert former.finetune.views == "all"
    finetune = {"num_epochs": 9, "patience": 0}
    updated = former.updated({"model": model, "finetune": finetune}).finetune
    assert (updated.views, updated.num_epochs) == ("pair", 9)
    clip_norm = 0.0 if model.get("recipe") == "paper" else 1.0
    assert updated == configs.FinetuneConfig(num_epochs=9, clip_norm=clip_norm)
    assert former.updated({"model": model}).updated({"model": MODEL}).finetune == former.finetune


def test_the_first_stage_takes_batches_and_machines_from_the_second_unless_it_has_its_own():
    former = settings.PipelineConfig()
    second = {"batch_size": 32, "precision": "mixed_bfloat16", "num_epochs": 9}
    first = former.updated({"finetune": second}).pretrain
    assert (first.batch_size, first.precision) == (32, "mixed_bfloat16")
    assert first.num_epochs == former.pretrain.num_epochs
    own = {"finetune": second, "pretrain": {"batch_size": 64}}
    assert former.updated(own).pretrain.batch_size == 64


def test_the_first_stage_follows_the_recipe_but_for_what_is_chosen():
    former = settings.PipelineConfig()
    assert former.pretrain.clip_norm == 1.0
    assert former.updated({"model": {"recipe": "paper"}}).pretrain.clip_norm == 0.0
    chosen = {"model": {"recipe": "paper"}, "pretrain": {"clip_norm": 2.0}}
    assert former.updated(chosen).pretrain.clip_norm == 2.0


def test_pairs_may_be_asked_for():
    finetune = settings.PipelineConfig().updated({"finetune": {"views": "pair"}}).finetune
    assert finetune == configs.FinetuneConfig()


@pytest.mark.parametrize("recipe", ["paper", "ray_root"])
def test_only_a_solved_root_is_compared_with_all_views(recipe):
    changes = {"model": {"recipe": recipe}, "finetune": {"views": "all"}}
    with pytest.raises(ValueError, match=r"`finetune\.views` must be 'pair' unless.*'all'"):
        settings.PipelineConfig().updated(changes)


def test_a_search_is_set_like_any_part():
    updated = settings.PipelineConfig().updated({"tune": {"num_trials": 3, "seed": 1}})
    assert updated.tune == configs.TuneConfig(num_trials=3, seed=1)
    again = updated.updated({"tune": {"transform_weight": [0.5, 2.0]}})
    assert (again.tune.num_trials, again.tune.transform_weight) == (3, (0.5, 2.0))


def test_windows_of_frames_are_not_searched_on():
    changes = {"model": {"backbone": "temporal_dilated"}, "tune": {"num_trials": 3}}
    with pytest.raises(ValueError, match=r"`tune\.num_trials` must be 0 for .* Received: 3"):
        settings.PipelineConfig().updated(changes)


@pytest.mark.parametrize("backbone", ["temporal_dilated", "paper"])
def test_networks_of_windows_see_rays_where_others_see_centered_views(backbone):
    centered = settings.PipelineConfig().updated({"model": {"network_input": "centered"}})
    assert centered.finetune.flip_augmentation
    model = {"backbone": backbone}
    updated = centered.updated({"model": model, "data": {"num_virtual_views": 0}})
    is_temporal = updated.model.is_temporal
    assert updated.model.network_input == ("rays" if is_temporal else "centered")
    assert updated.finetune.flip_augmentation != is_temporal
    if is_temporal:
        with pytest.raises(ValueError, match=r"`model\.network_input` must be 'rays'"):
            centered.updated({"model": model | {"network_input": "centered"}})


def test_thresholds_are_all_but_what_is_done_about_drift():
    config = settings.PipelineConfig().updated({"drift": {"action": "stop", "center": 0.3}}).drift
    assert config.action == settings.STOP
    assert config.thresholds["center"] == 0.3
    names = {"keypoints_2d", "confidence", "intrinsics", "rotation", "center", "camera"}
    assert set(config.thresholds) == names
    assert all(0 < most < 0.2 for most in settings.DriftConfig().thresholds.values())


def test_drift_is_warned_of_and_windows_go_on_unless_told():
    config = settings.PipelineConfig()
    assert config.drift.action == settings.WARN
    assert (config.window.num_spans, config.window.warm_start) == (5, True)
    changed = config.updated({"window": {"num_spans": 3}}).updated(
        {"window": {"warm_start": False}}
    )
    assert changed.window == settings.WindowConfig(num_spans=3, warm_start=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tag": "a tag"}, "`tag` must be the name of an image's part. Received: 'a tag'."),
        ({"tag": 2}, "`tag` must be a text. Received: 2."),
        ({"serving_image": ""}, "`serving_image` must be the name of an image's part."),
        ({"docker_url": None}, "`docker_url` must be a text. Received: None."),
        ({"num_examples": 0}, "`num_examples` must be at least 1. Received: 0."),
        ({"num_tries": 1.5}, "`num_tries` must be a whole number. Received: 1.5"),
        ({"max_loading_seconds": "long"}, "`max_loading_seconds` must be a whole number."),
    ],
)
def test_what_it_may_not_be_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        settings.InfraValidationConfig(**changes)


def test_windows_go_with_strides_that_divide_their_step():
    config = settings.PipelineConfig().updated(FIT)
    assert config.model.is_temporal


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"num_virtual_views": 8}}, r"`data.num_virtual_views` must be 0 .*temp.*: 8"),
        ({"data": {"stride": 4}}, "`model.frame_step` must be a multiple of `data.stride`, 4"),
        ({"data": {"test_stride": 3}}, "must be a multiple of `data.test_stride`, 3.*: 10"),
        ({"finetune": {"views": "all"}}, "`finetune.views` must be 'pair' .* Received: 'all'"),
        ({"finetune": {"patience": 2}}, "`patience` must be 0 .* Received: 2"),
        ({"pretrain": {"patience": 1}}, "`patience` must be 0 .* Received: 1"),
    ],
)
def test_what_does_not_go_with_windows_is_refused(changes, message):
    config = settings.PipelineConfig().updated(FIT)
    with pytest.raises(ValueError, match=message):
        config.updated(changes)
    # A backbone of single frames asks for nothing.
    settings.PipelineConfig().updated(FIT | {"model": {}}).updated(changes)


def test_every_preset_goes_with_its_own_backbone():
    for preset in presets.PRESETS.values():
        config = preset()
        settings.check(config.data, config.model, config.pretrain, config.finetune)


def test_processes_of_beam_are_refused_where_its_shell_would_not_find_python(monkeypatch):
    words = ("--direct_running_mode=multi_processing",)
    monkeypatch.setattr(sys, "executable", "/work/bin/python")
    settings.PipelineConfig(beam_pipeline_args=words)
    monkeypatch.setattr(sys, "executable", "/my work/bin/python")
    rule = r"`beam_pipeline_args` must start no processes .* Received: /my work/bin/python"
    with pytest.raises(errors.ArgumentError, match=rule):
        settings.PipelineConfig(beam_pipeline_args=words)
    settings.PipelineConfig(beam_pipeline_args=("--direct_running_mode=multi_threading",))
