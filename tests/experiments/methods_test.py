import copy
import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import methods, origins, peers, variants
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines, pose_error
from keras_mvlift.networks import residual
from keras_mvlift.training import batches, lifters, multi_view_lifter, objectives, stages
from tests.experiments import tiny_experiments

TRAINED = {
    "pseudo_labels": {},
    "adversarial": {"critic_weight": 30.0, "num_critic_steps": 1},
}


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


def lifted(method, data, folder):
    watch = methods.Watch(folder)
    return methods.METHODS[method](methods.Run(tiny_experiments.cell(), data, watch)), watch


# What several tests look at: poses, and the watch of two epochs.


@pytest.fixture(scope="module")
def plain(data, tmp_path_factory):
    return lifted("self_supervised", data, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def supervised(data, tmp_path_factory):
    return lifted("supervised", data, tmp_path_factory.mktemp("supervised"))


@pytest.mark.parametrize("name", ["plain", "supervised"])
def test_two_epochs_lift_every_test_view_and_lower_the_loss(data, name, request):
    poses, watch = request.getfixturevalue(name)
    assert poses.shape == data.test.reference_pose.shape
    assert [entry["epoch"] for entry in watch.curve] == [1, 2]
    assert watch.curve[1]["loss"] < watch.curve[0]["loss"]


# The temporal one needs windows, and has tests of its own.
OTHERS = {*methods.METHODS} - {"temporal", "self_supervised", "supervised"}


@pytest.mark.parametrize("method", sorted(OTHERS))
def test_a_method_lifts_every_test_view_and_tells_its_epochs(data, method, tmp_path):
    watch = methods.Watch(tmp_path)
    options = tuple(TRAINED.get(method, {}).items())
    poses = methods.METHODS[method](
        methods.Run(tiny_experiments.cell(method=method, options=options), data, watch)
    )
    assert poses.shape == data.test.reference_pose.shape
    assert [entry["epoch"] for entry in watch.curve] == ([1, 2] if method in TRAINED else [])


def off_by(data, monkeypatch, limit):
    """Measures a lifter whose poses are true but for 0.1 m at one of 17 joints."""
    monkeypatch.setattr(training_data, "NUM_WATCHED", limit)
    logs, seen = {"loss": np.float32(2.5)}, []

    def lifter(view, training):
        assert not training
        seen.append(len(view.confidence))
        pose = callback.pose_true.numpy()
        pose[:, 3, 0] += 0.1
        return objectives.Lifted(pose, None)

    callback = methods.EpochCurve(lifter, data.test)
    callback.on_epoch_end(4, logs)
    return logs, seen


@pytest.mark.parametrize("limit", [7, 10**6])
def test_an_epoch_is_measured_on_no_more_views_than_wanted(monkeypatch, limit):
    data = tiny_experiments.data()
    logs, seen = off_by(data, monkeypatch, limit)
    assert logs == {"loss": 2.5, methods.ERROR: pytest.approx(100 / 17, rel=1e-4)}
    assert seen == [min(limit, len(data.test.frame))]


ALL_VIEWS = (("views", "all"),)


def test_training_on_all_views_lowers_the_loss(data, tmp_path):
    watch = methods.Watch(tmp_path)
    methods.self_supervised(methods.Run(tiny_experiments.cell(options=ALL_VIEWS), data, watch))
    curve = watch.curve
    assert curve[1]["loss"] < curve[0]["loss"]


@pytest.mark.parametrize("recipe", ["paper", "solved_root"])
def test_pretraining_comes_first_where_it_is_needed_and_not_refused(data, recipe, monkeypatch):
    stages = []
    monkeypatch.setattr(
        methods, "fit", lambda *arguments: stages.append(type(arguments[1]).__name__)
    )
    for given in (True, False):
        cell = tiny_experiments.cell(recipe=recipe, is_pretrained=given)
        methods.self_supervised(methods.Run(cell, data, None))
    both, one = ["PretrainConfig", "FinetuneConfig"], ["FinetuneConfig"]
    assert stages == (both if recipe == "paper" else one) + one


def test_instants_come_twice_as_many_as_pairs_and_with_two_usable_views_or_more(data):
    config = methods.finetune_config(tiny_experiments.cell(options=ALL_VIEWS))
    seen = next(iter(methods.source_of(config, data).batches(config, 0, None)))
    assert seen.confidence.shape == (32, 4, 17)
    usable = np.count_nonzero(seen.confidence > 0, axis=-1) >= 8
    assert (usable.sum(axis=-1) >= 2).all()


def test_switches_of_the_stage_reach_the_lifter(data):
    options = (*ALL_VIEWS, ("flip_augmentation", True))
    cell = tiny_experiments.cell(options=options)
    lifter = methods.build(methods.Run(cell, data, None), methods.finetune_config(cell))
    assert isinstance(lifter, multi_view_lifter.InstantLifter)
    (change,) = lifter.changes
    assert isinstance(change, batches.Mirroring)


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


def test_a_seed_gives_the_same_poses_and_another_seed_others(data, supervised, tmp_path):
    same, other = (
        methods.supervised(
            methods.Run(tiny_experiments.cell(seed), data, methods.Watch(tmp_path / f"{seed}"))
        )
        for seed in range(2)
    )
    np.testing.assert_allclose(same, supervised[0], atol=1e-6)
    assert np.abs(other - same).max() > 1e-4


def test_pseudo_labels_are_triangulated_from_what_was_seen(data, fitted):
    methods.from_pseudo_labels(methods.Run(tiny_experiments.cell(), data, None))
    ((_, (_, pose, _)),) = fitted
    expected = peers.pseudo_labels(data.seen, data.min_confidence).pose
    found = np.reshape(pose[0], (1, -1))
    assert np.abs(expected.reshape(len(expected), -1) - found).max(axis=1).min() == 0


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
    with pytest.raises(ValueError, match="be of two training clips or more"):
        methods.halves(one)


def test_supervised_training_weighs_every_joint(data, fitted):
    methods.supervised(methods.Run(tiny_experiments.cell(), data, None))
    ((model, (_, _, weight)),) = fitted
    assert isinstance(model, peers.SupervisedLifter)
    np.testing.assert_array_equal(weight, np.ones((32, 17)))


def test_triangulation_of_all_test_views_is_near_the_truth(data):
    poses = methods.from_all_test_views(methods.Run(tiny_experiments.cell(), data, None))
    untrained = np.zeros_like(data.test.reference_pose)
    assert error(data, poses) < error(data, untrained) / 3


def test_triangulation_of_single_cameras_does_not_apply(data):
    alone = data.test._replace(instant=np.arange(len(data.test.instant)))
    single = type("Data", (), {"test": alone})
    with pytest.raises(origins.NotApplicableError, match="seen by several cameras"):
        methods.from_all_test_views(methods.Run(tiny_experiments.cell(), single, None))


def test_a_constant_pose_stands_still_in_the_world(data):
    cell = tiny_experiments.cell(method="constant_pose")
    poses = methods.constant_pose(methods.Run(cell, data, None))
    world = np.einsum("nji,nkj->nki", data.test.view.camera.rotation, poses)
    np.testing.assert_allclose(world, np.broadcast_to(world[0], world.shape), atol=1e-5)


def test_the_shipped_model_lifts_the_test_views_by_their_own_cameras(data):
    poses = methods.shipped(methods.Run(tiny_experiments.cell(method="shipped"), data, None))
    assert poses.shape == data.test.reference_pose.shape
    error = np.linalg.norm(poses - data.test.reference_pose, axis=-1).mean()
    assert error < 0.15


def test_a_training_view_is_answered_with_its_own_pose(data):
    cell = tiny_experiments.cell(method="nearest_view")
    seen = data.seen
    own = copy.copy(data)
    own.test = data.test._replace(
        view=tf.nest.map_structure(lambda field: np.asarray(field)[:, 1], seen)
    )
    poses = methods.nearest_view(methods.Run(cell, own, None))
    points = baselines.triangulated_poses(seen, data.min_confidence)
    expected = cameras.rotate(points, own.test.view.camera.rotation)
    is_whole = np.isfinite(expected).all(axis=(1, 2))
    is_whole &= np.count_nonzero(own.test.view.confidence, axis=-1) == 17
    assert is_whole.sum() > 5
    np.testing.assert_allclose(poses[is_whole], expected[is_whole], atol=1e-5)


BUDGET = dataclasses.replace(tiny_experiments.BUDGET, filter_widths=(3, 3))


@pytest.fixture(scope="module")
def between():
    return tiny_experiments.data(has_frames_between=True, num_virtual_views=2)


def cell(**changes):
    variant = variants.Variant(method="temporal", backbone="temporal_dilated", **changes)
    return variants.Cell(variant=variant, budget=BUDGET, seed=0)


def test_every_test_view_is_lifted_and_the_loss_falls(between, tmp_path):
    watch = methods.Watch(tmp_path)
    longer = dataclasses.replace(cell(), budget=dataclasses.replace(BUDGET, num_epochs=5))
    poses = methods.self_supervised_by_windows(methods.Run(longer, between, watch))
    assert poses.shape == between.test.reference_pose.shape
    assert np.isfinite(poses).all()
    assert watch.curve[-1]["loss"] < watch.curve[0]["loss"]


def test_the_budget_says_how_long_windows_are_and_the_option_where_they_end(
    between, fitted, monkeypatch
):
    asked = []
    windowed = training_data.WindowedData

    def made(data, windows):
        asked.append(windows)
        return windowed(data, windows)

    monkeypatch.setattr(training_data, "WindowedData", made)
    for options in ((("is_causal", True),), ()):
        methods.self_supervised_by_windows(methods.Run(cell(options=options), between, None))
    causal, plain = asked
    assert causal == (9, True, 1, causal.max_gap)
    assert plain.is_causal is False


def test_settings_of_the_variant_reach_the_stage():
    options = (("transform_weight", 0.25), ("confidence_weighting", "product"))
    cell = tiny_experiments.cell(7, options=(*options, ("distance", "squared_norm")))
    config = methods.finetune_config(cell)
    assert (config.transform_weight, config.confidence_weighting) == (0.25, "product")
    assert (config.distance, config.seed, config.batch_size) == ("squared_norm", 7, 16)


def test_options_go_to_stage_and_networks_where_they_know_them_and_else_to_the_method():
    options = (("views", "all"), ("triangulation_weight", 0.3), ("is_causal", True))
    cell = tiny_experiments.cell(options=(*options, ("network_input", "centered")))
    config = methods.finetune_config(cell)
    assert (config.views, config.triangulation_weight) == ("all", 0.3)
    assert methods.method_options(cell) == {"is_causal": True}
    lifter = methods.build(methods.Run(cell, tiny_experiments.data(), None), config)
    assert lifter.network_input is residual.centered_input


def test_averaged_weights_are_those_that_are_measured(data, plain, tmp_path):
    cell = tiny_experiments.cell(options=(("weight_averaging", 0.99),))
    averaged = methods.self_supervised(methods.Run(cell, data, methods.Watch(tmp_path)))
    assert np.isfinite(averaged).all()
    assert np.abs(averaged - plain[0]).max() > 1e-5


def test_a_loss_that_is_no_number_leaves_the_curve_of_the_epochs_before(data, plain, tmp_path):
    shutil.copytree(plain[1].folder, tmp_path, dirs_exist_ok=True)
    spoiled, watch = copy.copy(data), methods.Watch(tmp_path)
    spoiled.seen = data.seen._replace(keypoints_2d=np.nan * data.seen.keypoints_2d)
    cell = tiny_experiments.cell(options=(("num_epochs", 3),))
    config = methods.finetune_config(cell)
    lifter = methods.build(methods.Run(cell, data, None), config)
    with pytest.raises(stages.NonFiniteLossError):
        methods.fit(lifter, config, spoiled.pair_source(), methods.Run(cell, data, watch))
    assert [entry["epoch"] for entry in watch.curve] == [1, 2]


def test_layers_reckon_in_the_precision_of_the_budget(data):
    budget = dataclasses.replace(tiny_experiments.BUDGET, precision="mixed_bfloat16")
    cell = dataclasses.replace(tiny_experiments.cell(), budget=budget)
    config = methods.finetune_config(cell)
    lifter = methods.build(methods.Run(cell, data, None), config)
    assert config.precision == "mixed_bfloat16"
    assert "bfloat16" in {layer.compute_dtype for layer in lifter.lifting_network.layers}


def test_pretraining_leaves_its_weights_in_the_lifter(data, tmp_path):
    cell = tiny_experiments.cell(recipe="paper")
    lifter = methods.build(methods.Run(cell, data, None), methods.finetune_config(cell))
    before = [weight.numpy() for weight in lifters.weights_of(lifter)]
    watch = methods.Watch(tmp_path)
    methods.pretrain(lifter, methods.Run(cell, data, watch))
    after = [weight.numpy() for weight in lifters.weights_of(lifter)]
    assert [entry["stage"] for entry in watch.curve] == ["pretrain"]
    assert any(np.abs(old - new).max() > 1e-4 for old, new in zip(before, after, strict=True))
