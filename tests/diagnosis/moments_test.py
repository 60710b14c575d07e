import numpy as np
import pytest

from benchmarks import rig_checks
from keras_mvlift.diagnosis import moments, residuals


@pytest.mark.parametrize("num_cameras", [3, 5])
def test_a_camera_on_another_person_is_off_in_those_frames_and_no_other_is(num_cameras):
    draw = rig_checks.draw(4, num_cameras, 0.4)
    where = draw.in_view(draw.last)
    seen = moments.consensus(rig_checks.taken(draw.clean, draw.other, where))
    assert seen.is_off[draw.view][draw.last].mean() > 0.95
    assert seen.is_off[~where].mean() < 0.02


def test_of_two_cameras_both_are_off():
    # Swapped sides would not show: they stay near the lines on which the other camera sees them.
    draw = rig_checks.draw(7, 2, 0.4)
    seen = moments.consensus(rig_checks.show_other(draw))
    assert (seen.is_off[0] == seen.is_off[1]).mean() > 0.98
    assert seen.is_off[0].mean() == pytest.approx(0.4, abs=0.02)


def test_cameras_that_face_each_other_do_not_fix_a_place():
    # Four on a ring: the first and third face each other, and the person walks in between.
    clean = rig_checks.draw(8, 4, 0.0).clean
    seen = moments.consensus(clean)
    assert seen.fixes[0, 1].mean() > 0.95
    both = (clean.confidence[[0, 2]][:, :, moments.LIMBS] > 0).all(axis=0)
    first, third = (seen.points - center for center in clean.camera.center[[0, 2]])
    area = np.linalg.norm(np.cross(first, third), axis=-1)
    sine = area / np.linalg.norm(first, axis=-1) / np.linalg.norm(third, axis=-1)
    sine = residuals.masked_median(sine, both)
    facing, aside = sine < 0.9 * moments.MIN_SINE, sine > 1.1 * moments.MIN_SINE
    assert facing.sum() > 20
    assert aside.sum() > 20
    assert not seen.fixes[0, 2, facing].any()
    assert seen.fixes[0, 2, aside].all()


def test_the_points_are_where_the_cameras_that_agree_see_them():
    draw = rig_checks.draw(4, 4, 0.3)
    clean = moments.consensus(draw.clean).points
    spoiled = moments.consensus(rig_checks.show_other(draw)).points
    off = np.linalg.norm(clean - spoiled, axis=-1)
    assert np.nanpercentile(off, 95) < 0.1
