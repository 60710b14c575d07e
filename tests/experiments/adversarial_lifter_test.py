import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift.experiments import adversarial
from keras_mvlift.losses import reprojection
from tests import tiny_studio

SGD = keras.optimizers.legacy.SGD


@pytest.fixture(scope="module")
def view():
    return tiny_studio.pair(tiny_studio.prepare(tiny_studio.film()).train_pairs).source


@pytest.fixture(scope="module")
def unpaired_poses():
    """Another person's poses, in the world's axes."""
    poses = tiny_studio.film(seed=1).pose_world
    return (poses - poses[:, :1]).astype(np.float32)


def build(unpaired_poses, lifter=None, **options):
    return adversarial.AdversarialLifter(
        lifter or tiny_studio.trained(recipe="ray_root"),
        adversarial.critic(seed=0, width=16),
        unpaired_poses,
        adversarial.AdversarialOptions(**options),
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
    adversary = build(unpaired_poses)
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
    adversary = build(unpaired_poses)
    before = values(adversary.critic)
    step(adversary, view, rate=1.0, critic_rate=0.0)
    assert not any(changed(before, values(adversary.critic)))


def test_the_critic_teaches_the_pose_and_leaves_the_root_alone(view, unpaired_poses):
    def stepped(critic_weight):
        adversary = build(unpaired_poses, critic_weight=critic_weight)
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
    adversary = build(unpaired_poses, critic_weight=50.0)
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


def test_the_loss_is_reprojection_and_weighted_opinion(view, idle):
    opinions = []
    idle._opinion, original = (
        lambda pose: opinions.append(original(pose)) or opinions[-1],
        idle._opinion,
    )
    report = losses(idle, view)
    idle._opinion = original
    assert report["adversarial"] == pytest.approx(50 * float(opinions[0]), rel=1e-4)
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
    assert len(predicted) == idle.options.num_critic_steps + 1


def test_the_same_seed_gives_the_same_losses_and_another_another(view, idle):
    first, again, other = (losses(idle, view, seed) for seed in (3, 3, 4))
    assert first == again
    assert first["critic"] != other["critic"]


def test_the_options_seed_is_the_models(unpaired_poses):
    states = [build(unpaired_poses, seed=seed).generator.state.numpy() for seed in (3, 3, 4)]
    assert [np.array_equal(states[0], other) for other in states[1:]] == [True, False]


def test_each_step_draws_anew(view, idle):
    assert losses(idle, view)["critic"] != next_losses(idle, view)["critic"]


def test_the_critic_takes_as_many_steps_as_asked_and_the_lifter_one(view, unpaired_poses):
    adversary = build(unpaired_poses, num_critic_steps=3)
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
    adversary = build(unpaired_poses, tiny_studio.lifter("ray_root"), num_critic_steps=1)
    adversary.compile(keras.optimizers.legacy.Adam(3e-3), adversarial.critic_optimizer())
    history = adversary.fit(batches, steps_per_epoch=30, epochs=3, verbose=0).history
    assert history["reprojection"][-1] < 0.5 * history["reprojection"][0]
    assert history["penalty"][-1] < history["penalty"][0]
    # An untrained network says millimeters.
    pose = adversary.lifter(view).root_relative_pose.numpy()
    assert np.ptp(pose[..., 2], axis=1).mean() > 0.1


def test_the_critic_likes_real_poses_better_after_some_steps(view, unpaired_poses):
    adversary = build(unpaired_poses, num_critic_steps=20)
    adversary.compile(SGD(0.0), adversarial.critic_optimizer())
    assert losses(adversary, view)["critic"] < -0.1


@pytest.mark.parametrize("shape", [(0, 17, 3), (17, 3)])
def test_there_must_be_unpaired_poses(shape):
    with pytest.raises(ValueError, match=r"`unpaired_poses` must have shape \[M, J, 3\]"):
        build(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("critic_weight", -1.0),
        ("penalty_weight", -1.0),
        ("max_tilt", float("nan")),
        ("num_critic_steps", 0),
        ("distance", "cosine"),
    ],
)
def test_options_that_break_a_rule_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"`{name}`.*{value}"):
        adversarial.AdversarialOptions(**{name: value})
