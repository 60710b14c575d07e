import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.mpi_inf_3dhp import protocol
from tests.datasets import clips

H36M = skeletons.H36M_17


def test_the_table_has_eight_subjects_twice():
    assert protocol.SUBJECTS == tuple(f"S{number}" for number in range(1, 9))
    assert list(protocol.TAKES) == [(s, q) for s in protocol.SUBJECTS for q in protocol.SEQUENCES]
    # The sum of the release's own table, and who was filmed at the higher rate.
    assert sum(take.num_frames for take in protocol.TAKES.values()) == 131592
    fast = [key for key, take in protocol.TAKES.items() if take.frame_rate == 50]
    assert fast == [("S1", "Seq2"), ("S3", "Seq1"), ("S3", "Seq2"), ("S5", "Seq1"), ("S5", "Seq2")]


def test_the_test_set_shows_six_people():
    assert protocol.TEST_SUBJECTS == ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
    assert not {*protocol.TEST_SUBJECTS} & {*protocol.SUBJECTS}


def test_camera_sets_are_within_one_another():
    sets = {name: set(cameras) for name, cameras in protocol.CAMERA_SETS.items()}
    assert sets["chest"] < sets["vnect"] < sets["relevant"] < sets["regular"]
    assert sets["ceiling"] == sets["regular"] - sets["relevant"]
    assert len(sets["regular"]) == protocol.NUM_CAMERAS


@pytest.mark.parametrize(("choice", "expected"), [("table", 12430), ("all", None), (20, 20)])
def test_how_many_frames_are_read_is_a_choice(choice, expected):
    assert protocol.first_frames("S1", "Seq2", choice) == expected


def test_the_orders_are_those_that_the_field_uses():
    assert protocol.H36M_FROM_28 == [4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16]
    assert protocol.H36M_FROM_TEST == [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]
    assert protocol.TEST_FROM_28 == [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]


def test_left_stays_left_and_mirror_images_are_in_the_same_order():
    for own, order in (
        (protocol.ALL_28, protocol.H36M_FROM_28),
        (protocol.TEST_17, protocol.H36M_FROM_TEST),
    ):
        for left, right in zip(H36M.left, H36M.right, strict=True):
            assert own[order[left]].replace("left", "right") == own[order[right]]
            assert own[order[left]] == H36M.joints[left]


def test_both_sets_lead_to_the_same_joints():
    by_test = [protocol.TEST_FROM_28[joint] for joint in protocol.H36M_FROM_TEST]
    assert by_test == protocol.H36M_FROM_28


def test_the_archives_sides_are_those_of_p_stmo():
    left = [index for index, joint in enumerate(protocol.TEST_17) if joint.startswith("left")]
    right = [index for index, joint in enumerate(protocol.TEST_17) if joint.startswith("right")]
    assert (left, right) == ([5, 6, 7, 11, 12, 13], [2, 3, 4, 8, 9, 10])


def test_the_scored_joints_are_all_but_pelvis_spine_and_nose():
    names = [H36M.joints[joint] for joint in protocol.SCORED]
    assert sorted({*H36M.joints} - {*names}) == ["nose", "pelvis", "spine"]
    assert names[:3] == ["head", "thorax", "right_shoulder"]
    test_order = np.arange(17)[protocol.H36M_FROM_TEST]
    np.testing.assert_array_equal(test_order[list(protocol.SCORED)], np.arange(14))


def test_a_clip_is_thinned_with_its_frame_numbers_and_its_rate():
    sequence = clips.exact(2, 7, frame_rate=50.0)
    clip = protocol.Clip(sequence, np.arange(20, 27), ("a", "b"))
    assert clip.every(1) is clip
    thin = clip.every(3)
    np.testing.assert_array_equal(thin.frame, [20, 23, 26])
    np.testing.assert_array_equal(thin.sequence.pose_world, sequence.pose_world[[0, 3, 6]])
    assert thin.sequence.frame_rate == pytest.approx(50 / 3)
    assert thin.views == clip.views


@pytest.mark.parametrize(
    "folder", ["S8/Seq1", "train/S1", "TS6", "test/TS1", "mpi_inf_3dhp_test_set/TS2"]
)
def test_any_folder_of_the_release_tells_the_layout(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    assert protocol.find(str(tmp_path)) == "original"


@pytest.mark.parametrize("name", ["data_train_3dhp.npz", "data_test_3dhp.npz"])
def test_either_archive_tells_the_layout(tmp_path, name):
    (tmp_path / name).touch()
    assert protocol.find(str(tmp_path)) == "p_stmo"


def test_a_folder_of_neither_is_refused(tmp_path):
    (tmp_path / "S9").mkdir()
    with pytest.raises(errors.RecordingError, match=r"hold the release's folders.*neither"):
        protocol.find(str(tmp_path))


def test_a_folder_of_both_asks_for_a_choice(tmp_path):
    (tmp_path / "S1").mkdir()
    (tmp_path / "data_test_3dhp.npz").touch()
    with pytest.raises(
        errors.RecordingError, match=r"`layout` chooses. Received: original, p_stmo"
    ):
        protocol.find(str(tmp_path))


def test_folders_are_found_where_they_are_and_expected_where_the_release_has_them(tmp_path):
    root = str(tmp_path)
    assert protocol.training_folder(root, "S1", "Seq2") == tmp_path / "S1" / "Seq2"
    assert protocol.test_folder(root, "TS1") == tmp_path / "mpi_inf_3dhp_test_set" / "TS1"
    for folder in ("train/S1", "mpi_inf_3dhp_test_set/mpi_inf_3dhp_test_set/TS1"):
        (tmp_path / folder).mkdir(parents=True)
    assert protocol.training_folder(root, "S1", "Seq2") == tmp_path / "train" / "S1" / "Seq2"
    nested = tmp_path / "mpi_inf_3dhp_test_set" / "mpi_inf_3dhp_test_set" / "TS1"
    assert protocol.test_folder(root, "TS1") == nested
