import numpy as np
import pytest
from matplotlib import figure

from keras_mvlift import skeletons
from keras_mvlift.visualization import pictures

NOSE = skeletons.H36M_17.joints.index("nose")
THORAX = skeletons.H36M_17.joints.index("thorax")
SURE = np.ones(17)


def _drawn(*arguments, **options):
    axes = figure.Figure(figsize=(4, 3)).add_axes((0.1, 0.1, 0.8, 0.8))
    pictures.draw_keypoints(axes, *arguments, **options)
    return axes


def _marks(axes):
    return np.asarray(axes.collections[0].get_offsets())


def _lines(axes):
    return [line.get_xydata() for line in axes.lines]


def test_joints_are_drawn_at_their_pixels(keypoints_2d):
    np.testing.assert_array_equal(_marks(_drawn(keypoints_2d, SURE)), keypoints_2d)


def test_y_points_down_and_a_pixel_is_as_wide_as_high(keypoints_2d):
    for size in (None, (1000, 1200)):
        axes = _drawn(keypoints_2d, SURE, size)
        axes.apply_aspect()
        right, down = axes.transData.transform([[1, 0], [0, 1]]) - axes.transData.transform((0, 0))
        np.testing.assert_allclose(right[0], -down[1])
        assert right[0] > 0


def test_a_known_image_is_shown_whole(keypoints_2d):
    axes = _drawn(keypoints_2d, SURE, (1000, 1200))
    assert axes.get_xlim() == (0, 1000)
    assert axes.get_ylim() == (1200, 0)


def test_without_an_image_every_seen_joint_lies_inside(keypoints_2d):
    for points in (keypoints_2d, keypoints_2d * (3, 1), keypoints_2d * (1, 3)):
        axes = _drawn(points, SURE)
        axes.apply_aspect()
        assert (points > (axes.get_xlim()[0], axes.get_ylim()[1])).all()
        assert (points < (axes.get_xlim()[1], axes.get_ylim()[0])).all()


def test_a_missing_joint_has_no_mark_no_bone_and_no_say_in_the_limits(keypoints_2d):
    confidence = np.where(np.arange(17) == NOSE, 0.0, 1.0)
    elsewhere = keypoints_2d.copy()
    elsewhere[NOSE] = (0.0, 0.0)
    axes = _drawn(elsewhere, confidence)
    np.testing.assert_array_equal(_marks(axes), np.delete(keypoints_2d, NOSE, axis=0))
    # The bones from the thorax and to the head.
    assert len(_lines(axes)) == 16 - 2
    assert axes.get_xlim() == _drawn(keypoints_2d, confidence).get_xlim()


def test_a_bone_joins_two_joints_of_the_skeleton(keypoints_2d):
    axes = _drawn(keypoints_2d, SURE)
    assert any(np.array_equal(line, keypoints_2d[[THORAX, NOSE]]) for line in _lines(axes))
    assert len(_lines(axes)) == 16


def test_a_surer_joint_is_larger_and_stronger(keypoints_2d):
    confidence = np.linspace(0.1, 1.0, 17)
    marks = _drawn(keypoints_2d, confidence).collections[0]
    assert (np.diff(marks.get_sizes()) > 0).all()
    assert (np.diff(marks.get_facecolors()[:, 3]) > 0).all()


def test_a_bone_is_as_strong_as_the_less_sure_of_its_joints(keypoints_2d):
    confidence = np.where(np.arange(17) == NOSE, 0.3, 1.0)
    axes = _drawn(keypoints_2d, confidence)
    (bone,) = [
        line
        for line in axes.lines
        if np.array_equal(line.get_xydata(), keypoints_2d[[THORAX, NOSE]])
    ]
    assert bone.get_color()[3] == pytest.approx(pictures.confidence_opacity(0.3))


def test_marks_shrink_with_the_person(keypoints_2d):
    near = _drawn(keypoints_2d, SURE, (1000, 800)).collections[0].get_sizes()
    far = _drawn(keypoints_2d / 4, SURE, (1000, 800)).collections[0].get_sizes()
    assert (far < near).all()


@pytest.mark.parametrize("size", [None, (1000, 1200)])
def test_a_view_in_which_nothing_was_seen_says_so(keypoints_2d, size):
    axes = _drawn(keypoints_2d, np.zeros(17), size)
    assert [text.get_text() for text in axes.texts] == [pictures.NOTHING_SEEN]
    assert len(axes.lines) == 0


def test_a_single_seen_joint_can_be_drawn(keypoints_2d):
    axes = _drawn(keypoints_2d, np.where(np.arange(17) == NOSE, 1.0, 0.0))
    np.testing.assert_array_equal(_marks(axes), keypoints_2d[[NOSE]])


def test_joints_on_top_of_each_other_are_not_blown_up(keypoints_2d):
    axes = _drawn(keypoints_2d / 1000, SURE)
    assert np.ptp(axes.get_ylim()) > 20
