import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import reprojection, skeletons
from keras_mvlift.experiments import adversarial
from tests import tiny_studio

REAL, PREDICTED = np.random.default_rng(0).normal(0.0, 0.5, (2, 5, 17, 3)).astype(np.float32)
SHARE = np.linspace(0.0, 1.0, 5, dtype=np.float32)
SEED = [3, 4]


def slope(steepness):
    """A critic that rises by so much per meter of the first joint's height."""
    return lambda poses: steepness * poses[:, 0, 2]


def curved(poses):
    """A critic whose slope at a skeleton is the skeleton's own length."""
    return tf.reduce_sum(tf.square(poses), axis=[1, 2]) / 2


@pytest.mark.parametrize(("steepness", "expected"), [(1.0, 0.0), (3.0, 4.0), (0.5, 0.25)])
def test_the_penalty_is_on_slopes_other_than_one(steepness, expected):
    penalty = adversarial.gradient_penalty(slope(steepness), REAL, PREDICTED, SHARE)
    np.testing.assert_allclose(penalty, [expected] * 5, rtol=1e-6)


def test_the_penalty_looks_between_predicted_and_real():
    between = PREDICTED + SHARE[:, np.newaxis, np.newaxis] * (REAL - PREDICTED)
    expected = (np.linalg.norm(between.reshape(5, -1), axis=-1) - 1) ** 2
    penalty = adversarial.gradient_penalty(curved, REAL, PREDICTED, SHARE)
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)


def test_a_flat_or_forgetful_critic_costs_one_with_finite_gradients():
    origin = np.zeros_like(REAL)
    steepness = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        flat = adversarial.gradient_penalty(slope(steepness), REAL, REAL, SHARE)
    np.testing.assert_array_equal(flat, np.ones(5))
    assert np.isfinite(tape.gradient(flat, steepness))
    deaf = adversarial.gradient_penalty(lambda poses: tf.zeros(5), REAL, PREDICTED, SHARE)
    np.testing.assert_array_equal(deaf, np.ones(5))
    np.testing.assert_array_equal(
        adversarial.gradient_penalty(curved, origin, origin, SHARE), np.ones(5)
    )


def test_the_penalty_has_finite_gradients_where_skeletons_coincide():
    weight = tf.Variable(tf.ones([17, 3]))
    for poses in (REAL, np.zeros_like(REAL)):
        with tf.GradientTape() as tape:
            penalty = adversarial.gradient_penalty(
                lambda x: tf.reduce_sum(tf.square(weight * x), axis=[1, 2]), poses, poses, SHARE
            )
        assert np.isfinite(tape.gradient(penalty, weight)).all()


def test_skeletons_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"adversarial\.gradient_penalty"):
        adversarial.gradient_penalty(curved, REAL, PREDICTED[:, :3], SHARE)


def test_without_tilt_the_vertical_stays_and_every_heading_comes():
    rotation = adversarial.random_rotations(4000, SEED).numpy()
    np.testing.assert_allclose(rotation[:, 2], np.tile([0.0, 0.0, 1.0], (4000, 1)), atol=1e-6)
    heading = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    counts, _ = np.histogram(heading, bins=8, range=(-np.pi, np.pi))
    # 500 a bin, four standard deviations of 21.
    assert np.abs(counts - 500).max() < 84


def test_the_vertical_leans_any_way_and_no_further_than_asked():
    up = adversarial.random_rotations(4000, SEED, max_tilt=0.3).numpy()[:, :, 2]
    lean = np.arccos(np.clip(up[:, 2], -1, 1))
    assert 0.29 < lean.max() < 0.3001
    np.testing.assert_allclose(lean.mean(), 0.15, atol=0.01)
    np.testing.assert_allclose(up[:, :2].mean(axis=0), [0.0, 0.0], atol=0.01)


def test_the_same_seed_turns_alike_and_another_otherwise():
    first, again, other = (adversarial.turned(REAL, seed) for seed in (SEED, SEED, [3, 5]))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_each_skeleton_is_turned_by_its_own_angle_and_keeps_shape_and_height():
    same = np.tile(REAL[:1], (5, 1, 1))
    turned = adversarial.turned(same, SEED).numpy()
    np.testing.assert_allclose(turned[..., 2], same[..., 2], atol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(turned, axis=-1), np.linalg.norm(same, axis=-1), rtol=1e-5
    )
    assert min(np.abs(turned[0] - other).max() for other in turned[1:]) > 0.01


ARM = skeletons.Skeleton(name="arm", joints=("root", "elbow", "hand"), parents=(-1, 0, 1))
POSES = np.random.default_rng(0).normal(0.0, 0.5, (64, 17, 3)).astype(np.float32)


