import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import inference
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.export import compact
from keras_mvlift.training import adaptation, lifters, objectives, refinement


@pytest.fixture(scope="module")
def instants():
    (clip,) = pose2sim.Pose2SimSource(root=pose2sim.demo_root())
    return adaptation.parts_of([clip.frames(slice(0, 100, 10))])


@pytest.fixture
def lifter():
    model = inference.load_model("studio")
    return compact.reopened(model, objectives.TransformReprojection())


def weights_of(lifter):
    return [variable.numpy() for variable in lifters.weights_of(lifter)]


def off(lifter, fitted):
    """How far a model's poses are from what they should be, meters."""
    pose = lifter(refinement.unpacked(tf.constant(fitted.hidden))).root_relative_pose
    return np.average(np.linalg.norm(pose - fitted.target, axis=-1), weights=fitted.trust)


def test_views_are_packed_to_rays_and_back(instants):
    view = adaptation.flat(sequences.to_view(instants[0]))
    rows, _ = refinement.packed(view)
    back = refinement.unpacked(tf.constant(rows))
    np.testing.assert_allclose(back.rays, view.rays, atol=1e-6)
    np.testing.assert_array_equal(back.confidence > 0, view.confidence > 0)


def test_views_of_a_rig_are_real_and_virtual_ones_as_they_are_and_mirrored(instants):
    found = list(refinement.of_rig(instants, seed=0))
    assert [len(part.hidden) for part in found] == [
        2 * 2 * len(some.frame) * 4 for some in instants
    ]
    # Mirrored people are those people on the other side of the mirror.
    plain, mirrored = np.split(found[0].target, 2)
    heights = [np.ptp(each, axis=1) for each in (plain, mirrored)]
    np.testing.assert_allclose(*heights, atol=1e-5)
    assert np.abs(plain - mirrored).max() > 0.1


def test_what_a_model_says_of_made_up_people_is_the_target(lifter):
    before = refinement.of_before(lifter, seed=0)
    assert len(before.hidden) > 5000
    assert off(lifter, before) < 1e-6


def test_a_model_learns_its_rig_and_is_held_to_what_it_said_of_others(
    lifter, instants, monkeypatch
):
    monkeypatch.setattr(refinement, "_NUM_RIGS", 2)
    fitted = adaptation.together(refinement.of_rig(instants, seed=0))
    # Other people than those that it is held by.
    before, others = (refinement.of_before(lifter, seed) for seed in range(2))
    start, was_off = weights_of(lifter), off(lifter, fitted)
    root_network = [variable.numpy() for variable in lifter.root_network.weights]
    learned, forgotten = {}, {}
    for held in (1.0, 0.0):
        for variable, value in zip(lifters.weights_of(lifter), start, strict=True):
            variable.assign(value)
        sets = [([fitted], 1.0), ([before], held)]
        refinement.train(lifter, sets, num_steps=30, seed=0, batch_size=128)
        learned[held], forgotten[held] = was_off - off(lifter, fitted), off(lifter, others)
    assert learned[1.0] > 0.6 * learned[0.0] > 0.01
    assert forgotten[1.0] < 0.8 * forgotten[0.0]
    for variable, value in zip(lifter.root_network.weights, root_network, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_half_of_the_way_from_what_was_known_to_the_rig_is_gone(lifter, instants, monkeypatch):
    monkeypatch.setattr(refinement, "_NUM_RIGS", 1)
    fitted = adaptation.together(refinement.of_rig(instants, seed=0))
    before, start = off(lifter, fitted), weights_of(lifter)
    refinement.refine(lifter, instants, num_steps=20)
    assert off(lifter, fitted) < 0.98 * before
    half = weights_of(lifter)
    for variable, value in zip(lifters.weights_of(lifter), start, strict=True):
        variable.assign(value)
    monkeypatch.setattr(refinement, "_SHARE", 1.0)
    refinement.refine(lifter, instants, num_steps=20)
    for one, middle, end in zip(start, half, weights_of(lifter), strict=True):
        np.testing.assert_allclose(middle, (one + end) / 2, atol=1e-5)
