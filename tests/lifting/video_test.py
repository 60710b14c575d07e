import base64
import io
import subprocess
import sys
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_mvlift import errors
from keras_mvlift.cli import lift
from keras_mvlift.lifting import video
from tests.lifting import made_films
from tests.untrusted import damage


def read_independently(path):
    """All frames, RGB, as OpenCV reads and turns them."""
    film = cv2.VideoCapture(str(path))
    film.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    pictures = []
    while (found := film.read())[0]:
        pictures.append(found[1][..., ::-1])
    return np.array(pictures)


@pytest.fixture
def film(tmp_path):
    return video.inspect(made_films.write(tmp_path / "film.mp4", made_films.drawn(8)))


def shown(address):
    head, data = address.split(",")
    assert head == "data:image/jpeg;base64"
    return np.array(Image.open(io.BytesIO(base64.b64decode(data))))


def light(picture):
    """How light a frame is, of which each is lighter than the one before by 20."""
    return picture[40:, 40:].mean()


@pytest.mark.parametrize("ending", lift.VIDEO_ENDINGS)
def test_every_format_gives_all_frames_and_their_rate(tmp_path, ending):
    pictures = made_films.drawn()
    film = video.inspect(made_films.write(tmp_path / f"film{ending}", pictures))
    assert (film.size, film.num_frames, film.quarter_turns) == ((96, 64), 6, 0)
    assert film.frame_rate == pytest.approx(25.0, abs=1e-6)
    assert film.is_steady
    read = np.array(list(video.read(film)))
    assert read.shape == pictures.shape
    assert np.abs(read.astype(int) - pictures).mean() < 6


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_film_is_read_upright_as_others_read_it(tmp_path, degrees):
    path = made_films.turn(made_films.write(tmp_path / "film.mp4"), degrees)
    film = video.inspect(path)
    pictures = np.array(list(video.read(film)))
    assert film.size == ((96, 64) if degrees == 180 else (64, 96))
    assert pictures.shape[1:3] == film.size[::-1]
    expected = read_independently(path)
    assert np.abs(pictures.astype(int) - expected).mean() < 3
    # The red block is no longer where it was filmed.
    assert not (pictures[0, :8, :8, 0] > 150).all()


def test_frames_can_be_made_smaller_and_never_larger(tmp_path):
    film = video.inspect(made_films.turn(made_films.write(tmp_path / "film.mp4"), 90))
    assert next(video.read(film, longest_side=48)).shape == (48, 32, 3)
    assert next(video.read(film, longest_side=500)).shape == (96, 64, 3)


def test_frames_out_of_time_are_told_and_have_their_mean_rate(tmp_path):
    uneven = made_films.write(tmp_path / "uneven.mp4", ticks=[0, 4, 8, 12, 40, 50])
    film = video.inspect(uneven)
    assert not film.is_steady
    assert film.frame_rate == pytest.approx(10.0)
    # Rounded to hundredths, 30 frames per second come every 3 or 4 of them.
    rounded = video.inspect(made_films.write(tmp_path / "even.mp4", ticks=[0, 3, 7, 10, 13, 17]))
    assert rounded.is_steady
    assert rounded.frame_rate == pytest.approx(30, rel=0.06)


def test_a_film_of_one_frame_is_a_film(tmp_path):
    film = video.inspect(made_films.write(tmp_path / "film.mkv", made_films.drawn(1)))
    assert (film.num_frames, film.is_steady) == (1, True)
    assert len(list(video.read(film))) == 1


