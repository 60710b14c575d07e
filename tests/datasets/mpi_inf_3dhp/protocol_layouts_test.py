import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.mpi_inf_3dhp import protocol
from tests.datasets import clips


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
