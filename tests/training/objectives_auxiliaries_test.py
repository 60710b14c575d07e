import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.losses import priors
from keras_mvlift.training import objectives
from tests.losses import pairs

DEPTH = np.array([2.0, 4.0, 8.0])


@pytest.fixture(scope="module")
def inputs():
    """What was lifted from three views, the views, and what is known of them."""
    poses, pair = pairs.spoiled()
    own = tf.nest.map_structure(tf.constant, pair.source)
    rng = np.random.default_rng(3)
    pose = tf.constant(poses[0] - poses[0][:, :1])
    root_position = tf.constant(np.stack([0 * DEPTH, 0 * DEPTH, DEPTH], axis=-1))
    points = tf.constant(rng.uniform(-1, 1, (3, 17, 3)))
    is_known = np.ones((3, 17), bool)
    is_known[1, 4] = False
    found = objectives.Agreement(points, tf.constant(is_known), tf.ones((3, 1, 17), tf.float64))
    return objectives.Lifted(pose, root_position), own, found


def in_pixels(length, own):
    """At the distance of the root, by the mean of both focal lengths."""
    focal = own.camera.intrinsics.numpy()[:, [0, 1], [0, 1]].mean(axis=-1)
    return focal / DEPTH * length


def test_without_weights_there_are_no_losses(inputs):
    assert objectives.Auxiliaries()(*inputs) == {}
    assert objectives.Auxiliaries().parts == ()


@pytest.mark.parametrize("name", ["triangulation", "symmetry", "bone_length"])
def test_a_length_counts_as_its_pixels_at_the_root_times_its_weight(inputs, name):
    result, own, found = inputs
    pose = result.root_relative_pose
    target = priors.triangulated_target(found.points, found.is_known, own.camera)
    length = {
        "triangulation": priors.triangulated_pose_loss(pose, target),
        "symmetry": priors.symmetry(pose),
        "bone_length": priors.triangulated_bone_loss(pose, target),
    }[name]
    chosen = objectives.Auxiliaries(**{f"{name}_weight": 0.3})
    assert chosen.parts == (name,)
    losses = chosen(*inputs)
    assert [*losses] == [name]
    np.testing.assert_allclose(losses[name], 0.3 * in_pixels(length, own))
    assert losses[name].numpy().all()


def test_all_together_are_each_alone(inputs):
    weights = {"triangulation_weight": 0.5, "symmetry_weight": 2.0, "bone_length_weight": 3.0}
    together = objectives.Auxiliaries(**weights)
    losses = together(*inputs)
    assert tuple(losses) == together.parts
    for name, weight in weights.items():
        (part,) = objectives.Auxiliaries(**{name: weight})(*inputs).values()
        np.testing.assert_array_equal(losses[name.removesuffix("_weight")], part)


def test_the_share_is_of_the_triangulated_pose_alone(inputs):
    chosen = objectives.Auxiliaries(triangulation_weight=1.0, bone_length_weight=1.0)
    plain, none = chosen(*inputs), chosen(*inputs, share=0.0)
    np.testing.assert_array_equal(none["triangulation"], 0.0)
    np.testing.assert_array_equal(none["bone_length"], plain["bone_length"])


def test_the_predicted_root_learns_nothing_from_them_and_may_lie_in_the_lens(inputs):
    result, own, found = inputs
    root_position = tf.zeros_like(result.root_position)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([root_position, result.root_relative_pose])
        near = result._replace(root_position=root_position)
        weights = {"triangulation_weight": 1.0, "symmetry_weight": 1.0, "bone_length_weight": 1.0}
        loss = tf.add_n(list(objectives.Auxiliaries(**weights)(near, own, found).values()))
    assert tape.gradient(loss, root_position) is None
    assert np.isfinite(tape.gradient(loss, result.root_relative_pose)).all()
