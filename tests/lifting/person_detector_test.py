import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from tests.lifting import made_films

pytest.importorskip("mediapipe", reason="MediaPipe comes with the extra `video`.")

from keras_mvlift.lifting import person_detector, video


def test_a_film_becomes_one_persons_tracks(tmp_path):
    person = made_films.full_length()
    pictures = np.stack([person, person, np.roll(person, 20, axis=1), *3 * [0 * person]])
    film = video.inspect(made_films.write(tmp_path / "film.mp4", pictures))
    counted = []
    tracks = person_detector.detect(film, lambda frames: counted.append(1) or frames)
    assert counted == [1]
    assert (tracks.names, tracks.joint_names) == (("person 1",), skeletons.MEDIAPIPE_33.joints)
    assert (tracks.frame_rate, tracks.image_size, tracks.num_frames) == (25.0, (272, 480), 6)
    shift = np.diff(tracks.keypoints_2d[0, :3, :, 0].mean(axis=1))
    assert shift[0] == pytest.approx(0, abs=6)
    assert shift[1] == pytest.approx(20, abs=6)
    # The two last frames, of which it has given up to follow the person, show nobody.
    assert (tracks.confidence[0, -1] == 0).all()
    assert (tracks.confidence[0, :3].mean(axis=1) > 0.5).all()


def test_a_film_of_nobody_is_refused_by_name(tmp_path):
    film = video.inspect(made_films.write(tmp_path / "film.mp4"))
    rule = r"film.mp4: `video` must show a person whom MediaPipe finds\. Received: 6 frames"
    with pytest.raises(errors.RecordingError, match=rule):
        person_detector.detect(film)
