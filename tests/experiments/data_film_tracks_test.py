import numpy as np
import pytest

from keras_mvlift.datasets import sequences
from keras_mvlift.experiments import data
from keras_mvlift.studio import synthetic
from tests.experiments import tiny_experiments

STUDIO = synthetic.Studio(num_subjects=2, num_clips=1, num_frames=12, noise_px=0.0)


@pytest.fixture(scope="module")
def clips():
    return list(STUDIO)


@pytest.fixture(scope="module")
def every(clips):
    # The second clip lacks a frame, and its numbers do not begin at 0.
    frames = [np.arange(12), np.array([3, 4, 6, 7])]
    return [sequences.instants_of_sequence(*both) for both in zip(clips, frames, strict=True)]


def test_each_view_is_found_again(clips, every):
    film = data.of_views(every, min_joints=8)
    for number, seen in enumerate(every):
        for row, frame in enumerate(seen.frame):
            for view in range(4):
                (cell,) = film.cells([data.MAX_VIEWS * number + view], [frame])
                if not seen.is_used(8)[row, view]:
                    assert cell == -1
                    continue
                np.testing.assert_allclose(
                    film.tracks.view.keypoints_2d[cell], seen.keypoints_2d[row, view], rtol=1e-6
                )


def test_what_is_not_there_is_not_found(every):
    film = data.of_views(every, min_joints=8)
    # A frame that is missing, one behind the last of all, a track that is not there.
    tracks = [data.MAX_VIEWS, 0, 2 * data.MAX_VIEWS]
    assert film.cells(tracks, [5, 12, 0]).tolist() == [-1, -1, -1]


def test_a_camera_s_frames_follow_each_other_and_end_with_the_clip(every):
    film = data.of_views(every, min_joints=8)
    first, last = (film.cells([data.MAX_VIEWS], [frame])[0] for frame in (3, 7))
    # The missing frame is filled.
    assert last - first == 4
    assert film.tracks.first[last] == first
    assert film.tracks.last[first] == last


def test_points_are_where_the_people_are(clips, every):
    film = data.of_points(every, min_confidence=0.3)
    (cell,) = film.cells([1], [6])
    is_known = film.tracks.view.confidence[cell].numpy() > 0
    assert is_known.sum() > 12
    np.testing.assert_allclose(
        film.tracks.view.keypoints_2d[cell].numpy()[is_known],
        clips[1].pose_world[6][is_known],
        atol=0.002,
    )


def test_test_views_are_found_among_those_of_all_frames():
    data = tiny_experiments.data(has_frames_between=True)
    film, cell = data.test_film
    np.testing.assert_array_equal(
        np.array(film.tracks.view.keypoints_2d)[cell], data.test.view.keypoints_2d
    )
    np.testing.assert_array_equal(
        np.array(film.tracks.view.camera.center)[cell], data.test.view.camera.center
    )
