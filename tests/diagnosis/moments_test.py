import numpy as np
import pytest

from benchmarks import rig_checks
from keras_mvlift.diagnosis import moments


@pytest.mark.parametrize("num_cameras", [3, 5])
def test_a_camera_on_another_person_is_off_in_those_frames_and_no_other_is(num_cameras):
    draw = rig_checks.draw(4, num_cameras, 0.4)
    where = draw.in_view(draw.last)
    seen = moments.consensus(rig_checks.taken(draw.clean, draw.other, where))
    assert seen.is_off[draw.view][draw.last].mean() > 0.95
    assert seen.is_off[~where].mean() < 0.02


def test_of_two_cameras_both_are_off():
    draw = rig_checks.draw(5, 2, 0.4)
    seen = moments.consensus(rig_checks.swap_sides(draw))
    assert (seen.is_off[0] == seen.is_off[1]).mean() > 0.95
    assert seen.is_off[0].mean() > 0.1


def test_cameras_that_face_each_other_do_not_fix_a_place():
    # Four on a ring: the first and third look at each other past the person.
    seen = moments.consensus(rig_checks.draw(3, 4, 0.0).clean)
    assert seen.fixes[0, 1].mean() > 0.95
    assert seen.fixes[0, 2].mean() < 0.8


def test_the_points_are_where_the_cameras_that_agree_see_them():
    draw = rig_checks.draw(4, 4, 0.3)
    clean = moments.consensus(draw.clean).points
    spoiled = moments.consensus(rig_checks.show_other(draw)).points
    off = np.linalg.norm(clean - spoiled, axis=-1)
    assert np.nanpercentile(off, 95) < 0.1
