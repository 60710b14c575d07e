import dataclasses
import json
import re

import av
import numpy as np
import pytest

from keras_mvlift.cli import lift_output, main
from keras_mvlift.lifting import mocap_files, pose_clip
from keras_mvlift.lifting import video as videos
from tests.lifting import made_films
from tests.visualization import pose_clips


def options(output, *arguments):
    return main.parse(["lift", "walk.mov", "--output", str(output), *map(str, arguments)])


@pytest.fixture
def film(tmp_path):
    return videos.inspect(made_films.write(tmp_path / "film.mp4", made_films.drawn(8)))


def images(page):
    data = re.search(r"<script [^>]*application/json[^>]*>(.*?)</script>", page, re.DOTALL)
    return [frame for frame, _ in json.loads(data.group(1))["images"]]


@pytest.mark.parametrize(
    ("arguments", "frames"), [([], [*range(8)]), (["--images", 3], [0, 4]), (["--images", 0], [])]
)
def test_a_page_shows_the_film_under_the_inputs_name(tmp_path, film, arguments, frames):
    page = tmp_path / "page.html"
    assert lift_output.write(pose_clips.clip(), options(page, *arguments), film) == (page,)
    text = page.read_text()
    assert images(text) == frames
    assert "<title>walk.mov</title>" in text


def test_a_film_shows_the_film(tmp_path, film):
    track = dataclasses.replace(pose_clips.track(num_frames=3), keypoint_confidence=None)
    clip = pose_clips.clip(track, image_size=(96, 64))
    seen = []
    for video in (film, None):
        path = tmp_path / "out.mp4"
        lift_output.write(clip, options(path), video)
        with av.open(str(path)) as opened:
            seen.append([frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)])
    with_film, without = np.array(seen, int)
    assert with_film.shape == without.shape == (3, 540, 960, 3)
    # The red block at the film's left is in the left part, and nowhere without the film.
    red = np.array([230, 20, 20])
    assert (np.abs(with_film[:, :, :400] - red).max(axis=-1) < 30).sum() > 3 * 1000
    assert (np.abs(without - red).max(axis=-1) < 30).sum() == 0


def referenced(tmp_path, clip):
    path = tmp_path / "known.trc"
    mocap_files.write_trc(pose_clips.clip(), path)
    return lift_output.with_reference(clip, path, None)


def test_the_error_against_a_reference_is_told_and_shown_in_pictures_only(tmp_path):
    moved = dataclasses.replace(pose_clips.track(), pose=pose_clips.pose() + 0.5)
    clip, lines = referenced(tmp_path, pose_clips.clip(moved))
    told = "person 1 against known.trc, 17 joints in 12 frames: MPJPE 0.0 mm (pelvis on pelvis), "
    assert lines == [f"{told}P-MPJPE 0.0 mm (after the best turn, shift and scale)"]
    assert [track.is_reference for track in clip.tracks] == [False, True]
    lift_output.write(clip, options(tmp_path / "page.html"))
    assert '"isReference": true' in (tmp_path / "page.html").read_text().replace('":t', '": t')
    lift_output.write(clip, options(tmp_path / "poses.json"))
    assert [track.name for track in pose_clip.read(tmp_path / "poses.json").tracks] == ["person 1"]
    assert lift_output.summary(clip) == "1 person, 12 frames, 12 poses, world coordinates"


def test_without_the_cameras_place_it_says_so(tmp_path):
    clip, lines = referenced(tmp_path, pose_clips.clip(space="root"))
    assert lines[0].endswith("for MPJPE the camera's place must be known")
    assert len(clip.tracks) == 1


def test_a_clip_of_nobody_says_so():
    absent = dataclasses.replace(pose_clips.track(), pose=np.full((12, 17, 3), np.nan))
    assert lift_output.summary(pose_clips.clip(absent)).endswith("nobody was seen well enough")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--detections", "seen.csv"], "`detections` must end in .npz. Received: seen.csv"),
        (["--detections", "poses.npz"], "`detections` must be another file than the output"),
        (["--frame-rate", "0"], "`frame_rate` must be a number above 0. Received: 0.0"),
        (["--images", "-1"], "`images` must be at least 0. Received: -1"),
        (["--reference", "gone.trc"], "gone.trc must be a file of known poses"),
        (["--output", "gone/poses.npz"], "gone must be a folder to write poses.npz to"),
        (["--output", "walk.mov"], r"`output` must end in .json"),
    ],
)
def test_what_could_not_be_written_in_the_end_is_refused_at_once(
    tmp_path, monkeypatch, arguments, rule
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walk.mov").write_bytes(b"film")
    with pytest.raises((ValueError, OSError), match=rule):
        lift_output.check(options("poses.npz", *arguments))


def test_the_input_is_never_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walk.mp4").write_bytes(b"film")
    told = options("walk.mp4", "--force")
    told.input = told.output
    with pytest.raises(ValueError, match="`output` must be another file than the input"):
        lift_output.check(told)
