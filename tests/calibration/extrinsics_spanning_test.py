import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.calibration import extrinsics, observations, reports
from tests.calibration import rooms


def placed(clips, seen=None):
    seen = observations.gather(clips, observations.Choice()) if seen is None else seen
    camera, names = clips[0].camera, clips[0].camera_names
    found = extrinsics.place_cameras(seen, camera.intrinsics, names)
    moved = reports.align(found, camera, reach=4.5, with_scale=True)
    return reports.differences(moved, camera)


@pytest.mark.parametrize("num_cameras", [3, 5])
def test_exact_detections_place_every_camera(num_cameras):
    clips = rooms.exact_clips(rig="ring", num_cameras=num_cameras)
    distance, angle = placed(clips)
    assert distance.max() < 1e-5
    assert angle.max() < 1e-5


def test_noise_leaves_cameras_within_a_few_centimeters():
    distance, angle = placed(rooms.clips())
    assert distance.max() < 0.15
    assert np.degrees(angle.max()) < 2.0


def test_a_camera_that_shares_points_with_one_other_only_is_refused():
    clips = rooms.exact_clips(rig="ring", num_cameras=3)
    seen = observations.gather(clips, observations.Choice())
    # The first two share the first half, the last two the second.
    half = len(seen.frame) // 2
    seen.weights[2, :half] = 0.0
    seen.weights[0, half:] = 0.0
    with pytest.raises(errors.RecordingError, match=r"Cameras 'camera_\d'.*share 20 joints"):
        placed(clips, seen)


def test_of_two_cameras_the_reason_is_told_as_it_is():
    clips = rooms.exact_clips(rig="ring", num_cameras=2, num_frames=2)
    with pytest.raises(errors.RecordingError, match=r"Cameras 'camera_1' and 'camera_2'.*see 50"):
        placed(clips)