def build(seed=0, **options):
    return adversarial.critic(seed=seed, **{"width": 16} | options)


def test_chains_are_lengths_and_angles_by_hand():
    # Bones (1, 2, 0) and (0, 3, 4): 1 + 4, 2 * 3, 9 + 16.
    pose = np.array([[[5, 5, 5], [6, 7, 5], [6, 10, 9]]], np.float32)
    chains = adversarial.kinematic_chains(pose, ARM.bones)
    np.testing.assert_allclose(chains, [[5.0, 6.0, 25.0]])


def test_a_body_has_136_chains_that_no_turn_changes():
    turned = adversarial.turned(POSES, [1, 2], max_tilt=0.5)
    before, after = (
        adversarial.kinematic_chains(poses, skeletons.H36M_17.bones) for poses in (POSES, turned)
    )
    assert before.shape == (64, 16 * 17 // 2)
    np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize("batch", [0, 1, 64])
def test_each_skeleton_has_one_score(batch):
    assert build()(POSES[:batch]).shape == (batch,)


def test_a_score_depends_on_its_own_skeleton_alone():
    model = build()
    alone = model(POSES[:1], training=True)
    np.testing.assert_allclose(model(POSES, training=True)[:1], alone, rtol=1e-4, atol=1e-6)


def test_it_runs_in_float32_under_any_policy():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = build()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert model(POSES).dtype == tf.float32


SGD = keras.optimizers.legacy.SGD


@pytest.fixture(scope="module")
def view():
    return tiny_studio.pair(tiny_studio.prepare(tiny_studio.film()).train_pairs).source


@pytest.fixture(scope="module")
def unpaired_poses():
    """Another person's poses, in the world's axes."""
    poses = tiny_studio.film(seed=1).pose_world
    return (poses - poses[:, :1]).astype(np.float32)


def against(unpaired_poses, lifter=None, **options):
    return adversarial.AdversarialLifter(
        lifter or tiny_studio.trained(recipe="ray_root"),
        adversarial.critic(seed=0, width=16),
        unpaired_poses,
        **options,
    )


def step(adversary, view, rate=1e-6, critic_rate=1e-3):
    """The losses of one step."""
    adversary.compile(SGD(rate), SGD(critic_rate))
    return {name: float(value) for name, value in adversary.train_step(view).items()}


def values(model):
    return [weight.numpy() for weight in model.trainable_weights]


def changed(before, after):
    return [not np.array_equal(*pair) for pair in zip(before, after, strict=True)]


def test_a_step_moves_both_networks_and_the_critic(view, unpaired_poses):
    # By PyTorch's smaller weights, units of these networks, all moved up, are alike.
    lifter = tiny_studio.trained(recipe="ray_root", initializer="he_normal")
    adversary = against(unpaired_poses, lifter)
    models = (adversary.lifter.lifting_network, adversary.lifter.root_network, adversary.critic)
    before = [values(model) for model in models]
    step(adversary, view)
    lifting, root, judge = (
        changed(old, values(model)) for old, model in zip(before, models, strict=True)
    )
    # A bias in front of batch statistics is without effect, as is the critic's last bias.
    assert all(lifting[0::4])
    assert all(root[0::4])
    assert all(judge[:-1])


def test_the_critic_is_not_moved_by_the_lifters_loss(view, unpaired_poses):
    adversary = against(unpaired_poses)
    before = values(adversary.critic)
    step(adversary, view, rate=1.0, critic_rate=0.0)
    assert not any(changed(before, values(adversary.critic)))


def test_the_critic_teaches_the_pose_and_leaves_the_root_alone(view, unpaired_poses):
    def stepped(critic_weight):
        adversary = against(unpaired_poses, critic_weight=critic_weight)
        step(adversary, view, critic_rate=0.0)
        return [
            values(net) for net in (adversary.lifter.lifting_network, adversary.lifter.root_network)
        ]

    (pose, root), (pose_alone, root_alone) = stepped(1e4), stepped(0.0)
    assert all(changed(pose, pose_alone)[0::4])
    for with_critic, without in zip(root, root_alone, strict=True):
        np.testing.assert_allclose(with_critic, without, rtol=1e-5, atol=1e-9)


@pytest.fixture(scope="module")
def idle(unpaired_poses):
    """A model that steps without learning, so that its losses depend on view and seed alone."""
    adversary = against(unpaired_poses, critic_weight=50.0)
    adversary.compile(SGD(0.0), SGD(0.0))
    return adversary


def losses(adversary, view, seed=0):
    adversary.generator.reset_from_seed(seed)
    return next_losses(adversary, view)


def next_losses(adversary, view):
    adversary.reset_metrics()
    return {name: float(value) for name, value in adversary.train_step(view).items()}


def test_eq_2_is_that_of_the_one_view(view, idle):
    lifted = idle.lifter(view, training=True)
    pose = lifted.root_relative_pose + lifted.root_position[:, tf.newaxis]
    expected = np.mean(reprojection.error(pose, view, view.confidence))
    assert losses(idle, view)["reprojection"] == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_reprojection_and_weighted_opinion(view, idle, monkeypatch):
    turned, original = [], idle._turned
    monkeypatch.setattr(idle, "_turned", lambda x: turned.append(original(x)) or turned[-1])
    report = losses(idle, view)
    # The lifter wants what the critic likes; its own skeletons are turned last.
    opinion = -float(np.mean(idle.critic(turned[-1])))
    assert report["adversarial"] == pytest.approx(50 * opinion, rel=1e-4)
    assert report["adversarial"] != 0
    assert report["loss"] == pytest.approx(report["reprojection"] + report["adversarial"])


def test_the_cameras_place_does_not_matter_and_its_rotation_does(view, idle):
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    elsewhere = view.camera._replace(center=view.camera.center + 5.0)
    rolled = view.camera._replace(rotation=turn @ view.camera.rotation)
    here, there, other = (
        losses(idle, view._replace(camera=camera))["loss"]
        for camera in (view.camera, elsewhere, rolled)
    )
    assert here == there != other


def test_the_critic_sees_skeletons_upright_whatever_the_camera(view, idle, monkeypatch):
    seen, original = [], idle._turned
    monkeypatch.setattr(idle, "_turned", lambda upright: seen.append(upright) or original(upright))
    losses(idle, view)
    pose = idle.lifter(view, training=True).root_relative_pose.numpy()
    expected = np.einsum("bji,bkj->bki", view.camera.rotation, pose)
    predicted = [upright for upright in seen if np.allclose(upright, expected, atol=1e-4)]
    # Each critic step and the lifter's own turn the predictions; the others are real poses.
    assert len(predicted) == idle.num_critic_steps + 1


def test_the_options_seed_is_the_models(unpaired_poses):
    states = [against(unpaired_poses, seed=seed).generator.state.numpy() for seed in (3, 3, 4)]
    assert [np.array_equal(states[0], other) for other in states[1:]] == [True, False]


def test_the_critic_takes_as_many_steps_as_asked_and_the_lifter_one(view, unpaired_poses):
    adversary = against(unpaired_poses, num_critic_steps=3)
    step(adversary, view)
    assert int(adversary.critic_optimizer.iterations) == 3
    assert int(adversary.optimizer.iterations) == 1


def test_checkpoints_hold_the_random_state(view, idle, tmp_path):
    path = tf.train.Checkpoint(model=idle).save(str(tmp_path / "state"))
    first = next_losses(idle, view)
    tf.train.Checkpoint(model=idle).restore(path)
    assert next_losses(idle, view)["critic"] == first["critic"]


def test_fit_learns_what_people_look_like(view, unpaired_poses):
    batches = tf.data.Dataset.from_tensors(view).repeat()
    adversary = against(unpaired_poses, tiny_studio.lifter("ray_root"), num_critic_steps=1)
    tiny_studio.compiled(adversary, keras.optimizers.legacy.Adam(3e-3))
    history = adversary.fit(batches, steps_per_epoch=30, epochs=3, verbose=0).history
    assert history["reprojection"][-1] < 0.5 * history["reprojection"][0]
    assert history["penalty"][-1] < history["penalty"][0]
    # An untrained network says millimeters.
    pose = adversary.lifter(view).root_relative_pose.numpy()
    assert np.ptp(pose[..., 2], axis=1).mean() > 0.1


def test_the_critic_likes_real_poses_better_after_some_steps(view, unpaired_poses):
    adversary = against(unpaired_poses, num_critic_steps=20)
    adversary.compile(SGD(0.0), adversarial.critic_optimizer())
    assert losses(adversary, view)["critic"] < -0.1


@pytest.mark.parametrize("shape", [(0, 17, 3), (17, 3)])
def test_there_must_be_unpaired_poses(shape):
    with pytest.raises(ValueError, match=r"`unpaired_poses` must have shape \[M, J, 3\]"):
        against(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("critic_weight", -1.0),
        ("num_critic_steps", 0),
        ("distance", "cosine"),
    ],
)
def test_options_that_break_a_rule_are_refused_by_name(unpaired_poses, name, value):
    with pytest.raises(ValueError, match=rf"`{name}`.*{value}"):
        against(unpaired_poses, **{name: value})
