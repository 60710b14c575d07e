import os
import subprocess
import sys
import time
import zlib

import h5py
import numpy as np
import psutil
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files, matlab
from tests.untrusted import matlab_files

MIB = 2**20


def written(path, write):
    with h5py.File(path, "w") as file:
        write(file)
    return path


def refused(match, path, *names):
    before = psutil.Process().memory_info().rss
    begin = time.perf_counter()
    with pytest.raises(errors.RecordingError, match=match) as caught:
        matlab.read_matlab73(path, names or ("x",))
    assert time.perf_counter() - begin < 5
    assert psutil.Process().memory_info().rss - before < 64 * MIB
    return caught.value


def test_axes_are_matlabs(tmp_path):
    # HDF5 has MATLAB's first axis last: element (2, 1, 3) of 2 x 3 x 4 in both.
    path = tmp_path / "a.mat"
    array = np.arange(24.0).reshape(2, 3, 4)
    matlab_files.write(path, {"x": array})
    with h5py.File(path) as file:
        assert file["x"].shape == (4, 3, 2)
    assert matlab.read_matlab73(path, ("x", "y"))["x"][1, 0, 2] == array[1, 0, 2]


def test_a_shape_that_is_declared_and_not_stored_is_refused(tmp_path):
    def huge(file):
        file.create_dataset("x", (10**15,), "f8", chunks=(1024,), compression="gzip")

    refused("`x` must have a shape and at most", written(tmp_path / "a.mat", huge))

    def large(file):
        file.create_dataset("x", (2**29,), "f8", chunks=(1024,), compression="gzip")

    refused("`x` must grow at most 100 times", written(tmp_path / "b.mat", large))


def test_chunks_that_are_declared_and_not_stored_are_refused(tmp_path):
    def write(file):
        file.create_dataset("x", (4,), "f8", chunks=(2**28,), maxshape=(None,))

    refused("`x` must grow at most 100 times", written(tmp_path / "a.mat", write))


def test_a_chunk_that_grows_past_its_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "COMPRESSION_FREE_BYTES", MIB)

    def write(file):
        dataset = file.create_dataset("x", (1024,), "f8", chunks=(1024,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(256 * MIB), 9))

    path = written(tmp_path / "a.mat", write)
    refused("`x` must have chunks of 8192 bytes. Received: a larger one", path)


def external_link(file):
    file["x"] = h5py.ExternalLink("secret.h5", "x")


def soft_link(file):
    file["y"] = np.ones(3)
    file["x"] = h5py.SoftLink("/y")


def external_storage(file):
    file.create_dataset("x", (3,), "u1", external=[("secret.h5", 0, 3)])


def virtual(file):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource("secret.h5", "x", (3,))
    file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize("write", [external_link, soft_link, external_storage, virtual])
