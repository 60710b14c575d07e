import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from apache_beam.utils import shared

from components.bulk_inference import lift_file, readers
from components.example_gen import files
from keras_mvlift import errors, inference
from tests import tiny_studio
from tests.components.bulk_inference import stored_views


@pytest.fixture(scope="module")
def model(model_folder):
    return model_folder


def lift(model, root, path, form="parquet"):
    handle = shared.Shared()
    worker = lift_file.LiftFile(str(model), handle, str(root), form, 4)
    worker.setup()
    (outcome,) = worker.process(files.Job(str(path), 2, 5))
    return outcome


LETTER = lift_file.of("a.gz", 3, errors.ArgumentError("clip", "be UTF-8", "b'x'"))


@pytest.fixture(scope="module")
def lifter(model_folder):
    return inference.load_model(model_folder)


def views(num_rows, has_place):
    drawn = stored_views.columns(num_rows)
    keys = {name: pa.nulls(num_rows, kind) for name, kind in readers.KEYS.items()}
    numbers = {name: drawn[name] for name in readers.NUMBERS}
    return readers.Views(numbers, np.array(has_place, bool), keys)


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


@pytest.mark.parametrize("form", lift_file.FORMATS)
def test_the_output_is_named_by_the_files_place(model, tmp_path, form):
    path = stored_views.write(tmp_path / "views.gz", stored_views.columns(6))
    outcome = lift(model, tmp_path / "out", path, form=form)
    name = f"poses-00002-of-00005{lift_file.SUFFIXES[form]}"
    assert outcome == lift_file.Outcome(2, str(path), name, 6, 0, [])
    # Letters of no loss are not there; the folder of partial files is empty.
    out = tmp_path / "out"
    assert [child.name for child in sorted(out.iterdir())] == ["partial", name]
    assert list((out / "partial").iterdir()) == []


def test_records_are_numbered_through_all_batches(model, tmp_path):
    drawn = stored_views.columns(15)
    drawn["confidence"][[1, 2, 3, 9, 10, 14], 0] = 2.0
    outcome = lift(model, tmp_path / "out", stored_views.write(tmp_path / "views.gz", drawn))
    assert (outcome.num_poses, outcome.num_lost) == (9, 6)
    letters = stored_views.letters(tmp_path / "out")
    assert [letter["record"] for letter in letters] == [1, 2, 3, 9, 10, 14]
    assert outcome.first_lost == letters[:5]


def test_a_file_that_ends_too_soon_leaves_its_letter_only(model, tmp_path):
    path = stored_views.write(tmp_path / "views.gz", stored_views.columns(20))
    path.write_bytes(path.read_bytes()[:-500])
    outcome = lift(model, tmp_path / "out", path)
    assert outcome[:5] == (2, str(path), None, 0, 0)
    (letter,) = stored_views.letters(tmp_path / "out")
    assert outcome.first_lost == [letter]
    assert (letter["record"], letter["field"]) == (None, "records")
    left = [child.name for child in sorted((tmp_path / "out").rglob("*")) if child.is_file()]
    assert left == ["_dead_letters-00002-of-00005.jsonl"]


def test_a_terminal_is_told_how_many_poses_there_are(model, tmp_path, monkeypatch, capsys):
    path = stored_views.write(tmp_path / "views.gz", stored_views.columns(6))
    lift(model, tmp_path / "out", path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    lift(model, tmp_path / "out", path)
    assert "00002-of-00005: 6.00pose" in capsys.readouterr().err


def test_workers_of_a_process_share_one_model(model, tmp_path):
    handle = shared.Shared()
    workers = [lift_file.LiftFile(str(model), handle, str(tmp_path), "parquet", 4) for _ in "ab"]
    for worker in workers:
        worker.setup()
    assert workers[0]._lifter is workers[1]._lifter


def test_a_letter_is_a_line_that_says_where_what_and_why():
    line = lift_file.line(LETTER)
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "file": "a.gz",
        "record": 3,
        "field": "clip",
        "reason": "must be UTF-8. Received: b'x'",
    }


def test_a_letter_is_a_sentence_too():
    whole = lift_file.of("b.gz", None, errors.ArgumentError("records", "be whole", "half"))
    told = [lift_file.sentence(letter) for letter in (LETTER, whole)]
    assert told == [
        "a.gz, record 3: `clip` must be UTF-8. Received: b'x'.",
        "b.gz: `records` must be whole. Received: half.",
    ]


def test_the_schema_tells_shapes_units_frames_and_joints(lifter):
    columns = lift_file.schema(lifter)
    names = ["root_relative_pose", "root_position", "pose_camera", "pose_world"]
    assert columns.names == [*readers.KEYS, *names]
    shapes = {name: columns.field(name).metadata[b"shape"] for name in names}
    assert shapes == dict.fromkeys(names, b"[17, 3]") | {"root_position": b"[3]"}
    assert {columns.field(name).metadata[b"unit"] for name in names} == {b"m"}
    assert columns.field("pose_world").metadata[b"frame"] == b"world"
    assert [columns.field(name).nullable for name in names] == [False, False, False, True]
    assert json.loads(columns.metadata[b"joint_names"]) == list(lifter.joint_names)


def test_a_view_without_place_has_no_world_pose(lifter):
    seen = views(3, [True, False, True])
    table = lift_file.lift(lifter, seen, lift_file.schema(lifter))
    table.validate(full=True)
    found = table.column("pose_world").to_pylist()
    assert found[1] is None
    camera = np.reshape(table.column("pose_camera").to_pylist(), (3, 17, 3))
    world = np.einsum("nji,nkj->nki", seen.numbers["rotation"], camera)
    world += seen.numbers["center"][:, np.newaxis]
    for row in (0, 2):
        np.testing.assert_allclose(np.reshape(found[row], (17, 3)), world[row], atol=1e-5)


def test_what_a_model_tells_of_its_error_is_there(tmp_path):
    model = tiny_studio.trained_uncertainty()
    tiny_studio.save(model, tmp_path / "saved", uncertainty=True)
    lifter = inference.load_model(tmp_path / "saved")
    columns = lift_file.schema(lifter)
    assert columns.field("joint_uncertainty").metadata[b"shape"] == b"[17]"
    seen = views(4, [True] * 4)
    table = lift_file.lift(lifter, seen, columns)
    expected = lifter.lift(*(seen.numbers[name] for name in readers.REQUIRED)).joint_uncertainty
    np.testing.assert_array_equal(table.column("joint_uncertainty").to_pylist(), expected)


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
