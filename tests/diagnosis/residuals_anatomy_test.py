import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.diagnosis import mistakes, residuals, verdicts
from tests.diagnosis import planted

J = {name: index for index, name in enumerate(skeletons.H36M_17.joints)}


def poses(num_views=4, seed=0):
    return np.concatenate([clip.pose_world for clip in planted.sequences(num_views, seed)])


def all_seen(points):
    return np.ones(points.shape[:-1], bool)


def test_bone_lengths_golden():
    points = np.zeros((3, 17, 3))
    points[:, J["right_hip"], 0] = [0.1, 0.12, 5.0]
    seen = all_seen(points)
    seen[:, J["left_wrist"]] = False
    lengths = residuals.bone_lengths(points, seen)
    assert lengths["right_hip"] == pytest.approx(0.12)
    assert "left_wrist" not in lengths


@pytest.mark.parametrize("seed", range(4))
def test_the_height_is_that_of_the_standing_person(seed):
    points = poses(seed=seed)
    upright = points[..., 2].max() - points[..., 2].min()
    height = residuals.body_height(residuals.bone_lengths(points, all_seen(points)))
    assert height == pytest.approx(1.75, abs=0.25)
    assert height < upright + 0.35


def test_without_legs_there_is_no_height():
    assert np.isnan(residuals.body_height({"spine": 0.2, "thorax": 0.2, "nose": 0.1, "head": 0.1}))


@pytest.mark.parametrize("seed", range(4))
def test_people_face_ahead_and_backwards_with_sides_swapped(seed):
    points = poses(seed=seed)
    order = np.arange(17)
    skeleton = skeletons.H36M_17
    order[list(skeleton.left + skeleton.right)] = skeleton.right + skeleton.left
    facing = residuals.facing(points, all_seen(points))
    assert facing > residuals.MIN_FACING
    assert residuals.facing(points[:, order], all_seen(points)) == pytest.approx(-facing)


def test_facing_survives_detector_noise():
    placed = residuals.reproject(planted.footage())
    assert residuals.facing(placed.points, placed.is_seen) > 0.5


def test_sides_swapped_in_all_of_two_cameras_are_found():
    clean = planted.footage(num_views=2)
    (finding,) = verdicts.reach(mistakes.swap_sides(clean)).found
    assert (finding.name, finding.cameras) == ("sides_swapped", clean.camera_names)


def test_nothing_seen_tells_nothing():
    points = poses()
    assert residuals.facing(points, np.zeros(points.shape[:-1], bool)) == 0.0
