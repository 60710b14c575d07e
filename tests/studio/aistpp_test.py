import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import aistpp
from keras_mvlift.studio import aistpp as studio_aistpp
from keras_mvlift.studio import synthetic
from keras_mvlift.untrusted import reading
from tests import bodies


def test_a_release_is_written_sequence_by_sequence(tmp_path):
    takes = studio_aistpp.write_release(tmp_path, subjects=("d03",), num_takes=2, num_frames=6)
    assert next(takes).name == "gJS_sBM_cAll_d03_mJS0_ch01"
    folder = tmp_path / "keypoints2d"
    assert [path.stem for path in folder.iterdir()] == ["gJS_sBM_cAll_d03_mJS0_ch01"]
    assert not (tmp_path / "cameras" / "mapping.txt").exists()
    assert [take.name for take in takes] == ["gJS_sBM_cAll_d03_mJS0_ch02"]
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert names == [
        "cameras/mapping.txt",
        "cameras/setting1.json",
        "ignore_list.txt",
        *(f"keypoints2d/gJS_sBM_cAll_d03_mJS0_ch0{number}.pkl" for number in (1, 2, 3)),
        *(f"keypoints3d/gJS_sBM_cAll_d03_mJS0_ch0{number}.pkl" for number in (1, 2)),
        *(f"splits/pose_{kind}.txt" for kind in ("test", "train", "val")),
    ]


def test_the_files_have_what_the_release_has(tmp_path):
    takes = studio_aistpp.write_release(tmp_path, subjects=("d04",), num_takes=2, num_frames=40)
    (take, _) = takes
    content = reading.pickled(tmp_path / "keypoints2d" / f"{take.name}.pkl")
    seen = content["keypoints2d"]
    assert (seen.dtype, seen.shape) == (np.float32, (9, 40, 17, 3))
    assert content["det_scores"].shape == (9, 40)
    assert content["timestamps"][:3].tolist() == [0, 16666, 33333]
    is_missed = np.isnan(seen)
    np.testing.assert_array_equal(is_missed.all(axis=(2, 3)), is_missed.any(axis=(2, 3)))
    assert 0 < is_missed.mean() < 0.1
    assert np.nanmax(seen[..., 2]) > 1
    # Without its lens the detector's joints are elsewhere, but not far.
    off = np.linalg.norm(seen[..., :2] - take.ideal_2d, axis=-1)
    assert 1 < np.nanmax(off) < 40
    poses = reading.pickled(tmp_path / "keypoints3d" / f"{take.name}.pkl")
    # Centimeters with y up: feet at the floor, head below two meters.
    height = np.nanpercentile(poses["keypoints3d_optim"][..., 1], [0, 100])
    assert 0 <= height[0] < 30
    assert 120 < height[1] < 200
    assert np.isnan(poses["keypoints3d_optim"][1]).any()
    assert poses["keypoints3d"].dtype == np.float64


def test_all_dancers_have_a_genre_and_a_test_dancer_each():
    names = [studio_aistpp._name(subject, 0) for subject in aistpp.SUBJECTS]
    assert len({name.split("_")[0] for name in names}) == 10
    tested = [name for name in names if name.split("_")[3] in aistpp.TEST_SUBJECTS]
    assert {name.split("_")[0] for name in tested} == {*aistpp.GENRES}
    assert "gBR_sBM_cAll_d04_mBR0_ch01" in names


def test_joints_of_cocos_are_where_the_bodies_of_all_sets_have_them():
    pose = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=3).read("S01_walking_01")
    expected = bodies.joints(pose.pose_world, skeletons.COCO_17)
    np.testing.assert_array_equal(studio_aistpp.coco_joints(pose.pose_world), expected)
