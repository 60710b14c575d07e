import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import tfrecords
from keras_mvlift.geometry import graphics
from keras_mvlift.training import augmentation, multi_view_lifter, objectives
from tests import tiny_studio

NUM_EPOCHS = 4


class Fitted(NamedTuple):
    """What a fit tells.

    Attributes:
        losses: Of its epochs.
        traces: How often the step had been traced when each epoch ended.
        ran_eagerly: Whether it was ever called outside of a graph, or inside of one.
        operations: The types of the operations that it is made of.
    """

    losses: list[float]
    traces: list[int]
    ran_eagerly: set[bool]
    operations: set[str]


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "train.gz"
    return tiny_studio.write(path, tiny_studio.prepare(tiny_studio.film()).train_pairs)


@pytest.fixture(scope="module")
def pair(train):
    return next(iter(tfrecords.load(train, tiny_studio.BATCH_SIZE, seed=0)))


def fit(lifter, train, *callbacks, num_epochs=1):
    return lifter.fit(
        tfrecords.load(train, tiny_studio.BATCH_SIZE, seed=0),
        steps_per_epoch=tiny_studio.NUM_BATCHES,
        epochs=num_epochs,
        callbacks=[*callbacks],
        verbose=0,
    )


def operations(lifter, pair):
    """The types of the operations in the step, those in the functions that it calls included."""
    graph = tf.function(lifter.train_step).get_concrete_function(pair).graph.as_graph_def()
    functions = [function.node_def for function in graph.library.function]
    return {node.op for nodes in (graph.node, *functions) for node in nodes}


@pytest.fixture(scope="module", params=configs.RECIPES)
def fitted(request, train, pair):
    lifter = tiny_studio.lifter(request.param, dropout=0.1)
    calls, traces = [], []

    def join(*arguments):
        calls.append(tf.executing_eagerly())
        return original.join(*arguments)

    original, lifter.recipe = lifter.recipe, dataclasses.replace(lifter.recipe, join=join)
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: traces.append(len(calls)))
    lifter.compile(keras.optimizers.legacy.Adam(1e-3))
    history = fit(lifter, train, count, num_epochs=NUM_EPOCHS)
    return Fitted(history.history["loss"], traces, set(calls), operations(lifter, pair))


def test_fit_lowers_the_loss(fitted):
    assert fitted.losses[-1] < 0.9 * fitted.losses[0]


def test_the_step_is_traced_in_the_first_step_and_never_again(fitted):
    # Once to make the optimizer's variables, once for the step itself.
    assert fitted.traces == [fitted.traces[0]] * NUM_EPOCHS
    assert fitted.traces[0] <= 2


def test_the_step_runs_as_a_graph(fitted):
    assert fitted.ran_eagerly == {False}


def test_no_python_runs_in_the_step(fitted):
    assert "MatMul" in fitted.operations
    python = [name for name in fitted.operations if "PyFunc" in name or "Numpy" in name]
    assert python == []


def test_the_step_projects_and_rotates_by_tensorflow_graphics(train, monkeypatch):
    calls = {"project": 0, "rotate": 0, "join": 0}

    def count(owner, name):
        original = getattr(owner, name)

        def counted(*arguments):
            calls[name] += 1
            return original(*arguments)

        return counted

    for module, name in (
        (graphics.perspective, "project"),
        (graphics.rotation_matrix_3d, "rotate"),
    ):
        monkeypatch.setattr(module, name, count(module, name))
    lifter = tiny_studio.lifter("ray_root")
    lifter.recipe = dataclasses.replace(lifter.recipe, join=count(lifter.recipe, "join"))
    lifter.compile("sgd")
    fit(lifter, train)
    # Two poses are each projected into two views, and moved into one of them.
    traces = calls.pop("join")
    assert calls == {"project": 4 * traces, "rotate": 2 * traces}


def test_what_is_lifted_has_its_root_at_zero(pair):
    lifted = tiny_studio.lifter()(pair.source)
    assert lifted.root_relative_pose.shape == (tiny_studio.BATCH_SIZE, 17, 3)
    assert lifted.root_position.shape == (tiny_studio.BATCH_SIZE, 3)
    np.testing.assert_array_equal(lifted.root_relative_pose[:, 0], np.zeros((16, 3)))
    assert np.abs(lifted.root_relative_pose[:, 1:]).min() > 0


