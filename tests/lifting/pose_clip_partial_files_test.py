import pytest

from keras_mvlift.lifting import pose_clip


def test_a_file_stands_there_when_it_is_whole_and_not_before(tmp_path):
    path = tmp_path / "poses.npz"
    with pose_clip.replacing(path) as partial:
        partial.write_text("new")
        assert partial.suffix == ".npz"
        assert not path.exists()
    assert path.read_text() == "new"
    assert [*tmp_path.iterdir()] == [path]


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "poses.csv"
    path.write_text("old")

    def write_half():
        with pose_clip.replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_missing_folder_and_a_folder_are_refused(tmp_path):
    missing = pytest.raises(FileNotFoundError, match=r"gone must be a folder to write a\.csv to")
    with missing, pose_clip.replacing(tmp_path / "gone" / "a.csv"):
        pass
    folder = pytest.raises(IsADirectoryError, match="must be a file to write to")
    with folder, pose_clip.replacing(tmp_path):
        pass
