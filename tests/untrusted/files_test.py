import math
import os
import pathlib

import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files
from tests.untrusted import damage


def refused(match, read, *arguments):
    with pytest.raises(errors.RecordingError, match=match) as caught:
        read(*arguments)
    return caught.value


def test_bytes_are_read_up_to_the_limit(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    assert files.read_bytes(path, "x", 4) == b"1234"
    assert files.size(path, "x", 4) == 4
    refused("a: `x` must have at most 3 bytes. Received: 4", files.read_bytes, path, "x", 3)


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("nowhere", "no\0where", "a" * 300):
        refused("`x` must be a file that exists", files.read_bytes, tmp_path / name, "x", 9)
    for path in (tmp_path, tmp_path / "pipe", pathlib.Path("/dev/zero")):
        refused("`x` must be a file. Received: something", files.read_bytes, path, "x", 9)


def test_text_has_one_kind_of_line_end_and_no_mark_in_front(tmp_path):
    path = tmp_path / "a"
    path.write_bytes("\ufeffä\r\nb\rc\n".encode())
    assert files.read_text(path, "x") == "ä\nb\nc\n"
    path.write_bytes(b"\xff\xfe")
    refused("`x` must be UTF-8. Received: UTF-16: save it as UTF-8", files.read_text, path, "x")


def test_json_is_read_with_nan_for_the_reader_to_judge(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2.5, NaN, "ä"]}', encoding="utf-8-sig")
    first, second, third, fourth = files.read_json(path)["a"]
    assert (first, second, math.isnan(third), fourth) == (1, 2.5, True, "ä")


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (b" \n", "an empty file"),
        (b'{"a": 1', "no `,` in line 1, column 8"),
        (b'{"a": 1}\n{"a": 2}', "something behind the end in line 2, column 1"),
        (b"\x1f\x8b\x08\x00", "a gzip file: unpack it"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive: unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html>", "HTML or XML"),
        (b'"\xff"', "other bytes, the first after 1"),
        (b"[" * 1_000_000, "too many levels"),
        (b'{"a":' * 1_000_000, "too many levels"),
        (b"9" * 1_000_000, "ValueError: Exceeds the limit"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path, data, received):
    path = tmp_path / "a.json"
    path.write_bytes(data)
    refused(f"`people` must be JSON. Received: {received}", files.read_json, path, "people")


def test_json_that_is_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(files.MAX_JSON_BYTES + 1)
    refused(f"have at most {files.MAX_JSON_BYTES} bytes", files.read_json, path)


def test_damaged_json_ends_in_our_error(tmp_path):
    path = tmp_path / "a.json"
    data = b'{"people": [{"pose_keypoints_2d": [1.5, 2.5, 0.5, 3.5, 4.5, 0.25]}]}' * 1
    assert damage.assert_only_our_errors(lambda: files.read_json(path), path, data) > 50


def test_a_path_inside_is_given_whether_or_not_it_exists(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for relative in ("a", "a/b.json", "nowhere/x", ".", "link/x", "..a", "a..b/c"):
        assert files.inside(tmp_path, relative, tmp_path) == tmp_path / relative


@pytest.mark.parametrize(
    "relative",
    [
        "..",
        "../a",
        "a/../../b",
        "a/../b",
        "/etc/passwd",
        "out/passwd",
        "loop/a",
        "C:\\a",
        "C:a",
        "..\\a",
        "\\\\host\\a",
        "a\0b",
        7,
        None,
    ],
)
def test_a_path_that_climbs_out_is_refused_by_the_field_that_names_it(tmp_path, relative):
    root, config = tmp_path / "root", tmp_path / "rig.yaml"
    root.mkdir()
    (root / "out").symlink_to("/etc")
    (root / "loop").symlink_to("loop")
    error = refused("stays inside the folder", files.inside, root, relative, config, "videos")
    assert (error.path, error.field) == (config, "videos")


def test_a_file_stands_there_when_it_is_whole_and_not_before(tmp_path):
    path = tmp_path / "poses.npz"
    with files.replacing(path) as partial:
        partial.write_text("new")
        assert partial.suffix == ".npz"
        assert not path.exists()
    assert path.read_text() == "new"
    assert [*tmp_path.iterdir()] == [path]


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "poses.csv"
    path.write_text("old")

    def write_half():
        with files.replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_missing_folder_and_a_folder_are_refused(tmp_path):
    missing = pytest.raises(FileNotFoundError, match=r"gone must be a folder to write a\.csv to")
    with missing, files.replacing(tmp_path / "gone" / "a.csv"):
        pass
    folder = pytest.raises(IsADirectoryError, match="must be a file to write to")
    with folder, files.replacing(tmp_path):
        pass
