import base64
import io

import numpy as np
import pytest
from PIL import Image

from keras_mvlift import errors
from keras_mvlift.lifting import video
from tests.lifting import made_films


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
    reel = video.Reel(film, first_frame=2)
    assert [round(light(reel(frame)) / 20) for frame in (0, 1, 1, 4, 20)] == [4, 5, 5, 8, 9]


def test_a_reel_scales(film):
    assert video.Reel(film, longest_side=48)(0).shape == (32, 48, 3)
