import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import warnings

import av
import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.cli import lift, main
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.lifting import mocap_files, pose_clip, viewpoints
from keras_mvlift.lifting import video as videos
from tests.lifting import made_films, people
from tests.visualization import pose_clips

ROOT = pose2sim.demo_root()
CALIBRATION = f"{ROOT}/calibration/Calib.qca.txt"


@pytest.fixture
def seen(tmp_path):
    path = tmp_path / "seen.npz"
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(300, 700, (17, 2)) + rng.normal(0, 5, (6, 17, 2))
    np.savez(path, keypoints_2d=keypoints, frame_rate=50, skeleton="h36m_17")
    return path


def run(*arguments):
    return main.main(["lift", *map(str, arguments)])


def test_a_folder_of_detections_becomes_poses_in_the_world(model, tmp_path, capsys):
    output = tmp_path / "poses.json"
    camera = ["--calibration", CALIBRATION, "--camera", camera_name()]
    told = ["--skeleton", "body_25b", "--frame-rate", 60]
    folder = f"{ROOT}/pose/cam1_json"
    assert run(folder, "--model", model, "--output", output, *camera, *told, "--smooth") == 0
    printed = capsys.readouterr()
    assert "100 frames" in printed.out
    assert "world coordinates" in printed.out
    clip = pose_clip.read(output)
    assert (clip.space, clip.frame_rate, clip.num_frames) == ("world", 60.0, 100)
    assert clip.about["model"] == str(model)
    assert clip.about["is_smoothed"] is True
    assert clip.image_size == (1088, 1920)


def camera_name():
    with open(CALIBRATION) as file:
        return file.read().split('serial="')[1].split('"')[0]


def test_a_video_is_lifted_and_what_was_detected_lifts_the_same(model, tmp_path, capfd):
    pytest.importorskip("mediapipe", reason="MediaPipe comes with the extra `video`.")
    film = made_films.write(tmp_path / "walk.mp4", np.stack(4 * [made_films.full_length()]))
    kept, page, again = (tmp_path / name for name in ("seen.npz", "page.html", "again.json"))
    told = ["--model", model, "--fov", 50]
    assert run(film, *told, "--output", page, "--detections", kept) == 0
    # The detector's own words stay out of the way.
    assert "keras-mvlift lift: Poses lie" in (said := capfd.readouterr().err)
    assert said.count("\n") == 1
    assert page.read_text().count("data:image/jpeg") == 4
    assert run(film, *told, "--output", tmp_path / "poses.json") == 0
    assert run(kept, *told, "--output", again) == 0
    first, second = pose_clip.read(tmp_path / "poses.json"), pose_clip.read(again)
    assert (first.frame_rate, first.image_size, first.space) == (25.0, (272, 480), "camera")
    assert first.tracks[0].is_present.all()
    np.testing.assert_allclose(first.tracks[0].pose, second.tracks[0].pose, atol=2e-3)


@pytest.mark.parametrize("ending", [*pose_clip.ENDINGS, ".html"])
def test_every_ending_is_written(model, seen, tmp_path, ending, capsys):
    output = tmp_path / f"poses{ending}"
    intrinsics = ["--intrinsics", 1100, 1120, 510, 490, "--distortion", -0.1, 0.05]
    assert run(seen, "--model", model, "--output", output, *intrinsics) == 0
    assert output.stat().st_size > 1000
    told = f"{output}: 1 person, 6 frames, 6 poses, camera coordinates\nperson 1: "
    printed = capsys.readouterr().out
    assert printed.startswith(told)
    assert re.fullmatch(
        r"\d+\.\d\d m tall, as lifted within \d+% from frame to frame\n", printed[len(told) :]
    )


def test_a_camera_left_out_is_a_warning_of_one_line(model, seen, tmp_path, capsys):
    output = tmp_path / "poses.npz"
    assert run(seen, "--model", model, "--output", output) == 0
    error = capsys.readouterr().err
    assert error.startswith("keras-mvlift lift: `camera` was left out: taking the mean camera")
    assert error.count("\n") == 1
    assert pose_clip.read(output).space == "root"


