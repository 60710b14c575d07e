import numpy as np
import pytest

from keras_mvlift.experiments import cells


@pytest.mark.parametrize(
    ("status", "is_finished"),
    [("done", True), ("diverged", True), ("not_applicable", True), ("failed", False)],
)
def test_what_would_come_out_alike_is_finished(tmp_path, status, is_finished):
    store = cells.CellStore(tmp_path / "cells")
    store.write("a", {"status": status})
    assert store.is_finished("a") == is_finished
    assert not store.is_finished("b")


def test_half_a_file_counts_as_none(tmp_path):
    store = cells.CellStore(tmp_path)
    (tmp_path / "a.json").write_text('{"status": "do')
    assert store.read("a") is None


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path):
    store = cells.CellStore(tmp_path)
    store.write("a", {"status": "done"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write("a", {"status": "done", "figures": float("nan")})
    assert store.read("a") == {"status": "done"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_poses_are_read_back_to_half_a_millimeter_and_names_as_they_were(tmp_path):
    store = cells.CellStore(tmp_path)
    pose = np.random.default_rng(0).uniform(-2, 2, (3, 17, 3)).astype(np.float32)
    pose[0, 0, 0] = 1e6
    store.write_poses("a", pose=pose, clip=np.array(["x", "y", "z"]), frame=np.arange(3))
    read = store.read_poses("a")
    assert read["pose"][0, 0, 0] == 32.767
    np.testing.assert_allclose(read["pose"][1:], pose[1:], atol=0.000501)
    assert read["clip"].tolist() == ["x", "y", "z"]
    assert read["frame"].tolist() == [0, 1, 2]
