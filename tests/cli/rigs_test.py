import json
import pathlib
import shutil
import sys

import numpy as np
import pytest

from benchmarks import rig_checks
from keras_mvlift.cli import main, rigs
from keras_mvlift.datasets.rigs import calibration_files, pose2sim
from tests.datasets.rigs import rigs_of_cameras, simulated_rigs


@pytest.fixture(scope="module")
def demo():
    return pose2sim.demo_root()


def test_refining_writes_a_calibration_and_says_what_it_changed(demo, tmp_path, capsys):
    output, report = tmp_path / "refined.toml", tmp_path / "report.json"
    arguments = ["calibrate", demo, "--refine", "--output", str(output), "--report", str(report)]
    assert main.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "100 frames, 100 of them used" in printed
    written = json.loads(report.read_text())["all"]
    for when in ("before", "after"):
        assert f"{written[when]['median_px']:.2f}" in printed
    assert written["after"]["median_px"] < 0.6 * written["before"]["median_px"]
    rig = calibration_files.read_toml(output)
    assert rig.names == ("cam1", "cam2", "cam3", "cam4")
    before = next(iter(pose2sim.Pose2SimSource(root=demo)))
    moved = np.linalg.norm(rig.camera.center - before.camera.center, axis=-1)
    np.testing.assert_allclose(np.sqrt(np.mean(moved**2)), written["moved_m"], rtol=1e-6)
    np.testing.assert_allclose(rig.distortion, before.distortion)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["refined.toml", "report.json"]


@pytest.fixture(scope="module")
def short(demo, tmp_path_factory):
    """The first 25 frames of the recording."""
    folder = tmp_path_factory.mktemp("short")
    for part in ("calibration", *(f"pose/cam{number}_json" for number in range(1, 5))):
        (folder / part).mkdir(parents=True)
        for file in sorted(path for path in pathlib.Path(demo, part).iterdir())[:25]:
            if file.is_file():
                shutil.copy(file, folder / part)
    return str(folder)


def test_a_distance_sets_the_scale_and_a_terminal_shows_how_far_it_is(
    short, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "estimated.toml"
    arguments = ["calibrate", short, "--distance", "cam1", "cam2", "2.5", "--output", str(output)]
    assert main.main(arguments) == 0
    center = calibration_files.read_toml(output).camera.center
    np.testing.assert_allclose(np.linalg.norm(center[0] - center[1]), 2.5, rtol=1e-6)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main.main([*arguments, "--force"]) == 0
    assert "pairs of cameras" in capsys.readouterr().err


def test_a_file_that_is_there_stays(short, tmp_path, capsys):
    output = tmp_path / "mine.toml"
    output.write_text("mine")
    assert main.main(["calibrate", short, "--refine", "--output", str(output)]) == 1
    assert "`--force` overwrites" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert main.main(["calibrate", short, "--refine", "--output", str(output), "--force"]) == 0
    assert calibration_files.read_toml(output).has_extrinsics


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--distance", "cam1", "cam9", "2"], "must be of two of the cameras cam1, cam2"),
        (["--distance", "cam1", "cam2", "far"], "two cameras and a number of meters"),
        (["--distance", "cam1", "cam2", "-2"], "must be 0.05 to 200.0 meters. Received: -2.0"),
        (["--distance", "cam1", "cam2", "3200"], "must be 0.05 to 200.0 meters"),
    ],
)
def test_a_wrong_distance_is_one_sentence(demo, tmp_path, refused, options, message):
    refused(message, "calibrate", demo, *options, "--output", tmp_path / "out.toml")
    assert list(tmp_path.iterdir()) == []


def test_cameras_whose_places_nobody_tells_cannot_be_refined(tmp_path, refused):
    simulated_rigs.write_rig(str(tmp_path / "rig"), num_frames=3)
    path = tmp_path / "rig" / "Calib.toml"
    rig = calibration_files.read_toml(path)
    calibration_files.write_toml(path, rigs_of_cameras.without_extrinsics(rig))
    output = ["--refine", "--output", tmp_path / "out.toml"]
    refused("`--refine` needs a calibration with places", "calibrate", path.parent, *output)
    assert not (tmp_path / "out.toml").exists()


