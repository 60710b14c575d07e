import pathlib
import shutil

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.calibration import observations
from keras_mvlift.datasets.rigs import calibration_files, pose2sim

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
    monkeypatch.setattr(observations, "_MAX_FRAMES", 30)
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
