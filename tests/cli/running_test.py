import json
import sys

import pytest

from keras_mvlift.cli import main, running
from pipeline import local, presets, settings


def run(*arguments):
    return main.main([*map(str, arguments)])


def test_a_training_hands_its_options_to_the_pipeline(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(local, "main", lambda arguments: asked.append(local.parse(arguments)) or 3)
    file = tmp_path / "mine.yaml"
    file.write_text("")
    options = ["--settings", file, "--num-epochs", 3, "--output-root", tmp_path, "--seed", 0]
    assert run("train", tmp_path, *options, "--preset", "paper") == 3
    words = [f"--data_root={tmp_path}", f"--settings={file}", "--num_epochs=3", "--preset=paper"]
    assert asked == [local.parse([*words, f"--output_root={tmp_path}", "--seed=0"])]
    assert running.pipeline(main.parse(["train"])) == 3
    assert asked[1] == local.parse([])


def test_what_is_shown_is_what_is_trained(tmp_path, capsys):
    file = tmp_path / "mine.toml"
    file.write_text("[model]\nwidth = 8\n")
    assert run("settings", "show", "--settings", file, "--num-epochs", 7, "--seed", 2) == 0
    request = presets.Request(settings=file, num_epochs=7, seed=2)
    shown = json.loads(capsys.readouterr().out)
    assert settings.PipelineConfig().updated(shown) == presets.configure(request)[0]
    assert (shown["model"]["width"], shown["finetune"]["num_epochs"]) == (8, 7)


def test_presets_and_the_schema_are_told(capsys):
    assert run("settings", "presets") == 0
    told = capsys.readouterr().out
    assert all(name in told for name in (*presets.VARIANTS, *presets.NAMES))
    assert run("settings", "schema") == 0
    assert json.loads(capsys.readouterr().out) == settings.schema()


def test_a_typo_in_settings_is_a_sentence(tmp_path, refused):
    file = tmp_path / "mine.yaml"
    file.write_text("modle: {}")
    says = "keras-mvlift settings: `settings` must hold fields of"
    error = refused(says, "settings", "show", "--settings", file)
    assert error.endswith("['modle']; did you mean model?\n")


@pytest.mark.parametrize("arguments", [["train"], ["settings", "presets"]])
def test_without_the_pipeline_a_sentence_says_where_it_is(arguments, monkeypatch, refused):
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pipeline", None)
    refused("`pipeline` must be installed for this, as `make setup` does in a checkout", *arguments)
