import numpy as np
import pytest

from keras_mvlift.lifting import mocap_files, pose_clip

# Up in each space: z in the world, -y in front of a camera.
UP = {"root": [0, -1, 0], "camera": [0, -1, 0], "world": [0, 0, 1]}


@pytest.mark.parametrize("space", pose_clip.SPACES)
def test_what_points_up_points_up_in_other_axes(space):
    assert mocap_files.y_up(np.array(UP[space]), space).tolist() == [0, 1, 0]
    assert mocap_files.z_up(np.array(UP[space]), space).tolist() == [0, 0, 1]


@pytest.mark.parametrize("turn", [mocap_files.y_up, mocap_files.z_up])
@pytest.mark.parametrize("space", pose_clip.SPACES)
def test_nobody_is_mirrored(turn, space):
    assert np.linalg.det(turn(np.eye(3), space)) == pytest.approx(1.0)


def test_what_is_right_in_the_image_stays_right():
    assert mocap_files.y_up(np.array([1.0, 0, 0]), "camera").tolist() == [1, 0, 0]
    assert mocap_files.z_up(np.array([1.0, 0, 0]), "camera").tolist() == [1, 0, 0]