def test_an_output_without_a_folder_is_refused(demo, tmp_path, refused):
    output = tmp_path / "nowhere" / "out.toml"
    refused("must be a folder", "calibrate", demo, "--refine", "--output", output)


def test_people_who_are_not_the_same_in_all_cameras_make_no_calibration():
    draw = rig_checks.draw(7, 3, 0.0)
    clip = as_clip(draw)
    is_other = np.random.default_rng(0).uniform(size=(3, 40)).repeat(5, axis=1) < 0.5
    mixed = rig_checks.taken(draw.clean, draw.other, is_other)
    spoiled = rigs.dataclasses.replace(
        clip, keypoints_2d=mixed.keypoints_2d, confidence=mixed.confidence
    )
    found = rigs.extrinsics.refine([spoiled])
    with pytest.raises(ValueError, match=r"agree in \d+% of the frames only.*not show whom"):
        rigs.doubts([spoiled], found, clip.camera)
    assert rigs.doubts([clip], rigs.extrinsics.refine([clip]), clip.camera) == []


def test_a_bumped_camera_keeps_a_calibration_that_fitted():
    draw = rig_checks.draw(7, 3, 0.3)
    bumped = rig_checks.bump(draw)
    clip = rigs.dataclasses.replace(as_clip(draw), keypoints_2d=bumped.keypoints_2d)
    found = rigs.extrinsics.refine([clip])
    with pytest.raises(ValueError, match=r"by .* m that fitted.*fits until frame 1[34]"):
        rigs.doubts([clip], found, clip.camera)


def test_a_clock_that_drifts_is_named_though_the_cameras_that_were_found_make_up_for_it():
    draw = rig_checks.draw(23, 3, 0.0)
    index = np.minimum(np.round(np.arange(200) / 0.97).astype(int), 199)
    slow = rig_checks.taken(
        draw.clean, draw.clean.frames(index), draw.in_view(np.ones(200, dtype=bool))
    )
    clip = rigs.dataclasses.replace(as_clip(draw), keypoints_2d=slow.keypoints_2d)
    first, second = clip.camera_names[:2]
    found = rigs.extrinsics.estimate([clip], {(first, second): 5.0})
    with pytest.raises(ValueError, match="0 frames off at the start and 6 frames early"):
        rigs.doubts([clip], found, None)


def as_clip(draw):
    return rigs.sequences.MultiViewSequence(
        name="clip",
        subject="who",
        action="what",
        frame_rate=25.0,
        camera_names=draw.clean.camera_names,
        camera=draw.clean.camera,
        keypoints_2d=draw.clean.keypoints_2d,
        confidence=draw.clean.confidence,
    )


def check(*arguments):
    return main.main(["check-rig", *map(str, arguments)])


def test_the_demo_is_checked_and_its_warning_is_no_failure(copied, tmp_path, capsys):
    figures, page = tmp_path / "rig.json", tmp_path / "rig.html"
    assert check(copied, "--json", figures, "--html", page) == 0
    assert "The calibration is off by about 17 px in cam1" in capsys.readouterr().out
    (rig,) = json.loads(figures.read_text())["rigs"]
    assert [finding["name"] for finding in rig["findings"]] == ["calibration_off"]
    assert "calibration_off" in page.read_text(encoding="utf-8")


def test_a_planted_mistake_is_named_and_fails(copied, capsys):
    pose = copied / "pose"
    first, second, *_ = sorted(pose.iterdir())
    first.rename(pose / "kept")
    second.rename(first)
    (pose / "kept").rename(second)
    assert check(copied) == 1
    assert "error: cameras_out_of_order" in capsys.readouterr().out


def test_as_many_frames_are_looked_at_as_asked_for(copied, capsys):
    assert check(copied, "--max-frames", 40) == 0
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
def test_what_cannot_be_read_is_one_sentence(arguments, sentence, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seen.csv").touch()
    refused(sentence, "check-rig", *arguments)


def test_a_folder_without_a_calibration_is_one_sentence(copied, refused):
    shutil.rmtree(copied / "calibration")
    refused("calibration", "check-rig", copied)
