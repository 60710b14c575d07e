import numpy as np
import pytest

from benchmarks import rig_checks


@pytest.mark.parametrize("share", rig_checks.SHARES)
def test_as_many_frames_are_chosen_as_asked_for(share):
    draw = rig_checks.draw(0, 3, share)
    assert draw.frames.mean() == pytest.approx(share, abs=0.03)
    assert draw.last.mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("kind", rig_checks.PLANTED)
def test_a_planted_mistake_leaves_the_other_cameras_alone(kind):
    draw = rig_checks.draw(0, 3, 0.4)
    spoiled = rig_checks.PLANTED[kind][0](draw)
    changed = (spoiled.keypoints_2d != draw.clean.keypoints_2d).any(axis=(1, 2, 3))
    others = np.arange(3) != draw.view
    assert changed[draw.view]
    assert changed[others].all() == ("all" in kind)


def test_a_mistake_is_judged_by_name_and_camera():
    draw = rig_checks.draw(7, 4, 0.4)
    assert rig_checks.judged(draw, "bumped") == (True, set())
    elsewhere = rig_checks.dataclasses.replace(draw, share=0.0)
    assert rig_checks.judged(elsewhere, "sides swapped")[0] is False
