import numpy as np
import pytest
import scipy.io

from keras_mvlift import errors
from keras_mvlift.untrusted import reading
from tests.untrusted import matlab_files

NUMERIC = [
    *(f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)),
    "float32",
    "float64",
    "bool",
]


def cells(*shape):
    """As MPI-INF-3DHP's annot2: a column of cells, each a matrix of its own height."""
    found = np.empty(shape, object)
    for number, index in enumerate(np.ndindex(shape)):
        found[index] = np.random.default_rng(number).normal(size=(number + 2, 4))
    return found


def write_5(path, variables):
    scipy.io.savemat(path, variables)


def write_5_compressed(path, variables):
    scipy.io.savemat(path, variables, do_compression=True)


def write_73_deflated(path, variables):
    matlab_files.write(path, variables, compression="gzip", shuffle=True, fletcher32=True)


WRITERS = [write_5, write_5_compressed, matlab_files.write, write_73_deflated]


def refused(match, path, *names):
    with pytest.raises(errors.RecordingError, match=match) as caught:
        reading.matlab(path, names)
    return caught.value


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("kind", NUMERIC)
def test_numbers_keep_their_class_and_axes(tmp_path, write, kind):
    written = np.arange(24).reshape(2, 3, 4).astype(kind)
    write(tmp_path / "a.mat", {"other": np.ones((9, 9)), "x": written})
    found = reading.matlab(tmp_path / "a.mat", ("x",))
    assert list(found) == ["x"]
    assert (found["x"].dtype, found["x"].shape) == (written.dtype, (2, 3, 4))
    np.testing.assert_array_equal(found["x"], written)


@pytest.mark.parametrize("write", WRITERS)
def test_cells_are_objects_in_matlabs_places(tmp_path, write):
    written = cells(3, 2)
    write(tmp_path / "a.mat", {"annot2": written})
    found = reading.matlab(tmp_path / "a.mat", ("annot2",))["annot2"]
    assert (found.dtype, found.shape) == (object, (3, 2))
    for pair in zip(found.flat, written.flat, strict=True):
        np.testing.assert_array_equal(*pair)


@pytest.mark.parametrize("write", WRITERS)
def test_cells_in_cells_and_what_is_empty_are_read(tmp_path, write):
    nested, empty = cells(1, 1), np.empty((1, 2), object)
    nested[0, 0] = cells(1, 2)
    empty[0, 0], empty[0, 1] = np.empty((0, 3)), np.ones((1, 1))
    write(tmp_path / "a.mat", {"nested": nested, "empty": empty, "none": np.empty((0, 5))})
    found = reading.matlab(tmp_path / "a.mat", ("nested", "empty", "none"))
    np.testing.assert_array_equal(found["nested"][0, 0][0, 1], nested[0, 0][0, 1])
    assert (found["empty"][0, 0].shape, found["none"].shape) == ((0, 3), (0, 5))


@pytest.mark.parametrize("write", WRITERS)
def test_a_variable_that_is_not_there_is_refused_by_name(tmp_path, write):
    write(tmp_path / "a.mat", {"x": np.ones((2, 2))})
    message = "a.mat: `y` must be a variable of the file. Received: no such variable"
    assert refused(message, tmp_path / "a.mat", "x", "y").field == "y"


def test_what_is_no_matlab_file_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.ones((2, 2))}, format="4")
    refused("`file` must be a MATLAB file of version 5 or 7.3", path, "x")
    for data in (b"", b"text", bytes(1000)):
        path.write_bytes(data)
        refused("`file` must be a MATLAB file of version 5 or 7.3", path, "x")
    refused("`file` must be a file that exists", tmp_path / "nowhere.mat", "x")
