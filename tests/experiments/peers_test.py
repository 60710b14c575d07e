import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.experiments import peers
from keras_mvlift.geometry import cameras
from keras_mvlift.training import lifters, multi_view_lifter, objectives
from tests import tiny_studio

NUM_VIEWS = 64
INTRINSICS = np.array([[1000, 0, 500], [0, 1000, 500], [0, 0, 1]], np.float32)


@pytest.fixture
def lifter() -> multi_view_lifter.MultiViewLifter:
    config = configs.ModelConfig(backbone="res_linear", width=16, dropout=0.0)
    return lifters.build(config, objectives.TransformReprojection(), rig_distance=4.0)


@pytest.fixture
def labeled() -> tuple[views.View, tf.Tensor]:
    rng = np.random.default_rng(0)
    keypoints_2d = rng.uniform(0, 1000, (NUM_VIEWS, 17, 2)).astype(np.float32)
    camera = cameras.Camera(
        np.tile(INTRINSICS, (NUM_VIEWS, 1, 1)),
        np.tile(np.eye(3, dtype=np.float32), (NUM_VIEWS, 1, 1)),
        np.zeros((NUM_VIEWS, 3), np.float32),
    )
    confidence = np.ones((NUM_VIEWS, 17), np.float32)
    pose = rng.normal(0, 0.3, (NUM_VIEWS, 17, 3)).astype(np.float32)
    view = tf.nest.map_structure(tf.constant, views.View(keypoints_2d, confidence, camera))
    return view, tf.constant(pose - pose[:, :1])


def test_labels_bring_the_lifted_pose_nearer_to_them(lifter, labeled, tmp_path):
    keras.utils.set_random_seed(0)
    view, pose = labeled

    def error() -> float:
        return float(tf.reduce_mean(tf.abs(lifter(view).root_relative_pose - pose)))

    before = error()
    model = peers.SupervisedLifter(lifter)
    tiny_studio.run_rows(model, tmp_path, labeled, 40, num_epochs=10, decay_every=0)
    assert error() < 0.7 * before


def test_the_root_network_is_left_alone(lifter, labeled, tmp_path):
    lifter(labeled[0])
    before = [weight.numpy() for weight in lifter.root_network.trainable_variables]
    tiny_studio.run_rows(peers.SupervisedLifter(lifter), tmp_path, labeled, 2, num_epochs=1)
    after = lifter.root_network.trainable_variables
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def test_a_joint_of_weight_zero_teaches_nothing(labeled, tmp_path):
    view, pose = labeled
    weight = np.ones((NUM_VIEWS, 17), np.float32)
    weight[:, 5] = 0.0
    spoiled = pose.numpy()
    spoiled[:, 5] = 1000.0
    trained = []
    for name, target in (("true", pose), ("spoiled", tf.constant(spoiled))):
        keras.utils.set_random_seed(0)
        model = lifters.build(
            configs.ModelConfig(backbone="res_linear", width=16, dropout=0.0),
            objectives.TransformReprojection(),
            rig_distance=4.0,
        )
        values = (view, target, weight)
        student = peers.SupervisedLifter(model)
        tiny_studio.run_rows(student, tmp_path / name, values, 2, num_epochs=1)
        trained.append(model(view).root_relative_pose.numpy())
    np.testing.assert_array_equal(*trained)


def test_the_loss_is_the_weighted_sum_of_lengths():
    # Joint 0 is off by (3, 4, 0), joint 1 by (0, 0, 2): 0.5 * 5 + 2 * 2.
    pose = tf.constant([[[3.0, 4, 0], [0, 0, 2]]])
    loss = peers.pose_loss(pose, tf.zeros_like(pose), tf.constant([[0.5, 2.0]]))
    np.testing.assert_allclose(loss, [6.5])
    np.testing.assert_allclose(peers.pose_loss(pose, tf.zeros_like(pose)), [7.0])
