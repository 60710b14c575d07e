import functools
import os
import struct
import time
import zlib

import h5py
import numpy as np
import psutil
import pytest
import scipy.io

from keras_mvlift import errors
from keras_mvlift.untrusted import files, reading
from tests import refusals
from tests.untrusted import damage, matlab_files

NUMERIC = [f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64)]
NUMERIC += ["float32", "float64", "bool"]


def cells(*shape):
    """As MPI-INF-3DHP's annot2: a column of cells, each a matrix of its own height."""
    found = np.empty(shape, object)
    for number, index in enumerate(np.ndindex(shape)):
        found[index] = np.random.default_rng(number).normal(size=(number + 2, 4))
    return found


WRITERS = [
    scipy.io.savemat,
    functools.partial(scipy.io.savemat, do_compression=True),
    matlab_files.write,
    functools.partial(matlab_files.write, compression="gzip", shuffle=True, fletcher32=True),
]


def refused(match, path, *names):
    return refusals.refused(match, reading.matlab, path, names or ("x",))


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


DOUBLE, CELL, COMPRESSED = 6, 1, 15


def element(kind, data, size=None, order="<"):
    head = struct.pack(order + "II", kind, len(data) if size is None else size)
    return head + data + bytes(0 if kind == COMPRESSED else -len(data) % 8)


def matrix(shape, body, kind=DOUBLE, flags=0, name=b"x", order="<"):
    head = element(6, struct.pack(order + "II", kind | flags, 0), order=order)
    head += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order=order)
    return element(14, head + element(1, name, order=order) + body, order=order)


def numbers(*values, order="<"):
    return element(9, struct.pack(f"{order}{len(values)}d", *values), order=order)


def write_matlab5(path, *variables, order="<"):
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + mark + b"".join(variables))
    return path


def test_golden_in_both_byte_orders(tmp_path):
    # By columns: [[1, 3], [2, 4]].
    for order in "<>":
        variable = matrix((2, 2), numbers(1, 2, 3, 4, order=order), order=order)
        path = write_matlab5(tmp_path / "a.mat", variable, order=order)
        np.testing.assert_array_equal(reading.matlab(path, ("x",))["x"], [[1, 3], [2, 4]])
        assert scipy.io.loadmat(path)["x"].tolist() == [[1, 3], [2, 4]]


def test_doubles_that_are_stored_as_small_integers_are_doubles(tmp_path):
    # A small element packs its two bytes into the tag.
    packed = struct.pack("<HHBBxx", 2, 2, 7, 9)
    found = reading.matlab(write_matlab5(tmp_path / "a.mat", matrix((1, 2), packed)), ("x",))["x"]
    assert (found.dtype, found.tolist()) == (float, [[7.0, 9.0]])


def test_variables_that_are_not_asked_for_are_not_unpacked(tmp_path):
    noise = np.random.default_rng(0).bytes(9000)
    bad = element(COMPRESSED, zlib.compress(matrix((2,), noise, name=b"y"))[:-1000])
    path = write_matlab5(tmp_path / "a.mat", bad, matrix((1, 1), numbers(5)))
    assert reading.matlab(path, ("x",))["x"] == 5


