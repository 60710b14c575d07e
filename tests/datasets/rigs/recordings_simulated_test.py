import json

import numpy as np
import pytest
import yaml

from keras_mvlift import skeletons
from keras_mvlift.datasets.rigs import calibration_files, calibrations, detections, recordings
from tests.datasets.rigs import simulated_rigs

# Half of the last digit that JSON is written with, and the means of joints.
ATOL_PX = 1e-3
ATOL_METERS = 1e-6


def assert_read_back(root, **options):
    written = simulated_rigs.write_rig(str(root), num_frames=6, **options)
    read = list(recordings.RigSource(root=str(root)))
    assert [clip.name for clip in read] == [clip.name for clip in written]
    for clip, expected in zip(read, written, strict=True):
        np.testing.assert_array_equal(clip.confidence > 0, expected.confidence > 0)
        np.testing.assert_allclose(clip.confidence, expected.confidence, atol=1e-4)
        np.testing.assert_allclose(clip.keypoints_2d, expected.keypoints_2d, atol=ATOL_PX)
        np.testing.assert_allclose(clip.pose_world, expected.pose_world, atol=ATOL_METERS)
        np.testing.assert_allclose(clip.distortion, expected.distortion, atol=1e-9)
        for field, value in zip(clip.camera, expected.camera, strict=True):
            np.testing.assert_allclose(field, value, atol=1e-9)


@pytest.mark.parametrize("calibration_format", calibration_files.FORMATS)
@pytest.mark.parametrize("detection_format", detections.READERS)
def test_every_pair_of_formats_is_read_back(tmp_path, calibration_format, detection_format):
    assert_read_back(
        tmp_path, calibration_format=calibration_format, detection_format=detection_format
    )


@pytest.mark.parametrize("skeleton", skeletons.SKELETONS)
def test_every_joint_set_is_read_back(tmp_path, skeleton):
    assert_read_back(tmp_path, skeleton=skeleton, detection_format="mmpose")


@pytest.mark.parametrize("joined_by", simulated_rigs.JOINS)
@pytest.mark.parametrize("detection_format", detections.READERS)
def test_streams_are_joined_in_every_format(tmp_path, joined_by, detection_format):
    assert_read_back(
        tmp_path, joined_by=joined_by, detection_format=detection_format, num_cameras=4
    )


@pytest.mark.parametrize("up", calibrations.UP_AXES)
def test_worlds_of_any_up_are_read_back(tmp_path, up):
    assert_read_back(tmp_path, up=up, calibration_format="anipose", detection_format="rtmlib")


@pytest.mark.parametrize(("num_cameras", "num_clips"), [(2, 1), (2, 3), (7, 2)])
def test_any_number_of_cameras_and_clips_is_read_back(tmp_path, num_cameras, num_clips):
    assert_read_back(tmp_path, num_cameras=num_cameras, num_clips=num_clips, seed=5)


def test_what_is_written_is_what_a_lab_has_with_all_its_flaws(tmp_path):
    first, last = simulated_rigs.write_rig(
        str(tmp_path), num_frames=30, detection_format="mmpose", joined_by="timestamps"
    )
    seen = first.confidence > 0
    assert 0.02 < 1 - seen[0].mean() < 0.25
    # A frame that the second camera lost; the third has half the frame rate.
    assert not seen[1, simulated_rigs.LOST_SLOT].any()
    assert not seen[2, 1::2].any()
    assert not (last.confidence[0] > 0).any()
    assert np.abs(first.distortion).min() > 0
    content = json.loads((tmp_path / first.name / "cam_1.json").read_text())
    assert {len(frame["instances"]) for frame in content} == {1, 2}
    entries = yaml.safe_load((tmp_path / "rig.yaml").read_text())["clips"]
    assert [entry["test"] for entry in entries] == [False, True]


@pytest.mark.parametrize(("num_people", "num_cameras"), [(2, 3), (4, 4)])
def test_people_filmed_together_are_told_apart(tmp_path, num_people, num_cameras):
    written = simulated_rigs.write_rig(
        str(tmp_path),
        num_people=num_people,
        num_cameras=num_cameras,
        num_clips=1,
        num_frames=40,
        joined_by="first_frame",
    )
    read = list(recordings.RigSource(root=str(tmp_path)))
    assert [clip.name for clip in read] == [
        f"{written[0].name}_{number + 1}" for number in range(num_people)
    ]
    taken = [identity(clip, written) for clip in read]
    assert sorted(index for index, _ in taken) == list(range(num_people))
    assert min(share for _, share in taken) > 0.98
    assert not any(clip.unsure_views or clip.unfollowed_people for clip in read)


def identity(clip, written):
    """Who of those written a clip shows, and in how large a share of their views."""
    shares = []
    for other in written:
        apart = np.linalg.norm(clip.keypoints_2d - other.keypoints_2d, axis=-1)
        both = (clip.confidence > 0) & (other.confidence > 0)
        is_same = np.where(both, apart < ATOL_PX, True).all(axis=-1) & both.any(axis=-1)
        shares.append(is_same.sum() / (other.confidence > 0).any(axis=-1).sum())
    return int(np.argmax(shares)), max(shares)
