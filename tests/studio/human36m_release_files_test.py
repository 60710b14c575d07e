import cdflib
import numpy as np
import pyarrow.parquet
import pytest

from keras_mvlift.datasets.human36m import protocol
from keras_mvlift.studio import human36m
from tests.datasets.human36m import releases


@pytest.fixture
def release(tmp_path):
    return tmp_path, releases.write(tmp_path, num_takes=6)


def test_the_original_files_are_what_cdflib_reads_by_the_releases_names(release):
    root, takes = release
    features = root / "S1" / "MyPoseFeatures"
    pose = cdflib.CDF(features / "D3_Positions" / "TakingPhoto 1.cdf")["Pose"]
    assert (pose.shape, pose.dtype) == ((1, 8, 96), np.float32)
    take = takes["S1_Photo_1"]
    raw = protocol.joints_to_raw(1000 * take.pose_world)
    np.testing.assert_allclose(pose.reshape(-1, 32, 3), raw, rtol=0, atol=1e-3)
    view = cdflib.CDF(features / "D2_Positions" / "TakingPhoto 1.60457274.cdf")["Pose"]
    assert view.shape == (1, 8, 64)
    raw = protocol.joints_to_raw(take.exact_2d[3])
    np.testing.assert_allclose(view.reshape(-1, 32, 2), raw, rtol=0, atol=1e-3)


def test_detections_cover_a_subject_without_poses(release):
    root, _ = release
    with np.load(root / "data_2d_h36m_cpn_ft_h36m_dbb.npz", allow_pickle=True) as archive:
        assert {*archive["positions_2d"].item()} == {"S1", "S2", "S9"}
        assert archive["metadata"].item()["layout_name"] == "h36m"
    with np.load(root / "data_3d_h36m.npz", allow_pickle=True) as archive:
        assert {*archive["positions_3d"].item()} == {"S1", "S9"}
    with np.load(root / "data_2d_h36m_gt.npz", allow_pickle=True) as archive:
        assert {*archive["metadata"].item()} == {"num_joints", "keypoints_symmetry"}


def test_the_table_has_a_row_group_for_each_view_of_a_take(release):
    file = pyarrow.parquet.ParquetFile(release[0] / "detections.parquet")
    assert file.num_row_groups == 2 * 6 * 4
    first = file.read_row_group(0).to_pydict()
    assert {*first["subject"]} == {"S1"}
    assert first["frame"] == [*range(9)]


def test_every_format_can_be_chosen():
    assert [*human36m.RELEASE_FORMATS] == ["cdf", "videopose3d", "confidence", "canonpose"]
