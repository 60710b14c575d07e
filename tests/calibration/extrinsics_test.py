import dataclasses

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.calibration import extrinsics, observations, reports
from tests.calibration import rooms


def known(clip, *pairs):
    """The true distances between cameras."""
    names, center = clip.camera_names, clip.camera.center
    return {(names[a], names[b]): float(np.linalg.norm(center[a] - center[b])) for a, b in pairs}


def blind(clips):
    """The clips with cameras of which nothing is known but the intrinsics."""
    num_views = clips[0].num_views
    camera = clips[0].camera._replace(
        rotation=np.tile(np.eye(3), (num_views, 1, 1)), center=np.zeros((num_views, 3))
    )
    return [dataclasses.replace(clip, camera=camera) for clip in clips]


def differences(found, clip):
    moved = reports.align(found.camera, clip.camera, reach=4.5, with_scale=False)
    distance, angle = reports.differences(moved, clip.camera)
    return distance.max(), np.degrees(angle.max())


@pytest.mark.parametrize(
    "rig",
    [{"rig": "ring", "num_cameras": 3}, {}, {"rig": "ring", "num_cameras": 8}],
    ids=["three", "four", "eight"],
)
def test_a_studios_rig_is_found_from_noisy_detections(rig):
    clips = rooms.clips(**rig)
    choice = observations.Choice(max_frames=60)
    found = extrinsics.estimate(blind(clips), known(clips[0], (0, 1)), choice)
    distance, angle = differences(found, clips[0])
    assert distance < 0.06
    assert angle < 1.0
    assert found.report.all.after.median_px < found.report.all.before.median_px


def test_two_cameras_are_found_from_exact_detections():
    clips = rooms.exact_clips()
    pair = [
        dataclasses.replace(
            clip,
            camera=rooms.one_rig(clip.camera, (0, 3)),
            camera_names=("camera_1", "camera_4"),
            keypoints_2d=clip.keypoints_2d[[0, 3]],
            confidence=clip.confidence[[0, 3]],
        )
        for clip in clips
    ]
    found = extrinsics.estimate(blind(pair), known(pair[0], (0, 1)))
    distance, angle = differences(found, pair[0])
    assert distance < 1e-6
    assert angle < 1e-5


def test_a_fifth_of_gross_errors_does_no_harm():
    clips = rooms.clips(gross_error_rate=0.2)
    found = extrinsics.estimate(blind(clips), known(clips[0], (0, 1), (2, 3)))
    distance, angle = differences(found, clips[0])
    assert distance < 0.08
    assert angle < 1.0


def test_refining_brings_a_shaken_rig_back_into_its_own_world():
    clips = rooms.clips()
    camera = clips[0].camera
    shift = np.random.default_rng(0).normal(0.0, 0.05, camera.center.shape)
    shaken = camera._replace(center=camera.center + shift)
    found = extrinsics.refine([dataclasses.replace(clip, camera=shaken) for clip in clips])
    distance, angle = reports.differences(found.camera, camera)
    assert found.report.all.after.median_px < 0.7 * found.report.all.before.median_px
    assert differences(found, clips[0])[0] < 0.06
    # Where the world is only the shaken cameras tell.
    assert distance.max() < 0.15
    assert np.degrees(angle.max()) < 2.0
    spread = [np.linalg.norm(rig.center - rig.center.mean(axis=0)) for rig in (found[0], shaken)]
    assert spread[0] == pytest.approx(spread[1])


def test_a_camera_that_saw_nobody_is_named():
    (clip,) = rooms.exact_clips(actions=("walking",), num_frames=20)
    confidence = clip.confidence.copy()
    confidence[2] = 0.0
    unseen = dataclasses.replace(clip, confidence=confidence)
    with pytest.raises(errors.RecordingError, match=r"Camera 'camera_3'.*hold 50 joints"):
        extrinsics.refine([unseen])
    with pytest.raises(errors.RecordingError, match="Camera 'camera_3'"):
        extrinsics.estimate([unseen], known(clip, (0, 1)))


def test_a_distance_of_unknown_cameras_is_refused_before_the_work():
    (clip,) = rooms.exact_clips(actions=("walking",), num_frames=20)
    with pytest.raises(ValueError, match="Received: camera_1 and nobody"):
        extrinsics.estimate([clip], {("camera_1", "nobody"): 1.0})
