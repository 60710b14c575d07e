import pathlib

import pytest

from keras_mvlift.cli import lift_options, main


def parse(*arguments):
    return main.parse(["lift", *map(str, arguments)])


def test_pictures_are_endings_too():
    assert {".html", ".mp4", ".gif"} < {*lift_options.ENDINGS}


def test_what_is_left_out_is_none():
    options = parse("walk.mp4", "--output", "poses.html")
    assert (options.input, options.output) == (pathlib.Path("walk.mp4"), pathlib.Path("poses.html"))
    for name in ("video", "detections", "images", "reference", "fov", "calibration", "camera"):
        assert getattr(options, name) is None
    assert (options.force, options.smooth, options.distortion) == (False, False, [])


def test_every_option_is_explained(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    told = capsys.readouterr().out
    for option in ("--detections", "--video", "--images", "--reference", "--calibration"):
        assert option in told
    assert "MediaPipe finds one person" in " ".join(told.split())


def test_two_cameras_are_wrong_usage():
    with pytest.raises(SystemExit) as caught:
        parse("a.npz", "--output", "b.csv", "--fov", 60, "--calibration", "rig.toml")
    assert caught.value.code == 2
