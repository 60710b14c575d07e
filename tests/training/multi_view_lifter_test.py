import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs, reprojection
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import residual
from keras_mvlift.training import batches, multi_view_lifter, objectives, stages
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
def train(shards):
    return shards["train_pairs"]


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


def operations(lifter):
    """The types of the operations in a step that was fitted, and in the functions it calls."""
    traced = lifter.train_tf_function._list_all_concrete_functions()
    graphs = [each.graph.as_graph_def() for each in traced]
    functions = [function for graph in graphs for function in graph.library.function]
    nodes = [graph.node for graph in graphs] + [function.node_def for function in functions]
    return {node.op for some in nodes for node in some}


@pytest.fixture(scope="module", params=configs.RECIPES)
def fitted(request, train):
    lifter = tiny_studio.lifter(request.param, dropout=0.1)
    calls, traces = [], []

    def join(*arguments):
        calls.append(tf.executing_eagerly())
        return original.join(*arguments)

    original, lifter.recipe = lifter.recipe, dataclasses.replace(lifter.recipe, join=join)
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: traces.append(len(calls)))
    tiny_studio.compiled(lifter, keras.optimizers.legacy.Adam(1e-3))
    history = fit(lifter, train, count, num_epochs=NUM_EPOCHS)
    return Fitted(history.history["loss"], traces, set(calls), operations(lifter))


def test_fit_lowers_the_loss(fitted):
    assert fitted.losses[-1] < 0.9 * fitted.losses[0]


def test_the_step_is_traced_in_the_first_step_and_never_again(fitted):
    assert fitted.traces == [1] * NUM_EPOCHS


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

    graphics = cameras._graphics()
    for module, name in (graphics.perspective, "project"), (graphics.rotation_matrix_3d, "rotate"):
        monkeypatch.setattr(module, name, count(module, name))
    lifter = tiny_studio.lifter("ray_root")
    lifter.recipe = dataclasses.replace(lifter.recipe, join=count(lifter.recipe, "join"))
    tiny_studio.compiled(lifter, keras.optimizers.legacy.SGD(1e-3))
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
    some = list(tfrecords.load(train, tiny_studio.BATCH_SIZE, seed=0).take(2))
    first = float(lifter.test_step(some[0])["loss"])
    both = float(lifter.test_step(some[1])["loss"])
    lifter.reset_metrics()
    second = float(lifter.test_step(some[1])["loss"])
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

    monkeypatch.setattr(batches, "mirrored_where", note)
    make = functools.partial(multi_view_lifter.MultiViewLifter, changes=(batches.Mirroring,))
    model, compared = tiny_studio.trained(model=make), []
    compare = model.objective
    model.objective = lambda poses, pair: compared.append(pair) or compare(poses, pair)
    model.losses_of(pair, training=False)
    assert not marked
    for _ in range(8):
        model.losses_of(pair, training=True)
    assert 0.35 < np.mean(marked) < 0.65
    assert [seen.source is pair.source for seen in compared] == [True] + 8 * [False]


def train_lifter(model, batches):
    """Takes a step per batch; gives the losses and the weights."""
    tiny_studio.compiled(model, keras.optimizers.legacy.Adam(1e-3))
    losses = model.fit(batches, epochs=1, verbose=0).history["loss"]
    return [*map(np.array, losses), *tiny_studio.weights(model)]


def test_pairs_that_it_looks_up_teach_what_pairs_that_it_is_given_do(pairs):
    rows = batches.load_pairs(pairs, tiny_studio.BATCH_SIZE, seed=0).take(4)
    given, keeping = (tiny_studio.lifter("paper") for _ in range(2))
    keeping.keep(pairs.views)
    learned = train_lifter(keeping, rows)
    assert tiny_studio.same(learned, train_lifter(given, batches.look_up(pairs, rows)))
    assert not tiny_studio.same(learned[1:], tiny_studio.weights(tiny_studio.lifter("paper")))


ROOT_ERROR = np.array([0.3, 0.0, 0.4], np.float32)


@pytest.fixture(scope="module")
def clip():
    return tiny_studio.film_exactly()


@pytest.fixture(scope="module")
def columns(clip):
    return tiny_studio.prepare(clip).train_pairs


@pytest.fixture(scope="module")
def pair_recipes(columns):
    return tiny_studio.pair(columns)


