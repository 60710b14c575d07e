import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import residual
from keras_mvlift.training import lifters, objectives

INTRINSICS = [[500.0, 0.0, 100.0], [0.0, 500.0, 50.0], [0.0, 0.0, 1.0]]


@pytest.fixture
def view():
    # One joint seen at (600, 300) by a lens twice as long as the mean one, one not seen.
    keypoints_2d = tf.constant([[[600.0, 300.0], [7.0, 7.0]]])
    long_lens = tf.constant([[[1000.0, 0.0, 100.0], [0.0, 1000.0, 50.0], [0.0, 0.0, 1.0]]])
    camera = cameras.Camera(long_lens, tf.eye(3)[tf.newaxis], tf.zeros([1, 3]))
    return views.View(keypoints_2d, tf.constant([[1.0, 0.0]]), camera)


def test_rays_remove_the_views_own_lens(view):
    # 500 px right and 250 px down of the principal point at a focal length of 1000 px.
    np.testing.assert_allclose(residual.input_by_name("rays")(view), [[[0.5, 0.25], [0.0, 0.0]]])


def test_screen_scales_all_cameras_alike(view):
    # 500 px right and 250 px down of the principal point at the mean focal length, 500 px.
    seen = residual.input_by_name("screen", INTRINSICS)(view)
    np.testing.assert_allclose(seen, [[[1.0, 0.5], [0.0, 0.0]]])


def test_screen_without_intrinsics_is_refused():
    with pytest.raises(ValueError, match="`intrinsics` must be given for the input 'screen'"):
        residual.input_by_name("screen")


@pytest.mark.parametrize(("name", "is_same"), [("rays", True), ("screen", False)])
def test_only_the_screen_input_depends_on_the_lens(name, is_same):
    config = configs.ModelConfig(
        backbone="res_linear", width=16, network_input=name, output_stddev=0.1
    )
    objective = objectives.TransformReprojection()
    lifter = lifters.build(config, objective, rig_distance=4.0, intrinsics=INTRINSICS)
    rays = np.random.default_rng(0).normal(0, 0.2, (1, 17, 2)).astype(np.float32)

    def pose(focal: float) -> np.ndarray:
        lens = tf.constant([[[focal, 0.0, 0.0], [0.0, focal, 0.0], [0.0, 0.0, 1.0]]])
        camera = cameras.Camera(lens, tf.eye(3)[tf.newaxis], tf.zeros([1, 3]))
        seen = views.View(tf.constant(rays * focal), tf.ones([1, 17]), camera)
        return lifter(seen).root_relative_pose.numpy()

    assert np.allclose(pose(500.0), pose(1500.0), atol=1e-4) == is_same
