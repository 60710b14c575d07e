import json
import shutil

import numpy as np
import pytest

from keras_mvlift import inference, trained_models
from keras_mvlift.cli import main
from keras_mvlift.datasets.rigs import recordings
from tests.datasets.rigs import simulated_rigs


def adapt(*arguments):
    return main.main(["adapt", *map(str, arguments)])


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    simulated_rigs.write_rig(str(folder), num_clips=4, num_frames=12)
    return folder


def test_the_shipped_model_is_adapted_to_the_demo(copied, tmp_path, capsys):
    folder = tmp_path / "mine"
    assert adapt(copied, "--output", folder) == 0
    told = capsys.readouterr().out
    assert "on blocks of the one clip that were not fitted" in told
    model = inference.load_model(folder)
    notes = model.description["adapted"]
    assert (notes["start"], notes["source"]) == ("studio", "Pose2SimSource")
    assert notes["num_views"] == 400
    assert len(notes["cameras"]) == 4
    # Blocks of one clip are too alike to choose a freer step by.
    assert notes["layer_ridge"] in (0.0, 1e4, 1e3)
    # The model has seen this recording, among others.
    assert notes["score_mm"]["after"] < 0.98 * notes["score_mm"]["before"]
    assert f"{notes['score_mm']['after']:.1f} mm after" in told
    assert notes["chosen"] in told
    keypoints_2d = np.full((2, 17, 2), 500.0)
    first, second = (
        one.lift(keypoints_2d, camera=one.intrinsics).root_relative_pose
        for one in (model, inference.load_model("studio"))
    )
    assert np.abs(first - second).max() > 1e-3


def test_clips_and_people_who_are_left_out_are_not_fitted(lab, tmp_path, capsys):
    copied = shutil.copytree(lab, tmp_path / "lab")
    source = recordings.RigSource(root=str(copied))
    first, second, third, tested = source.clips()
    assert source.test_clips() == [tested]
    folder = tmp_path / "mine"
    subject = source.read(third).subject
    # What is tested on is not even read.
    shutil.rmtree(copied / tested)
    assert adapt(copied, "--output", folder, "--leave-out", subject) == 0
    notes = json.loads((folder / trained_models.DESCRIPTION).read_text())["adapted"]
    assert notes["clips"] == [first, second]
    assert notes["left_out"] == sorted([subject, tested])
    assert "detections: openpose, body_25b" in notes["choices"]
    assert "on clips that were not fitted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "--output", "mine"], "`path` must be a file or folder. Received: nowhere."),
        ([".", "--output", "."], ". is there already."),
        ([".", "--output", "mine", "--source", "vicon"], "`source` must be one of"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, sentence, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(sentence, "adapt", *arguments)


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        ((), "`leave_out` must leave clips to fit"),
        (("nobody",), "`leave_out` must name clips or people of the recording. Received: nobody."),
    ],
)
def test_who_is_left_out_must_be_there_and_leave_somebody(lab, tmp_path, refused, kept, sentence):
    names = kept or recordings.RigSource(root=str(lab)).clips()
    refused(sentence, "adapt", lab, "--output", tmp_path / "mine", "--leave-out", *names)
