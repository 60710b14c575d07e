import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, sequences, views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import reprojection
from keras_mvlift.training import augmentation, multi_view_lifter, objectives, stages
from tests import tiny_studio

EVERYTHING = preparation.BySubject(test_subjects=())


def lifter(objective=None, **settings):
    objective = objective or objectives.AllViewsReprojection()
    return tiny_studio.lifter(
        objective=objective, model=multi_view_lifter.InstantLifter, **settings
    )


def switched(**changes):
    """Builds a model as a stage with these switches does."""
    config = configs.FinetuneConfig(views="all", **changes)
    return tiny_studio.lifter(
        objective=stages.objective(config, "solved_root"), model=stages.model(config)
    )


@pytest.fixture(scope="module")
def clip():
    return tiny_studio.film_exactly()


@pytest.fixture(scope="module")
def seen(clip):
    """All views of 24 instants."""
    view = sequences.to_view(
        preparation.training_instants(clip, EVERYTHING, configs.DataConfig(source="studio"))
    )
    return tf.nest.map_structure(tf.constant, view)


def first_of(seen, view):
    return tf.nest.map_structure(lambda field: field[:, view], seen)


def hidden(seen, view):
    confidence = seen.confidence.numpy()
    confidence[:, view] = 0
    return seen._replace(confidence=tf.constant(confidence))


