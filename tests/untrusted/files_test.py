import math
import os
import pathlib
import time

import numpy as np
import psutil
import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files
from tests import refusals
from tests.untrusted import damage

MIB = 2**20


def test_bytes_are_read_up_to_the_limit(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    assert files.read_bytes(path, "x", 4) == b"1234"
    assert files.size(path, "x", 4) == 4
    refusals.refused(
        "a: `x` must have at most 3 bytes. Received: 4", files.read_bytes, path, "x", 3
    )


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("nowhere", "no\0where", "a" * 300):
        refusals.refused("be a file that exists", files.read_bytes, tmp_path / name, "x", 9)
    for path in (tmp_path, tmp_path / "pipe", pathlib.Path("/dev/zero")):
        refusals.refused("`x` must be a file. Received: something", files.read_bytes, path, "x", 9)


def test_text_has_one_kind_of_line_end_and_no_mark_in_front(tmp_path):
    path = tmp_path / "a"
    path.write_bytes("\ufeffä\r\nb\rc\n".encode())
    assert files.read_text(path, "x") == "ä\nb\nc\n"
    path.write_bytes(b"\xff\xfe")
    refusals.refused("be UTF-8. Received: UTF-16: save it as UTF-8", files.read_text, path, "x")


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
    refusals.refused(f"`people` must be JSON. .*: {received}", files.read_json, path, "people")


def test_json_that_is_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(files.MAX_JSON_BYTES + 1)
    refusals.refused(f"have at most {files.MAX_JSON_BYTES} bytes", files.read_json, path)


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
        *("..", "../a", "a/../../b", "a/../b", "/etc/passwd", "out/passwd", "loop/a", "C:\\a"),
        *("C:a", "..\\a", "\\\\host\\a", "a\0b", 7, None),
    ],
)
def test_a_path_that_climbs_out_is_refused_by_the_field_that_names_it(tmp_path, relative):
    root, config = tmp_path / "root", tmp_path / "rig.yaml"
    root.mkdir()
    (root / "out").symlink_to("/etc")
    (root / "loop").symlink_to("loop")
    at = (config, "videos")
    refusals.refused("stays inside the folder", files.inside, root, relative, *at, at=at)


def test_a_file_stands_there_when_it_is_whole_and_not_before(tmp_path):
    path = tmp_path / "poses.npz"
    with files.replacing(path) as partial:
        partial.write_text("new")
        assert partial.suffix == ".npz"
        assert not path.exists()
    assert path.read_text() == "new"
    files.write_text(str(path), "é")
    assert path.read_bytes() == b"\xc3\xa9"
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


def test_numbers_come_in_double_precision():
    value = files.checked_array("file", "x", np.ones((4, 2), np.float32), (None, 2))
    assert (value.dtype, value.shape) == (np.float64, (4, 2))


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_double_precision_are_infinite_without_a_warning():
    value = np.array([np.longdouble("1e4000"), -1])
    np.testing.assert_array_equal(files.checked_array("file", "x", value, (2,)), [np.inf, -1])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "be an array of numbers. Received: NoneType"),
        ("text", "be an array of numbers. Received: str"),
        (np.array(["a", "b"]), "be an array of numbers. Received: ndarray <U1"),
        (np.ones((2, 2), complex), "be an array of numbers. Received: ndarray complex128"),
        (np.ones((2, 3)), r"have shape \[any, 2\]. Received: \(2, 3\)"),
        (np.ones(2), r"have shape \[any, 2\]. Received: \(2,\)"),
        (np.ones((0, 2)), r"have shape \[any, 2\]. Received: \(0, 2\)"),
    ],
)
def test_what_is_no_array_of_that_shape_is_refused(value, message):
    refusals.refused(message, files.checked_array, "file", "x", value, (None, 2), at=("file", "x"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e6])
def test_the_first_bad_frame_is_named(bad):
    value = np.zeros((5, 2))
    files.require_finite("file", "x", value)
    value[[2, 4], 1] = bad
    with pytest.raises(errors.RecordingError, match=f"below 100000. Received: {bad} in frame 2"):
        files.require_finite("file", "x", value)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "file").write_text("first")
    return tmp_path / "file"


def test_a_file_is_read_once_until_it_changes(path):
    calls = []

    @files.PerVersion
    def read(path):
        calls.append(path)
        return path.read_text()

    assert [read(path), read(path)] == ["first", "first"]
    assert calls == [path]
    path.write_text("second, longer")
    assert read(path) == "second, longer"
    os.utime(path, (1, 1))
    assert read(path) == "second, longer"
    assert len(calls) == 3
    read.forget()
    read(path)
    assert len(calls) == 4


def test_a_failure_is_not_kept(path):
    @files.PerVersion
    def read(path):
        raise errors.RecordingError(path, "field", "hold", calls.append(1))

    calls = []
    for _ in range(2):
        with pytest.raises(errors.RecordingError):
            read(path)
    assert len(calls) == 2


def test_a_missing_file_is_named(tmp_path):
    read = files.PerVersion(lambda path: path.read_text())
    rule = "`file` must be there"
    assert refusals.refused(rule, read, tmp_path / "none").path == tmp_path / "none"


