import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.mpi_inf_3dhp import rig
from keras_mvlift.geometry import cameras
from tests.datasets import clips

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def clip():
    return clips.exact(4, 10)


def of(clip):
    camera = cameras.expand(clip.camera, -1)
    return cameras.camera_from_world(clip.pose_world, camera), clip.keypoints_2d


def turned(camera, view, angle):
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = camera.rotation.copy()
    rotation[view] = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ rotation[view]
    return cameras.Camera(camera.intrinsics, rotation, camera.center)


def swapped(camera):
    return cameras.Camera(*(field[[0, 1, 3, 2]] for field in camera))


def test_what_fits_gives_the_pose_in_the_world(clip):
    pose = rig.agreed_pose_world("file", NAMES, *of(clip), clip.camera)
    np.testing.assert_allclose(pose, clip.pose_world, atol=1e-12)
    rig.require_meeting_rays("file", NAMES, clip.keypoints_2d, clip.camera)
    rig.require_equal_poses("file", NAMES, of(clip)[0] * 1.1, clip.camera)


def test_a_few_bad_frames_do_not_condemn_a_calibration(clip):
    pose_camera, keypoints_2d = of(clip)
    pose_camera[1, 3] += 0.5
    rig.agreed_pose_world("file", NAMES, pose_camera, keypoints_2d, clip.camera)


def test_a_camera_that_stands_elsewhere_is_named(clip):
    center = clip.camera.center.copy()
    center[2] += [0.0, 0.02, 0.0]
    stale = cameras.Camera(clip.camera.intrinsics, clip.camera.rotation, center)
    message = "calibration` must fit the annotation. Received: camera c: 20 mm from the other"
    with pytest.raises(errors.RecordingError, match=message):
        rig.agreed_pose_world("file", NAMES, *of(clip), stale)
    with pytest.raises(errors.RecordingError, match="px from where its rays meet"):
        rig.require_meeting_rays("file", NAMES, clip.keypoints_2d, stale)


def test_a_lens_that_does_not_fit_is_named(clip):
    intrinsics = clip.camera.intrinsics.copy()
    intrinsics[1, 0, 2] += 2
    stale = cameras.Camera(intrinsics, clip.camera.rotation, clip.camera.center)
    with pytest.raises(errors.RecordingError, match="camera b: 2 px between annot3 and annot2"):
        rig.agreed_pose_world("file", NAMES, *of(clip), stale)


def test_a_camera_turned_by_two_degrees_is_named(clip):
    with pytest.raises(errors.RecordingError, match=r"camera d: .* mm from the other"):
        rig.require_equal_poses("file", NAMES, of(clip)[0], turned(clip.camera, 3, 0.035))


def test_cameras_out_of_order_are_refused_by_every_check(clip):
    wrong = swapped(clip.camera)
    pose_camera, keypoints_2d = of(clip)
    with pytest.raises(errors.RecordingError, match="fit the annotation"):
        rig.agreed_pose_world("file", NAMES, pose_camera, keypoints_2d, wrong)
    with pytest.raises(errors.RecordingError, match="fit the annotation"):
        rig.require_meeting_rays("file", NAMES, keypoints_2d, wrong)
    with pytest.raises(errors.RecordingError, match="fit the annotation"):
        rig.require_equal_poses("file", NAMES, pose_camera, wrong)
