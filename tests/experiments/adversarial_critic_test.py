import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons
from keras_mvlift.experiments import adversarial

ARM = skeletons.Skeleton(name="arm", joints=("root", "elbow", "hand"), parents=(-1, 0, 1))
POSES = np.random.default_rng(0).normal(0.0, 0.5, (64, 17, 3)).astype(np.float32)


def build(seed=0, **options):
    return adversarial.critic(seed=seed, **{"width": 16} | options)


def test_chains_are_lengths_and_angles_by_hand():
    # Bones (1, 2, 0) and (0, 3, 4): 1 + 4, 2 * 3, 9 + 16.
    pose = np.array([[[5, 5, 5], [6, 7, 5], [6, 10, 9]]], np.float32)
    chains = adversarial.KinematicChains(ARM.bones)(pose)
    np.testing.assert_allclose(chains, [[5.0, 6.0, 25.0]])


def test_a_body_has_136_chains_that_no_turn_changes():
    chains = adversarial.KinematicChains(skeletons.H36M_17.bones)
    turned = adversarial.turned(POSES, [1, 2], max_tilt=0.5)
    assert chains(POSES).shape == (64, 16 * 17 // 2)
    np.testing.assert_allclose(chains(turned), chains(POSES), atol=1e-5)


def test_a_chain_of_each_two_bones_is_there_once():
    tree = skeletons.H36M_17.bones
    bones = np.stack([POSES[:, child] - POSES[:, parent] for parent, child in tree], 1)
    rows, columns = np.triu_indices(16)
    expected = np.einsum("bkd,bkd->bk", bones[:, rows], bones[:, columns])
    chains = adversarial.KinematicChains(tree)(POSES)
    np.testing.assert_allclose(chains, expected, atol=1e-5)


@pytest.mark.parametrize("batch", [0, 1, 64])
def test_each_skeleton_has_one_score(batch):
    assert build()(POSES[:batch]).shape == (batch,)


def test_a_score_depends_on_its_own_skeleton_alone():
    model = build()
    alone = model(POSES[:1], training=True)
    np.testing.assert_allclose(model(POSES, training=True)[:1], alone, rtol=1e-4, atol=1e-6)


def test_the_score_tells_a_skeleton_from_its_turned_self():
    turned = adversarial.turned(POSES, [1, 2])
    assert np.abs(build()(turned) - build()(POSES)).min() > 1e-6


def test_other_skeletons_are_possible():
    assert build(skeleton=ARM)(POSES[:, :3]).shape == (64,)


def test_more_blocks_are_more_layers_on_either_way():
    def count(num_blocks):
        layers = build(num_blocks=num_blocks).layers
        return sum(isinstance(layer, keras.layers.Dense) for layer in layers)

    assert [count(num_blocks) for num_blocks in (0, 1, 3)] == [4, 8, 16]


def test_it_runs_in_float32_under_any_policy():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = build()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert model(POSES).dtype == tf.float32


def test_the_same_seed_gives_the_same_critic_and_another_another():
    first, again, other = (build(seed=seed)(POSES) for seed in (3, 3, 4))
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(other, first)


def test_it_survives_config_and_file(tmp_path):
    model = build()
    model.save(tmp_path / "critic.keras")
    loaded = keras.models.load_model(tmp_path / "critic.keras")
    np.testing.assert_array_equal(loaded(POSES), model(POSES))
    chains = adversarial.KinematicChains(ARM.bones)
    assert adversarial.KinematicChains.from_config(chains.get_config()).bones == ARM.bones


def test_fit_lowers_the_loss():
    model = build()
    model.compile(keras.optimizers.legacy.Adam(1e-2), "mse")
    heights = POSES[:, 10, 2]
    losses = model.fit(POSES, heights, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
