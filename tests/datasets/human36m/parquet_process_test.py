import sys

import pyarrow
import pyarrow.parquet
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.human36m import parquet_process


@pytest.fixture
def path(tmp_path):
    table = {
        "subject": ["S1", "S1", "S9"],
        "take": ["Photo", "Photo", "Eating 1"],
        "camera": ["a", "b", "a"],
        "frame": [0, 1, 2],
        "keypoints_2d": [[1.0, 2.0], [3.0], [4.0]],
        "confidence": [[0.5], None, [0.25]],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


def test_columns_subjects_and_takes_are_told(path):
    found = parquet_process.columns(path)
    kinds = dict(zip(found["name"].tolist(), found["type"].tolist(), strict=True))
    assert kinds["frame"] == "int64"
    assert kinds["keypoints_2d"].startswith("list<")
    assert [*zip(found["subject"], found["take"], strict=True)] == [
        ("S1", "Photo"),
        ("S9", "Eating 1"),
    ]


def test_the_rows_of_a_take_are_read(path):
    found = parquet_process.rows(path, "S1", "Photo")
    assert found["camera"].tolist() == ["a", "b"]
    assert found["frame"].tolist() == [0, 1]
    assert found["keypoints_2d"].tolist() == [1.0, 2.0, 3.0]
    assert found["keypoints_2d_length"].tolist() == [2, 1]
    assert found["confidence_length"].tolist() == [1, 0]


def test_what_the_process_refuses_is_told(path):
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(errors.RecordingError, match=r"be a Parquet table.*ArrowInvalid") as caught:
        parquet_process.columns(path)
    assert (caught.value.path, caught.value.field) == (path, "file")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os; os.abort()", "a reader that ended with status -6"),
        ("import os; os.kill(os.getpid(), 11)", "a reader that ended with status -11"),
        ("raise SystemExit(1)", "a reader that ended with status 1"),
        ("raise SystemExit(3)", "JSONDecodeError"),
    ],
)
def test_a_process_that_dies_is_an_error_and_no_more(path, program, message):
    with pytest.raises(errors.RecordingError, match=message):
        parquet_process.run(path, [sys.executable, "-c", program])


def test_a_process_that_does_not_end_is_ended(path, monkeypatch):
    monkeypatch.setattr(parquet_process, "_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(errors.RecordingError, match="TimeoutExpired"):
        parquet_process.run(path, [sys.executable, "-c", "import time; time.sleep(60)"])
