import dataclasses

import numpy as np
import pytest

from keras_mvlift.datasets import sequences
from tests.datasets import clips

FRAMES = np.array([5, 2, 9])


@pytest.fixture(scope="module")
def clip():
    return clips.exact(num_views=3, num_frames=12)


def test_instants_are_the_chosen_frames_view_by_view(clip):
    seen = sequences.instants_of_sequence(clip, FRAMES)
    assert seen.camera_names == clip.camera_names
    np.testing.assert_array_equal(seen.frame, FRAMES)
    for instant, frame in enumerate(FRAMES):
        np.testing.assert_array_equal(seen.keypoints_2d[instant], clip.keypoints_2d[:, frame])
        np.testing.assert_array_equal(seen.confidence[instant], clip.confidence[:, frame])
        for field, expected in zip(seen.camera, clip.camera, strict=True):
            np.testing.assert_array_equal(field[instant], expected)


def test_no_frames_are_no_instants(clip):
    seen = sequences.instants_of_sequence(clip, FRAMES[:0])
    assert seen.keypoints_2d.shape == (0, 3, 17, 2)
    points, is_seen = sequences.triangulate(seen, 0.3)
    assert (points.shape, is_seen.shape) == ((0, 17, 3), (0, 17))


def test_a_view_is_used_if_it_shows_enough_joints(clip):
    clip = clips.hide(clip, np.s_[1, 2, :10])
    seen = sequences.instants_of_sequence(clip, FRAMES)
    assert seen.is_used(7).all()
    expected = np.ones((3, 3), bool)
    expected[1, 1] = False
    np.testing.assert_array_equal(seen.is_used(8), expected)


def test_selected_instants_keep_their_frames_and_cameras(clip):
    seen = sequences.instants_of_sequence(clip, FRAMES)
    cameras_apart = seen.camera._replace(center=seen.camera.center + FRAMES[:, None, None])
    chosen = seen._replace(camera=cameras_apart).select(np.array([2, 0]))
    assert chosen.frame.tolist() == [9, 5]
    np.testing.assert_array_equal(chosen.keypoints_2d, seen.keypoints_2d[[2, 0]])
    np.testing.assert_array_equal(chosen.confidence, seen.confidence[[2, 0]])
    np.testing.assert_array_equal(chosen.camera.center, cameras_apart.center[[2, 0]])


def test_exact_keypoints_triangulate_to_the_true_pose(clip):
    points, is_seen = sequences.triangulate(sequences.instants_of_sequence(clip, FRAMES), 0.3)
    np.testing.assert_allclose(points, clip.pose_world[FRAMES], atol=1e-5)
    assert is_seen.all()


def test_detections_below_the_threshold_are_left_out_of_triangulation(clip):
    confidence, keypoints_2d = clip.confidence.copy(), clip.keypoints_2d.copy()
    confidence[0, 2, 4], keypoints_2d[0, 2, 4] = 0.29, 0.0
    confidence[:2, 2, 6] = 0.29
    spoiled = dataclasses.replace(clip, confidence=confidence, keypoints_2d=keypoints_2d)
    points, is_seen = sequences.triangulate(sequences.instants_of_sequence(spoiled, FRAMES), 0.3)
    np.testing.assert_allclose(points[1, 4], clip.pose_world[2, 4], atol=1e-5)
    assert np.argwhere(~is_seen).tolist() == [[1, 6]]
    points, is_seen = sequences.triangulate(sequences.instants_of_sequence(spoiled, FRAMES), 0.29)
    assert np.linalg.norm(points[1, 4] - clip.pose_world[2, 4]) > 0.01
    assert is_seen.all()


def test_views_side_by_side_keep_their_order(clip):
    first = sequences.instants_of_sequence(clip, FRAMES)
    second = first._replace(
        camera_names=("a", "b", "c"),
        keypoints_2d=first.keypoints_2d + 1,
        confidence=first.confidence / 2,
    )
    both = sequences.concatenate_views(first, second)
    assert both.camera_names == (*clip.camera_names, "a", "b", "c")
    np.testing.assert_array_equal(both.frame, FRAMES)
    np.testing.assert_array_equal(both.keypoints_2d[:, :3], first.keypoints_2d)
    np.testing.assert_array_equal(both.keypoints_2d[:, 3:], second.keypoints_2d)
    np.testing.assert_array_equal(both.confidence[:, 3:], second.confidence)
    for field, expected in zip(both.camera, first.camera, strict=True):
        np.testing.assert_array_equal(field, np.concatenate([expected, expected], axis=1))


def test_a_batch_of_all_views_may_be_filled_up_with_views_that_see_nothing():
    clip = clips.exact(num_views=3, num_frames=5)
    seen = sequences.instants_of_sequence(clip, np.array([4, 1]))
    view = sequences.to_view(seen, num_views=5)
    assert {value.dtype for value in (*view[:2], *view.camera)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(view.keypoints_2d[:, :3], seen.keypoints_2d, rtol=1e-6)
    np.testing.assert_allclose(view.camera.center[:, :3], seen.camera.center, rtol=1e-6)
    assert view.confidence.shape == (2, 5, 17)
    assert not view.confidence[:, 3:].any()
    assert not view.keypoints_2d[:, 3:].any()
    for matrix in (view.camera.intrinsics, view.camera.rotation):
        np.testing.assert_array_equal(matrix[:, 3:], np.broadcast_to(np.eye(3), (2, 2, 3, 3)))
    assert sequences.to_view(seen).confidence.shape == (2, 3, 17)
