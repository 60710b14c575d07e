import dataclasses

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.calibration import observations, relative_pose
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import filming
from tests.calibration import rooms

CLIP = rooms.exact_clips(actions=("walking",))[0]
DETECTOR = filming.Detector()


def estimate(clip, pair=(0, 1)):
    seen = observations.gather([clip]).views(pair)
    return relative_pose.estimate(seen, clip.camera.intrinsics[list(pair)], ("left", "right"))


def truth(pair):
    source, target = (cameras.Camera(*(v[i] for v in CLIP.camera)) for i in pair)
    rotation, center = cameras.relative_extrinsics(source, target)
    return rotation, center / np.linalg.norm(center)


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2), (3, 2)])
def test_exact_detections_give_the_exact_pose(pair):
    found = estimate(CLIP, pair)
    rotation, center = truth(pair)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-6)
    np.testing.assert_allclose(found.center, center, atol=1e-6)
    assert found.is_inlier.mean() > 0.9


def test_gross_errors_and_noise_leave_it_within_degrees():
    detector = filming.Detector(gross_error_rate=0.2)
    found = estimate(rooms.refilmed(CLIP, CLIP.pose_world, detector), (0, 2))
    rotation, center = truth((0, 2))
    assert np.linalg.norm(found.rotation - rotation) < np.sqrt(2) * np.radians(2.0)
    assert found.center @ center > np.cos(np.radians(3.0))
    assert found.is_inlier.mean() < 0.9


def test_the_inverse_is_the_pose_the_other_way_round():
    back, expected = estimate(CLIP).inverse(), estimate(CLIP, (1, 0))
    np.testing.assert_allclose(back.rotation, expected.rotation, atol=1e-6)
    np.testing.assert_allclose(back.center, expected.center, atol=1e-6)


def test_rays_that_cross_squarely_are_worth_more():
    # Of Human3.6M's cameras the first and the fourth face each other more than the second and the
    # fourth do, which stand side by side.
    assert estimate(CLIP, (1, 3)).quality > 1.3 * estimate(CLIP, (0, 3)).quality


def test_too_few_joints_are_refused_by_number():
    with pytest.raises(errors.RecordingError, match=r"'left' and 'right'.*see 50 joints.*: 43"):
        estimate(CLIP.frames(slice(0, 4)))


def test_someone_who_stands_still_is_refused():
    still = np.repeat(CLIP.pose_world[:1], 60, axis=0)
    with pytest.raises(errors.RecordingError, match="let them walk about and turn"):
        estimate(rooms.refilmed(CLIP, still, DETECTOR))


@pytest.mark.parametrize("detector", [rooms.EXACT, DETECTOR], ids=["exact", "noisy"])
def test_someone_who_stays_in_a_plane_is_refused(detector):
    flat = CLIP.pose_world * [0.0, 1.0, 1.0]
    with pytest.raises(errors.RecordingError, match="in more than a plane"):
        estimate(rooms.refilmed(CLIP, flat, detector))


def test_a_mirrored_image_is_refused():
    keypoints_2d = CLIP.keypoints_2d.copy()
    width = 2 * CLIP.camera.intrinsics[1, 0, 2]
    keypoints_2d[1, ..., 0] = np.where(CLIP.confidence[1] > 0, width - keypoints_2d[1, ..., 0], 0)
    with pytest.raises(errors.RecordingError, match="neither image is mirrored"):
        estimate(dataclasses.replace(CLIP, keypoints_2d=keypoints_2d))


def test_views_of_different_moments_are_refused():
    keypoints_2d, confidence = CLIP.keypoints_2d.copy(), CLIP.confidence.copy()
    order = np.random.default_rng(0).permutation(CLIP.num_frames)
    keypoints_2d[1], confidence[1] = keypoints_2d[1, order], confidence[1, order]
    with pytest.raises(errors.RecordingError, match="check that they are synchronized"):
        estimate(dataclasses.replace(CLIP, keypoints_2d=keypoints_2d, confidence=confidence))


def test_motion_golden():
    # Two joints 2 px apart: 1 px from their mean. Each is at 0, 1, 2, 3, 4 px: quartiles 1 and 3.
    frame, joint = np.divmod(np.arange(10), 2)
    keypoints_2d = np.stack([frame + 2.0 * joint, np.zeros(10)], axis=-1)
    seen = observations.Observations(keypoints_2d[np.newaxis], np.ones((1, 10)), frame, joint)
    assert relative_pose.motion(seen) == pytest.approx(2.0)
