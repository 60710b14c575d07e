import numpy as np
import pytest

from keras_mvlift.diagnosis import mistakes, verdicts
from tests.diagnosis import planted

NAMES = [mistake.name for mistake in mistakes.CALIBRATION_MISTAKES]


@pytest.mark.parametrize("name", NAMES)
def test_undoing_a_planted_mistake_gives_the_camera_back(name):
    clean = planted.footage()
    undone = planted.CALIBRATION[name].undo(planted.spoil(clean, name))
    for field, expected in zip(undone.camera, clean.camera, strict=True):
        np.testing.assert_allclose(field, expected, atol=1e-9)


def test_a_mistake_of_every_kind_is_planted():
    assert set(NAMES) == set(planted.CAMERA_SPOILERS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("num_views", "views"), [(4, None), (3, [1])])
def test_it_is_found_by_name_in_one_camera_and_in_all(name, num_views, views):
    clean = planted.footage(num_views, seed=len(name) % 3)
    (finding,) = verdicts.reach(planted.spoil(clean, name, views)).found
    assert (finding.name, finding.cameras) == (name, planted.names_of(clean, views))
