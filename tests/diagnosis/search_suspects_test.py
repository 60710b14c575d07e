import numpy as np
import pytest

from keras_mvlift.diagnosis import residuals, search
from tests.diagnosis import planted


@pytest.mark.parametrize("views", [[0], [1, 3], [0, 1, 2, 3]])
def test_the_cameras_that_have_the_mistake_are_found(views):
    clean = planted.footage().thinned(100)
    mistake = planted.CALIBRATION["rotation_transposed"]
    (found,) = search.find(planted.spoil(clean, mistake.name, views), mistake)
    assert np.flatnonzero(found.is_in).tolist() == views
    np.testing.assert_allclose(found.residual, residuals.mean_residual(clean))


def test_what_cannot_be_told_apart_is_given_too_the_fewest_cameras_first():
    clean = planted.footage(num_views=3).thinned(100)
    mistake = planted.IMAGE["sides_swapped"]
    spoiled = planted.spoil(clean, mistake.name, [2])
    found = search.find(spoiled, mistake, tolerance=1e-6)
    assert [np.flatnonzero(one.is_in).tolist() for one in found] == [[2], [0, 1]]
