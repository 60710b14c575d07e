import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.geometry import cameras
from keras_mvlift.training import lifters, multi_view_lifter, objectives
from keras_mvlift.training import uncertainty as training_uncertainty
from tests import tiny_studio

WRIST = 13


@pytest.fixture(scope="module")
def clip():
    return tiny_studio.film_exactly()


@pytest.fixture(scope="module")
def seen(clip):
    return tf.nest.map_structure(tf.constant, tiny_studio.instants(clip))


def first_of(seen, view):
    return tf.nest.map_structure(lambda field: field[:, view], seen)


def pose_in(clip, own):
    camera = cameras.Camera(*(field[:, tf.newaxis] for field in own.camera))
    world = tf.constant(clip.pose_world[:, np.newaxis], tf.float32)
    return cameras.camera_from_world(world, camera)[:, 0]


def instant_model(**settings):
    objective = objectives.AllViewsReprojection()
    model = multi_view_lifter.InstantLifter
    return tiny_studio.lifter(objective=objective, model=model, **settings)


def test_a_joint_moved_across_a_view_is_off_by_as_much(clip, seen):
    own = first_of(seen, 0)
    pose = pose_in(clip, own)
    right = np.linalg.inv(clip.camera.rotation[1])[:, 0] @ clip.camera.rotation[0].T
    moved = pose + 0.07 * tf.one_hot([WRIST], 17)[..., tf.newaxis] * tf.constant(right, tf.float32)
    across = training_uncertainty.distances_across(moved, own, seen).numpy()
    np.testing.assert_allclose(across[:, 1, WRIST], np.full(24, 0.07), atol=5e-3)
    others = np.delete(np.arange(17), WRIST)
    np.testing.assert_allclose(across[:, 1, others], 0, atol=5e-3)


def test_the_loss_is_least_where_the_scale_is_the_mean_distance(clip, seen):
    own = first_of(seen, 0)
    pose = pose_in(clip, own) + 0.05
    uncertainty = training_uncertainty.JointUncertainty()
    across = training_uncertainty.distances_across(pose, own, seen).numpy()
    # Without inputs, every joint has one and the same scale.
    last = uncertainty.network.get_layer("log_scale")
    last.kernel.assign(tf.zeros_like(last.kernel))
    mean, losses = across.mean(), []
    for scale in (0.8 * mean, mean, 1.25 * mean):
        last.bias.assign(tf.fill([17], np.float32(np.log(scale))))
        weights = tf.ones_like(seen.confidence)
        losses.append(uncertainty.loss(pose, own, seen, weights, training=False))
    by_hand = np.log(mean) + across.mean(axis=(1, 2)) / mean
    np.testing.assert_allclose(losses[1], by_hand, rtol=1e-4)
    low, middle, high = (float(tf.reduce_mean(loss)) for loss in losses)
    assert middle < min(low, high)


def test_what_does_not_count_changes_nothing(clip, seen):
    own = first_of(seen, 0)
    pose = pose_in(clip, own) + 0.05
    uncertainty = training_uncertainty.JointUncertainty()
    weights = tf.ones_like(seen.confidence) * tf.constant([0.0, 1, 1, 1])[:, tf.newaxis]
    rest = tf.nest.map_structure(lambda field: field[:, 1:], seen)
    np.testing.assert_allclose(
        uncertainty.loss(pose, own, seen, weights, False),
        uncertainty.loss(pose, own, rest, weights[:, 1:], False),
        rtol=1e-5,
    )
    nothing = uncertainty.loss(pose, own, seen, 0 * weights, False)
    np.testing.assert_array_equal(nothing, np.zeros(24))


def gradients_of(model, batch):
    with tf.GradientTape() as tape:
        losses = model.losses_of(batch, training=False)
    variables = model.lifting_network.trainable_variables
    return losses, tape.gradient(losses["uncertainty"], variables)


def test_no_gradient_goes_to_the_pose(seen):
    losses, gradients = gradients_of(instant_model(uncertainty=True), seen)
    assert np.isfinite(losses["uncertainty"])
    assert all(gradient is None for gradient in gradients)


def test_the_pose_path_is_that_of_a_model_without(seen):
    with_it, without = instant_model(uncertainty=True), instant_model()
    assert without.uncertainty is None
    losses, expected = (model.losses_of(seen, training=False) for model in (with_it, without))
    assert set(losses) == {*expected, "uncertainty"}
    for name, loss in expected.items():
        np.testing.assert_array_equal(losses[name], loss)


