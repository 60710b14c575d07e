import dataclasses

import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.datasets import preparation, sequences
from keras_mvlift.geometry import cameras
from tests import random_scenes
from tests.datasets import clips

FRAMES = np.arange(30)
NUM_VIEWS = 6


def add(clip, seed=0, num_views=NUM_VIEWS, min_confidence=0.3):
    real = sequences.instants_of_sequence(clip, FRAMES)
    rng = np.random.default_rng(seed)
    return real, preparation.add_virtual_views(real, num_views, min_confidence, rng)


def virtual(views, num_real=4):
    """The virtual cameras' part, fields `[T, NUM_VIEWS, ...]`."""
    camera = cameras.Camera(*(value[:, num_real:] for value in views.camera))
    return camera, views.keypoints_2d[:, num_real:], views.confidence[:, num_real:]


@pytest.fixture(scope="module")
def clip():
    return clips.exact()


@pytest.fixture(scope="module")
def noisy(clip):
    noise = np.random.default_rng(0).normal(0.0, 8.0, clip.keypoints_2d.shape)
    return dataclasses.replace(clip, keypoints_2d=clip.keypoints_2d + noise)


def test_real_views_come_first_as_they_were(noisy):
    real, views = add(noisy)
    assert views.camera_names == (*noisy.camera_names, *(f"virtual_{i}" for i in range(6)))
    assert views.keypoints_2d.shape == (30, 10, 17, 2)
    np.testing.assert_array_equal(views.frame, FRAMES)
    np.testing.assert_array_equal(views.keypoints_2d[:, :4], real.keypoints_2d)
    np.testing.assert_array_equal(views.confidence[:, :4], real.confidence)
    for field, expected in zip(views.camera, real.camera, strict=True):
        np.testing.assert_array_equal(field[:, :4], expected)


def test_virtual_views_see_the_triangulated_points(noisy):
    real, views = add(noisy)
    camera, keypoints_2d, _ = virtual(views)
    points, _ = sequences.triangulate(real, 0.3)
    for index in np.ndindex(len(FRAMES), NUM_VIEWS):
        single = random_scenes.one(camera, index)
        moved = random_scenes.move(points[index[0]], single)
        expected = random_scenes.project(moved, single)
        np.testing.assert_allclose(keypoints_2d[index], expected, atol=1e-6)
    assert np.abs(points - noisy.pose_world[FRAMES]).max() > 0.01


def test_the_true_pose_changes_nothing(noisy):
    unlabeled = dataclasses.replace(noisy, pose_world=None)
    moved = dataclasses.replace(noisy, pose_world=noisy.pose_world + 1.0)
    expected = add(noisy)[1]
    for other in (unlabeled, moved):
        np.testing.assert_array_equal(add(other)[1].keypoints_2d, expected.keypoints_2d)


def test_virtual_cameras_stand_on_the_rigs_sphere_and_aim_at_the_root(clip):
    real, views = add(clip)
    camera, keypoints_2d, _ = virtual(views)
    root = clip.pose_world[FRAMES, np.newaxis, skeletons.ROOT]
    real_offset, offset = real.camera.center - root, camera.center - root
    real_distance, distance = (np.linalg.norm(x, axis=-1) for x in (real_offset, offset))
    assert (distance >= real_distance.min(axis=1, keepdims=True) - 1e-4).all()
    assert (distance <= real_distance.max(axis=1, keepdims=True) + 1e-4).all()
    real_up, up = (
        np.arcsin(real_offset[..., 2] / real_distance),
        np.arcsin(offset[..., 2] / distance),
    )
    margin = preparation.ELEVATION_MARGIN + 1e-4
    assert (up >= real_up.min(axis=1, keepdims=True) - margin).all()
    assert (up <= real_up.max(axis=1, keepdims=True) + margin).all()
    center = camera.intrinsics[..., :2, 2]
    np.testing.assert_allclose(keypoints_2d[:, :, skeletons.ROOT], center, atol=0.01)
    np.testing.assert_allclose(camera.intrinsics[0, 0], real.camera.intrinsics[0].mean(axis=0))


