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


@pytest.fixture(scope="module")
def clip():
    return tiny_studio.film_exactly()


@pytest.fixture(scope="module")
def seen(clip):
    """All views of 24 instants."""
    return tiny_studio.instants(clip)


@pytest.fixture(scope="module")
def true(clip, seen):
    """True root-relative poses in camera axes, `[T, V, J, 3]`."""
    offset = clip.pose_world - clip.pose_world[:, :1]
    return np.einsum("tvij,tkj->tvki", seen.camera.rotation, offset)


def edited(seen, **fields):
    return seen._replace(**fields)


def with_gross_errors(seen):
    """Moves joints 3 and 16 by 100 px, each in one view, with a confidence that hardly tells."""
    keypoints_2d, confidence = seen.keypoints_2d.copy(), seen.confidence.copy()
    confidence[confidence > 0] = 0.8
    for view, joint in ((0, 3), (2, 16)):
        keypoints_2d[:, view, joint] += [80.0, 60.0]
        confidence[:, view, joint] = 0.5
    return edited(seen, keypoints_2d=keypoints_2d, confidence=confidence)


def errors(labeled, true):
    """Distances where joints are known; every view must have a label."""
    distance = np.linalg.norm(labeled.pose.reshape(true.shape) - true, axis=-1)
    return np.where(labeled.weight.reshape(distance.shape) > 0, distance, np.nan)


def test_exact_detections_give_true_poses(seen, true):
    labeled = peers.pseudo_labels(seen)
    assert len(labeled.pose) == true.shape[0] * true.shape[1]
    assert labeled.weight.mean() > 0.9
    assert np.nanmax(errors(labeled, true)) < 2e-3
    np.testing.assert_array_equal(labeled.pose[:, 0], 0)


def test_gross_detections_do_little_harm(seen, true):
    spoiled = with_gross_errors(seen)
    assert np.nanmean(errors(peers.pseudo_labels(spoiled), true)[:, :, [3, 16]]) < 0.01


def test_a_joint_that_one_camera_saw_has_no_weight_and_no_place(seen):
    confidence = seen.confidence.copy()
    confidence[:, 1:, 5] = 0
    labeled = peers.pseudo_labels(edited(seen, confidence=confidence))
    assert (labeled.weight[:, 5] == 0).all()
    np.testing.assert_array_equal(labeled.pose[:, 5], 0)
    assert labeled.weight[:, 0].all()


def test_an_instant_whose_root_is_not_known_has_no_labels(seen):
    confidence = seen.confidence.copy()
    confidence[3, 1:, 0] = 0
    labeled = peers.pseudo_labels(edited(seen, confidence=confidence))
    assert len(labeled.pose) == 4 * (len(confidence) - 1)
    kept = np.delete(seen.keypoints_2d, 3, axis=0).reshape(-1, 17, 2)
    np.testing.assert_array_equal(labeled.view.keypoints_2d, kept)


def test_a_view_that_shows_too_few_joints_has_no_label(seen):
    confidence = seen.confidence.copy()
    confidence[:, 2, 5:] = 0
    labeled = peers.pseudo_labels(edited(seen, confidence=confidence))
    assert len(labeled.pose) == 3 * len(confidence)
    assert (np.count_nonzero(labeled.view.confidence, axis=-1) >= 8).all()


def test_detections_that_are_not_sure_enough_are_left_out(seen, true):
    keypoints_2d, confidence = seen.keypoints_2d.copy(), np.ones_like(seen.confidence)
    keypoints_2d[:, 1] += 300.0
    confidence[:, 1] = 0.29
    spoiled = edited(seen, keypoints_2d=keypoints_2d, confidence=confidence)
    labeled = peers.pseudo_labels(spoiled, min_confidence=0.3)
    # They still are views to lift from.
    assert len(labeled.pose) == true.shape[0] * true.shape[1]
    assert np.nanmax(errors(labeled, true)) < 5e-3
