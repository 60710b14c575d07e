import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras


def seen(track, frame):
    """Views of one joint at `(1000 track + frame, 1)`, whose camera's center tells the track."""
    track, frame = np.array(track), np.array(frame)
    keypoints_2d = np.stack([1000.0 * track + frame, np.ones(len(track))], axis=-1)
    center = np.repeat(track[:, np.newaxis], 3, axis=1)
    matrix = np.tile(np.eye(3), (len(track), 1, 1))
    camera = cameras.Camera(*(tf.constant(value, tf.float32) for value in (matrix, matrix, center)))
    confidence = tf.fill([len(track), 1], 0.9)
    view = views.View(tf.constant(keypoints_2d[:, np.newaxis], tf.float32), confidence, camera)
    return view, track, frame


def windows(track, frame, *, num_frames=3, is_causal=False, **options):
    """Returns the first coordinate `[N, T]`, and whether it was measured, of each view's window."""
    view, *order = seen(track, frame)
    tracks, cell = views.lay(view, *order, **options)
    offset = views.offsets(num_frames, is_causal=is_causal)
    given = views.window(tracks, cell, offset)
    # Whatever surrounds it, the frame that is lifted is the view itself.
    tf.nest.map_structure(np.testing.assert_array_equal, given.view, view)
    index = int(np.flatnonzero(offset == 0)[0])
    np.testing.assert_array_equal(given.window_keypoints_2d[:, index], given.keypoints_2d)
    np.testing.assert_array_equal(given.window_confidence[:, index], given.confidence)
    confidence = given.window_confidence.numpy()[..., 0]
    assert set(np.unique(confidence)) <= {np.float32(0.0), np.float32(0.9)}
    return given.window_keypoints_2d.numpy()[:, :, 0, 0].astype(int).tolist(), confidence > 0


def test_a_window_has_the_frames_around_its_own():
    places, is_measured = windows([0] * 5, range(5))
    assert places == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 4]]
    assert is_measured.tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 0]]


def test_a_causal_window_ends_with_its_own_frame():
    places, is_measured = windows([0] * 4, range(4), is_causal=True)
    assert places == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]]
    assert is_measured.tolist() == [[0, 0, 1], [0, 1, 1], [1, 1, 1], [1, 1, 1]]


def test_the_order_of_the_views_and_repeated_views_do_not_matter():
    places, _ = windows([0, 0, 0, 0, 0], [3, 1, 2, 1, 4])
    assert places == [[2, 3, 4], [1, 1, 2], [1, 2, 3], [1, 1, 2], [3, 4, 4]]


def test_tracks_do_not_mix():
    places, _ = windows([0, 1, 0, 1, 2], [0, 0, 1, 1, 1])
    assert places == [[0, 0, 1], [1000, 1000, 1001], [0, 1, 1], [1000, 1001, 1001], [2001] * 3]


def test_a_missing_frame_repeats_the_one_before_unmeasured():
    places, is_measured = windows([0, 0, 0], [0, 1, 4], num_frames=5)
    # Around frame 1 are the frames -1 to 3, around frame 4 those from 2 to 6.
    assert places[1:] == [[0, 0, 1, 1, 1], [1, 1, 4, 4, 4]]
    assert is_measured[1:].tolist() == [[0, 1, 1, 0, 0], [0, 0, 1, 0, 0]]


@pytest.mark.parametrize("max_gap", [2, 0])
def test_a_longer_gap_ends_a_run(max_gap):
    frames = [0, 1, 2 + max_gap, 3 + max_gap, 6 + 2 * max_gap]
    places, _ = windows([0] * 5, frames, max_gap=max_gap)
    # After frame 1 the longest gap that is filled; before the last frame one more is missing.
    joined = [[0, 0, 1], [0, 1, 1 if max_gap else 2]]
    assert places[:2] == joined
    assert places[2][0] == 1
    assert places[3:] == [[2 + max_gap, 3 + max_gap, 3 + max_gap], [frames[4]] * 3]


def test_a_step_skips_frames_and_keeps_all_views():
    places, _ = windows([0] * 7, range(7), step=3)
    expected = [[0, 0, 3], [1, 1, 4], [2, 2, 5], [0, 3, 6], [1, 4, 4], [2, 5, 5], [3, 6, 6]]
    assert places == expected


def test_each_frame_keeps_the_camera_of_its_own_instant():
    view, *order = seen([0, 1, 0, 1], [0, 0, 1, 1])
    tracks, cell = views.lay(view, *order)
    np.testing.assert_array_equal(tf.gather(tracks.view.camera.center, cell)[:, 0], [0, 1, 0, 1])


def test_windows_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    track, frame = rng.integers(0, 4, 200), rng.integers(0, 60, 200)
    places, is_measured = windows(track, frame, num_frames=9, step=2, max_gap=3)
    known = {(t, f) for t, f in zip(track.tolist(), frame.tolist(), strict=True)}
    for row, (t, f) in enumerate(zip(track.tolist(), frame.tolist(), strict=True)):
        for index, wanted in enumerate(range(f - 8, f + 9, 2)):
            assert is_measured[row, index] <= ((t, wanted) in known)
            if is_measured[row, index]:
                assert places[row][index] == 1000 * t + wanted
        assert places[row] == sorted(places[row])


@pytest.mark.parametrize(("is_causal", "first", "last"), [(False, -13, 13), (True, -26, 0)])
def test_offsets_count_from_the_frame_that_is_lifted(is_causal, first, last):
    offset = views.offsets(27, is_causal=is_causal)
    np.testing.assert_array_equal(offset, np.arange(first, last + 1))