def test_virtual_cameras_stand_as_much_higher_and_lower_as_asked(clip):
    # The cameras and the subject are of one height, and so are all the virtual ones by themselves.
    aim = np.array([0.0, 0.0, 2.0])
    level = clip.camera._replace(center=clip.camera.center * [1, 1, 0] + aim)
    real = sequences.instants_of_sequence(dataclasses.replace(clip, camera=level), FRAMES)
    highest = []
    for margin in (0.0, 0.5):
        rng, points = np.random.default_rng(0), np.tile(aim, (30, 17, 1))
        views = preparation.add_virtual_views(
            real, 6, 0.3, rng, points=points, elevation_margin=margin
        )
        offset = virtual(views)[0].center - aim
        highest.append(np.arcsin(offset[..., 2] / np.linalg.norm(offset, axis=-1)).max())
    np.testing.assert_allclose(highest[0], 0.0, atol=1e-6)
    assert 0.4 < highest[1] <= 0.5


def test_points_may_be_given_instead_with_holes_where_they_are_unknown(noisy):
    points = noisy.pose_world[FRAMES] + 0.2
    points[4, 7] = points[5, skeletons.ROOT] = np.nan
    real = sequences.instants_of_sequence(noisy, FRAMES)
    views = preparation.add_virtual_views(
        real, NUM_VIEWS, 0.3, np.random.default_rng(0), points=points
    )
    camera, keypoints_2d, confidence = virtual(views)
    hidden = np.zeros((30, NUM_VIEWS, 17), bool)
    hidden[4, :, 7] = hidden[5, :, skeletons.ROOT] = True
    np.testing.assert_array_equal(confidence == 0, hidden)
    assert (keypoints_2d[hidden] == 0).all()
    for index in np.ndindex(len(FRAMES), NUM_VIEWS):
        single = random_scenes.one(camera, index)
        expected = random_scenes.project(random_scenes.move(points[index[0]], single), single)
        seen = ~hidden[index]
        np.testing.assert_allclose(keypoints_2d[index][seen], expected[seen], atol=1e-6)


def test_virtual_cameras_stand_all_around_and_anew_at_each_instant(clip):
    camera, _, _ = virtual(add(clip)[1])
    offset = camera.center - clip.pose_world[FRAMES, np.newaxis, skeletons.ROOT]
    azimuth = np.arctan2(offset[..., 1], offset[..., 0])
    counts, _ = np.histogram(azimuth, bins=6, range=(-np.pi, np.pi))
    assert counts.min() > azimuth.size / 6 / 2
    assert len(np.unique(azimuth.round(6))) == azimuth.size


def test_the_dice_decide(clip):
    first, again, other = (add(clip, seed)[1].camera.center for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[:, 4:], other[:, 4:])


@pytest.mark.parametrize("min_confidence", [0.0, 0.3])
def test_a_virtual_joint_is_as_sure_as_the_views_that_saw_it(clip, min_confidence):
    clip = clips.hide(clip, np.s_[1, 4, 7])
    _, _, confidence = virtual(add(clip, min_confidence=min_confidence)[1])
    expected = clip.confidence[:, FRAMES].mean(axis=0)
    expected[4, 7] = clip.confidence[[0, 2, 3], 4, 7].mean()
    for view in range(NUM_VIEWS):
        np.testing.assert_allclose(confidence[:, view], expected)


def test_a_joint_that_could_not_be_triangulated_is_not_seen(clip):
    clip = clips.hide(clip, np.s_[1:, 4, 7])
    _, keypoints_2d, confidence = virtual(add(clip)[1])
    hidden = np.zeros((30, NUM_VIEWS, 17), bool)
    hidden[4, :, 7] = True
    np.testing.assert_array_equal(confidence == 0, hidden)
    assert (keypoints_2d[hidden] == 0).all()


def test_without_a_root_cameras_aim_at_the_middle_of_what_was_seen(clip):
    clip = clips.hide(clip, np.s_[1:, 4, skeletons.ROOT])
    camera, _, _ = virtual(add(clip)[1])
    middle = clip.pose_world[4, 1:].mean(axis=0)
    forward = camera.rotation[4, :, 2]
    offset = middle - camera.center[4]
    np.testing.assert_allclose(np.cross(forward, offset), np.zeros((NUM_VIEWS, 3)), atol=1e-3)


@pytest.mark.parametrize("frames", [np.s_[4:6], np.s_[:]])
def test_frames_in_which_nobody_is_seen_give_finite_cameras_that_see_nothing(clip, frames):
    clip = clips.hide(clip, np.s_[:, frames])
    camera, _, confidence = virtual(add(clip)[1])
    assert all(np.isfinite(field).all() for field in camera)
    assert (confidence[frames] == 0).all()
