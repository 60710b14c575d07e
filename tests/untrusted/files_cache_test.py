import os

import pytest

from keras_mvlift import errors
from keras_mvlift.untrusted import files


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
    with pytest.raises(errors.RecordingError, match="`file` must be there") as caught:
        read(tmp_path / "none")
    assert caught.value.path == tmp_path / "none"
