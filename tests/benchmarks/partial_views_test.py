import numpy as np
import pytest
import tensorflow as tf

from benchmarks import partial_views, studio_model
from keras_mvlift import skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import residual
from tests import tiny_studio

JOINTS = skeletons.H36M_17.joints


@pytest.fixture(scope="module")
def view():
    columns = tiny_studio.prepare(tiny_studio.film_exactly()).test_views
    fields = ("keypoints_2d", "confidence", "intrinsics", "rotation", "center")
    keypoints_2d, confidence, *camera = (columns[name].astype(np.float32) for name in fields)
    return tf.nest.map_structure(
        tf.constant, views.View(keypoints_2d, confidence, cameras.Camera(*camera))
    )


@pytest.fixture(scope="module")
def lifter():
    return studio_model.build(studio_model.FINETUNE, width=16)


def test_in_training_alone_a_part_of_the_view_is_lifted(lifter, view, monkeypatch):
    seen, look = [], lifter.network_input
    monkeypatch.setattr(lifter, "network_input", lambda view: seen.append(view) or look(view))
    for training in (False, True):
        lifter(view, training=training)
    np.testing.assert_array_equal(seen[0].confidence, view.confidence)
    is_seen = np.asarray(view.confidence) > 0
    share = (seen[1].confidence.numpy()[is_seen] > 0).mean()
    assert 0.8 < share < 0.97


def test_cameras_are_rolled_in_training_alone_and_poses_turned_back(lifter, view, monkeypatch):
    angles = []
    rolled = partial_views.rolled

    def noted(seen, angle):
        angles.append(angle.numpy())
        return rolled(seen, angle)

    monkeypatch.setattr(partial_views, "rolled", noted)
    lifter(view, training=True)
    lifter.roll.assign(0.2)
    lifter(view, training=True)
    lifter(view, training=False)
    lifter.roll.assign(0.0)
    still, moved = angles
    assert (still == 0).all()
    assert 0.1 < moved.std() < 0.3


def test_a_rolled_camera_sees_the_same_points_in_its_own_axes(view):
    seen = residual.centered_input(view)
    angles = np.linspace(-100.0, 30.0, len(view.rays))
    rolled = partial_views.rolled(seen, tf.constant(np.radians(angles), tf.float32))
    points = np.concatenate([view.rays, np.ones((*view.rays.shape[:2], 1))], axis=-1)
    turned = np.einsum("bij,bkj->bki", rolled.turn, points)
    is_seen = (np.asarray(view.confidence) > 0)[..., np.newaxis]
    np.testing.assert_allclose(rolled.rays, is_seen * turned[..., :2] / turned[..., 2:], atol=1e-5)
    back = rolled.back(tf.constant(turned, tf.float32))
    np.testing.assert_allclose(back, points, atol=1e-5)
    np.testing.assert_array_equal(rolled.joints[:, -1], seen.joints[:, -1])
    scaled = rolled.joints[:, :-1] * tf.norm(seen.rays, axis=[1, 2], keepdims=True)
    size = tf.norm(seen.joints[:, :-1], axis=[1, 2], keepdims=True)
    np.testing.assert_allclose(scaled / size, rolled.rays, atol=1e-5)
    between = np.einsum("bij,bkj->bik", rolled.turn, seen.turn)
    angle = np.degrees(np.arctan2(between[:, 1, 0], between[:, 0, 0]))
    np.testing.assert_allclose(angle, angles, atol=1e-3)


def test_the_ears_middle_stands_for_the_head_where_all_is_seen(view):
    keypoints_2d = np.zeros((3, 17, 2), np.float32)
    head, nose, thorax = (JOINTS.index(joint) for joint in ("head", "nose", "thorax"))
    keypoints_2d[:, [head, nose, thorax]] = [[100.0, 100.0], [150.0, 150.0], [100.0, 300.0]]
    confidence = np.ones((3, 17), np.float32)
    confidence[1, nose] = 0.0
    given = views.View(tf.constant(keypoints_2d), tf.constant(confidence), view.camera)
    moved = partial_views.with_ears(given, tf.constant([True, True, False])).keypoints_2d.numpy()
    np.testing.assert_allclose(moved[0, head], [110.0, 154.0], atol=1e-3)
    moved[0, head] = keypoints_2d[0, head]
    np.testing.assert_array_equal(moved, keypoints_2d)
