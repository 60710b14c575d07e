import numpy as np
import pytest
from matplotlib import colors as mpl_colors
from matplotlib import figure

from keras_mvlift import skeletons
from keras_mvlift.visualization import pictures

JOINTS = skeletons.H36M_17.joints
BOTH = (pictures.FRONT, pictures.SIDE)


def _axes(width=4, height=3):
    return figure.Figure(figsize=(width, height)).add_axes((0, 0, 1, 1))


def _lifted(pose, direction):
    axes = _axes()
    pictures.draw_lifted(axes, pose, direction)
    return axes


def _bones(axes):
    return [line.get_xydata() for line in axes.lines if len(line.get_xydata()) == 2]


def _joints(axes):
    return [line.get_xydata()[0] for line in axes.lines if len(line.get_xydata()) == 1]


def test_the_front_shows_x_and_y_and_the_side_z_and_y(pose):
    for direction, kept in ((pictures.FRONT, [0, 1]), (pictures.SIDE, [2, 1])):
        drawn = sorted(map(tuple, _joints(_lifted(pose, direction))))
        assert drawn == sorted(map(tuple, pose[:, kept]))


def test_bones_join_the_joints_of_the_skeleton(pose):
    bones = _bones(_lifted(pose, pictures.FRONT))
    knee, ankle = JOINTS.index("left_knee"), JOINTS.index("left_ankle")
    assert any(np.array_equal(bone, pose[[knee, ankle], :2]) for bone in bones)
    assert len(bones) == 16


def test_down_is_down_and_a_meter_is_as_wide_as_high(pose):
    axes = _axes()
    pictures.set_limits(axes, pictures.extent([pose], aspect=4 / 3))
    axes.apply_aspect()
    right, down = axes.transData.transform([[1, 0], [0, 1]]) - axes.transData.transform((0, 0))
    np.testing.assert_allclose(right[0], -down[1])
    assert right[0] > 0
    # A panel of that aspect is filled.
    np.testing.assert_allclose(axes.get_position().size, (1, 1))


@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.0])
def test_every_pose_fits_from_both_directions(pose, aspect):
    lying, tall = pose[:, [1, 0, 2]] * (3, 1, 1), pose * (1, 2, 1)
    deep = pose[:, [2, 1, 0]] * (1, 1, 5)
    shown = pictures.extent([pose, lying, tall, deep], aspect)
    for moved in (pose, lying, tall, deep):
        assert np.abs(moved[:, [0, 2]]).max() < shown.half_width
        assert np.abs(moved[:, 1] - shown.down).max() < shown.half_height
    assert shown.half_width == pytest.approx(aspect * shown.half_height)


def test_an_unknown_joint_does_not_hinder_the_extent(pose):
    holed = pose.copy()
    holed[3] = np.nan
    assert np.isfinite(pictures.extent([holed]).half_width)
    nothing = pictures.extent([np.full_like(pose, np.nan)])
    assert nothing.half_width > 0


def test_nearer_bones_are_drawn_over_farther_ones(pose):
    # The right side is nearer to the camera, and the left nearer to who stands at its right.
    left, right = (mpl_colors.to_rgba(color) for color in (pictures.LEFT, pictures.RIGHT))
    for direction, top, bottom in zip(BOTH, (right, left), (left, right), strict=True):
        pose_across = pose.copy()
        if direction is pictures.SIDE:
            pose_across[:, 0] = pose[:, 2]
        bones = [
            line for line in _lifted(pose_across, direction).lines if len(line.get_xydata()) == 2
        ]
        assert bones[-1].get_color() == top
        assert bones[0].get_color() == bottom


def test_the_reference_is_grey_and_wider_than_the_lifted_pose(pose):
    axes = _axes()
    pictures.draw_reference(axes, pose, pictures.FRONT)
    assert {line.get_color() for line in axes.lines} == {pictures.REFERENCE_COLOR}
    lifted = _lifted(pose, pictures.FRONT).lines[0]
    assert axes.lines[0].get_linewidth() > lifted.get_linewidth()


def test_an_unknown_joint_of_the_reference_leaves_no_mark(pose):
    wrist = JOINTS.index("left_wrist")
    holed = pose.copy()
    holed[wrist] = np.nan
    axes = _axes()
    pictures.draw_reference(axes, holed, pictures.FRONT)
    whole = [line for line in axes.lines if np.isfinite(line.get_xydata()).all()]
    assert len(whole) == 16 - 1
