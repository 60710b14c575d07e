import numpy as np

from keras_mvlift.diagnosis import residuals, search
from tests.diagnosis import planted


def test_the_likeliest_cause_undoes_what_was_planted():
    clean = planted.footage()
    candidate = search.likeliest(planted.spoil(clean, "opengl_axes", [3]))
    assert candidate.name == "opengl_axes"
    assert np.flatnonzero(candidate.is_in).tolist() == [3]
    trial = clean.thinned(search.TRIAL_FRAMES)
    np.testing.assert_allclose(candidate.residual, residuals.mean_residual(trial))


def test_millimeters_in_three_cameras_are_not_meters_for_millimeters_in_the_fourth():
    clean = planted.footage()
    spoiled = planted.spoil(clean, "millimeters_for_meters", [0, 1, 2])
    candidate = search.likeliest(spoiled)
    assert candidate.name == "millimeters_for_meters"
    assert np.flatnonzero(candidate.is_in).tolist() == [0, 1, 2]


def test_what_cannot_be_told_apart_is_given_too_the_fewest_cameras_first():
    clean = planted.footage(num_views=3).thinned(100)
    mistake = planted.IMAGE["sides_swapped"]
    spoiled = planted.spoil(clean, mistake.name, [2])
    found = search.find(spoiled, mistake, tolerance=1e-6)
    assert [np.flatnonzero(is_in).tolist() for is_in, _ in found] == [[2], [0, 1]]
