import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from keras_mvlift import errors
from keras_mvlift.datasets.human36m import detections, rig
from tests.datasets.human36m import releases
from tests.untrusted import damage


@pytest.fixture
def release(tmp_path):
    return tmp_path, releases.write(tmp_path, formats=("confidence",), num_takes=3)


def readers(root):
    return [
        detections.Archive(root / "detections.npz"),
        detections.Table(root / "detections.parquet"),
    ]


def test_the_archive_holds_no_pickle(release):
    with np.load(release[0] / "detections.npz", allow_pickle=False) as archive:
        assert archive["S9/Eating 1/58860488/keypoints_2d"].shape == (11, 17, 2)
        assert archive["S9/Eating 1/58860488/confidence"].dtype == np.float32
        assert len(archive.files) == 2 * 3 * 4 * 2


def test_both_layouts_say_who_is_in_them(release):
    for reader in readers(release[0]):
        assert reader.subjects() == ["S1", "S9"]
        assert reader.takes("S9") == ["Directions 1", "Discussion 1", "Eating 1"]
        assert not reader.is_projected


def test_takes_may_be_spelled_as_in_the_original_release(tmp_path):
    path = tmp_path / "detections.npz"
    keypoints_2d = np.random.default_rng(0).uniform(100, 900, (4, 17, 2))
    arrays = {}
    for camera in rig.CAMERAS:
        prefix = detections.key("S1", "TakingPhoto 1", camera)
        arrays[f"{prefix}/keypoints_2d"] = keypoints_2d
        arrays[f"{prefix}/confidence"] = np.full((4, 17), 0.5)
    np.savez(path, **arrays)
    view = detections.Archive(path).read("S1", "Photo 1")[0]
    np.testing.assert_array_equal(view.keypoints_2d, keypoints_2d)


def test_rows_in_any_order_and_precision_are_read(release):
    root, _ = release
    path = root / "detections.parquet"
    before = detections.Table(path).read("S1", "Eating 1")
    table = pyarrow.parquet.read_table(path)
    order = np.random.default_rng(0).permutation(len(table))
    wide = pyarrow.list_(pyarrow.float64())
    for name in ("keypoints_2d", "confidence"):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, table[name].cast(wide))
    pyarrow.parquet.write_table(table.take(order), path)
    after = detections.Table(path).read("S1", "Eating 1")
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.keypoints_2d, new.keypoints_2d)
        np.testing.assert_array_equal(old.confidence, new.confidence)


def test_a_missing_camera_or_take_is_named(release):
    root, _ = release
    for reader in readers(root):
        with pytest.raises(errors.RecordingError, match="S1/Walking 1/54138969"):
            reader.read("S1", "Walking 1")


def replaced(table, name, values, kind=None):
    index = table.schema.get_field_index(name)
    return table.set_column(index, name, [pyarrow.array(values, kind)])


def first_row(name, value):
    def change(table):
        values = [value, *table[name].to_pylist()[1:]]
        return replaced(table, name, values, table.schema.field(name).type)

    return change


TAKE, SURE = "S1/Directions 1/54138969", "S1/Directions 1/54138969 confidence"


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        (lambda t: t.drop(["confidence"]), "confidence", "be a column. Received: the columns"),
        (
            lambda t: replaced(t, "frame", ["x"] * len(t)),
            "frame",
            "whole numbers. Received: str",
        ),
        (first_row("frame", 1), f"{TAKE} frame", "have each frame from 0 on once"),
        (first_row("confidence", [0.5] * 16), SURE, "17 values in every row. Received: 16 to 17"),
        (first_row("confidence", None), SURE, "have 17 values in every row. Received: 0 to 17"),
        (first_row("keypoints_2d", [np.nan] * 34), TAKE, "Received: NaN or infinity, frame 0"),
        (first_row("keypoints_2d", [None] * 34), TAKE, "be finite"),
        (first_row("confidence", [1.5] * 17), SURE, r"lie in \[0, 1\]"),
    ],
)
def test_another_table_is_refused(release, change, field, message):
    path = release[0] / "detections.parquet"
    pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(path)), path)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        detections.Table(path).read("S1", "Directions 1")
    assert (str(caught.value.path), caught.value.field) == (str(path), field)


def test_a_missing_file_is_named(tmp_path):
    for reader in readers(tmp_path):
        with pytest.raises(errors.RecordingError, match="`file` must be there"):
            reader.subjects()


@pytest.mark.parametrize(("index", "count"), [(0, 150), (1, 6)])
def test_damage_ends_in_a_refusal_or_in_values(tmp_path, index, count):
    releases.write(tmp_path, formats=("confidence",), subjects=("S1",), num_takes=1, num_frames=2)
    reader = readers(tmp_path)[index]
    path = tmp_path / ("detections.npz", "detections.parquet")[index]

    def read():
        # Files may be written faster than their time of change advances.
        detections.archive_names.forget()
        detections.table_takes.forget()
        reader.subjects()
        reader.read("S1", "Directions 1")

    assert damage.assert_only_our_errors(read, path, path.read_bytes(), count=count) > count / 6
