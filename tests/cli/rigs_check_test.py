import json
import shutil

import pytest

from keras_mvlift.cli import main
from keras_mvlift.datasets.rigs import pose2sim


def check(*arguments):
    return main.main(["check-rig", *map(str, arguments)])


@pytest.fixture
def demo(tmp_path):
    folder = tmp_path / "demo"
    for part in ("calibration", "pose"):
        shutil.copytree(f"{pose2sim.demo_root()}/{part}", folder / part)
    return folder


def test_the_demo_is_checked_and_its_warning_is_no_failure(demo, tmp_path, capsys):
    figures, page = tmp_path / "rig.json", tmp_path / "rig.html"
    assert check(demo, "--json", figures, "--html", page) == 0
    assert "The calibration is off by about 17 px in cam1" in capsys.readouterr().out
    (rig,) = json.loads(figures.read_text())["rigs"]
    assert [finding["name"] for finding in rig["findings"]] == ["calibration_off"]
    assert "calibration_off" in page.read_text(encoding="utf-8")


def test_a_planted_mistake_is_named_and_fails(demo, capsys):
    pose = demo / "pose"
    first, second, *_ = sorted(pose.iterdir())
    first.rename(pose / "kept")
    second.rename(first)
    (pose / "kept").rename(second)
    assert check(demo) == 1
    assert "error: cameras_out_of_order" in capsys.readouterr().out


def test_as_many_frames_are_looked_at_as_asked_for(demo, capsys):
    assert check(demo, "--max-frames", 40) == 0
    assert "4 cameras, 40 frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "`path` must be a file or folder. Received: nowhere."),
        (["."], "`path` must be rig.yaml, its folder, or one with AIST++'s `keypoints2d` or"),
        (["seen.csv"], "`path` must be rig.yaml, its folder"),
        ([".", "--source", "vicon"], "`source` must be one of"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seen.csv").touch()
    assert check(*arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("keras-mvlift check-rig: ")
    assert sentence in error
    assert "Traceback" not in error


def test_a_folder_without_a_calibration_is_one_sentence(demo, capsys):
    shutil.rmtree(demo / "calibration")
    assert check(demo) == 1
    assert "calibration" in capsys.readouterr().err
