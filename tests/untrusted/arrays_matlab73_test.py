import functools
import os
import time

import h5py
import numpy as np
import psutil
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files, reading
from tests.untrusted import damage, matlab_files

MIB = 2**20


def written(path, write):
    with h5py.File(path, "w") as file:
        write(file)
    return path


def refused(match, path, *names):
    before = psutil.Process().memory_info().rss
    begin = time.perf_counter()
    with pytest.raises(errors.RecordingError, match=match) as caught:
        reading.matlab(path, names or ("x",))
    assert time.perf_counter() - begin < 60
    assert psutil.Process().memory_info().rss - before < 64 * MIB
    return caught.value


def test_axes_are_matlabs(tmp_path):
    # HDF5 has MATLAB's first axis last: element (2, 1, 3) of 2 x 3 x 4 in both.
    path = tmp_path / "a.mat"
    array = np.arange(24.0).reshape(2, 3, 4)
    matlab_files.write(path, {"x": array})
    with h5py.File(path) as file:
        assert file["x"].shape == (4, 3, 2)
    assert reading.matlab(path, ("x",))["x"][1, 0, 2] == array[1, 0, 2]


def test_a_shape_that_is_declared_and_not_stored_is_refused(tmp_path):
    def huge(file):
        file.create_dataset("x", (10**15,), "f8", chunks=(1024,), compression="gzip")

    refused("`x` must hold at most", written(tmp_path / "a.mat", huge))

    def large(file):
        file.create_dataset("x", (2**29,), "f8", chunks=(1024,), compression="gzip")

    refused("`x` must grow at most 100 times", written(tmp_path / "b.mat", large))


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

    refused("`x` must be an array of real numbers or cells", written(tmp_path / "b.mat", write))


def cells(file, name, *datasets):
    references = np.empty(len(datasets), h5py.ref_dtype)
    references[:] = [
        dataset.ref if dataset is not None else h5py.Reference() for dataset in datasets
    ]
    file.create_dataset(name, data=references, dtype=h5py.ref_dtype)
    file[name].attrs["MATLAB_class"] = np.bytes_("cell")
    return file[name]


def test_cells_of_one_dataset_are_counted_as_if_they_were_not_shared(tmp_path):
    def write(file):
        cells(file, "x", *[file.create_dataset("large", data=np.zeros(MIB))] * 150)

    refused("a.mat: `content` must hold at most", written(tmp_path / "a.mat", write))


def test_cells_of_cells_of_cells_end_with_the_time_that_is_stated(tmp_path, monkeypatch):
    def write(file):
        inner = file.create_dataset("inner", data=np.zeros(9))
        for level in range(15):
            inner = cells(file, str(level), *[inner] * 10)
        cells(file, "x", inner)

    monkeypatch.setattr(files, "_FREE_SECONDS", 1)
    refused("more than 1 s of computing", written(tmp_path / "a.mat", write))


def test_many_small_bombs_are_one(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "COMPRESSION_FREE_BYTES", 32 * MIB)

    def write(file):
        options = {"chunks": (2**16,), "compression": "gzip"}
        cells(file, "x", *(file.create_dataset(str(i), (MIB,), "f8", **options) for i in range(9)))

    refused("must (grow|hold) at most", written(tmp_path / "a.mat", write))


def test_cells_that_hold_themselves_and_cells_of_nothing_are_refused(tmp_path):
    def write(file):
        dataset = cells(file, "x", None)
        dataset[0] = dataset.ref

    refused("cells that nest too deeply", written(tmp_path / "a.mat", write))
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


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
def test_damage_ends_in_our_error(tmp_path, options):
    path = tmp_path / "a.mat"
    column = np.empty((2, 1), object)
    column[0, 0], column[1, 0] = np.ones((3, 2)), np.arange(4.0)
    matlab_files.write(path, {"annot2": column, "x": np.ones((20, 3))}, **options)
    read = functools.partial(reading.matlab, path, ("annot2", "x"))
    assert damage.assert_only_our_errors(read, path, path.read_bytes(), 3, 150) > 30