def predicted(lifter, view):
    """What the two networks and the root head say: all joints of Y, and r."""
    seen = lifter.network_input(view).joints
    pose = tf.reshape(lifter.lifting_network(seen), [-1, 17, 3])
    return pose, lifter.root_head((lifter.root_network(seen), view.rays))


@pytest.mark.parametrize("recipe", ["paper", "ray_root"])
@pytest.mark.parametrize(
    "objective", [objectives.Consistency(), objectives.TransformReprojection()]
)
def test_losses_see_poses_whose_root_joint_is_not_the_predicted_root(recipe, objective, pair):
    lifter = tiny_studio.trained(recipe=recipe)
    seen = []

    class Watch:
        parts = objective.parts

        def __call__(self, poses, pair):
            seen.extend(poses)
            return objective(poses, pair)

    lifter.objective = Watch()
    lifter.losses_of(pair, training=False)
    assert len(seen) == 2
    for pose_camera, view in zip(seen, pair, strict=True):
        pose, root = predicted(lifter, view)
        np.testing.assert_allclose(pose_camera, pose + root[:, tf.newaxis], atol=1e-5)
        off = np.linalg.norm(pose_camera[:, 0] - root, axis=-1)
        assert off.min() > 0.01


@pytest.mark.parametrize("recipe", ["paper", "ray_root"])
@pytest.mark.parametrize(
    "objective", [objectives.Consistency(), objectives.TransformReprojection()]
)
def test_the_root_joints_own_outputs_are_trained(recipe, objective, pair):
    lifter = tiny_studio.trained(recipe=recipe, objective=objective)
    with tf.GradientTape() as tape:
        loss = tf.add_n(list(lifter.losses_of(pair, training=True).values()))
    gradient = tape.gradient(loss, lifter.lifting_network.layers[-1].kernel)
    of_joints = np.abs(np.reshape(gradient, [-1, 17, 3])).sum(axis=(0, 2))
    # Pinned, the root joint would bear what all the others get, with the opposite sign.
    assert 0 < of_joints[0] < 0.5 * of_joints[1:].sum()


def test_a_solved_root_is_where_the_root_network_says(pair):
    lifter = tiny_studio.trained(recipe="solved_root")
    np.testing.assert_array_equal(
        lifter(pair.source).root_position, predicted(lifter, pair.source)[1]
    )


def test_root_heads_have_the_last_word_on_the_root(pair):
    # An untrained network says nearly nothing: at the camera, or on the ray at the rig's distance.
    unbounded = tiny_studio.lifter("paper")(pair.source).root_position
    np.testing.assert_allclose(unbounded, np.zeros((16, 3)), atol=0.2)
    bounded = tiny_studio.lifter("ray_root")(pair.source).root_position
    np.testing.assert_allclose(bounded[:, 2], np.full(16, tiny_studio.RIG_DISTANCE), atol=0.5)


@pytest.mark.parametrize("recipe", configs.RECIPES)
def test_each_view_is_compared_as_itself(recipe, pair):
    lifter = tiny_studio.trained(recipe=recipe)
    joined = []
    for own, other in (pair, pair.swapped):
        seen = tf.nest.map_structure(lambda *fields: tf.stack(fields, axis=1), own, other)
        joined.append(lifter.recipe.join(lifter(own), own, seen))
    poses, root_losses = zip(*joined, strict=True)
    expected = lifter.objective(poses, pair) | {"root": tf.add_n(root_losses)}
    report = lifter.test_step(pair)
    for name, loss in expected.items():
        np.testing.assert_allclose(report[name], np.mean(loss), rtol=1e-4)


def test_the_reported_loss_is_the_sum_of_its_parts(pair):
    report = tiny_studio.lifter().test_step(pair)
    assert list(report) == ["loss", "reprojection", "transform_reprojection", "root"]
    loss, *parts = (float(value) for value in report.values())
    assert min(parts) > 0
    np.testing.assert_allclose(loss, sum(parts), rtol=1e-6)