@pytest.fixture(scope="module")
def truth(clip, columns):
    return tuple(tiny_studio.pose_camera(clip, columns, side) for side in ("source", "target"))


def take_apart(pose, root_error=0.0):
    """What networks say that know the pose, and the root but for an error."""
    root = pose[:, 0]
    return objectives.Lifted(
        tf.constant(pose - root[:, np.newaxis]), tf.constant(root + root_error)
    )


def concatenated(sides):
    return tf.nest.map_structure(lambda *fields: tf.concat(fields, axis=0), *sides)


def joined(recipe, lifted, pair_recipes):
    """Joins what was lifted from both views, as a step on pairs does: poses and root losses."""
    own, other = concatenated(pair_recipes), concatenated(pair_recipes.swapped)
    seen = tf.nest.map_structure(lambda *fields: tf.stack(fields, axis=1), own, other)
    pose_camera, root_loss = multi_view_lifter.RECIPES[recipe].join(concatenated(lifted), own, seen)
    return tf.split(pose_camera, 2), tf.split(root_loss, 2)


def join(recipe, poses, pair_recipes, root_error=0.0):
    return joined(recipe, [take_apart(pose, root_error) for pose in poses], pair_recipes)


def test_each_recipe_that_a_config_may_name_exists():
    assert tuple(multi_view_lifter.RECIPES) == configs.RECIPES


def test_only_a_solved_root_pins_the_root_joint():
    frees = {name: recipe.has_free_root for name, recipe in multi_view_lifter.RECIPES.items()}
    assert frees == {"paper": True, "ray_root": True, "solved_root": False}


def test_only_the_papers_root_is_unbounded():
    heads = {name: recipe.root_head(4.0) for name, recipe in multi_view_lifter.RECIPES.items()}
    assert type(heads.pop("paper")) is residual.LinearRoot
    assert {type(head) for head in heads.values()} == {residual.RayRoot}
    assert {head.rig_distance for head in heads.values()} == {4.0}


@pytest.mark.parametrize("recipe", ["paper", "ray_root"])
def test_a_predicted_root_is_added_to_each_joint_and_has_no_loss_of_its_own(
    recipe, truth, pair_recipes
):
    poses, root_losses = join(recipe, truth, pair_recipes, ROOT_ERROR)
    for pose, expected in zip(poses, truth, strict=True):
        np.testing.assert_allclose(pose, expected + ROOT_ERROR, atol=1e-6)
    np.testing.assert_array_equal(root_losses, np.zeros((2, len(truth[0]))))


def test_a_true_pose_gets_its_true_root_whatever_root_is_predicted(truth, pair_recipes):
    poses, _ = join("solved_root", truth, pair_recipes, ROOT_ERROR)
    for pose, expected in zip(poses, truth, strict=True):
        np.testing.assert_allclose(pose, expected, atol=1e-4)


def test_a_true_pose_with_its_solved_root_has_no_reprojection_error(truth, pair_recipes):
    poses, _ = join("solved_root", truth, pair_recipes, ROOT_ERROR)
    losses = objectives.TransformReprojection()(poses, pair_recipes)
    # Pixels, summed over 34 joints in single precision.
    assert np.max(list(losses.values())) < 0.5
    wrong = objectives.TransformReprojection()(
        join("paper", truth, pair_recipes, ROOT_ERROR)[0], pair_recipes
    )
    assert np.min(list(wrong.values())) > 100


@pytest.mark.parametrize(
    ("root_error", "expected"),
    # Each of two views is off by the same: 0.5 m, nothing, and farther than the ten that count.
    [(ROOT_ERROR, 0.5), (0.0, 0.0), (1000 * ROOT_ERROR, 10.0)],
)
def test_the_root_loss_is_the_distance_to_the_solved_root_up_to_ten_meters(
    truth, pair_recipes, root_error, expected
):
    _, root_losses = join("solved_root", truth, pair_recipes, root_error)
    np.testing.assert_allclose(root_losses, np.full((2, len(truth[0])), expected), atol=1e-3)


def misplace(pair_recipes, confidence):
    """Moves a joint of the target far away, where the detector sees it as surely as told."""
    keypoints_2d, seen = (
        pair_recipes.target.keypoints_2d.numpy(),
        pair_recipes.target.confidence.numpy(),
    )
    keypoints_2d[:, 5] += 300.0
    seen[:, 5] = confidence
    fields = {"keypoints_2d": tf.constant(keypoints_2d), "confidence": tf.constant(seen)}
    return pair_recipes._replace(target=pair_recipes.target._replace(**fields))


