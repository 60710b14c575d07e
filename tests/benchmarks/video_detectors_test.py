import numpy as np
import pytest

from benchmarks import video_detectors
from keras_mvlift import inference
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.lifting import tracks_2d

REFERENCE = "opensim/Balancing_for_IK.trc"


@pytest.fixture(scope="module")
def recording():
    source = pose2sim.Pose2SimSource(root=pose2sim.demo_root(), reference=REFERENCE)
    (clip,) = source
    return source, clip.frames(slice(0, 30))


def test_errors_are_told_of_each_camera_and_of_all_that_was_found(recording):
    _, clip = recording
    relative = clip.pose_world - clip.pose_world[:, :1]
    poses = np.einsum("tjx,vyx->vtjy", relative, clip.camera.rotation)
    poses[1] *= 1.1
    poses[0, :10] = np.nan
    *each, every = video_detectors.errors_of(poses, clip)
    assert [each[0], *each[2:]] == 3 * ["0.0 / 0.0"]
    mpjpe, p_mpjpe = map(float, each[1].split(" / "))
    assert mpjpe > 30
    assert p_mpjpe < 0.1
    assert float(every.split(" / ")[0]) == pytest.approx(mpjpe * 30 / 110, abs=0.1)


def test_tracks_are_lifted_by_each_camera(recording):
    source, clip = recording
    tracks = [
        tracks_2d.of_arrays(points, sure, frame_rate=60.0)
        for points, sure in zip(clip.keypoints_2d, clip.confidence, strict=True)
    ]
    poses = video_detectors.lifted(
        inference.load_model("studio"), tracks, source, clip.camera, True
    )
    assert poses.shape == (4, 30, 17, 3)
    told = video_detectors.errors_of(poses, clip)
    assert all(float(each.split(" / ")[0]) < 120 for each in told)
