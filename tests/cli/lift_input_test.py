import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.cli import lift, main
from keras_mvlift.lifting import viewpoints
from tests.lifting import made_films


def options(*arguments):
    return main.parse(["lift", *map(str, arguments), "--output", "poses.csv"])


@pytest.fixture
def film(tmp_path):
    return made_films.write(tmp_path / "film.MP4", np.stack(3 * [made_films.full_length()]))


@pytest.fixture
def seen(tmp_path):
    path = tmp_path / "seen.npz"
    keypoints = np.random.default_rng(0).uniform(300, 700, (6, 17, 2))
    np.savez(path, keypoints_2d=keypoints, skeleton="h36m_17")
    return path


def test_a_person_is_found_in_a_video(film):
    pytest.importorskip("mediapipe", reason="MediaPipe comes with the extra `video`.")
    told = options(film)
    tracks = lift.read(told, lift.film(told))
    assert tracks.joint_names == skeletons.MEDIAPIPE_33.joints
    assert (tracks.num_frames, tracks.frame_rate, tracks.image_size) == (3, 25.0, (272, 480))


def test_a_video_tells_what_2d_joints_do_not(film, seen):
    told = options(seen, "--video", film)
    with pytest.warns(errors.InputWarning, match="reach to frame 5, the video has 3"):
        tracks = lift.read(told, lift.film(told))
    assert (tracks.num_frames, tracks.frame_rate, tracks.image_size) == (6, 25.0, (272, 480))


def test_no_video_is_opened_where_none_is_named(seen):
    assert lift.film(options(seen)) is None


@pytest.mark.parametrize(
    "told", [["--video", "a.mp4"], ["--skeleton", "coco_17"], ["--image-size", 9, 9]]
)
def test_what_is_for_2d_joints_is_refused_with_a_video(film, told):
    rule = rf"`{told[0][2:]}` must come with 2D joints only\. Received: .*film\.MP4"
    with pytest.raises(ValueError, match=rule):
        lift.film(options(film, *told))


def test_a_camera_that_does_not_do_is_refused_before_the_search(film, monkeypatch):
    told = options(film, "--fov", 300)
    video = lift.film(told)
    monkeypatch.setitem(sys.modules, "keras_mvlift.lifting.person_detector", None)
    with pytest.raises(ValueError, match="`fov` must be above 0"):
        lift.read(told, video)


def test_frames_that_come_unevenly_are_a_warning(tmp_path):
    path = made_films.write(tmp_path / "film.mp4", ticks=[0, 4, 8, 12, 40, 50])
    told = options(path)
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


def test_a_given_size_goes_before_the_files(seen):
    told = options(seen, "--image-size", 640, 480)
    assert lift.read(told, None).image_size == (640, 480)


def test_progress_shows_how_far_it_is_and_how_long_it_takes(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(lift.progress("detect", 4)(iter(range(4)))) == [0, 1, 2, 3]
    assert "0/4 [00:00<?, ?frame/s]" in capsys.readouterr().err


def test_without_the_extra_the_error_says_what_to_install(film):
    code = "import pathlib, sys, types; sys.modules['av'] = None\n"
    code += "from keras_mvlift.cli import lift\n"
    code += "untold = dict.fromkeys(['video', 'skeleton', 'image_size'])\n"
    code += "path = pathlib.Path(sys.argv[1])\n"
    code += "lift.film(types.SimpleNamespace(input=path, **untold))"
    failed = subprocess.run([sys.executable, "-c", code, film], capture_output=True, text=True)
    assert "ValueError: Videos must be read by PyAV: pip install 'keras-mvlift" in failed.stderr


def parse(*arguments):
    return main.parse(["lift", *map(str, arguments)])


def test_pictures_are_endings_too():
    assert {".html", ".mp4", ".gif"} < {*lift.ENDINGS}


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