def test_reported_losses_are_means_over_the_steps_since_the_last_reset(train):
    lifter = tiny_studio.lifter()
    batches = list(tfrecords.load(train, tiny_studio.BATCH_SIZE, seed=0).take(2))
    first = float(lifter.test_step(batches[0])["loss"])
    both = float(lifter.test_step(batches[1])["loss"])
    lifter.reset_metrics()
    second = float(lifter.test_step(batches[1])["loss"])
    assert first != second
    assert both == pytest.approx((first + second) / 2)


def test_measuring_the_loss_changes_nothing(pair):
    lifter = tiny_studio.lifter(dropout=0.5)
    before = tiny_studio.weights(lifter)
    reports = [float(lifter.test_step(pair)["loss"]) for _ in range(2)]
    assert reports[0] == reports[1]
    assert tiny_studio.same(before, tiny_studio.weights(lifter))


def one_step(recipe, pair, objective=None):
    """The trainable weights of both networks before and after one step."""
    lifter = tiny_studio.lifter(recipe, objective)
    lifter.compile(keras.optimizers.legacy.SGD(1e-6))
    networks = (lifter.lifting_network, lifter.root_network)
    before = [[weight.numpy() for weight in network.trainable_weights] for network in networks]
    lifter.train_step(pair)
    after = [[weight.numpy() for weight in network.trainable_weights] for network in networks]
    return before, after


def changes(before, after):
    """All changes of the weights in one row."""
    old, new = (
        np.concatenate([np.ravel(w) for net in nets for w in net]) for nets in (before, after)
    )
    return new - old


def test_a_step_drops_units_and_updates_batch_statistics(pair):
    lifter = tiny_studio.lifter(dropout=0.5)
    lifter.compile(keras.optimizers.legacy.SGD(0.0))

    def state():
        layers = [*lifter.lifting_network.layers, *lifter.root_network.layers]
        statistics = [layer.moving_mean for layer in layers if hasattr(layer, "moving_mean")]
        generators = [layer.generator.state for layer in layers if hasattr(layer, "generator")]
        return [value.numpy() for value in (*statistics, *generators)]

    before = state()
    lifter.train_step(pair)
    assert len(before) == 2 * 2 * 3
    assert not any(map(np.array_equal, before, state()))


@pytest.mark.parametrize("recipe", configs.RECIPES)
def test_a_step_moves_every_layer_of_both_networks(recipe, pair):
    for before, after in zip(*one_step(recipe, pair), strict=True):
        # A bias in front of batch statistics is without effect: kernels and what follows.
        moved = [not np.array_equal(old, new) for old, new in zip(before, after, strict=True)]
        assert all(moved[0::4])
        assert moved[-1]


def test_the_poses_own_loss_moves_no_root_that_is_solved(pair):
    silent = dataclasses.replace(objectives.TransformReprojection(), transform_weight=0.0)
    with_loss, without = (
        one_step("solved_root", pair, objective)[1][1]
        for objective in (objectives.TransformReprojection(), silent)
    )
    assert tiny_studio.same(with_loss, without)


@pytest.mark.parametrize("recipe", configs.RECIPES)
def test_source_and_target_are_alike(recipe, pair):
    lifter = tiny_studio.lifter(recipe)
    there = {name: float(value) for name, value in lifter.test_step(pair).items()}
    lifter.reset_metrics()
    back = {name: float(value) for name, value in lifter.test_step(pair.swapped).items()}
    assert back == pytest.approx(there, rel=1e-4)
    steps = [changes(*one_step(recipe, views)) for views in (pair, pair.swapped)]
    np.testing.assert_allclose(*steps, atol=1e-3 * np.abs(steps[0]).max())


def test_half_of_the_pairs_are_mirrored_in_training_alone_and_compared_so(pair, monkeypatch):
    marked = []

    def note(is_mirrored, pair):
        marked.append(is_mirrored.numpy())
        return pair.swapped

    monkeypatch.setattr(augmentation, "mirrored_where", note)
    make = functools.partial(multi_view_lifter.MultiViewLifter, changes=(augmentation.Mirroring,))
    model, compared = tiny_studio.trained(model=make), []
    compare = model.objective
    model.objective = lambda poses, pair: compared.append(pair) or compare(poses, pair)
    model.losses_of(pair, training=False)
    assert not marked
    for _ in range(8):
        model.losses_of(pair, training=True)
    assert 0.35 < np.mean(marked) < 0.65
    assert [seen.source is pair.source for seen in compared] == [True] + 8 * [False]