def test_what_lies_elsewhere_is_refused(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    with h5py.File("secret.h5", "w") as file:
        file["x"] = np.ones(3)
    refused("`x` must lie in the file itself", written(tmp_path / "a.mat", write))


def test_a_link_to_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path = written(tmp_path / "a.mat", lambda f: f.update(x=h5py.ExternalLink("pipe", "x")))
    refused("`x` must lie in the file itself. Received: a link", path)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("text", None),
        (np.array([b"ab"]), None),
        (np.ones(2, complex), None),
        (np.zeros(2, "f4,i4"), None),
        (np.ones(2, np.uint16), "char"),
        (np.ones(2), "struct"),
        (np.ones(2), "cell"),
        (np.ones(2, np.uint32), "function_handle"),
        (h5py.Empty("f8"), None),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(tmp_path, value, kind):
    def write(file):
        file["x"] = value
        if kind:
            file["x"].attrs["MATLAB_class"] = np.bytes_(kind)

    refused("`x` must be an array of real numbers or cells", written(tmp_path / "a.mat", write))


def test_a_struct_and_a_class_that_is_no_text_are_refused(tmp_path):
    path = written(tmp_path / "a.mat", lambda file: file.create_group("x"))
    refused("`x` must be an array of real numbers or cells. Received: a group", path)

    def write(file):
        file["x"] = np.ones(2)
        file["x"].attrs["MATLAB_class"] = np.ones(5)

    refused("class of another kind", written(tmp_path / "b.mat", write))


def cells(file, name, *datasets):
    references = np.empty(len(datasets), h5py.ref_dtype)
    references[:] = [
        dataset.ref if dataset is not None else h5py.Reference() for dataset in datasets
    ]
    file.create_dataset(name, data=references, dtype=h5py.ref_dtype)
    file[name].attrs["MATLAB_class"] = np.bytes_("cell")
    return file[name]


def test_one_large_cell_many_times_is_read_once_and_counted_many_times(tmp_path):
    def write(file):
        large = file.create_dataset("large", data=np.zeros(MIB))
        cells(file, "x", *[large] * 150)
        cells(file, "y", *[large] * 50)

    path = written(tmp_path / "a.mat", write)
    refused("`x` must grow at most 100 times", path)
    found = matlab.read_matlab73(path, ("y",))["y"]
    assert found[0] is found[49]


def test_cells_of_cells_of_cells_are_counted_as_if_they_were_not_shared(tmp_path):
    def write(file):
        inner = file.create_dataset("inner", data=np.zeros(9))
        for level in range(15):
            inner = cells(file, str(level), *[inner] * 10)
        cells(file, "x", inner)

    refused("`x` must hold at most", written(tmp_path / "a.mat", write))


def test_many_small_bombs_are_one(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "COMPRESSION_FREE_BYTES", 32 * MIB)

    def write(file):
        options = {"chunks": (2**16,), "compression": "gzip"}
        cells(file, "x", *(file.create_dataset(str(i), (MIB,), "f8", **options) for i in range(9)))

    refused("`x` must grow at most 100 times", written(tmp_path / "a.mat", write))


def test_cells_that_hold_themselves_and_cells_of_nothing_are_refused(tmp_path):
    def write(file):
        dataset = cells(file, "x", None)
        dataset[0] = dataset.ref

    refused("`x` must nest at most 32 deep", written(tmp_path / "a.mat", write))
    path = written(tmp_path / "b.mat", lambda file: cells(file, "x", None))
    refused("`x` must be an array of real numbers or cells", path)


def test_an_empty_array_of_lengths_without_a_zero_is_refused(tmp_path):
    def write(file):
        file["x"] = np.array([10**6, 10**6], np.uint64)
        file["x"].attrs["MATLAB_empty"] = np.uint8(1)

    refused("`x` must be empty as it says", written(tmp_path / "a.mat", write))


def test_filters_that_would_be_loaded_or_repeated_are_refused(tmp_path):
    path = written(
        tmp_path / "a.mat", lambda f: f.create_dataset("x", data=np.zeros(9), compression="lzf")
    )
    refused("`x` must be stored plainly, shuffled or deflated", path)

    def twice(file):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((9,))
        properties.set_deflate(9)
        properties.set_deflate(9)
        space = h5py.h5s.create_simple((9,))
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, properties)

    refused("`x` must be stored plainly", written(tmp_path / "b.mat", twice))


FUZZ = """
import pathlib, resource, sys
import numpy as np
from keras_mvlift.untrusted import matlab
from tests.untrusted import damage
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
path, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2])
read = lambda: matlab.read_matlab73(path, ("annot2", "x"))
print(damage.assert_only_our_errors(read, path, path.read_bytes(), seed, int(sys.argv[3])))
"""


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
def test_damage_ends_in_our_error_in_bounded_memory(tmp_path, options):
    path = tmp_path / "a.mat"
    column = np.empty((2, 1), object)
    column[0, 0], column[1, 0] = np.ones((3, 2)), np.arange(4.0)
    matlab_files.write(path, {"annot2": column, "x": np.ones((20, 3))}, **options)
    found = subprocess.run(
        [sys.executable, "-c", FUZZ, path, "3", "400"], capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) > 100
