import json

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, sequences
from keras_mvlift.training import held_out
from tests import tiny_studio


@pytest.fixture(scope="module")
def seen():
    everything = preparation.BySubject(test_subjects=())
    config = configs.DataConfig(source="studio")
    return sequences.to_view(preparation.training_instants(tiny_studio.film(), everything, config))


@pytest.fixture(scope="module")
def calibrated(seen):
    """A model's uncertainties before and after, and what was found."""
    model = tiny_studio.lifter(uncertainty=True)
    own = tf.nest.map_structure(lambda field: tf.constant(field[:, 0]), seen)
    before = model.uncertainty(own).numpy()
    found = held_out.calibrate_uncertainty(model, model.uncertainty, seen)
    return model, before, model.uncertainty(own).numpy(), found


def test_all_predictions_are_multiplied_by_the_factor(calibrated):
    _, before, after, found = calibrated
    np.testing.assert_allclose(after, found["factor"] * before, rtol=1e-5)


def test_the_stated_share_lies_within_the_half_that_was_fitted(calibrated, seen):
    model, _, _, found = calibrated
    first = tf.nest.map_structure(lambda field: field[:12], seen)
    error, scale, weight = held_out._measured(model, model.uncertainty, first, 8)
    share = np.average(error <= scale, weights=weight)
    assert share == pytest.approx(0.6827, abs=0.01)
    for name, multiple in found["multiples"].items():
        share = np.average(error <= multiple * scale, weights=weight)
        assert share == pytest.approx(float(name), abs=0.01)


def test_the_other_half_says_how_well_it_holds(calibrated, seen):
    model, _, _, found = calibrated
    second = tf.nest.map_structure(lambda field: field[12:], seen)
    error, scale, weight = held_out._measured(model, model.uncertainty, second, 8)
    assert found["within"] == pytest.approx(np.average(error <= scale, weights=weight), abs=1e-3)
    assert found["num_errors"] == np.count_nonzero(weight)
    assert len(found["within_by_third"]) == 3
    assert np.mean(found["within_by_third"]) == pytest.approx(found["within"], abs=0.05)
    assert -1 <= found["rank_correlation"] <= 1
    assert json.loads(json.dumps(found)) == found


def test_calibrating_again_changes_nothing(calibrated, seen):
    model = calibrated[0]
    again = held_out.calibrate_uncertainty(model, model.uncertainty, seen)
    assert again["factor"] == pytest.approx(1, rel=1e-4)


def test_too_few_instants_are_refused(calibrated, seen):
    model = calibrated[0]
    one = tf.nest.map_structure(lambda field: field[:1], seen)
    with pytest.raises(ValueError, match="two held-out instants or more"):
        held_out.calibrate_uncertainty(model, model.uncertainty, one)