def test_training_learns_which_joint_is_off(clip, seen):
    own = first_of(seen, 0)
    offset = 0.02 + 0.4 * tf.one_hot([WRIST], 17)[..., tf.newaxis]
    pose = pose_in(clip, own) + offset
    uncertainty = training_uncertainty.JointUncertainty()
    optimizer = keras.optimizers.legacy.Adam(5e-3)
    weights = seen.confidence * tf.constant([0.0, 1, 1, 1])[:, tf.newaxis]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(uncertainty.loss(pose, own, seen, weights, True))
        variables = uncertainty.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for _ in range(150):
        step()
    scale = uncertainty(own, training=True).numpy().mean(axis=0)
    assert np.argmax(scale) == WRIST
    assert scale[WRIST] > 3 * np.median(scale)


def test_pairs_are_compared_both_ways(clip):
    columns = tiny_studio.prepare(clip).train_pairs
    pair = tiny_studio.pair(columns)
    poses = tuple(
        tf.constant(tiny_studio.pose_camera(clip, columns, side) + 0.05)
        for side in ("source", "target")
    )
    uncertainty = training_uncertainty.JointUncertainty()
    halves = []
    for pose, (own, other) in zip(poses, (pair, pair.swapped), strict=True):
        others = tf.nest.map_structure(lambda field: field[:, tf.newaxis], other)
        halves.append(uncertainty.loss(pose, own, others, others.confidence, False))
    own, other, pose_camera = (
        tf.nest.map_structure(lambda *fields: tf.concat(fields, axis=0), *sides)
        for sides in (pair, pair.swapped, poses)
    )
    seen = tf.nest.map_structure(lambda *fields: tf.stack(fields, axis=1), own, other)
    is_own = tf.repeat([[1.0, 0.0]], len(pose_camera), axis=0)
    instants = objectives.Instants(seen)
    placed = objectives.Placed(None, pose_camera, None, own, is_own, instants)
    both = tf.split(uncertainty.losses(placed, False)["uncertainty"], 2)
    np.testing.assert_allclose(both, halves, rtol=1e-5)
    model = tiny_studio.lifter(uncertainty=True, model=multi_view_lifter.MultiViewLifter)
    losses, gradients = gradients_of(model, pair)
    assert np.isfinite(losses["uncertainty"])
    assert all(gradient is None for gradient in gradients)


def test_windows_of_frames_are_refused_by_name():
    with pytest.raises(ValueError, match="`uncertainty` must be False"):
        configs.ModelConfig(backbone="temporal_dilated", uncertainty=True)


def test_a_saved_model_is_as_sure_as_it_was(seen, tmp_path):
    model = instant_model(uncertainty=True)
    for weight in lifters.weights_of(model):
        weight.assign_add(0.1 * tf.random.stateless_uniform(weight.shape, [1, 2]))
    settings = {**tiny_studio.TINY, "uncertainty": True}
    description = {"model": settings, "rig_distance": tiny_studio.RIG_DISTANCE}
    lifters.save(model, description, tmp_path)
    again, _ = lifters.load(tmp_path, objectives.TransformReprojection())
    own = first_of(seen, 0)
    np.testing.assert_array_equal(again.uncertainty(own), model.uncertainty(own))


SEEN = np.random.default_rng(0).normal(size=(5, 17, 3)).astype(np.float32)


def network(seed=0):
    return training_uncertainty.joint_scales(name="scales", seed=seed, width=16)


def test_every_joint_starts_with_ten_centimeters():
    scales = network()(SEEN)
    assert scales.shape == (5, 17)
    np.testing.assert_allclose(scales, np.full((5, 17), 0.1), rtol=0.05)


def test_enlarging_multiplies_every_answer():
    model = network()
    before = model(SEEN).numpy()
    training_uncertainty.enlarge(model, 2.5)
    np.testing.assert_allclose(model(SEEN), 2.5 * before, rtol=1e-5)


def test_no_answer_leaves_what_a_body_can_be_off():
    model = network()
    training_uncertainty.enlarge(model, 1e9)
    np.testing.assert_allclose(model(SEEN), np.full((5, 17), 3.0), rtol=1e-5)