def test_a_joint_moves_the_solved_root_by_as_much_as_the_detector_is_sure_of_it(
    truth, pair_recipes
):
    errors = []
    for confidence in (0.0, 0.1, 1.0):
        poses, _ = join("solved_root", truth, misplace(pair_recipes, confidence))
        errors.append(np.linalg.norm(np.subtract(poses, truth)[:, :, 0], axis=-1).mean())
    assert errors[0] < 1e-4
    assert 1e-4 < errors[1] < 0.1 * errors[2]


@pytest.mark.parametrize("recipe", configs.RECIPES)
def test_exchanging_the_views_exchanges_the_poses(recipe, truth, pair_recipes):
    # Poses that are not true, so that each view's solve has something to weigh.
    bent = [pose * np.array([1.0, 0.9, 1.1], np.float32) for pose in truth]
    there = join(recipe, bent, pair_recipes, ROOT_ERROR)
    back = join(recipe, bent[::-1], pair_recipes.swapped, ROOT_ERROR)
    for here, other in zip(there, back, strict=True):
        np.testing.assert_allclose(here, other[::-1], atol=1e-5)


def gradients(recipe, truth, pair_recipes, of):
    """The gradients, by pose and root of both views, of `of(poses, root_losses)`."""
    networks = [take_apart(1.1 * pose, ROOT_ERROR) for pose in truth]
    with tf.GradientTape() as tape:
        tape.watch(networks)
        value = of(*joined(recipe, networks, pair_recipes))
    return tape.gradient(value, networks)


def poses_loss(pair_recipes):
    objective = objectives.TransformReprojection()
    return lambda poses, _: tf.add_n(list(objective(poses, pair_recipes).values()))


@pytest.mark.parametrize("recipe", ["paper", "ray_root"])
def test_the_poses_loss_teaches_the_predicted_roots(recipe, truth, pair_recipes):
    for of_pose, of_root in gradients(recipe, truth, pair_recipes, poses_loss(pair_recipes)):
        assert np.abs(of_pose).max() > 0
        assert np.abs(of_root).min(axis=0).max() > 0


def test_the_poses_loss_teaches_no_root_where_roots_are_solved(truth, pair_recipes):
    for of_pose, of_root in gradients("solved_root", truth, pair_recipes, poses_loss(pair_recipes)):
        assert np.abs(of_pose).max() > 0
        assert of_root is None


def test_the_root_loss_teaches_the_root_alone_where_roots_are_solved(truth, pair_recipes):
    for of_pose, of_root in gradients("solved_root", truth, pair_recipes, lambda _, losses: losses):
        assert of_pose is None
        # The gradient of a distance is a direction.
        np.testing.assert_allclose(np.linalg.norm(of_root, axis=-1), 1.0, rtol=1e-5)


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
def seen(clip):
    """All views of 24 instants."""
    return tf.nest.map_structure(tf.constant, tiny_studio.instants(clip))


def first_of(seen, view):
    return tf.nest.map_structure(lambda field: field[:, view], seen)


def hidden(seen, view):
    confidence = seen.confidence.numpy()
    confidence[:, view] = 0
    return seen._replace(confidence=tf.constant(confidence))


def test_fit_lowers_the_loss_of_instants(seen):
    model = tiny_studio.compiled(lifter(dropout=0.1), keras.optimizers.legacy.Adam(1e-2))
    repeated = tf.data.Dataset.from_tensors(seen).repeat()
    losses = model.fit(repeated, steps_per_epoch=5, epochs=5, verbose=0).history["loss"]
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
    filled = tf.nest.map_structure(tf.constant, tiny_studio.instants(clip, num_views=6))
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

    monkeypatch.setattr(batches, "mirrored_where", note)
    model = switched(flip_augmentation=True)
    model.losses_of(seen, training=False)
    assert not marked
    for _ in range(8):
        model.losses_of(seen, training=True)
    assert 0.4 < np.mean(marked) < 0.6
    assert 0 < np.mean(marked[0]) < 1


def test_an_untrained_model_has_the_same_loss_of_mirrored_instants(seen):
    model = switched()
    mirrored = batches.mirrored(seen)
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
