import hypothesis
import numpy as np
import pytest
import scipy.spatial
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import residual
from keras_mvlift.training import lifters, multi_view_lifter, objectives
from tests import tiny_studio

SMALL = {"width": 16, "num_blocks": 2}
RAYS = np.random.default_rng(0).normal(0.0, 0.2, (64, 17, 2)).astype(np.float32)


def build(num_outputs=51, seed=0, **options):
    return residual.residual(num_outputs, name="net", seed=seed, **(SMALL | options))


def count(model, kind):
    return sum(isinstance(layer, kind) for layer in model.layers)


@pytest.mark.parametrize(("num_blocks", "layers_per_block"), [(4, 2), (2, 2), (0, 2), (3, 1)])
def test_it_has_the_layers_of_its_blocks(num_blocks, layers_per_block):
    model = build(num_blocks=num_blocks, layers_per_block=layers_per_block)
    hidden = 1 + num_blocks * layers_per_block
    assert count(model, keras.layers.Dense) == hidden + 1
    for kind in (keras.layers.BatchNormalization, keras.layers.ReLU, residual.Dropout):
        assert count(model, kind) == hidden
    assert count(model, keras.layers.Add) == num_blocks


def test_by_default_it_is_the_papers():
    model = residual.residual(51, name="lifting_network", seed=0)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    # 34 numbers in, then four blocks of two layers of 1024, then 17 joints.
    assert [layer.units for layer in dense] == [1024] * 9 + [51]
    assert dense[0].input_shape == (None, 34)
    assert model.name == "lifting_network"
    assert residual.NUM_BLOCKS == {"paper": 4, "res_linear": 2}
    assert {*residual.NUM_BLOCKS, configs.TEMPORAL} == set(configs.BACKBONES)


@pytest.mark.parametrize("num_outputs", [3, 51])
@pytest.mark.parametrize("batch", [1, 5, 0])
def test_it_maps_rays_of_any_batch_to_its_outputs(num_outputs, batch):
    assert build(num_outputs)(RAYS[:batch]).shape == (batch, num_outputs)


def test_other_numbers_of_joints_are_possible():
    assert build(num_joints=14)(RAYS[:, :14]).shape == (64, 51)


def test_it_starts_near_zero():
    for seed in range(3):
        model = build(seed=seed, width=256, num_blocks=4)
        for training in (False, True):
            outputs = model(RAYS, training=training)
            assert 0 < np.abs(outputs).max() < 1.0
            assert np.abs(outputs).mean() < 0.15


@pytest.mark.parametrize("initializer", configs.INITIALIZERS)
def test_dense_layers_start_as_asked(initializer):
    model = build(width=256, num_blocks=1, initializer=initializer)
    (kernel, _) = (w for w in model.get_weights() if w.shape == (256, 256))
    # He: a variance of 2 / 256; Glorot: of 2 / 512. A uniform one ends at sqrt(3) deviations.
    # Of PyTorch's: 1 / sqrt(256), over sqrt(3) as of anything uniform.
    variance = {"he": 2 / 256, "gl": 2 / 512, "fa": 1 / (3 * 256)}[initializer[:2]]
    stddev = np.sqrt(variance)
    np.testing.assert_allclose(kernel.std(), stddev, rtol=0.02)
    assert (np.abs(kernel).max() < 1.75 * stddev) == initializer.endswith("uniform")


def test_the_last_layer_starts_as_spread_as_asked():
    for stddev in (0.002, 0.1):
        kernel = build(width=256, output_stddev=stddev).layers[-1].get_weights()[0]
        np.testing.assert_allclose(kernel.std(), stddev, rtol=0.03)
    assert (build(output_stddev=0.0)(RAYS).numpy() == 0).all()


def test_a_blocks_input_is_added_to_its_output():
    model = build(num_blocks=1, layers_per_block=1, dropout=0.0)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    # A block that adds nothing passes on what it gets.
    dense[1].set_weights([np.zeros((16, 16)), np.zeros(16)])
    (add,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Add))
    passed = keras.Model(model.input, [add.output, add.input[1]])(RAYS)
    np.testing.assert_array_equal(*passed)