def test_fit_lowers_the_loss(seen):
    model = lifter(dropout=0.1)
    model.compile(keras.optimizers.legacy.Adam(1e-2))
    batches = tf.data.Dataset.from_tensors(seen).repeat()
    losses = model.fit(batches, steps_per_epoch=5, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_two_views_are_the_pair_of_recipe_solved_root(seen):
    # The most confident view is lifted: here the first, as the other is made less sure.
    two = tf.nest.map_structure(lambda field: field[:, :2], seen)
    two = two._replace(confidence=two.confidence * tf.constant([1.0, 0.5])[:, tf.newaxis])
    model = lifter(objectives.AllViewsReprojection(confidence_weighting="source"))
    pair = views.ViewPair(first_of(two, 0), first_of(two, 1))
    pose, _ = multi_view_lifter.solved_root(model(pair.source), pair.source, two)
    expected = objectives.TransformReprojection()((pose, pose), pair)
    losses = model.losses_of(two, training=False)
    own = tf.reduce_mean(reprojection.error(pose, pair.source, pair.source.confidence))
    moved = cameras.target_from_source(pose, pair.source.camera, pair.target.camera)
    weights = reprojection.weight_by_source(pair.source.confidence, pair.target.confidence)
    other = tf.reduce_mean(reprojection.error(moved, pair.target, weights))
    assert set(losses) == {*expected, "root"}
    np.testing.assert_allclose(losses["reprojection"], own, rtol=1e-4)
    np.testing.assert_allclose(losses["transform_reprojection"], other, rtol=1e-4)


def test_the_weight_of_other_views_scales_their_part_alone(seen):
    plain, doubled = (
        lifter(objectives.AllViewsReprojection(transform_weight=weight)).losses_of(seen, False)
        for weight in (1.0, 2.0)
    )
    np.testing.assert_allclose(doubled["reprojection"], plain["reprojection"], rtol=1e-5)
    twice = 2 * plain["transform_reprojection"]
    np.testing.assert_allclose(doubled["transform_reprojection"], twice, rtol=1e-5)


def test_a_view_that_an_instant_lacks_changes_nothing(clip, seen):
    training = preparation.training_instants(clip, EVERYTHING, configs.DataConfig(source="studio"))
    filled = tf.nest.map_structure(tf.constant, sequences.to_view(training, num_views=6))
    assert filled.confidence.shape[1] == 6
    model = lifter()
    expected, losses = (model.losses_of(batch, training=False) for batch in (seen, filled))
    for name, loss in losses.items():
        np.testing.assert_allclose(loss, expected[name], rtol=1e-5)


def test_views_that_show_too_few_joints_are_not_lifted_from(seen):
    model = lifter()
    blind = hidden(hidden(seen, 0), 2).confidence
    drawn = np.concatenate([model._draw(blind).numpy() for _ in range(20)])
    assert set(drawn) == {1, 3}
    assert 0.4 < np.mean(drawn == 1) < 0.6


def test_eight_joints_are_enough_to_lift_from_and_seven_are_not(seen):
    confidence = np.zeros(seen.confidence.shape, np.float32)
    confidence[:, 1, :8] = 0.01
    confidence[:, 2, :7] = 0.99
    model = lifter()
    drawn = np.concatenate([model._draw(tf.constant(confidence)).numpy() for _ in range(20)])
    assert set(drawn) == {1}
    confidence[:, 2, 7] = 0.99
    drawn = np.concatenate([model._draw(tf.constant(confidence)).numpy() for _ in range(20)])
    assert set(drawn) == {1, 2}


def test_a_seed_decides_what_is_drawn(seen):
    def draws(seed):
        model = lifter()
        model.generator.reset_from_seed(seed)
        return model._draw(seen.confidence).numpy()

    np.testing.assert_array_equal(draws(1), draws(1))
    assert (draws(1) != draws(2)).any()


def test_the_first_step_has_finite_gradients(seen):
    model = lifter()
    with tf.GradientTape() as tape:
        loss = tf.add_n(list(model.losses_of(seen, training=True).values()))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert sum(np.abs(gradient).sum() for gradient in gradients) > 0


EVERY_SWITCH = {"flip_augmentation": True, "triangulation_weight": 0.5}


def test_with_every_switch_the_first_step_has_finite_gradients(seen):
    model = switched(**EVERY_SWITCH)
    with tf.GradientTape() as tape:
        losses = model.losses_of(seen, training=True)
        loss = tf.add_n(list(losses.values()))
    assert set(losses) | {"loss"} == set(model.loss_means)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_half_of_the_instants_are_mirrored_in_training_alone(seen, monkeypatch):
    marked = []

    def note(is_mirrored, instants):
        marked.append(is_mirrored.numpy())
        return instants

    monkeypatch.setattr(augmentation, "mirrored_where", note)
    model = switched(flip_augmentation=True)
    model.losses_of(seen, training=False)
    assert not marked
    for _ in range(8):
        model.losses_of(seen, training=True)
    assert 0.4 < np.mean(marked) < 0.6
    assert 0 < np.mean(marked[0]) < 1


def test_an_untrained_model_has_the_same_loss_of_mirrored_instants(seen):
    model = switched()
    mirrored = augmentation.mirrored(seen)
    # All its poses are points, nearly, and so are their mirror images.
    expected, losses = (model.losses_of(batch, training=False) for batch in (seen, mirrored))
    np.testing.assert_allclose(losses["reprojection"], expected["reprojection"], rtol=0.02)


@pytest.mark.parametrize("flip", [False, True])
def test_what_views_agree_on_may_be_found_beforehand(seen, flip):
    changes = {"triangulation_weight": 1.0, "flip_augmentation": flip}
    known = tf.nest.map_structure(tf.constant, objectives.agreed_beforehand(seen))
    first, second = (switched(**changes).losses_of(batch, training=True) for batch in (seen, known))
    for name, loss in first.items():
        np.testing.assert_allclose(second[name], loss, rtol=1e-3, err_msg=name)
    assert second["triangulation"] > 0


def test_the_triangulated_pose_alone_teaches_both_networks(seen):
    alone = switched(triangulation_weight=1.0, reprojection_weight=0.0)
    both = switched(triangulation_weight=1.0)
    losses, expected = (model.losses_of(seen, training=False) for model in (alone, both))
    assert set(losses) == {"triangulation", "root"} == set(alone.loss_means) - {"loss"}
    for name, loss in losses.items():
        np.testing.assert_allclose(loss, expected[name], rtol=1e-5)
    with tf.GradientTape(persistent=True) as tape:
        losses = alone.losses_of(seen, training=True)
    lifting, root = (
        network.trainable_variables for network in (alone.lifting_network, alone.root_network)
    )
    assert all(np.abs(g).sum() > 0 for g in tape.gradient(losses["triangulation"], lifting)[-2:])
    assert all(np.abs(g).sum() > 0 for g in tape.gradient(losses["root"], root)[-2:])
    # The root is solved for the pose as it is; the pose does not move towards it.
    assert tape.gradient(losses["root"], lifting) == [None] * len(lifting)
