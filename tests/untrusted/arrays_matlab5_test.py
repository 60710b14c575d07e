import struct
import zlib

import numpy as np
import psutil
import pytest
import scipy.io

from keras_mvlift import errors
from keras_mvlift.untrusted import reading
from tests.untrusted import damage

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


def write(path, *variables, order="<"):
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + mark + b"".join(variables))
    return path


def refused(match, path, *names):
    with pytest.raises(errors.RecordingError, match=match) as caught:
        reading.matlab(path, names or ("x",))
    return caught.value


def test_golden_in_both_byte_orders(tmp_path):
    # By columns: [[1, 3], [2, 4]].
    for order in "<>":
        variable = matrix((2, 2), numbers(1, 2, 3, 4, order=order), order=order)
        path = write(tmp_path / "a.mat", variable, order=order)
        np.testing.assert_array_equal(reading.matlab(path, ("x",))["x"], [[1, 3], [2, 4]])
        assert scipy.io.loadmat(path)["x"].tolist() == [[1, 3], [2, 4]]


def test_doubles_that_are_stored_as_small_integers_are_doubles(tmp_path):
    # A small element packs its two bytes into the tag.
    packed = struct.pack("<HHBBxx", 2, 2, 7, 9)
    found = reading.matlab(write(tmp_path / "a.mat", matrix((1, 2), packed)), ("x",))["x"]
    assert (found.dtype, found.tolist()) == (float, [[7.0, 9.0]])


def test_variables_that_are_not_asked_for_are_not_unpacked(tmp_path):
    noise = np.random.default_rng(0).bytes(9000)
    bad = element(COMPRESSED, zlib.compress(matrix((2,), noise, name=b"y"))[:-1000])
    path = write(tmp_path / "a.mat", bad, matrix((1, 1), numbers(5)))
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
def test_what_is_no_plain_array_is_refused_in_little_memory(tmp_path, name):
    path = write(tmp_path / "a.mat", BAD[name])
    before = psutil.Process().memory_info().rss
    refused(r"a.mat: `(x|file)` must", path)
    assert psutil.Process().memory_info().rss - before < 16 * 2**20


def test_empty_cells_that_are_compressed_a_thousandfold_are_refused(tmp_path):
    cells = matrix((2**20, 1), element(14, b"") * 2**20, CELL)
    path = write(tmp_path / "a.mat", element(COMPRESSED, zlib.compress(cells)))
    assert path.stat().st_size < 2**20
    before = psutil.Process().memory_info().rss
    refused("a.mat: `content` must hold at most 268435456 bytes", path)
    assert psutil.Process().memory_info().rss - before < 16 * 2**20


@pytest.mark.parametrize("is_compressed", [False, True])
def test_damage_ends_in_our_error(tmp_path, is_compressed):
    path = tmp_path / "a.mat"
    cells = np.empty((2, 1), object)
    cells[0, 0], cells[1, 0] = np.ones((3, 2)), np.arange(4)
    variables = {"z": np.ones((2, 2)), "annot2": cells, "x": np.arange(6).reshape(2, 3)}
    scipy.io.savemat(path, variables, do_compression=is_compressed)
    refused = damage.assert_only_our_errors(
        lambda: reading.matlab(path, ("annot2", "x")),
        path,
        path.read_bytes(),
        seed=2,
        count=150,
    )
    assert refused > 30
