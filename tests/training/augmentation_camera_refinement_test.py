import functools
import json

import numpy as np
import pytest
import scipy.spatial
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.calibration import reports
from keras_mvlift.datasets import distinct_cameras, preparation, sequences
from keras_mvlift.geometry import cameras
from keras_mvlift.training import augmentation, multi_view_lifter, objectives
from tests import tiny_studio

NUM_VIEWS = 4
# How far ahead of the cameras people are, meters.
REACH = 5.0


@pytest.fixture(scope="module")
def clip():
    return tiny_studio.film_exactly()


@pytest.fixture(scope="module")
def true(clip):
    """The cameras as they are."""
    return cameras.Camera(*(np.asarray(field, np.float32) for field in clip.camera))


@pytest.fixture(scope="module")
def seen(clip, true):
    """What they saw, with each camera said to be turned by a degree."""
    everything = preparation.BySubject(test_subjects=())
    view = sequences.to_view(
        preparation.training_instants(clip, everything, configs.DataConfig(source="studio"))
    )
    axis = np.random.default_rng(0).normal(size=(NUM_VIEWS, 3))
    turn = np.radians(1.0) * axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    turned = scipy.spatial.transform.Rotation.from_rotvec(turn).as_matrix() @ true.rotation
    rotation = np.broadcast_to(turned.astype(np.float32), view.camera.rotation.shape)
    view = view._replace(camera=view.camera._replace(rotation=rotation))
    return tf.nest.map_structure(tf.constant, view)


def refinement(seen, **options):
    return augmentation.CameraRefinement(distinct_cameras.collect([seen]), **options)


def moved(layer, seed=0, size=0.3):
    layer.parameters.assign(size * tf.random.stateless_normal([NUM_VIEWS, 6], [seed, 0]))
    return layer


def wrongness(camera, true):
    """Returns by how much relative extrinsics are wrong at most, degrees and meters."""
    rig = cameras.Camera(*(field[0].numpy() for field in camera))
    rig = reports.align(rig, true, reach=REACH, with_scale=True)
    distance, angle = reports.differences(rig, true)
    return np.degrees(angle).max(), distance.max()


def test_an_untrained_refinement_changes_nothing(seen):
    same = refinement(seen)(seen)
    for field, expected in zip(same.camera, seen.camera, strict=True):
        np.testing.assert_allclose(field, expected, atol=1e-7)


def test_a_correction_turns_in_the_camera_and_shifts_in_the_world(seen):
    layer = moved(refinement(seen))
    corrected = layer(seen)
    turn, shift = (value.numpy() for value in layer.corrections())
    # The k-th camera that was found, whichever view that is.
    for known, (vector, step) in enumerate(zip(turn, shift, strict=True)):
        of_camera = np.all(seen.camera.center[0] == layer.known.center[known], axis=-1)
        view = int(np.flatnonzero(of_camera)[0])
        by_hand = scipy.spatial.transform.Rotation.from_rotvec(vector).as_matrix()
        expected = by_hand @ seen.camera.rotation[0, view].numpy()
        np.testing.assert_allclose(corrected.camera.rotation[:, view], [expected] * 24, atol=1e-6)
        center = seen.camera.center[:, view] + step
        np.testing.assert_allclose(corrected.camera.center[:, view], center, atol=1e-6)
    np.testing.assert_array_equal(corrected.camera.intrinsics, seen.camera.intrinsics)


def test_cameras_that_are_not_known_stay_as_they_are(seen):
    layer = moved(refinement(seen))
    virtual = seen.camera.center + tf.constant([0.01, 0, 0])
    other = seen._replace(camera=seen.camera._replace(center=virtual))
    for field, expected in zip(layer(other).camera, other.camera, strict=True):
        np.testing.assert_array_equal(field, expected)


def world_turned(known, vector):
    """Returns the cameras of a world that turns about the rig's middle, moves and grows."""
    by = scipy.spatial.transform.Rotation.from_rotvec(vector).as_matrix()
    middle = known.center.mean(axis=0)
    center = 1.001 * (known.center - middle) @ by.T + middle + [0.003, -0.002, 0.001]
    return known.rotation @ by.T, center


def test_a_rig_as_a_whole_cannot_move(seen):
    known = distinct_cameras.collect([seen])
    rotation, center = world_turned(known, np.array([0.002, -0.001, 0.0015]))
    turn = scipy.spatial.transform.Rotation.from_matrix(
        rotation @ np.swapaxes(known.rotation, -1, -2)
    ).as_rotvec()
    scales = np.repeat([0.03, 0.05], 3)
    movement = (np.concatenate([turn, center - known.center], axis=-1) / scales).ravel()
    left = augmentation.without_gauge(known, scales) @ movement
    assert np.linalg.norm(left) < 2e-3 * np.linalg.norm(movement)


def test_corrections_move_cameras_against_each_other_only(seen):
    layer = refinement(seen)
    layer.parameters.assign(np.tile([0.0, 0.0, 0.0, 0.5, -0.3, 0.2], (NUM_VIEWS, 1)))
    for correction in layer.corrections():
        np.testing.assert_allclose(correction, 0.0, atol=1e-6)
    _, shift = moved(layer).corrections()
    assert np.abs(shift).max() > 0.005
    np.testing.assert_allclose(np.mean(shift, axis=0), 0.0, atol=1e-6)


