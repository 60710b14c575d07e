import dataclasses
import pathlib
import shutil

import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.calibration import observations
from keras_mvlift.datasets.rigs import calibration_files, pose2sim
from tests.calibration import rooms


def test_points_are_the_limbs_that_two_views_see_surely_enough(monkeypatch):
    monkeypatch.setattr(observations, "MIN_CONFIDENCE", 0.5)
    (clip,) = rooms.clips(actions=("walking",), num_frames=20, missing_rate=0.3)
    seen = observations.gather([clip])
    names = [skeletons.H36M_17.joints[joint] for joint in np.unique(seen.joint)]
    assert sorted(names) == sorted(observations.LIMBS)
    sure = clip.confidence > 0.5
    limbs = np.isin(np.arange(17), seen.joint)
    assert len(seen.frame) == np.count_nonzero((sure.sum(axis=0) >= 2) & limbs)
    weights = clip.confidence[:, seen.frame, seen.joint]
    np.testing.assert_array_equal(seen.weights, np.where(weights > 0.5, weights, 0.0))
    np.testing.assert_array_equal(seen.keypoints_2d, clip.keypoints_2d[:, seen.frame, seen.joint])


def test_more_frames_are_thinned_evenly_over_all_clips():
    clips = rooms.exact_clips(num_frames=50)
    seen = observations.gather(clips, 12)
    frames = np.unique(seen.frame)
    assert (len(frames), frames[0], frames[-1]) == (12, 0, 99)
    assert set(np.diff(frames)) == {9}


def test_clips_of_other_cameras_are_refused():
    first, second = rooms.exact_clips(num_frames=5)
    names = ("x", *second.camera_names[1:])
    with pytest.raises(errors.RecordingError, match=r"'S01_turning_01'.*`camera` must be those"):
        observations.gather([first, dataclasses.replace(second, camera_names=names)])
    intrinsics = 1.01 * second.camera.intrinsics
    other = dataclasses.replace(second, camera=second.camera._replace(intrinsics=intrinsics))
    with pytest.raises(errors.RecordingError, match="`camera` must be those"):
        observations.gather([first, other])


def test_nothing_seen_twice_is_refused():
    (clip,) = rooms.exact_clips(num_frames=5, actions=("walking",))
    confidence = clip.confidence * (np.arange(4) == 0)[:, np.newaxis, np.newaxis]
    with pytest.raises(errors.RecordingError, match=r"`confidence` must be above 0\.3"):
        observations.gather([dataclasses.replace(clip, confidence=confidence)])
    with pytest.raises(ValueError, match="one clip or more"):
        observations.gather([])


MANIFEST = """
version: 1
frame_rate: 60
calibration: {file: calibration.toml, format: pose2sim}
detections: {format: openpose, skeleton: body_25b}
clips:
  - name: balancing
    subject: david
    action: balancing
    views: {cam1: {path: cam1_json}, cam2: {path: cam2_json}}
"""


@pytest.fixture
def demo():
    return pathlib.Path(pose2sim.demo_root())


@pytest.fixture
def blind_rig(demo, tmp_path):
    """A manifest whose calibration has intrinsics only."""
    rig = calibration_files.read_qualisys(next((demo / "calibration").glob("*.qca.txt")))
    rig = rig.select(rig.names[:2])._replace(names=("cam1", "cam2"))
    lost = rig.camera._replace(rotation=rig.camera.rotation * np.nan)
    calibration_files.write_toml(tmp_path / "calibration.toml", rig._replace(camera=lost))
    for name in ("cam1_json", "cam2_json"):
        shutil.copytree(demo / "pose" / name, tmp_path / name)
    (tmp_path / "rig.yaml").write_text(MANIFEST)
    return tmp_path


def test_a_folder_in_pose2sims_layout_keeps_its_lenses(demo):
    recorded = observations.read_recordings(demo)
    (clip,) = recorded.clips
    assert recorded.calibration.names == clip.camera_names == ("cam1", "cam2", "cam3", "cam4")
    np.testing.assert_array_equal(recorded.calibration.distortion, clip.distortion)
    np.testing.assert_array_equal(recorded.calibration.image_sizes, [[1088, 1920]] * 4)


def test_a_manifest_without_extrinsics_can_be_read(blind_rig, demo, monkeypatch):
    monkeypatch.setattr(observations, "_MAX_CLIP_FRAMES", 30)
    for path in (blind_rig, blind_rig / "rig.yaml"):
        recorded = observations.read_recordings(path)
        (clip,) = recorded.clips
        assert not recorded.calibration.has_extrinsics
        assert clip.num_frames == 30
    (whole,) = pose2sim.Pose2SimSource(root=str(demo))
    limbs = [11, 12, 13, 14, 15, 16]
    np.testing.assert_allclose(
        clip.keypoints_2d[:, 0, limbs], whole.keypoints_2d[:2, 0, limbs], atol=1e-2
    )
    np.testing.assert_allclose(
        clip.keypoints_2d[:, -1, 11], whole.keypoints_2d[:2, -1, 11], atol=1e-2
    )


def test_a_folder_of_neither_kind_is_refused(tmp_path):
    with pytest.raises(errors.RecordingError, match="match exactly one file"):
        observations.read_recordings(tmp_path)


def test_exact_points_are_found_and_have_no_error():
    camera, points, seen = rooms.room()
    np.testing.assert_allclose(observations.triangulate(camera, seen), points, atol=1e-4)
    np.testing.assert_allclose(observations.errors_px(camera, seen), 0.0, atol=1e-2)


def test_the_error_golden():
    # 3 px right and 4 px down of what two views see of the given points.
    camera, points, seen = rooms.room(num_cameras=2)
    seen = seen._replace(keypoints_2d=seen.keypoints_2d - [3.0, 4.0])
    np.testing.assert_allclose(observations.errors_px(camera, seen, points), 5.0)


def test_what_was_not_seen_or_by_one_view_only_has_no_error():
    camera, _, seen = rooms.room()
    seen.weights[1:, 0] = 0.0
    seen.weights[2, 1] = 0.0
    errors = observations.errors_px(camera, seen)
    assert np.isnan(errors[:, 0]).all()
    assert np.isnan(errors[:, 1]).tolist() == [False, False, True, False]
    assert np.isnan(observations.triangulate(camera, seen)[0]).all()
