import cdflib
import numpy as np
import pyarrow.parquet
import pytest

from keras_mvlift.datasets.human36m import protocol, rig
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import filming, human36m
from tests.datasets.human36m import releases


def test_a_release_is_written_take_by_take(tmp_path):
    takes = human36m.write_release(tmp_path, subjects=("S9",), num_takes=3, num_frames=2)
    path = tmp_path / "S9" / "MyPoseFeatures" / "D3_Positions"
    assert not path.exists()
    assert next(takes).name == "Directions 1"
    assert [file.name for file in path.iterdir()] == ["Directions 1.cdf"]
    assert not (tmp_path / "data_3d_h36m.npz").exists()
    assert [take.name for take in takes] == ["Discussion 1", "Eating 1"]
    assert (tmp_path / "data_3d_h36m.npz").is_file()


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


def perform(subject, **options):
    given = {"num_takes": 2, "num_frames": 5, "num_distinct_takes": 30, "seed": 0}
    return [*human36m.perform_take(subject, **given | {"shift_takes": False} | options)]


@pytest.mark.parametrize("subject", rig.SUBJECTS)
def test_every_subject_performs_each_action_twice(subject):
    names = human36m.take_names(subject, 30)
    performed = [protocol.parse_take(name, "").action for name in names]
    assert sorted(performed) == sorted(2 * protocol.ACTIONS)
    assert len({protocol.action_label(name) for name in names}) == 30


def test_names_are_as_irregular_as_the_real_ones():
    names = {subject: human36m.take_names(subject, 30) for subject in rig.SUBJECTS}
    assert "TakingPhoto 1" in names["S1"]
    assert "Photo 1" in names["S5"]
    assert {"Directions 1", "Directions 2"} <= {*names["S5"]}
    assert {"Phoning 2", "Phoning 3"} <= {*names["S11"]}


def test_projections_are_those_of_the_subjects_own_cameras():
    (take, _) = perform("S8")
    camera = rig.camera("S8")
    moved = cameras.camera_from_world(
        take.pose_world, cameras.Camera(*(v[:, None] for v in camera))
    )
    ideal = cameras.project(moved, camera.intrinsics[:, None])
    # The lens bends an image by some pixels, and not by none.
    away = np.abs(take.exact_2d - ideal)
    assert 0.3 < away.max() < 40


def test_detections_are_near_the_projections_and_the_videos_longer(monkeypatch):
    perfect = filming.Detector(noise_px=0, gross_error_rate=0, missing_rate=0, dropped_view_rate=0)
    monkeypatch.setattr(filming, "Detector", lambda: perfect)
    (take, _) = perform("S1")
    assert take.keypoints_2d.shape == (4, 5 + human36m.EXTRA_FRAMES, 17, 2)
    is_seen = take.confidence[:, :5] > 0
    assert is_seen.mean() > 0.9
    np.testing.assert_allclose(take.keypoints_2d[:, :5][is_seen], take.exact_2d[is_seen], atol=1e-3)
    assert [take.num_video_frames(camera) for camera in range(4)] == [6, 7, 8, 5]


def test_a_take_depends_on_seed_and_name_alone():
    first, second = perform("S1")
    np.testing.assert_array_equal(perform("S1", num_takes=1)[0].pose_world, first.pose_world)
    assert np.abs(perform("S1", seed=1)[0].pose_world - first.pose_world).max() > 0.01
    assert np.abs(second.pose_world - first.pose_world).max() > 0.01
    assert np.abs(perform("S5")[0].pose_world - first.pose_world).max() > 0.01


def test_takes_may_be_repeated_under_other_names():
    takes = perform("S1", num_takes=5, num_distinct_takes=2)
    assert len({take.name for take in takes}) == 5
    assert takes[4].pose_world is takes[0].pose_world
    assert takes[3].keypoints_2d is takes[1].keypoints_2d
    assert takes[1].pose_world is not takes[0].pose_world


def test_a_shifted_take_is_shifted_against_its_images():
    options = {"num_takes": 30, "num_frames": 2}
    right = {take.name: take for take in perform("S9", **options)}
    wrong = {take.name: take for take in perform("S9", **options, shift_takes=True)}
    moved = {
        name: wrong[name].pose_world - right[name].pose_world
        for name in right
        if np.abs(wrong[name].pose_world - right[name].pose_world).max() > 0
    }
    assert sorted(moved) == ["Greeting", "SittingDown 1", "Waiting 1"]
    np.testing.assert_allclose(moved["Greeting"], np.tile([0.2, 0, 0], (2, 17, 1)), atol=1e-12)
    np.testing.assert_array_equal(wrong["Greeting"].keypoints_2d, right["Greeting"].keypoints_2d)
    assert np.abs(wrong["Greeting"].exact_2d - right["Greeting"].exact_2d).max() > 10