def broken(tmp_path, kind):
    path = tmp_path / "film.mp4"
    if kind in ("sound", "song"):
        made_films.write_sound(path, has_cover=kind == "song")
    elif kind == "folder":
        path.mkdir()
    elif kind == "no frame":
        data = made_films.write(path).read_bytes()
        path.write_bytes(data[: data.index(b"mdat") + 4])
    elif kind != "missing":
        path.write_bytes({"empty": b"", "text": b"no film at all\n" * 99}[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("missing", "`video` must be a file that exists"),
        ("folder", "`video` must be a file"),
        ("empty", r"`video` must hold frames\. Received: an empty file"),
        ("text", "`video` must be a video that FFmpeg reads"),
        ("sound", r"`video` must hold moving pictures\. Received: audio"),
        ("song", r"`video` must hold moving pictures\. Received: audio, video"),
        ("no frame", "`frame.*` must be "),
    ],
)
def test_what_is_no_film_is_refused_by_name(tmp_path, kind, rule):
    with pytest.raises(errors.RecordingError, match=rule) as caught:
        video.inspect(broken(tmp_path, kind))
    assert str(tmp_path / "film.mp4") in str(caught.value)


def test_a_frame_that_is_damaged_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (8, 64, 96, 3), np.uint8)
    path = made_films.write(tmp_path / "film.mp4", noise)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat")
    data[at + 3 * (len(data) - at) // 4 :] = b"\xff" * (len(data) - at - 3 * (len(data) - at) // 4)
    path.write_bytes(data)
    with pytest.raises(errors.RecordingError, match=r"`frame \d` must be decodable"):
        list(video.read(video.inspect(path)))


def test_damaged_films_end_in_our_error(tmp_path):
    path = made_films.write(tmp_path / "film.mp4", made_films.drawn(3))

    def read():
        list(video.read(video.inspect(path)))

    assert damage.assert_only_our_errors(read, path, count=25) > 5


def test_without_the_extra_the_error_says_what_to_install():
    code = "import sys; sys.modules['av'] = None; from keras_mvlift.lifting import video"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Videos must be read by PyAV: pip install 'keras-mvlift[video]'." in failed.stderr


def test_pixels_that_are_not_square_are_warned_about(tmp_path):
    path = made_films.write(tmp_path / "film.mp4", pixel="4/3")
    with pytest.warns(errors.InputWarning, match="film.mp4: pixels are 4/3 as wide as high"):
        assert video.inspect(path).size == (made_films.WIDTH, made_films.HEIGHT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        video.inspect(made_films.write(tmp_path / "square.mp4"))


def test_each_frame_has_its_picture(film):
    made = video.addresses(film, 8)
    assert list(made) == [*range(8)]
    for frame, address in made.items():
        assert shown(address).shape == (64, 96, 3)
        assert light(shown(address)) == pytest.approx(40 + 20 * frame, abs=4)


def test_more_frames_than_pictures_have_one_each_n_frames(film):
    made = video.addresses(film, 8, max_images=3)
    assert list(made) == [0, 3, 6]
    assert light(shown(made[6])) == pytest.approx(160, abs=4)


def test_a_clip_may_begin_and_end_inside_the_film(film):
    made = video.addresses(film, 4, first_frame=3)
    assert list(made) == [0, 1, 2, 3]
    assert light(shown(made[0])) == pytest.approx(100, abs=4)


def test_large_frames_are_made_small(tmp_path):
    large = np.random.default_rng(0).integers(0, 255, (1, 540, 960, 3), np.uint8)
    film = video.inspect(made_films.write(tmp_path / "film.mp4", large))
    assert shown(video.addresses(film, 1)[0]).shape == (270, 480, 3)


def test_a_clip_that_is_not_in_the_film_is_refused(film):
    rule = r"`frames` must have frames from 8 on, as what was lifted\. Received: 8"
    with pytest.raises(errors.RecordingError, match=rule):
        video.addresses(film, 4, first_frame=8)
    with pytest.raises(ValueError, match="`max_images` must be at least 1"):
        video.addresses(film, 4, max_images=0)


def test_a_reel_gives_frames_in_order_and_stays_at_its_end(film):
    reel = video.reel(film, first_frame=2)
    assert [round(light(reel(frame)) / 20) for frame in (0, 1, 1, 4, 20)] == [4, 5, 5, 8, 9]