def test_no_two_layers_start_alike():
    model = build(num_blocks=2, dropout=0.5)
    kernels = [w for w in model.get_weights() if w.shape == (16, 16)]
    assert len({kernel.tobytes() for kernel in kernels}) == 4
    drops = [layer for layer in model.layers if isinstance(layer, residual.Dropout)]
    assert len({layer.seed for layer in drops}) == 5


def test_dropout_is_the_share_asked_for():
    model = build(dropout=0.4)
    rates = {layer.rate for layer in model.layers if isinstance(layer, residual.Dropout)}
    assert rates == {0.4}
    assert not np.array_equal(model(RAYS, training=True), model(RAYS, training=True))
    np.testing.assert_array_equal(model(RAYS), model(RAYS))


def test_fit_lowers_the_loss():
    model = build(width=32, dropout=0.1)
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    poses = tf.concat([RAYS, RAYS[..., :1]], axis=-1)
    losses = model.fit(RAYS, tf.reshape(poses, (64, 51)), epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


SHAPES = [(64, 8), (16, 5, 8), (2, 8)]


def inputs_of(shape):
    return tf.random.stateless_normal(shape, [0, 1], mean=3.0, stddev=2.0)


def made(kind, shape):
    layer = kind(momentum=0.7, epsilon=1e-2)
    layer.build((None, *shape[1:]))
    gamma, beta = np.random.default_rng(0).normal(size=(2, shape[-1]))
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    return layer


def step(layer, inputs, training=True):
    """The outputs, the gradients of an uneven sum of them, and what was learned."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=training)
        loss = tf.reduce_sum(tf.sin(outputs))
    return outputs, *tape.gradient(loss, [inputs, layer.gamma, layer.beta]), *layer.weights


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_it_norms_and_learns_as_keras_own(shape, training):
    ours, keras_own = (
        made(kind, shape) for kind in (residual.BatchNormalization, keras.layers.BatchNormalization)
    )
    inputs = inputs_of(shape)
    before = ours.moving_mean.numpy()
    for _ in range(3):
        found, expected = (step(layer, inputs, training) for layer in (ours, keras_own))
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
    assert np.array_equal(ours.moving_mean, before) == (not training)


def test_its_defaults_are_those_of_the_papers_framework():
    layer = residual.BatchNormalization()
    assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)


def test_training_takes_the_fused_operation():
    layer = made(residual.BatchNormalization, (8, 4))
    graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(tf.ones((8, 4)))
    assert "FusedBatchNormV3" in {node.op for node in graph.graph.as_graph_def().node}


def test_over_replicas_it_is_keras_own():
    layer = made(residual.BatchNormalization, (8, 4))
    layer.synchronized, layer.fused = True, False
    graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(tf.ones((8, 4)))
    assert "FusedBatchNormV3" not in {node.op for node in graph.graph.as_graph_def().node}


def test_a_batch_of_any_size_keeps_its_shape():
    layer = made(residual.BatchNormalization, (3, 2, 4))
    norm = tf.function(
        lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, None, 4))]
    )
    assert norm(inputs_of((3, 2, 4))).shape == (3, 2, 4)


def test_it_takes_weights_that_keras_own_layer_saved(tmp_path):
    def model(kind):
        inputs = keras.Input((3,))
        return keras.Model(inputs, kind()(inputs))

    first, second = model(keras.layers.BatchNormalization), model(residual.BatchNormalization)
    first(inputs_of((9, 3)), training=True)
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    for mine, other in zip(second.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def seen_poses(seed, num_poses):
    """Draws poses `[N, 17, 3]` that are mixed of a few, and their rays 4 m away, with noise."""
    rng = np.random.default_rng(seed)
    few = 0.3 * np.random.default_rng(0).normal(size=(5, 17, 3))
    pose = np.einsum("nk,kjd->njd", rng.normal(size=(num_poses, 5)), few)
    rays = pose[..., :2] / np.maximum(4.0 + pose[..., 2:], 1.0)
    return (rays + rng.normal(0, 0.05, rays.shape)).astype(np.float32), pose.astype(np.float32)


def refresh(network, rays):
    """Returns every norm the statistics of the weights that the network has now."""
    norms = [x for x in network.layers if isinstance(x, keras.layers.BatchNormalization)]
    former = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    network(rays, training=True)
    for layer, momentum in zip(norms, former, strict=True):
        layer.momentum = momentum


def test_after_a_short_run_the_statistics_are_those_of_the_weights():
    keras.utils.set_random_seed(0)
    network = residual.residual(51, name="n", seed=0, width=64, num_blocks=2, dropout=0.0)
    rays, pose = seen_poses(1, 4096)
    # As a stage does: the rate falls to a tenth behind the fourth of six epochs.
    rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 4 * 32, 0.1, staircase=True)
    network.compile(keras.optimizers.legacy.Adam(rate), "mse")
    network.fit(rays, pose.reshape(-1, 51), batch_size=128, epochs=6, verbose=0)
    unseen, expected = seen_poses(2, 2000)

    def error():
        found = np.reshape(network(unseen), expected.shape)
        return np.linalg.norm(found - expected, axis=-1).mean()

    before = error()
    refresh(network, rays)
    # Small beside poses, so that the statistics matter.
    assert before < 0.5 * np.linalg.norm(expected, axis=-1).mean()
    assert abs(error() - before) < 0.02 * before


def masks(layer, count=1):
    """What is left of ones in `count` steps of training."""
    ones = tf.ones((64, 32))
    return np.stack([layer(ones, training=True) for _ in range(count)])


def made_dropout(rate=0.25, seed=0):
    layer = residual.Dropout(rate, seed=seed)
    layer.build((64, 32))
    return layer


def test_it_drops_its_share_and_scales_up_the_rest():
    kept = masks(made_dropout(0.25), 20)
    np.testing.assert_allclose(np.unique(kept), [0, 1 / 0.75])
    np.testing.assert_allclose((kept == 0).mean(), 0.25, atol=0.01)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(300, 33), (40, 7, 34), (2000, 1)])
def test_any_rate_is_met_in_inputs_of_any_shape(rate, shape):
    layer = residual.Dropout(rate, seed=0)
    kept = np.stack([layer(tf.ones(shape), training=True) for _ in range(4)])
    assert kept.shape == (4, *shape)
    assert (kept > 0).mean() == pytest.approx(1 - rate, abs=5 * np.sqrt(0.25 / kept.size))
    assert kept.max() == pytest.approx(1 / (1 - rate), rel=1e-3)
    # Neighbors, which share a random word, are dropped apart from each other.
    is_kept = (kept > 0).astype(float)
    if shape[-1] > 1:
        both = (is_kept[..., 1:] * is_kept[..., :-1]).mean()
        assert both == pytest.approx((1 - rate) ** 2, abs=0.01)


def test_outside_training_and_at_rate_zero_it_passes_on():
    inputs = tf.random.stateless_normal((4, 3), [0, 0])
    np.testing.assert_array_equal(made_dropout(0.5)(inputs), inputs)
    np.testing.assert_array_equal(made_dropout(0.5)(inputs, training=False), inputs)
    np.testing.assert_array_equal(made_dropout(0.0)(inputs, training=True), inputs)


def test_the_same_seed_gives_the_same_masks_step_by_step():
    first, again, other = (masks(made_dropout(seed=seed), 3) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_a_restored_checkpoint_goes_on_with_the_same_masks(tmp_path):
    layer = made_dropout()
    masks(layer, 5)
    path = tf.train.Checkpoint(layer=layer).write(str(tmp_path / "state"))
    unbroken = masks(layer, 3)
    resumed = made_dropout()
    tf.train.Checkpoint(layer=resumed).read(path).assert_consumed()
    np.testing.assert_array_equal(masks(resumed, 3), unbroken)
    assert not np.array_equal(masks(made_dropout(), 3), unbroken)


def test_inside_a_model_too_the_state_is_in_the_checkpoint(tmp_path):
    def model():
        inputs = keras.Input((32,))
        return keras.Model(inputs, residual.Dropout(0.5, seed=1)(inputs))

    first, second, ones = model(), model(), tf.ones((8, 32))
    step = tf.function(lambda x: first(x, training=True))
    assert not np.array_equal(step(ones), step(ones))
    path = tf.train.Checkpoint(model=first).write(str(tmp_path / "state"))
    unbroken = step(ones)
    tf.train.Checkpoint(model=second).read(path).assert_consumed()
    np.testing.assert_array_equal(second(ones, training=True), unbroken)


def test_a_graph_draws_the_masks_of_eager_code():
    layer = made_dropout()
    step = tf.function(lambda x: layer(x, training=True))
    in_graph = np.stack([step(tf.ones((64, 32))) for _ in range(3)])
    np.testing.assert_array_equal(in_graph, masks(made_dropout(), 3))


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_other_rates_are_refused(rate):
    with pytest.raises(ValueError, match=rf"`rate` must lie in \[0, 1\). Received: {rate}"):
        residual.Dropout(rate, seed=0)


INTRINSICS = [[500.0, 0.0, 100.0], [0.0, 500.0, 50.0], [0.0, 0.0, 1.0]]


@pytest.fixture
def view():
    # One joint seen at (600, 300) by a lens twice as long as the mean one, one not seen.
    keypoints_2d = tf.constant([[[600.0, 300.0], [7.0, 7.0]]])
    long_lens = tf.constant([[[1000.0, 0.0, 100.0], [0.0, 1000.0, 50.0], [0.0, 0.0, 1.0]]])
    camera = cameras.Camera(long_lens, tf.eye(3)[tf.newaxis], tf.zeros([1, 3]))
    return views.View(keypoints_2d, tf.constant([[1.0, 0.0]]), camera)


def test_rays_remove_the_views_own_lens(view):
    # 500 px right and 250 px down of the principal point at a focal length of 1000 px.
    seen = residual.input_by_name("rays")(view)
    np.testing.assert_allclose(seen.joints, [[[0.5, 0.25], [0.0, 0.0]]])
    assert seen.rays is seen.joints


def test_screen_scales_all_cameras_alike(view):
    # 500 px right and 250 px down of the principal point at the mean focal length, 500 px.
    seen = residual.input_by_name("screen", INTRINSICS)(view)
    np.testing.assert_allclose(seen.joints, [[[1.0, 0.5], [0.0, 0.0]]])
    np.testing.assert_allclose(seen.rays, view.rays)


def test_screen_without_intrinsics_is_refused():
    with pytest.raises(ValueError, match="`intrinsics` must be given for the input 'screen'"):
        residual.input_by_name("screen")


@pytest.mark.parametrize(
    ("name", "is_same"), [("rays", True), ("centered", True), ("screen", False)]
)
def test_only_the_screen_input_depends_on_the_lens(name, is_same):
    config = configs.ModelConfig(
        backbone="res_linear", width=16, network_input=name, output_stddev=0.1
    )
    objective = objectives.TransformReprojection()
    lifter = lifters.build(config, objective, rig_distance=4.0, intrinsics=INTRINSICS)
    rays = np.random.default_rng(0).normal(0, 0.2, (1, 17, 2)).astype(np.float32)

    def pose(focal: float) -> np.ndarray:
        lens = tf.constant([[[focal, 0.0, 0.0], [0.0, focal, 0.0], [0.0, 0.0, 1.0]]])
        camera = cameras.Camera(lens, tf.eye(3)[tf.newaxis], tf.zeros([1, 3]))
        seen = views.View(tf.constant(rays * focal), tf.ones([1, 17]), camera)
        return lifter(seen).root_relative_pose.numpy()

    assert np.allclose(pose(500.0), pose(1500.0), atol=1e-4) == is_same


# Centered views.

POINTS = np.random.default_rng(0).uniform(-0.8, 0.8, (2, 17, 3)) + np.array([0.7, -0.4, 4.0])


def view_of(points, focal=1000.0, confidence=None):
    """Returns what a camera at the origin sees of points in its own axes."""
    intrinsics = np.tile(np.diag([focal, focal, 1.0]), (len(points), 1, 1))
    intrinsics[:, :2, 2] = 500.0
    camera = cameras.Camera(intrinsics, np.tile(np.eye(3), (len(points), 1, 1)), points[:, 0] * 0)
    keypoints_2d = cameras.project(points, intrinsics)
    if confidence is None:
        confidence = np.ones(points.shape[:2])
    return tf.nest.map_structure(
        lambda field: tf.constant(field, tf.float32), views.View(keypoints_2d, confidence, camera)
    )


def turned(angles):
    return scipy.spatial.transform.Rotation.from_euler("xyz", angles, degrees=True).as_matrix()


def test_the_turned_camera_sees_the_person_in_the_middle():
    seen = residual.centered_input(view_of(POINTS))
    aside = POINTS[..., :2] / POINTS[..., 2:]
    assert np.abs(aside.mean(axis=1)).min() > 0.05
    # Up to perspective.
    np.testing.assert_allclose(seen.rays.numpy().mean(axis=1), 0.0, atol=0.01)


def test_the_turned_rays_are_those_of_the_points_in_its_axes():
    seen = residual.centered_input(view_of(POINTS))
    points = np.einsum("bij,bkj->bki", seen.turn, POINTS)
    np.testing.assert_allclose(seen.rays, points[..., :2] / points[..., 2:], atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(seen.turn), 1.0, atol=1e-5)
    np.testing.assert_allclose(seen.back(tf.constant(points, tf.float32)), POINTS, atol=1e-5)


def test_where_in_the_image_a_person_is_does_not_matter_to_the_network():
    middle = POINTS.mean(axis=1, keepdims=True)
    straight = POINTS - middle + [0.0, 0.0, 4.0]
    aside = straight @ turned([0.0, 12.0, 0.0]).T
    one, other = (residual.centered_input(view_of(points)).joints for points in (straight, aside))
    np.testing.assert_allclose(one, other, atol=0.03)
    assert np.abs(view_of(straight).rays - view_of(aside).rays).max() > 0.2


def test_the_same_rays_through_another_lens_are_the_same_input():
    one, other = (residual.centered_input(view_of(POINTS, focal)).joints for focal in (700, 2000))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_joint_that_is_not_seen_is_nowhere_and_moves_nothing():
    confidence = np.ones((2, 17))
    confidence[:, 5] = 0.0
    moved = POINTS.copy()
    moved[:, 5] += 2.0
    one, other = (
        residual.centered_input(view_of(points, 1000.0, confidence)) for points in (POINTS, moved)
    )
    np.testing.assert_array_equal(one.joints[:, 5], 0.0)
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_a_view_in_which_nobody_is_seen_gives_numbers():
    seen = residual.centered_input(view_of(POINTS, 1000.0, np.zeros((2, 17))))
    assert np.isfinite(seen.joints).all()
    assert np.isfinite(seen.turn).all()


@pytest.mark.parametrize("recipe", multi_view_lifter.RECIPES)
def test_a_turned_camera_gives_the_turned_pose_before_it(recipe):
    lifter = tiny_studio.trained(recipe=recipe, network_input="centered")
    turn = turned([0.0, 15.0, 0.0])
    # Far away, so that perspective matters little.
    straight = (POINTS - [0.7, -0.4, 4.0]) / 4 + [0.0, 0.0, 4.0]
    one, other = (lifter(view_of(points)) for points in (straight, straight @ turn.T))
    for field in ("root_relative_pose", "root_position"):
        expected = getattr(one, field) @ turn.T.astype(np.float32)
        size = np.abs(expected).max()
        np.testing.assert_allclose(getattr(other, field), expected, atol=0.02 * size)
        assert np.abs(getattr(other, field) - getattr(one, field)).max() > 0.1 * size


def test_an_untrained_root_lies_on_the_ray_to_the_pelvis():
    lifter = tiny_studio.lifter(network_input="centered")
    seen = view_of(POINTS)
    root_position = lifter(seen).root_position.numpy()
    rays = root_position[:, :2] / root_position[:, 2:]
    np.testing.assert_allclose(rays, seen.rays[:, 0], atol=0.01)
    # The rig's distance along the turned camera's axis.
    assert np.abs(np.linalg.norm(root_position, axis=-1) / tiny_studio.RIG_DISTANCE - 1).max() < 0.1


RAYS_HEADS = np.zeros((1, 17, 2), np.float32)
RAYS_HEADS[0, 0] = [0.2, -0.1]
numbers = hypothesis.strategies.floats(-1e6, 1e6, width=32)


def test_linear_root_is_the_outputs_themselves():
    outputs = tf.constant([[1.0, -2.0, 3.0]])
    np.testing.assert_array_equal(residual.LinearRoot()((outputs, RAYS_HEADS)), outputs)


def test_ray_root_of_zero_is_on_the_ray_at_the_rigs_distance():
    # 4 m ahead, along the ray (0.2, -0.1).
    root = residual.RayRoot(4.0)((tf.zeros((1, 3)), RAYS_HEADS))
    np.testing.assert_allclose(root, [[0.8, -0.4, 4.0]], rtol=1e-6)


def test_ray_root_golden():
    # tanh(q) = 1/2 at q = atanh(1/2): z = 4 exp(0.35), x = (0.2 + 0.05) z, y = (-0.1 - 0.05) z.
    half = np.arctanh(0.5)
    outputs = np.array([[half, -half, half]], np.float32)
    depth = 4.0 * np.exp(0.35)
    root = residual.RayRoot(4.0)((outputs, RAYS_HEADS))
    np.testing.assert_allclose(root, [[0.25 * depth, -0.15 * depth, depth]], rtol=1e-5)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(outputs=hypothesis.strategies.tuples(numbers, numbers, numbers))
def test_ray_root_is_bounded_whatever_the_outputs(outputs):
    x, y, z = residual.RayRoot(4.0)((tf.constant([outputs]), RAYS_HEADS)).numpy()[0]
    # exp(0.7) is 2.014: half to double the rig's distance, a tenth aside from the ray.
    assert 4.0 / 2.014 < z < 4.0 * 2.014
    assert abs(x / z - 0.2) < 0.1001
    assert abs(y / z + 0.1) < 0.1001


@pytest.mark.parametrize("head", [residual.LinearRoot(), residual.RayRoot(3.0)])
@pytest.mark.parametrize("size", [0.0, 1e6])
def test_gradients_are_finite(head, size):
    outputs = tf.constant([[size, -size, size]])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        root = head((outputs, RAYS_HEADS))
    assert np.isfinite(tape.gradient(root, outputs)).all()


@pytest.mark.parametrize("head", [residual.LinearRoot(), residual.RayRoot(3.0)])
@pytest.mark.parametrize("batch", [1, 5, 0])
def test_any_batch_in_eager_code_and_graph(head, batch):
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(batch, 3)).astype(np.float32)
    rays = rng.normal(size=(batch, 17, 2)).astype(np.float32)
    root = head((outputs, rays))
    assert root.shape == (batch, 3)
    np.testing.assert_allclose(tf.function(head)((outputs, rays)), root, rtol=1e-6)


@pytest.mark.parametrize("rig_distance", [0.0, -1.0, float("nan")])
def test_a_rig_at_no_distance_is_refused(rig_distance):
    message = f"`rig_distance` must be positive. Received: {rig_distance}"
    with pytest.raises(ValueError, match=message):
        residual.RayRoot(rig_distance)


def test_the_numbers_of_the_formula_are_told():
    assert residual.RayRoot(4.0).numbers == {"a": 0.7, "b": 0.1, "z_rig": 4.0}
    assert residual.LinearRoot().numbers == {}