def test_the_largest_recordings_published_are_admitted():
    # (3DHP's annot.mat: 3 x 14 cells; data_train_3dhp.npz; the detections of cpn.)
    for num_bytes, ratio in ((3 * 14 * 12820 * 84 * 8, 4), (700 * MIB, 1), (300 * MIB, 2)):
        files.check_content("a", "b", num_bytes, num_bytes // ratio)


@pytest.mark.parametrize(
    ("num_bytes", "num_stored"),
    [
        (files.COMPRESSION_FREE_BYTES, 1),
        (files.MAX_COMPRESSION_RATIO * 4 * MIB, 4 * MIB),
        (files.MAX_CONTENT_BYTES, files.MAX_CONTENT_BYTES),
    ],
)
def test_one_byte_above_a_limit_is_refused(num_bytes, num_stored):
    files.check_content("a", "b", num_bytes, num_stored)
    with pytest.raises(errors.RecordingError, match=r"a: `b` must (grow|hold) at most"):
        files.check_content("a", "b", num_bytes + 1, num_stored)


def test_a_shape_gives_its_bytes():
    assert files.check_shape("a", "b", (2, 3), 8) == 48
    assert files.check_shape("a", "b", (), 8) == 8
    assert files.check_shape("a", "b", (5, 0), 8) == 0


@pytest.mark.parametrize(
    "shape",
    [
        *((10**15,), (2**32, 2**32), (0, 10**15), (-1,), (-1, -1), (1,) * 33, (1.0,), ("1",)),
        *((True,), [1], None),
    ],
)
def test_what_is_no_shape_or_too_large_a_one_is_refused(shape):
    refusals.refused("a: `b` must have a shape and at most", files.check_shape, "a", "b", shape, 8)


def test_what_is_told_may_be_spread_a_hundredfold():
    files.check_span("a", "b", (200_000, 1, 17, 3), 0)
    files.check_span("a", "b", (200_000, 5, 26, 3), 780_000)
    for shape, told in (((200_000, 5, 26, 3), 779_999), ((files.FREE_NUMBERS + 1,), 0)):
        with pytest.raises(errors.RecordingError, match=r"a: `b` must span at most 100 times"):
            files.check_span("a", "b", shape, told)


def test_a_span_that_overflows_is_refused():
    with pytest.raises(errors.RecordingError, match="a: `b` must have a shape and at most"):
        files.check_span("a", "b", (2**31, 2**31, 2**31), 2**62)


@pytest.mark.parametrize("item", [b"{}", b"[]", b'"ab"', b"0"])
def test_many_small_items_of_json_are_refused_before_they_are_read(tmp_path, monkeypatch, item):
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + (item + b",") * (4 * MIB // len(item)) + b"0]")
    begin, before = time.perf_counter(), psutil.Process().memory_info().rss
    monkeypatch.setattr(files, "MAX_ITEM_BYTES", 64 * MIB)
    refusals.refused(r"`file` must hold items of at most 67108864", files.read_json, path)
    assert time.perf_counter() - begin < 5
    assert psutil.Process().memory_info().rss - before < 16 * MIB


def test_detections_as_large_as_may_be_are_admitted():
    person = b'{"person_id": [-1], "pose_keypoints_2d": [' + b"1234.567,567.8901,0.912345," * 25
    costs = sum(cost * person.count(mark) for mark, cost in files._JSON_COSTS.items())
    assert costs * (files.MAX_JSON_BYTES // len(person)) < files.MAX_ITEM_BYTES


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha" * 10}">' for i in range(30))
BOMB = f"<!DOCTYPE a [{LAUGHS}]><a>&l29;</a>"


def test_elements_and_attributes_are_read(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text('<?xml version="1.0"?><a x="1"><b y="2"/></a>')
    root = files.read_xml(path, "rig")
    assert (root.tag, root.get("x"), root.find("b").get("y")) == ("a", "1", "2")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
    ],
)
def test_a_document_type_is_refused_before_its_entities_are_read(tmp_path, text, encoding):
    path = tmp_path / "a.xml"
    path.write_bytes(text.encode(encoding))
    begin = time.perf_counter()
    rule = "`rig` must be XML without a document type. Received: ValueError: a document type a"
    refusals.refused(rule, files.read_xml, path, "rig")
    # The bomb would take for ever.
    assert time.perf_counter() - begin < 10


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.xml"
    path.write_text("<a/>")
    monkeypatch.setattr(files, "MAX_MARKUP_BYTES", 3)
    refusals.refused("have at most 3 bytes", files.read_xml, path, "rig")


def test_elements_a_hundred_thousand_deep_do_no_harm(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<a>" * 100_000 + "</a>" * 100_000)
    assert len(files.read_xml(path, "rig").findall(".//a")) == 99_999


def test_damaged_xml_ends_in_our_error(tmp_path):
    path = tmp_path / "a.xml"
    text = b'<?xml version="1.0" encoding="utf-8"?><a x="1">' + b'<b y="2"/>' * 20 + b"</a>"
    assert damage.assert_only_our_errors(lambda: files.read_xml(path, "rig"), path, text) > 50
