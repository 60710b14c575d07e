import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.export import compact
from tests import tiny_studio


@pytest.mark.parametrize("network_input", ["rays", "centered"])
@pytest.mark.parametrize("recipe", ["paper", "solved_root"])
def test_a_folded_model_lifts_alike(recipe, network_input):
    lifter = tiny_studio.trained(recipe=recipe, network_input=network_input)
    view = tiny_studio.random_pair().source
    found, expected = compact.fold(lifter)(view), lifter(view)
    assert np.abs(expected.root_relative_pose).max() > 0.1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_its_weights_lie_by_the_names_of_the_networks():
    folded = compact.fold(tiny_studio.trained())
    weights = compact.weights_of(folded)
    assert [*weights] == ["lifting_network", "root_network"]
    assert [len(arrays) for arrays in weights.values()] == [8, 8]
    assert weights["root_network"][-1].shape == (3,)
    assert all(isinstance(weight, tf.Variable) for weight in weights["lifting_network"])


def test_the_notes_tell_how_to_use_them():
    notes = compact.notes(tiny_studio.lifter(), "rays")
    numbers = {"a": 0.7, "b": 0.1, "z_rig": tiny_studio.RIG_DISTANCE}
    expected = {"layers_per_block": 1, "network_input": "rays", "root": numbers}
    assert notes == expected | {"has_free_root": False}
    of_paper = compact.notes(tiny_studio.lifter("paper"), "screen")
    assert (of_paper["root"], of_paper["has_free_root"]) == ({}, True)
