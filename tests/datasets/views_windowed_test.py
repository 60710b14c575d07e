import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras

LENS = np.array([[1000, 0, 500], [0, 500, 400], [0, 0, 1]], np.float32)


def windowed():
    # Three frames of two joints: in the middle the second is not seen, the last is a repetition.
    window = [[[600, 500], [400, 900]], [[700, 400], [0, 0]], [[700, 400], [0, 0]]]
    confidence = [[0.5, 0.6], [0.7, 0.0], [0.0, 0.0]]
    camera = cameras.Camera(tf.constant([LENS]), tf.eye(3)[tf.newaxis], tf.zeros([1, 3]))
    keypoints_2d, seen = tf.constant([window], tf.float32), tf.constant([confidence])
    return views.WindowedView(keypoints_2d[:, 1], seen[:, 1], camera, keypoints_2d, seen)


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
