import io
import struct
import time
import zipfile

import numpy as np
import psutil
import pytest

from keras_mvlift.untrusted import files, reading
from tests import refusals
from tests.untrusted import damage

MIB = 2**20


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text, version=b"\x01\x00"):
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text.encode()


def declared(shape, descr="<f8", data=b"12345678"):
    return header(f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}") + data


def archive(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def refused(match, path, *names):
    return refusals.refused(match, reading.npz, path, names or None)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_by_name(tmp_path, save):
    path = tmp_path / "a.npz"
    poses = {"S1": {"Walk": np.ones((4, 3), np.float32)}}
    save(path, b=np.arange(3)[::-1], a=np.asfortranarray(np.ones((2, 3))), poses=poses, text="abc")
    assert reading.npz_names(path) == ["b", "a", "poses", "text"]
    found = reading.npz(path)
    assert found["b"].tolist() == [2, 1, 0]
    assert found["a"].flags.f_contiguous
    assert found["text"] == "abc"
    np.testing.assert_array_equal(found["poses"]["S1"]["Walk"], poses["S1"]["Walk"])
    assert list(reading.npz(path, ("b",))) == ["b"]
    found["b"][0] = 5


def test_a_name_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    np.savez(tmp_path / "a.npz", b=1, c=2)
    message = "a.npz: `x` must be an array of the archive. Received: b, c"
    refused(message, tmp_path / "a.npz", "b", "x")


def test_small_zeros_are_admitted_however_well_they_shrink(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(4 * MIB))
    assert (tmp_path / "a.npz").stat().st_size < files.MAX_CONTENT_BYTES / 1000
    assert reading.npz(tmp_path / "a.npz")["zeros"].shape == (4 * MIB,)


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """A gigabyte of zeros in a megabyte."""
    path = tmp_path_factory.mktemp("bomb") / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("zeros.npy", "w", force_zip64=True) as member:
            member.write(declared((2**27,), data=b""))
            for _ in range(64):
                member.write(bytes(16 * MIB))
    return path


def test_a_bomb_is_refused_before_it_is_opened(bomb):
    assert bomb.stat().st_size < 8 * MIB
    begin, before = time.perf_counter(), psutil.Process().memory_info().rss
    refused(r"`file` must grow at most 100 times when read. Received: 1073\d+ bytes", bomb)
    assert time.perf_counter() - begin < 1
    assert psutil.Process().memory_info().rss - before < 16 * MIB


def test_many_small_bombs_are_one(tmp_path):
    zeros = npy(np.zeros(8 * MIB))
    path = archive(tmp_path / "a.npz", {f"{i}.npy": zeros for i in range(5)})
    refused("`file` must grow at most 100 times when read", path)


@pytest.mark.parametrize(
    "data",
    [
        declared((10**15,)),
        declared((2**62, 2**62)),
        declared((-1,)),
        declared((-1, -1)),
        declared((2,)),
        declared((0,)),
        declared((1,)) + b"more",
        declared((0, 10**12), data=b""),
        declared((10**12,), "|V0", data=b""),
        declared((1,), "<M8[s]"),
        declared((1,), [("a", "O")]),
        declared((1,), "O", data=b"N."),
        declared((), "O", data=b"N."),
        declared((1,), "<q9"),
        declared((True,)),
        declared("(" * 300),
        declared("__import__('os').system('touch sentinel')"),
        header("x" * 20_000),
        header("{}", b"\x03\x00"),
        header("{}", b"\x09\x00"),
        b"",
        b"\x93NUMPY",
        b"plain text",
    ],
)
def test_a_member_that_lies_about_itself_is_refused_by_name(tmp_path, data):
    path = archive(tmp_path / "a.npz", {"good.npy": npy(np.ones(2)), "bad.npy": data})
    before = psutil.Process().memory_info().rss
    assert refused("a.npz: `bad` must", path).field == "bad"
    assert psutil.Process().memory_info().rss - before < 16 * MIB
    assert reading.npz(path, ("good",))["good"].tolist() == [1, 1]


def test_bytes_are_counted_before_an_array_is_made(tmp_path):
    path = archive(tmp_path / "a.npz", {"a.npy": declared((10**9,))})
    refused(r"`a` must have the 8000000000 bytes that its shape \(1000000000,\) says", path)


def test_bytes_behind_objects_are_refused(tmp_path):
    data = npy(np.array([{"a": 1}, None], dtype=object))
    path = archive(tmp_path / "a.npz", {"a.npy": data})
    assert reading.npz(path)["a"][0] == {"a": 1}
    refused("`a` must be an array. .*bytes behind", archive(path, {"a.npy": data + b"more"}))


def test_names_may_have_parts_and_members_that_are_no_arrays_are_left_alone(tmp_path):
    path = archive(tmp_path / "a.npz", {"S1/Walk.npy": npy(np.ones(2)), "readme.txt": b"hello"})
    assert reading.npz_names(path) == ["S1/Walk"]
    assert list(reading.npz(path)) == ["S1/Walk"]


def test_what_is_no_archive_of_arrays_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    for data in (b"", b"text", npy(np.ones(2)), b"PK\x05\x06" + bytes(18)):
        path.write_bytes(data)
        refused(r"`file` must be an \.npz archive", path)
    refused(r"no member called \*\.npy", archive(path, {"a.txt": b""}))
    refused("`file` must be a file that exists", tmp_path / "nowhere.npz")
    refused("`file` must be a file. Received: something else", tmp_path)


def test_two_members_of_one_name_are_refused(tmp_path):
    path = archive(tmp_path / "a.npz", {"a.npy": npy(np.ones(2)), "b.npy": npy(np.ones(2))}, 0)
    path.write_bytes(path.read_bytes().replace(b"b.npy", b"a.npy"))
    refused("`a` must be there once", path)


def test_a_flipped_bit_of_the_data_is_noticed(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(100.0), b={"x": np.arange(100.0)})
    data = bytearray((tmp_path / "a.npz").read_bytes())
    for name, place in (("a", 500), ("b", len(data) - 400)):
        (tmp_path / "b.npz").write_bytes(
            data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        )
        refused(f"`{name}` must be an array. Received: BadZipFile: Bad CRC", tmp_path / "b.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_ends_in_our_error(tmp_path, save):
    path = tmp_path / "a.npz"
    save(path, poses={"S1": [np.ones((4, 3), "f4")]}, a=np.arange(6.0), r=np.zeros(2, "U3"))
    count = damage.assert_only_our_errors(
        lambda: reading.npz(path), path, path.read_bytes(), seed=1, count=200
    )
    assert count > 100
