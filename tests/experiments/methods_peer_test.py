import copy

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.experiments import methods, origins, peers
from keras_mvlift.metrics import baselines, pose_error
from tests.experiments import tiny_experiments


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


@pytest.fixture
def fitted(monkeypatch):
    """What would be trained, on what, is kept; nothing is."""
    calls = []

    def fit(model, config, source, *_):
        calls.append((model, next(iter(source.batches(config, 0, None)))))

    monkeypatch.setattr(methods, "fit", fit)
    return calls


def error(data, poses):
    return float(np.mean(pose_error.mpjpe(data.test.reference_pose, poses.astype(np.float32))))


def test_a_seed_gives_the_same_poses_and_another_seed_others(data, tmp_path):
    runs = [
        methods.supervised(tiny_experiments.cell(seed), data, methods.Watch(tmp_path / f"{number}"))
        for number, seed in enumerate((0, 0, 1))
    ]
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-6)
    assert np.abs(runs[0] - runs[2]).max() > 1e-4


@pytest.mark.parametrize("variant", peers.LABELINGS)
def test_pseudo_labels_are_triangulated_as_asked_from_what_was_seen(data, fitted, variant):
    options = (("labels", variant),)
    methods.from_pseudo_labels(tiny_experiments.cell(options=options), data, None)
    ((_, (_, pose, _)),) = fitted
    expected = peers.pseudo_labels(data.seen, variant, data.min_confidence).pose
    found = np.reshape(pose[0], (1, -1))
    assert np.abs(expected.reshape(len(expected), -1) - found).max(axis=1).min() == 0


def test_few_labels_are_few_and_beside_all_that_is_unlabeled(data, fitted):
    options = (("views", "all"), ("label_share", 0.05))
    methods.few_labels(tiny_experiments.cell(options=options), data, None)
    ((model, (seen, (view, pose, weight))),) = fitted
    assert isinstance(model, peers.SemiSupervisedLifter)
    assert seen.confidence.shape == (32, 4, 17)
    assert view.confidence.shape == weight.shape == (16, 17)
    # One in twenty of the labeled views.
    few = data.labeled.reference_pose[::20]
    assert all(np.abs(few - np.asarray(one)).max(axis=(1, 2)).min() == 0 for one in pose)


def test_no_clip_gives_both_views_and_unpaired_poses(data):
    labeled = data.labeled
    single_views, unpaired = methods.halves(labeled)
    is_seen = np.isin(labeled.clip, np.unique(labeled.clip)[::2])
    np.testing.assert_array_equal(single_views.keypoints_2d, labeled.view.keypoints_2d[is_seen])
    assert len(unpaired) == np.count_nonzero(~is_seen) > 0
    # Turned upright, joints are as far from the root as before.
    lengths, expected = (
        np.linalg.norm(poses, axis=-1) for poses in (unpaired, labeled.reference_pose[~is_seen])
    )
    np.testing.assert_allclose(lengths, expected, atol=1e-5)
    # Upright axes have z up: heads are above hips.
    assert (unpaired[:, 10, 2] > unpaired[:, 0, 2]).mean() > 0.9


def test_one_clip_cannot_be_parted(data):
    one = data.labeled._replace(clip=np.full_like(data.labeled.clip, "only"))
    with pytest.raises(ValueError, match="need two training clips or more"):
        methods.halves(one)


def test_supervised_training_weighs_every_joint(data, fitted):
    methods.supervised(tiny_experiments.cell(), data, None)
    ((model, (_, _, weight)),) = fitted
    assert isinstance(model, peers.SupervisedLifter)
    np.testing.assert_array_equal(weight, np.ones((32, 17)))


@pytest.mark.parametrize("options", [(), (("is_robust", True),)])
def test_triangulation_of_all_test_views_is_near_the_truth(data, options):
    poses = methods.from_all_test_views(tiny_experiments.cell(options=options), data, None)
    untrained = np.zeros_like(data.test.reference_pose)
    assert error(data, poses) < error(data, untrained) / 3


def test_robust_triangulation_is_another_one(data):
    plain, robust = (
        methods.from_all_test_views(tiny_experiments.cell(options=options), data, None)
        for options in ((), (("is_robust", True),))
    )
    assert np.abs(plain - robust).max() > 0.01


def test_triangulation_of_single_cameras_does_not_apply(data):
    alone = data.test._replace(instant=np.arange(len(data.test.instant)))
    single = type("Data", (), {"test": alone})
    with pytest.raises(origins.NotApplicableError, match="seen by several cameras"):
        methods.from_all_test_views(tiny_experiments.cell(), single, None)


def test_a_constant_pose_stands_still_in_the_world(data):
    cell = tiny_experiments.cell(method="constant_pose")
    poses = methods.constant_pose(cell, data, None)
    world = np.einsum("nji,nkj->nki", data.test.view.camera.rotation, poses)
    np.testing.assert_allclose(world, np.broadcast_to(world[0], world.shape), atol=1e-5)


def test_a_training_view_is_answered_with_its_own_pose(data):
    cell = tiny_experiments.cell(method="nearest_view")
    seen = data.seen
    own = copy.copy(data)
    own.test = data.test._replace(
        view=tf.nest.map_structure(lambda field: np.asarray(field)[:, 1], seen)
    )
    poses = methods.nearest_view(cell, own, None)
    points = baselines.triangulated_poses(seen, data.min_confidence)
    expected = baselines.in_camera_axes(points, own.test.view.camera.rotation)
    is_whole = np.isfinite(expected).all(axis=(1, 2))
    is_whole &= np.count_nonzero(own.test.view.confidence, axis=-1) == 17
    assert is_whole.sum() > 5
    np.testing.assert_allclose(poses[is_whole], expected[is_whole], atol=1e-5)
