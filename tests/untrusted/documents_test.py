import time

import pyarrow
import pyarrow.parquet
import pytest

from keras_mvlift.untrusted import files, reading
from tests import refusals
from tests.lifting import made_films
from tests.untrusted import damage, parquet_gadgets


def read(tmp_path, text, tags=()):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    return reading.yaml(path, "manifest", tags)


def test_plain_values_are_read_and_keys_are_text(tmp_path):
    text = "54138969: {a: 1, yes: [2.5, text]}\nnone:\n"
    expected = {"54138969": {"a": 1, "yes": [2.5, "text"]}, "none": None}
    assert read(tmp_path, text) == expected


def test_directives_of_opencv_are_left_out_and_its_tags_are_read(tmp_path):
    text = "%YAML:1.0\n---\nK: !!opencv-matrix\n   rows: 1\n   data: [ 1., 2.e+00 ]\n"
    tags = ("tag:yaml.org,2002:opencv-matrix",)
    assert read(tmp_path, text, tags) == {"K": {"rows": 1, "data": [1.0, 2.0]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "be plain YAML. Received: .* in line 1"),
        ("a: 1\nb: 2\na: 3", "'a' twice.*line 3"),
        ("a: &x [1]\nb: *x", r"an alias, `\*`.*line 2"),
        ("a: !!python/object/apply:os.system [ls]", "the tag 'tag:.*os.system'"),
        ("a: !own 3", "the tag '!own'"),
        ("? [1, 2]\n: 3", "a key that is no text"),
        ("a: " + "[" * 3000, "be plain YAML. Received: too many levels"),
        ("---\na: 1\n---\nb: 2", "found another document in line 3"),
        ("a: 2024-13-45", "be plain YAML. Received: ValueError"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_line(tmp_path, text, message):
    at = (tmp_path / "file.yaml", "manifest")
    refusals.refused(message, read, tmp_path, text, at=at)


def test_aliases_that_would_grow_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]" for i in range(1, 12)]
    refusals.refused("an alias", read, tmp_path, "\n".join(lines))


def test_damaged_files_end_in_our_error(tmp_path):
    path = tmp_path / "file.yaml"
    data = b"version: 1\nclips:\n- {name: a, views: {cam1: {path: x.json}}}\n- [1.5, 'text']\n"
    count = damage.assert_only_our_errors(
        lambda: reading.yaml(path, "manifest"), path, data, count=150
    )
    assert count > 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "1:" * 200_000 + "1", "a number of 400001 digits"),
        ("a: " + "1:" * 200_000 + "1.5", "a number of 400003 digits"),
        ("a: [" + "0," * files.MAX_MARKUP_BYTES, "must have at most 1048576 bytes"),
    ],
)
def test_what_takes_minutes_to_read_is_refused_at_once(tmp_path, text, message):
    begin = time.perf_counter()
    refusals.refused(message, read, tmp_path, text)
    assert time.perf_counter() - begin < 10


@pytest.fixture
def table(tmp_path):
    columns = {
        "subject": ["S1", "S1", "S9"],
        "take": ["Photo", "Photo", "Eating 1"],
        "camera": ["a", "b", "a"],
        "frame": [0, 1, 2],
        "keypoints_2d": [[1.0, 2.0], [3.0], [4.0]],
        "confidence": [[0.5], None, [0.25]],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


COLUMNS = ["frame"], ["keypoints_2d", "confidence"], ["subject", "take", "camera"]


def test_subjects_and_takes_of_a_table_are_told(table):
    assert reading.parquet_takes(table, *COLUMNS) == [["S1", "Photo"], ["S9", "Eating 1"]]


def test_a_table_with_other_columns_has_no_takes(table):
    message = r"`who` must be a column. Received: the columns subject, take"
    refusals.refused(message, reading.parquet_takes, table, ["who"], [], [])
    message = r"`subject` must hold lists of numbers. Received: string"
    refusals.refused(message, reading.parquet_takes, table, [], ["subject"], [])


def test_the_rows_of_a_take_are_read(table):
    found = reading.parquet_rows(table, "S1", "Photo")
    assert (found["camera"], found["frame"].tolist()) == (["a", "b"], [0, 1])
    assert found["keypoints_2d"].tolist() == [1.0, 2.0, 3.0]
    assert found["keypoints_2d_length"].tolist() == [2, 1]
    assert found["confidence_length"].tolist() == [1, 0]


def test_a_table_whose_schema_would_run_code_is_refused_and_does_not_run(table, tmp_path):
    ran = tmp_path / "ran"
    parquet_gadgets.rewrite(table, "confidence", f"touch {ran}")
    for read in (
        lambda: reading.parquet_takes(table, *COLUMNS),
        lambda: reading.parquet_rows(table, "S1", "Photo"),
        lambda: list(reading.parquet_views(str(table), 2, [], ["confidence"], [])),
    ):
        refusals.refused("`confidence` must be of a plain type", read)
    assert not ran.exists()


def test_what_is_no_table_is_refused(table):
    table.write_bytes(b"PAR1 and nothing else")
    message = r"`file` must be whole Parquet.*ArrowInvalid"
    refusals.refused(message, reading.parquet_takes, table, *COLUMNS)


def test_what_is_no_film_to_be_opened_is_refused_before_a_frame_is_decoded(tmp_path):
    made_films.write(tmp_path / "secret.mp4")
    path = made_films.write(tmp_path / "film.mp4")
    rule = r"at most 90 pixels on a side. Received: 96 x"
    refusals.refused(rule, reading.film, path, 90, 2**20)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    refusals.refused("`video` must be of a codec", reading.film, path, 8192, 2**20)
    # A playlist, which names a film.
    path.write_text("ffconcat version 1.0\nfile secret.mp4\n")
    refusals.refused("`video` must be a video that FFmpeg reads", reading.film, path, 8192, 2**20)