BAD = {
    "shape without its numbers": matrix((2**31 - 1, 2**31 - 1), numbers(1)),
    "shape of other numbers": matrix((2, 2), numbers(1)),
    "negative shape": matrix((-1, -1), numbers(1)),
    "cells without their bytes": matrix((2**30, 1), b"", CELL),
    "cells that overflow": matrix((2**31 - 1,) * 30, b"", CELL),
    "cell that is no matrix": matrix((1, 1), numbers(1), CELL),
    "element longer than the file": matrix((1, 1), element(9, b"12345678", 2**31)),
    "unknown type of numbers": matrix((1, 1), element(99, b"12345678")),
    "text": matrix((1, 1), element(4, b"ab"), 4),
    "struct": matrix((1, 1), b"", 2),
    "object": matrix((1, 1), b"", 3),
    "function": matrix((1, 1), b"", 16),
    "opaque": matrix((1, 1), b"", 17),
    "sparse": matrix((1, 1), b"", 5),
    "complex": matrix((1, 1), numbers(1) * 2, flags=0x800),
    "zip that is none": element(COMPRESSED, b"no zip at all..."),
    "bomb": element(
        COMPRESSED, zlib.compress(struct.pack("<II", 14, 2**30) + matrix((2, 2), b"")[8:])
    ),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_what_is_no_plain_array_is_refused_now_memory(tmp_path, name):
    path = write_matlab5(tmp_path / "a.mat", BAD[name])
    before = psutil.Process().memory_info().rss
    refused(r"a.mat: `(x|file)` must", path)
    assert psutil.Process().memory_info().rss - before < 16 * 2**20


def test_empty_cells_that_are_compressed_a_thousandfold_are_refused(tmp_path):
    cells = matrix((2**20, 1), element(14, b"") * 2**20, CELL)
    path = write_matlab5(tmp_path / "a.mat", element(COMPRESSED, zlib.compress(cells)))
    assert path.stat().st_size < 2**20
    before = psutil.Process().memory_info().rss
    refused("a.mat: `content` must hold at most 268435456 bytes", path)
    assert psutil.Process().memory_info().rss - before < 16 * 2**20


@pytest.mark.parametrize("is_compressed", [False, True])
def test_damage_of_version_5_ends_in_our_error(tmp_path, is_compressed):
    path = tmp_path / "a.mat"
    cells = np.empty((2, 1), object)
    cells[0, 0], cells[1, 0] = np.ones((3, 2)), np.arange(4)
    variables = {"z": np.ones((2, 2)), "annot2": cells, "x": np.arange(6).reshape(2, 3)}
    scipy.io.savemat(path, variables, do_compression=is_compressed)
    read = functools.partial(reading.matlab, path, ("annot2", "x"))
    assert damage.assert_only_our_errors(read, path, path.read_bytes(), 2, 150) > 30


MIB = 2**20


def written(path, write):
    with h5py.File(path, "w") as file:
        write(file)
    return path


def refused_now(match, path, *names):
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

    refused_now("`x` must hold at most", written(tmp_path / "a.mat", huge))

    def large(file):
        file.create_dataset("x", (2**29,), "f8", chunks=(1024,), compression="gzip")

    refused_now("`x` must grow at most 100 times", written(tmp_path / "b.mat", large))


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
    refused_now("`x` must lie in the file itself", written(tmp_path / "a.mat", write))


def test_a_link_to_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path = written(tmp_path / "a.mat", lambda f: f.update(x=h5py.ExternalLink("pipe", "x")))
    refused_now("`x` must lie in the file itself. Received: a link", path)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *(("text", None), (np.array([b"ab"]), None), (np.ones(2, complex), None)),
        *((np.zeros(2, "f4,i4"), None), (np.ones(2, np.uint16), "char"), (np.ones(2), "struct")),
        *((np.ones(2), "cell"), (np.ones(2, np.uint32), "function_handle")),
        (h5py.Empty("f8"), None),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(tmp_path, value, kind):
    def write(file):
        file["x"] = value
        if kind:
            file["x"].attrs["MATLAB_class"] = np.bytes_(kind)

    refused_now("`x` must be an array of real numbers or cells", written(tmp_path / "a.mat", write))


def test_a_struct_and_a_class_that_is_no_text_are_refused(tmp_path):
    path = written(tmp_path / "a.mat", lambda file: file.create_group("x"))
    refused_now("`x` must be an array of real numbers or cells. Received: a group", path)

    def write(file):
        file["x"] = np.ones(2)
        file["x"].attrs["MATLAB_class"] = np.ones(5)

    refused_now("`x` must be an array of real numbers or cells", written(tmp_path / "b.mat", write))


def put_cells(file, name, *datasets):
    references = np.empty(len(datasets), h5py.ref_dtype)
    references[:] = [
        dataset.ref if dataset is not None else h5py.Reference() for dataset in datasets
    ]
    file.create_dataset(name, data=references, dtype=h5py.ref_dtype)
    file[name].attrs["MATLAB_class"] = np.bytes_("cell")
    return file[name]


def test_cells_of_one_dataset_are_counted_as_if_they_were_not_shared(tmp_path):
    def write(file):
        put_cells(file, "x", *[file.create_dataset("large", data=np.zeros(MIB))] * 150)

    refused_now("a.mat: `content` must hold at most", written(tmp_path / "a.mat", write))


def test_cells_of_cells_of_cells_end_with_the_time_that_is_stated(tmp_path, monkeypatch):
    def write(file):
        inner = file.create_dataset("inner", data=np.zeros(9))
        for level in range(15):
            inner = put_cells(file, str(level), *[inner] * 10)
        put_cells(file, "x", inner)

    monkeypatch.setattr(files, "_FREE_SECONDS", 1)
    refused_now("more than 1 s of computing", written(tmp_path / "a.mat", write))


def test_many_small_bombs_are_one(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "COMPRESSION_FREE_BYTES", 32 * MIB)

    def write(file):
        options = {"chunks": (2**16,), "compression": "gzip"}
        put_cells(
            file, "x", *(file.create_dataset(str(i), (MIB,), "f8", **options) for i in range(9))
        )

    refused_now("must (grow|hold) at most", written(tmp_path / "a.mat", write))


def test_cells_that_hold_themselves_and_cells_of_nothing_are_refused(tmp_path):
    def write(file):
        dataset = put_cells(file, "x", None)
        dataset[0] = dataset.ref

    refused_now("cells that nest too deeply", written(tmp_path / "a.mat", write))
    path = written(tmp_path / "b.mat", lambda file: put_cells(file, "x", None))
    refused_now("`x` must be an array of real numbers or cells", path)


def test_an_empty_array_of_lengths_without_a_zero_is_refused(tmp_path):
    def write(file):
        file["x"] = np.array([10**6, 10**6], np.uint64)
        file["x"].attrs["MATLAB_empty"] = np.uint8(1)

    refused_now("`x` must be empty as it says", written(tmp_path / "a.mat", write))


def test_filters_that_would_be_loaded_or_repeated_are_refused(tmp_path):
    path = written(
        tmp_path / "a.mat", lambda f: f.create_dataset("x", data=np.zeros(9), compression="lzf")
    )
    refused_now("`x` must be stored plainly, shuffled or deflated", path)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
def test_damage_of_version_73_ends_in_our_error(tmp_path, options):
    path = tmp_path / "a.mat"
    column = np.empty((2, 1), object)
    column[0, 0], column[1, 0] = np.ones((3, 2)), np.arange(4.0)
    matlab_files.write(path, {"annot2": column, "x": np.ones((20, 3))}, **options)
    read = functools.partial(reading.matlab, path, ("annot2", "x"))
    assert damage.assert_only_our_errors(read, path, path.read_bytes(), 3, 150) > 30
