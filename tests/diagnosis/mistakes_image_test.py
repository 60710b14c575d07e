import numpy as np
import pytest

from keras_mvlift.diagnosis import mistakes, verdicts
from tests.diagnosis import planted

NAMES = list(dict.fromkeys(mistake.name for mistake in mistakes.IMAGE_MISTAKES))


@pytest.mark.parametrize("name", NAMES)
def test_undoing_a_planted_mistake_gives_the_rays_back(name):
    clean = planted.footage(rig_jitter=0.0)
    tried = [mistake for mistake in mistakes.IMAGE_MISTAKES if mistake.name == name]
    spoiled = planted.spoil(clean, name)
    seen = clean.confidence > 0
    off = [np.abs(mistake.undo(spoiled).rays - clean.rays)[seen].max() for mistake in tried]
    assert min(off) < 1e-9
    assert np.abs(spoiled.rays - clean.rays)[seen].max() > 0.01


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("num_views", "views"), [(4, None), (3, [2])])
def test_it_is_found_by_name_in_one_camera_and_in_all(name, num_views, views):
    clean = planted.footage(num_views, seed=len(name) % 3)
    (finding,) = verdicts.reach(planted.spoil(clean, name, views)).found
    assert (finding.name, finding.cameras) == (name, planted.names_of(clean, views))


def test_sides_swapped_in_half_of_the_cameras_are_told_from_the_other_half():
    clean = planted.footage()
    for views in ([0, 1], [2, 3]):
        (finding,) = verdicts.reach(planted.spoil(clean, "sides_swapped", views)).found
        assert finding.cameras == planted.names_of(clean, views)
