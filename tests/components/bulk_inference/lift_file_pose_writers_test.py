import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from components.bulk_inference import lift_file

COLUMNS = pa.schema(
    [
        pa.field("clip", pa.string()),
        pa.field("frame", pa.int64()),
        pa.field("pose_camera", pa.list_(pa.float32()), metadata={"unit": "m"}),
        pa.field("pose_world", pa.list_(pa.float32())),
    ],
    metadata={"joint_names": "[]"},
)
TABLE = pa.table(
    [
        pa.array(["a", None, "b", "a"]),
        pa.array([1, 2, 3, None], pa.int64()),
        pa.array([[0.5, 1.5], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]], pa.list_(pa.float32())),
        pa.array([None, [8.0, 9.0], None, [1.0, 2.0]], pa.list_(pa.float32())),
    ],
    schema=COLUMNS,
)


def write(path, form):
    with lift_file.FORMATS[form](str(path), COLUMNS) as put:
        put(TABLE)
        put(TABLE.slice(1, 2))
    return path


def test_parquet_holds_the_rows_the_units_and_a_group_a_table(tmp_path):
    path = write(tmp_path / "poses", "parquet")
    assert pq.read_table(path).to_pylist() == TABLE.to_pylist() + TABLE.slice(1, 2).to_pylist()
    schema = pq.read_schema(path)
    assert schema.field("pose_camera").metadata[b"unit"] == b"m"
    assert schema.metadata[b"joint_names"] == b"[]"
    assert pq.ParquetFile(path).num_row_groups == 2


def test_records_lack_what_is_null_and_keep_the_order(tmp_path):
    path = write(tmp_path / "poses", "tfrecord")
    found = []
    for record in tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        found.append(
            {name: getattr(f, f.WhichOneof("kind")).value[:] for name, f in features.items()}
        )
    assert found[:4] == [
        {"clip": [b"a"], "frame": [1], "pose_camera": [0.5, 1.5]},
        {"frame": [2], "pose_camera": [2.0, 3.0], "pose_world": [8.0, 9.0]},
        {"clip": [b"b"], "frame": [3], "pose_camera": [4.0, 5.0]},
        {"clip": [b"a"], "pose_camera": [6.0, 7.0], "pose_world": [1.0, 2.0]},
    ]
    assert found[4:] == found[1:3]


@pytest.mark.parametrize("form", lift_file.FORMATS)
def test_equal_rows_are_equal_bytes(tmp_path, form):
    first, second = (write(tmp_path / name, form).read_bytes() for name in ("one", "two"))
    assert first == second
    assert len(np.frombuffer(first, np.uint8)) > 100
