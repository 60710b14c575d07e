import numpy as np
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import reprojection
from tests.losses import pairs


def spoiled():
    poses, pair = pairs.spoiled()
    return poses, tf.nest.map_structure(tf.constant, pair)


def slow_focal_length(*seen):
    lengths = [view.camera.intrinsics.numpy()[:, [0, 1], [0, 1]] for view in seen]
    return np.mean(lengths)


def test_the_names_are_those_that_a_config_may_name():
    assert tuple(reprojection.IMAGE_SPACES) == configs.IMAGE_SPACES


def test_pixels_are_left_as_they_are():
    _, pair = spoiled()
    assert all(new is old for new, old in zip(reprojection.in_pixels(*pair), pair, strict=True))


def test_errors_in_rays_are_those_between_rays_times_the_mean_focal_length():
    poses, pair = spoiled()
    converted = views.ViewPair(*reprojection.in_rays(*pair))
    focal = slow_focal_length(*pair)
    for pose, view, new in zip(poses, pair, converted, strict=True):
        expected = np.zeros(3)
        for row, joint in np.ndindex(3, 17):
            x, y, z = pose[row, joint]
            (fx, _, cx), (_, fy, cy), _ = view.camera.intrinsics[row].numpy()
            u, v = view.keypoints_2d[row, joint].numpy()
            error = np.hypot((u - cx) / fx - x / z, (v - cy) / fy - y / z)
            expected[row] += view.confidence[row, joint] * focal * error
        np.testing.assert_allclose(reprojection.error(pose, new, new.confidence), expected)


def test_extrinsics_confidences_and_rays_stay():
    _, pair = spoiled()
    for view, new in zip(pair, reprojection.in_rays(*pair), strict=True):
        assert new.camera.rotation is view.camera.rotation
        assert new.camera.center is view.camera.center
        assert new.confidence is view.confidence
        np.testing.assert_allclose(new.rays, view.rays, atol=1e-12)


def test_views_that_show_nothing_do_not_count():
    _, pair = spoiled()
    absent = pair.target._replace(
        confidence=tf.zeros_like(pair.target.confidence),
        camera=cameras.Camera(*(tf.zeros_like(field) for field in pair.target.camera)),
    )
    absent = absent._replace(
        camera=absent.camera._replace(intrinsics=tf.eye(3, batch_shape=[3], dtype=tf.float64))
    )
    first, _ = reprojection.in_rays(pair.source, absent)
    expected = slow_focal_length(pair.source)
    np.testing.assert_allclose(first.camera.intrinsics[:, 0, 0], expected)
    np.testing.assert_allclose(first.camera.intrinsics[:, 1, 1], expected)


def test_nothing_to_see_is_still_a_number():
    _, pair = spoiled()
    blind = pair.source._replace(confidence=tf.zeros_like(pair.source.confidence))
    (view,) = reprojection.in_rays(blind)
    assert all(np.isfinite(field).all() for field in tf.nest.flatten(view))