def test_what_is_left_free_is_all_but_seven_numbers_of_each_rig(seen):
    known = distinct_cameras.collect([seen])
    rank = functools.partial(np.linalg.matrix_rank, tol=1e-6)
    assert rank(augmentation.without_gauge(known, np.ones(6))) == 6 * NUM_VIEWS - 7
    two = known._replace(rig=np.array([0, 1, 0, 1]))
    assert rank(augmentation.without_gauge(two, np.ones(6))) == 6 * NUM_VIEWS - 14


def loss_of(layer, clip, true, seen, view):
    """Returns the loss of true poses, lifted from one of the views."""
    corrected = layer(seen)
    own = tf.nest.map_structure(lambda field: field[:, view], corrected)
    world = tf.constant(clip.pose_world, tf.float32)
    pose = tf.matmul(world - world[:, :1], tf.gather(true.rotation, view), transpose_b=True)
    lifted = objectives.Lifted(pose, tf.zeros_like(pose[:, 0]))
    pose_camera, _ = multi_view_lifter.solved_root(lifted, own, corrected)
    is_own = tf.repeat(tf.one_hot([view], NUM_VIEWS), len(pose), axis=0)
    instants = objectives.Instants(corrected)
    compared = objectives.Compared(lifted, pose_camera, own, is_own, instants)
    losses = objectives.AllViewsReprojection()(compared)
    return tf.reduce_mean(tf.add_n([*losses.values()])) + layer.losses(compared, training=True)


def test_poses_that_are_right_bring_the_cameras_to_where_they_are(clip, true, seen):
    layer = refinement(seen)
    optimizer = keras.optimizers.legacy.Adam(1e-2)

    @tf.function
    def step(view):
        with tf.GradientTape() as tape:
            loss = loss_of(layer, clip, true, seen, view)
        gradients = tape.gradient(loss, layer.trainable_variables)
        optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))

    degrees, meters = wrongness(seen.camera, true)
    assert degrees > 0.9
    assert meters > 0.03
    for number in range(280):
        if number == 190:
            optimizer.learning_rate.assign(1e-3)
        step(tf.constant(number % NUM_VIEWS))
    degrees, meters = wrongness(layer(seen).camera, true)
    assert degrees < 0.05
    assert meters < 0.003


def test_gradients_are_those_of_finite_differences(clip, true, seen):
    layer = moved(refinement(seen))
    start, direction = layer.parameters.numpy(), np.random.default_rng(1).normal(size=(4, 6))
    with tf.GradientTape() as tape:
        loss = loss_of(layer, clip, true, seen, 1)
    gradient = tape.gradient(loss, layer.parameters).numpy() / augmentation._GRADIENT_SHARE
    values = []
    for sign in (1, -1):
        layer.parameters.assign(start + sign * 1e-3 * direction)
        values.append(float(loss_of(layer, clip, true, seen, 1)))
    slope = (values[0] - values[1]) / 2e-3
    np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=2e-2)


def test_a_whole_model_trains_its_cameras_along_and_reports_them(seen):
    model = tiny_studio.lifter(
        objective=objectives.AllViewsReprojection(), model=multi_view_lifter.InstantLifter
    )
    model.refine_extrinsics(refinement(seen))
    # Tracing takes longer than these few steps.
    model.compile(keras.optimizers.legacy.Adam(1e-2), run_eagerly=True)
    batches = tf.data.Dataset.from_tensors(seen).repeat()
    history = model.fit(batches, steps_per_epoch=3, epochs=2, verbose=0).history
    assert history["extrinsics"][1] > history["extrinsics"][0] >= 0
    report = json.loads(json.dumps(model.refinement.report()))
    assert [row["num_instants"] for row in report] == [24] * NUM_VIEWS
    turn, shift = model.refinement.corrections()
    degrees = np.degrees(np.linalg.norm(turn, axis=-1))
    np.testing.assert_allclose([row["turned_degrees"] for row in report], degrees, rtol=1e-5)
    meters = np.linalg.norm(shift, axis=-1)
    np.testing.assert_allclose([row["moved_m"] for row in report], meters, rtol=1e-5)
    assert degrees.min() > 0
    corrected = model.refinement(seen).camera
    for row in report:
        of_camera = np.all(seen.camera.center[0] == np.float32(row["given_center"]), axis=-1)
        np.testing.assert_allclose(row["center"], corrected.center[0][of_camera][0], atol=1e-6)
        rotation = corrected.rotation[0][of_camera][0]
        np.testing.assert_allclose(row["rotation"], rotation, atol=1e-6)


def test_pairs_of_views_are_refused_by_name():
    with pytest.raises(ValueError, match=r"`refine_extrinsics` .*`views='all'`"):
        configs.FinetuneConfig(views="pair", refine_extrinsics=True)


def test_no_camera_that_stays_is_refused_by_name(seen):
    few = tf.nest.map_structure(lambda field: field[:3], seen)
    with pytest.raises(ValueError, match=r"^`refine_extrinsics` needs cameras that stay"):
        refinement(few)
