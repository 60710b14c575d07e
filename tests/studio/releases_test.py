"""What `keras-mvlift simulate` writes, whichever dataset it is of."""

import pytest

from keras_mvlift.studio import aistpp, human36m, mpi_inf_3dhp

SMALL = {
    aistpp: {"subjects": ("d04",), "num_takes": 1, "num_frames": 4},
    human36m: {"subjects": ("S9",), "num_takes": 1, "num_frames": 2, "formats": ("cdf",)},
    mpi_inf_3dhp: {"subjects": (), "num_frames": 8, "formats": ("original", "detections")},
}
EACH = pytest.mark.parametrize("dataset", SMALL, ids=lambda dataset: dataset.__name__)


def contents(dataset, folder, seed):
    for _ in dataset.write_release(folder, **SMALL[dataset], seed=seed):
        pass
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".mat"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@EACH
def test_a_seed_gives_one_release_and_another_seed_another(dataset, tmp_path):
    first, again, other = (
        contents(dataset, tmp_path / name, seed) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert first == again
    assert first.keys() == other.keys()
    assert first != other


@EACH
def test_a_folder_that_holds_anything_is_refused_at_once(dataset, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    for root in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(FileExistsError, match="`root` must be an empty folder or not there"):
            dataset.write_release(root)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (aistpp, {"subjects": ("d31",)}, "`subjects` must name some of d01"),
        (aistpp, {"num_takes": 11}, r"`num_takes` must lie in \[1, 10\]. Received: 11"),
        (aistpp, {"num_frames": 1}, "`num_frames` must be at least 2"),
        (aistpp, {"seed": -1}, "`seed` must not be negative"),
        (human36m, {"subjects": ("S2",)}, "`subjects` must name some of S1, S5.*Received: .'S2'"),
        (human36m, {"subjects": ()}, "`subjects` must name some of"),
        (human36m, {"subjects": ("S1", "S1")}, "each once"),
        (human36m, {"formats": ("h5",)}, "`formats` must name some of cdf, videopose3d"),
        (human36m, {"num_takes": 31}, r"`num_takes` must lie in \[1, 30\]. Received: 31"),
        (human36m, {"num_distinct_takes": 0}, "`num_distinct_takes` must lie in"),
        (human36m, {"num_frames": 0}, "`num_frames` must be positive"),
        (human36m, {"seed": -1}, "`seed` must not be negative"),
        (mpi_inf_3dhp, {"subjects": ("S9",)}, "`subjects` must be among S1, .*'S9'"),
        (mpi_inf_3dhp, {"test_subjects": ("S1",)}, "`test_subjects` must be among TS1"),
        (mpi_inf_3dhp, {"formats": ("videos",)}, "`formats` must be among original, p_stmo"),
        (mpi_inf_3dhp, {"num_frames": 0}, "`num_frames` must be positive"),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_once(tmp_path, dataset, options, message):
    with pytest.raises(ValueError, match=message):
        dataset.write_release(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
