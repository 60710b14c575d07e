import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from tests import random_scenes


def view(*batch, seed=0):
    rng = np.random.default_rng(seed)
    keypoints_2d = rng.uniform(0, 1000, (*batch, 17, 2))
    confidence = rng.uniform(0.1, 1, (*batch, 17))
    return views.View(keypoints_2d, confidence, random_scenes.camera(rng, *batch))


LENS = np.array([[1000, 0, 500], [0, 500, 400], [0, 0, 1]], np.float32)


def windowed():
    # Three frames of two joints: in the middle the second is not seen, the last is a repetition.
    window = [[[600, 500], [400, 900]], [[700, 400], [0, 0]], [[700, 400], [0, 0]]]
    confidence = [[0.5, 0.6], [0.7, 0.0], [0.0, 0.0]]
    camera = cameras.Camera(tf.constant([LENS]), tf.eye(3)[tf.newaxis], tf.zeros([1, 3]))
    keypoints_2d, seen = tf.constant([window], tf.float32), tf.constant([confidence])
    return views.WindowedView(keypoints_2d[:, 1], seen[:, 1], camera, keypoints_2d, seen)


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


def test_rays_golden():
    # (445 - 320) / 500 and (490 - 240) / 500; a joint not seen has no ray.
    intrinsics = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
    camera = random_scenes.camera(np.random.default_rng(0))._replace(intrinsics=intrinsics)
    seen = views.View(np.array([[445.0, 490.0], [0.0, 0.0]]), np.array([0.1, 0.0]), camera)
    np.testing.assert_allclose(seen.rays, [[0.25, 0.5], [0, 0]])


def test_rays_of_any_batch_are_those_of_single_views():
    for batch in ((), (1,), (17,), (2, 3), (0,)):
        many = view(*batch)
        assert many.rays.shape == (*batch, 17, 2)
        for index in np.ndindex(batch):
            camera = random_scenes.one(many.camera, index)
            single = views.View(many.keypoints_2d[index], many.confidence[index], camera)
            np.testing.assert_allclose(many.rays[index], single.rays)


def test_a_swapped_pair_is_the_pair_from_the_other_side():
    pair = views.ViewPair(view(seed=0), view(seed=1))
    assert pair.swapped.source is pair.target
    assert pair.swapped.target is pair.source


def test_views_go_through_tf_functions_and_data_as_they_are():
    many = view(6)
    batches = list(tf.data.Dataset.from_tensor_slices(many).batch(4))
    assert [type(batch) for batch in batches] == [views.View, views.View]
    rays = tf.concat([tf.function(lambda seen: seen.rays)(batch) for batch in batches], axis=0)
    np.testing.assert_allclose(rays, many.rays)


def test_rays_are_those_of_the_frame_that_is_lifted():
    # 200 px right of the principal point, at a focal length of 1000 px.
    np.testing.assert_allclose(windowed().rays, [[[0.2, 0.0], [0.0, 0.0]]], atol=1e-6)
    assert isinstance(windowed().view, views.View)
    np.testing.assert_array_equal(windowed().view.rays, windowed().rays)


def test_window_rays_are_those_of_all_frames_repetitions_too():
    expected = [[[0.1, 0.2], [-0.1, 1.0]], [[0.2, 0.0], [0.0, 0.0]], [[0.2, 0.0], [0.0, 0.0]]]
    np.testing.assert_allclose(windowed().window_rays, [expected], atol=1e-6)


def test_any_leading_axes_are_possible():
    given = windowed()
    none = tf.nest.map_structure(lambda field: field[0], given)
    two = tf.nest.map_structure(lambda field: tf.stack([field, field], axis=1), given)
    np.testing.assert_array_equal(none.window_rays, given.window_rays[0])
    np.testing.assert_array_equal(two.window_rays[:, 1], given.window_rays)


def test_a_pair_of_them_is_swapped_and_split_like_a_pair_of_views():
    pair = views.ViewPair(windowed(), tf.nest.map_structure(lambda field: 2 * field, windowed()))
    np.testing.assert_array_equal(
        pair.swapped.source.window_confidence, 2 * windowed().window_confidence
    )
    both = tf.nest.map_structure(lambda *sides: tf.concat(sides, axis=0), *pair)
    assert isinstance(both, views.WindowedView)
    assert both.window_keypoints_2d.shape == (2, 3, 2, 2)


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
