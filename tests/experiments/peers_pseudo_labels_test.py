import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, sequences
from keras_mvlift.experiments import peers
from tests import tiny_studio

EVERYTHING = preparation.BySubject(test_subjects=())
VARIANTS = [*peers.LABELINGS]


@pytest.fixture(scope="module")
def clip():
    return tiny_studio.film_exactly()


@pytest.fixture(scope="module")
def seen(clip):
    """All views of 24 instants."""
    config = configs.DataConfig(source="studio")
    return sequences.to_view(preparation.training_instants(clip, EVERYTHING, config))


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


@pytest.mark.parametrize("variant", VARIANTS)
def test_exact_detections_give_true_poses(seen, true, variant):
    labeled = peers.pseudo_labels(seen, variant)
    assert len(labeled.pose) == true.shape[0] * true.shape[1]
    assert labeled.weight.mean() > 0.9
    assert np.nanmax(errors(labeled, true)) < 2e-3
    np.testing.assert_array_equal(labeled.pose[:, 0], 0)


def test_each_variant_bears_gross_detections_better_than_the_one_before(seen, true):
    spoiled = with_gross_errors(seen)
    plain, weighted, robust = (
        np.nanmean(errors(peers.pseudo_labels(spoiled, variant), true)[:, :, [3, 16]])
        for variant in VARIANTS
    )
    assert robust < 0.2 * weighted
    assert weighted < 0.9 * plain


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
    labeled = peers.pseudo_labels(spoiled, "plain", min_confidence=0.3)
    # They still are views to lift from.
    assert len(labeled.pose) == true.shape[0] * true.shape[1]
    assert np.nanmax(errors(labeled, true)) < 5e-3


def test_batches_of_instants_are_joined(seen, monkeypatch):
    expected = peers.pseudo_labels(seen, "robust")
    monkeypatch.setattr(peers, "_BATCH_SIZE", 7)
    labeled = peers.pseudo_labels(seen, "robust")
    np.testing.assert_allclose(labeled.pose, expected.pose, atol=1e-5)


def test_some_labels_can_be_taken(seen):
    labeled = peers.pseudo_labels(seen)
    few = labeled.select(np.array([5, 2]))
    np.testing.assert_array_equal(few.pose, labeled.pose[[5, 2]])
    np.testing.assert_array_equal(few.view.camera.center, labeled.view.camera.center[[5, 2]])


def test_an_unknown_variant_is_refused_by_name(seen):
    with pytest.raises(ValueError, match=r"`variant` must be one of plain.*'best'"):
        peers.pseudo_labels(seen, "best")


def test_training_brings_the_lifted_pose_nearer_to_the_labels(seen, tmp_path):
    keras.utils.set_random_seed(0)
    lifter = tiny_studio.lifter()
    labeled = peers.pseudo_labels(seen)

    def error():
        pose = lifter(tf.nest.map_structure(tf.constant, labeled.view)).root_relative_pose
        return np.abs(pose - labeled.pose)[labeled.weight > 0].mean()

    before = error()
    student, values = peers.SupervisedLifter(lifter), tuple(labeled)
    tiny_studio.run_rows(student, tmp_path, values, 30, num_epochs=6, decay_every=0)
    assert error() < 0.7 * before