def test_a_field_of_view_needs_the_image(model, seen, tmp_path, refused):
    output = tmp_path / "poses.npz"
    asked = [seen, "--model", model, "--output", output, "--fov", 60]
    refused("`image-size` must be given with --fov.", "lift", *asked)
    assert run(*asked, "--image-size", 1000, 1000, "--space", "root") == 0
    clip = pose_clip.read(output)
    assert (clip.space, clip.image_size) == ("root", (1000, 1000))
    assert clip.about["camera"] == "horizontal field of view 60 degrees"


def test_what_is_there_stays_unless_forced(model, seen, tmp_path, capsys):
    output = tmp_path / "poses.csv"
    output.write_text("old")
    asked = [seen, "--model", model, "--output", output, "--intrinsics", 1100, 1120, 510, 490]
    assert run(*asked) == 1
    assert "is there already; `--force` overwrites a file." in capsys.readouterr().err
    assert output.read_text() == "old"
    assert run(*asked, "--force") == 0
    assert output.read_text().startswith("track,frame")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--output", "poses.xlsx"], "`output` must end in .json, .csv, .npz, .trc, .c3d, .bvh,"),
        (["--output", "gone/poses.csv"], "gone must be a folder to write poses.csv to."),
        (["--model", "gone"], "`model` must be `studio`, which comes"),
        (["--frame-rate", "0"], "`frame_rate` must be above 0 and at most 1000 per second."),
        (["--frame-rate", "1e9"], "at most 1000 per second. Received: 1e+09."),
        (["--camera", "cam1"], "`camera` must come with --calibration. Received: cam1 alone."),
        (["--distortion", "0.1"], "`distortion` must come with --intrinsics."),
        (["--image-size", "0", "9"], "`image-size` must be above 0. Received: 0 9."),
        (["--calibration", "gone.toml"], "gone.toml: `calibration` must be a file that exists"),
        (
            ["--space", "world", "--intrinsics", *map(str, (1100, 1120, 510, 490))],
            "`camera` must be known, with rotation and center, for world",
        ),
        (["--detections", "seen.csv"], "`detections` must end in .npz. Received: seen.csv"),
        (["--output", "a.npz", "--detections", "a.npz"], "must be another file than the output"),
        (["--images", "-1"], "`images` must be at least 0. Received: -1"),
        (["--reference", "gone.trc"], "gone.trc must be a file of known poses"),
    ],
)
def test_what_does_not_do_is_one_sentence(
    model, seen, tmp_path, monkeypatch, refused, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    refused(sentence, "lift", seen, "--model", model, "--output", "poses.csv", *arguments)
    assert not (tmp_path / "poses.csv").exists()


def test_input_that_is_not_there_is_one_sentence(model, tmp_path, refused):
    asked = [tmp_path / "gone.npz", "--model", model, "--output", tmp_path / "a.csv"]
    refused("`input` must be a file or folder", "lift", *asked)


@pytest.mark.parametrize("arguments", [["--space", "scene"], ["--fov", "wide"]])
def test_wrong_usage_ends_with_2(seen, arguments):
    with pytest.raises(SystemExit) as caught:
        run(seen, "--model", "a", "--output", "a.csv", *arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize("interrupted", ["detect", "write"])
def test_what_is_interrupted_ends_at_once_and_leaves_nothing(
    model, seen, tmp_path, monkeypatch, capsys, interrupted
):
    def stop(*_, **__):
        raise KeyboardInterrupt

    owner, name = {"detect": (lift, "read"), "write": (pose_clip, "write")}[interrupted]
    monkeypatch.setattr(owner, name, stop)
    output = tmp_path / "poses.csv"
    assert run(seen, "--model", model, "--output", output) == 130
    assert capsys.readouterr().err.endswith("keras-mvlift lift: interrupted.\n")
    assert not output.exists()


def test_what_reading_decided_is_told(tmp_path, capsys):
    person = np.concatenate([people.walking(), np.full((30, 17, 1), 0.5)], axis=-1)
    person[:, 3, 2] = 0.2
    written = [
        {"image_id": f"{number}.jpg", "keypoints": joints.ravel().tolist()}
        for number, joints in enumerate(person)
    ]
    path = tmp_path / "alphapose-results.json"
    path.write_text(json.dumps(written))
    camera = people.WALK_CAMERA.intrinsics
    told = ["--intrinsics", *camera[[0, 1], [0, 1]], *camera[:2, 2], "--frame-rate", 50]
    asked = [path, "--model", "studio", "--output", tmp_path / "a.npz", "--force", *told]
    assert run(*asked) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    *notes, size = printed.out.splitlines()[1:]
    assert size.startswith("person 1: 1.")
    assert notes == [
        "joints read as coco_17's by where they lie",
        "5.9% of joints less sure than 0.3 count as not seen",
    ]
    assert pose_clip.read(tmp_path / "a.npz").about["notes"] == notes
    assert run(*asked, "--min-confidence", 0.6) == 1
    rule = "`people` must be seen with 6 of 17 joints sure to 0.6 or more (--min-confidence) in a"
    assert f"{path}: {rule} frame. Received: 0 at most." in capsys.readouterr().err
    assert run(*asked, "--min-confidence", 0, "--no-bridge", "--skeleton", "coco_17") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert pose_clip.read(tmp_path / "a.npz").about["max_gap"] == 0


def test_sides_that_were_swapped_are_put_back_and_told(tmp_path, capsys):
    path = tmp_path / "walk.npz"
    keypoints = np.array(people.WALK.keypoints_2d[0], np.float64)
    keypoints[10:14] = keypoints[10:14][:, list(skeletons.mirror_images(skeletons.H36M_17.joints))]
    names = np.array(skeletons.H36M_17.joints)
    np.savez(path, keypoints_2d=keypoints, joint_names=names, frame_rate=50.0)
    camera = people.WALK_CAMERA.intrinsics
    asked = [path, "--model", "studio", "--output", tmp_path / "a.npz", "--force", "--intrinsics"]
    asked += [*camera[[0, 1], [0, 1]], *camera[:2, 2]]
    told = f"left and right were swapped in 4 of {len(keypoints)} frames and put back"
    assert run(*asked) == 0
    assert f"\nperson 1: {told}\n" in capsys.readouterr().out
    assert run(*asked, "--keep-sides") == 0
    assert "put back" not in capsys.readouterr().out


def test_a_known_height_is_given_to_all_or_to_each(model, seen, tmp_path, capsys):
    asked = [seen, "--model", model, "--output", tmp_path / "a.npz", "--force", "--intrinsics"]
    asked += [1100, 1120, 510, 490]
    assert run(*asked, "--height", 1.5) == 0
    assert "\nperson 1: 1.50 m tall, as lifted within" in capsys.readouterr().out
    clip = pose_clip.read(tmp_path / "a.npz")
    tall = skeletons.stature(clip.tracks[0].pose, clip.joint_names)
    np.testing.assert_allclose(tall, 1.5, rtol=1e-4)
    assert clip.about["stature"] == {"person 1": 1.5}
    assert run(*asked, "--no-steady") == 0
    clip = pose_clip.read(tmp_path / "a.npz")
    assert np.ptp(skeletons.stature(clip.tracks[0].pose, clip.joint_names)) > 1e-4
    assert run(*asked, "--height", 1.5, 1.6) == 1
    assert "`height` must be one number or of shape [1]" in capsys.readouterr().err


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
    assert lift.write(pose_clips.clip(), options(page, *arguments), film) == (page,)
    text = page.read_text()
    assert images(text) == frames
    assert "<title>walk.mov</title>" in text


def test_a_film_shows_the_film(tmp_path, film):
    track = dataclasses.replace(pose_clips.track(num_frames=3), keypoint_confidence=None)
    clip = pose_clips.clip(track, image_size=(96, 64))
    seen = []
    for video in (film, None):
        path = tmp_path / "out.mp4"
        lift.write(clip, options(path), video)
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
    return lift.with_reference(clip, path, None)


def test_the_error_against_a_reference_is_told_and_shown_in_pictures_only(tmp_path):
    moved = dataclasses.replace(pose_clips.track(), pose=pose_clips.pose() + 0.5)
    clip, lines = referenced(tmp_path, pose_clips.clip(moved))
    told = "person 1 against known.trc, 17 joints in 12 frames: MPJPE 0.0 mm (pelvis on pelvis), "
    assert lines == [f"{told}P-MPJPE 0.0 mm (after the best turn, shift and scale)"]
    assert [track.is_reference for track in clip.tracks] == [False, True]
    lift.write(clip, options(tmp_path / "page.html"))
    assert '"isReference": true' in (tmp_path / "page.html").read_text().replace('":t', '": t')
    lift.write(clip, options(tmp_path / "poses.json"))
    assert [track.name for track in pose_clip.read(tmp_path / "poses.json").tracks] == ["person 1"]
    assert lift.summary(clip) == "1 person, 12 frames, 12 poses, world coordinates"


def test_without_the_cameras_place_it_says_so(tmp_path):
    clip, lines = referenced(tmp_path, pose_clips.clip(space="root"))
    assert lines[0].endswith("for MPJPE the camera's place must be known")
    assert len(clip.tracks) == 1


@pytest.mark.parametrize("joints", [0, 5, 6])
def test_a_file_of_nobody_is_refused(tmp_path, capsys, joints):
    keypoints = people.walking("h36m_17")
    keypoints[:, joints:] = np.nan
    np.savez(tmp_path / "a.npz", keypoints_2d=keypoints, skeleton="h36m_17", frame_rate=50)
    output = tmp_path / "out.npz"
    assert run(tmp_path / "a.npz", "--model", "studio", "--output", output) == int(joints < 6)
    assert output.exists() == (joints == 6)
    rule = (
        f"a.npz: `people` must be seen with 6 of 17 joints in a frame. Received: {joints} at most"
    )
    assert (rule in capsys.readouterr().err) == (joints < 6)


@pytest.mark.parametrize(
    ("field", "value", "option"),
    [
        ("frame_rate", -1.0, ["--frame-rate", 50]),
        ("frame_rate", np.nan, ["--frame-rate", 50]),
        ("joint_names", [f"j{number}" for number in range(17)], ["--skeleton", "h36m_17"]),
        ("image_size", (500, 1000), ["--image-size", 1000, 1000]),
    ],
)
def test_what_a_file_tells_is_refused_by_its_name(tmp_path, capsys, field, value, option):
    facts = {"frame_rate": 50.0, "joint_names": skeletons.H36M_17.joints} | {field: value}
    keypoints = people.walking("h36m_17") * [1, 0.5] + [150, 0]
    np.savez(tmp_path / "a.npz", keypoints_2d=keypoints, **facts)
    told = [tmp_path / "a.npz", "--model", "studio", "--output", tmp_path / "out.npz"]
    assert run(*told) == 1
    assert f"a.npz: `{field}` must be " in capsys.readouterr().err
    assert run(*told, *option) == 0


def test_the_input_is_never_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walk.mp4").write_bytes(b"film")
    told = options("walk.mp4", "--force")
    told.input = told.output
    with pytest.raises(ValueError, match="`output` must be another file than the input"):
        lift.check(told)


def parsed(*arguments):
    return main.parse(["lift", *map(str, arguments), "--output", "poses.csv"])


@pytest.fixture
def people_film(tmp_path):
    return made_films.write(tmp_path / "film.MP4", np.stack(3 * [made_films.full_length()]))


@pytest.fixture
def untimed(tmp_path):
    path = tmp_path / "seen.npz"
    keypoints = np.random.default_rng(0).uniform(300, 700, (6, 17, 2))
    np.savez(path, keypoints_2d=keypoints, skeleton="h36m_17")
    return path


def test_a_person_is_found_in_a_video(people_film):
    pytest.importorskip("mediapipe", reason="MediaPipe comes with the extra `video`.")
    told = parsed(people_film)
    tracks = lift.read(told, lift.film(told))
    assert tracks.joint_names == skeletons.MEDIAPIPE_33.joints
    assert (tracks.num_frames, tracks.frame_rate, tracks.image_size) == (3, 25.0, (272, 480))


def test_a_video_tells_what_2d_joints_do_not(people_film, untimed):
    told = parsed(untimed, "--video", people_film)
    with pytest.warns(errors.InputWarning, match="reach to frame 5, the video has 3"):
        tracks = lift.read(told, lift.film(told))
    assert (tracks.num_frames, tracks.frame_rate, tracks.image_size) == (6, 25.0, (272, 480))


def test_no_video_is_opened_where_none_is_named(untimed):
    assert lift.film(parsed(untimed)) is None


@pytest.mark.parametrize(
    "told", [["--video", "a.mp4"], ["--skeleton", "coco_17"], ["--image-size", 9, 9]]
)
def test_what_is_for_2d_joints_is_refused_with_a_video(people_film, told):
    rule = rf"`{told[0][2:]}` must come with 2D joints only\. Received: .*film\.MP4"
    with pytest.raises(ValueError, match=rule):
        lift.film(parsed(people_film, *told))


def test_a_camera_that_does_not_do_is_refused_before_the_search(people_film, monkeypatch):
    told = parsed(people_film, "--fov", 300)
    video = lift.film(told)
    monkeypatch.setitem(sys.modules, "keras_mvlift.lifting.person_detector", None)
    with pytest.raises(ValueError, match="`fov` must be above 0"):
        lift.read(told, video)


def test_frames_that_come_unevenly_are_a_warning(tmp_path):
    path = made_films.write(tmp_path / "film.mp4", ticks=[0, 4, 8, 12, 40, 50])
    told = parsed(path)
    warned = pytest.warns(UserWarning, match="taking their mean rate, 10 per second")
    # Nobody is in it.
    with warned, pytest.raises(errors.RecordingError):
        lift.read(told, lift.film(told))


def test_another_size_than_the_calibrations_is_a_warning():
    camera = viewpoints.from_field_of_view(60, (1088, 1920))
    with pytest.warns(UserWarning, match="has 1080 x 1920 pixels, the calibration's 1088 x 1920"):
        lift.warn_of_size(camera, (1080, 1920))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lift.warn_of_size(camera, (1088, 1920))
        lift.warn_of_size(camera, None)
        lift.warn_of_size(None, (1080, 1920))


def test_a_given_size_goes_before_the_files(untimed):
    told = parsed(untimed, "--image-size", 640, 480)
    assert lift.read(told, None).image_size == (640, 480)


def test_progress_shows_how_far_it_is_and_how_long_it_takes(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(lift.progress("detect", 4)(iter(range(4)))) == [0, 1, 2, 3]
    assert "0/4 [00:00<?, ?frame/s]" in capsys.readouterr().err


def test_without_the_extra_the_error_says_what_to_install(people_film):
    code = "import pathlib, sys, types; sys.modules['av'] = None\n"
    code += "from keras_mvlift.cli import lift\n"
    code += "untold = dict.fromkeys(['video', 'skeleton', 'image_size'])\n"
    code += "path = pathlib.Path(sys.argv[1])\n"
    code += "lift.film(types.SimpleNamespace(input=path, **untold))"
    failed = subprocess.run(
        [sys.executable, "-c", code, people_film], capture_output=True, text=True
    )
    assert "ValueError: Videos must be read by PyAV: pip install 'keras-mvlift" in failed.stderr


def parse(*arguments):
    return main.parse(["lift", *map(str, arguments)])


def test_pictures_are_endings_too():
    assert {".html", ".mp4", ".gif"} < {*lift.ENDINGS}


def test_what_is_left_out_is_none():
    told = parse("walk.mp4", "--output", "poses.html")
    assert (told.input, told.output) == (pathlib.Path("walk.mp4"), pathlib.Path("poses.html"))
    for name in ("video", "detections", "images", "reference", "fov", "calibration", "camera"):
        assert getattr(told, name) is None
    assert (told.force, told.smooth, told.distortion) == (False, False, [])


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
