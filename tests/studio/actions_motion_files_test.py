import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.studio import actions

MOTION = np.arange(2 * 17 * 3, dtype=np.float32).reshape(2, 17, 3)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "motions.npz"
    bad = MOTION.copy()
    bad[1, 3, 0] = np.nan
    arrays = {"b": MOTION + 1, "a": MOTION, "nan": bad, "flat": MOTION[0], "empty": MOTION[:0]}
    np.savez_compressed(path, whole=MOTION.astype(int), **arrays)
    return str(path)


def test_names_are_sorted(path):
    assert actions.names(path) == ["a", "b", "empty", "flat", "nan", "whole"]


def test_a_motion_is_read_as_it_was_written(path):
    np.testing.assert_array_equal(actions.read(path, "b"), MOTION + 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("c", "`c` must be a motion of the file. Received: no such key"),
        ("flat", r"`flat` must have shape \[T, 17, 3\]. Received: \(17, 3\)"),
        ("empty", r"`empty` must have shape \[T, 17, 3\]. Received: \(0, 17, 3\)"),
        ("nan", "`nan` must hold finite floating-point numbers. Received: NaN or infinity"),
        ("whole", "`whole` must hold finite floating-point numbers. Received: int64"),
    ],
)
def test_what_is_no_motion_is_refused_by_file_and_name(path, name, message):
    with pytest.raises(errors.RecordingError, match=f"motions.npz: {message}"):
        actions.read(path, name)


def test_what_is_no_archive_is_refused(tmp_path):
    text, array = tmp_path / "text.npz", tmp_path / "array.npz"
    text.write_text("not an archive")
    with array.open("wb") as file:
        np.save(file, MOTION)
    for path in (text, array):
        with pytest.raises(errors.RecordingError, match=r"`file` must be an \.npz archive"):
            actions.names(str(path))


def test_pickled_objects_are_no_motions(tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, a=np.array([{"x": 1}], dtype=object), b=np.array({"x": 1}))
    for name, received in (("a", "object"), ("b", "dict")):
        rule = f"`{name}` must hold finite floating-point numbers. Received: {received}"
        with pytest.raises(errors.RecordingError, match=rule):
            actions.read(str(path), name)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(errors.RecordingError, match=r"nowhere.npz: `file` must be a file that ex"):
        actions.names(str(tmp_path / "nowhere.npz"))
