import dataclasses

import numpy as np
import pytest

from keras_mvlift.visualization import pages
from tests.visualization import pose_clips


def test_camera_axes_stand_upright_in_the_scene():
    # Right, down, away from the camera.
    np.testing.assert_array_equal(
        pages.scene_points(np.array([1.0, 2.0, 3.0]), "camera"), [1.0, 3.0, -2.0]
    )
    assert pages.scene_axes("root") == [
        ("x", [1.0, 0.0, 0.0]),
        ("y", [0.0, 0.0, -1.0]),
        ("z", [0.0, 1.0, 0.0]),
    ]


def test_a_world_is_the_scene():
    points = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_array_equal(pages.scene_points(points, "world"), points)


def test_in_camera_axes_the_view_is_the_cameras():
    clip = dataclasses.replace(pose_clips.clip(), space="camera")
    assert pages.scene_viewpoint(clip) == (0.0, 0.0)


@pytest.mark.parametrize("turn", [0.0, 0.5, -2.0])
def test_a_person_in_a_world_is_seen_from_the_front(turn):
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    clip = pose_clips.clip(pose_clips.track(pose=pose_clips.pose() @ rotation.T))
    # The person looks along -y, and who looks along y sees the face.
    np.testing.assert_allclose(pages.scene_viewpoint(clip).azimuth, turn, atol=1e-9)


def test_without_hips_and_shoulders_a_world_is_seen_along_y():
    clip = dataclasses.replace(
        pose_clips.clip(), joint_names=tuple(f"joint {index}" for index in range(17))
    )
    assert pages.scene_viewpoint(clip) == (0.0, pages.ELEVATION)


def test_the_bounds_hold_everybody():
    far = pose_clips.track("person 2", shift=(6.0, 0.0, 0.0))
    center, radius = pages.scene_bounds(pose_clips.clip(pose_clips.track(), far))
    np.testing.assert_allclose(center[0], 3.0)
    assert 3.5 < radius < 4.5


def test_absent_people_have_bounds_too():
    absent = np.full((2, 17, 3), np.nan)
    fields = {"confidence": None, "keypoints_2d": None, "keypoint_confidence": None}
    clip = pose_clips.clip(pose_clips.track(pose=absent, **fields))
    center, radius = pages.scene_bounds(clip)
    assert np.isfinite([*center, radius]).all()
    assert pages.scene_viewpoint(clip) == (0.0, pages.ELEVATION)
