import json
import re
import shutil
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.bulk_inference import job
from keras_mvlift import inference
from keras_mvlift.datasets import tfrecords
from tests import temporal_networks
from tests.components.bulk_inference import stored_views


@pytest.fixture(scope="module")
def model(model_folder):
    return model_folder


def bulk(model, inputs, output, **options):
    return job.BulkLift(model=str(model), inputs=(str(inputs),), output=str(output), **options)


PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.mark.parametrize(("name", "form"), [("views.parquet", "tfrecord"), ("views.gz", "parquet")])
def test_poses_are_those_of_lift(model, tmp_path, name, form):
    drawn = stored_views.columns()
    path = stored_views.write(tmp_path / name, drawn)
    summary = job.run(bulk(model, path, tmp_path / "out", form=form, batch_size=4))
    assert (summary["poses"], summary["lost_records"]) == (11, 0)
    rows = stored_views.lifted(tmp_path / "out")
    arrays = (drawn[name] for name in ("keypoints_2d", "confidence", "intrinsics"))
    expected = inference.load_model(model).lift(*arrays)
    world = expected.pose_camera @ drawn["rotation"] + drawn["center"][:, np.newaxis]
    poses = {key: getattr(expected, key) for key in ("root_relative_pose", "root_position")}
    for key, values in (poses | {"pose_camera": expected.pose_camera, "pose_world": world}).items():
        found = np.array([row[key] for row in rows]).reshape(values.shape)
        np.testing.assert_allclose(found, values, atol=1e-5)
    for key in ("clip", "frame", "camera"):
        assert [row[key] for row in rows] == drawn[key].tolist()


def test_each_file_becomes_one_in_the_order_of_their_names(model, tmp_path):
    for number, count in ((2, 3), (0, 5), (1, 4)):
        drawn = stored_views.columns(count, place=number != 1)
        stored_views.write(tmp_path / f"views-{number}.gz", drawn)
    summary = job.run(bulk(model, tmp_path / "*.gz", tmp_path / "out"))
    assert [row["frame"] for row in stored_views.lifted(tmp_path / "out")] == [
        *range(0, 25, 5),
        *range(0, 20, 5),
        *range(0, 15, 5),
    ]
    assert ["pose_world" in row for row in stored_views.lifted(tmp_path / "out")] == [
        *[True] * 5,
        *[False] * 4,
        *[True] * 3,
    ]
    assert json.loads((tmp_path / "out" / job.SUMMARY).read_text()) == summary
    # Readers of Parquet take the folder as it is, and leave the summary out.
    assert pq.read_table(tmp_path / "out").num_rows == 12
    named = {f"poses-0000{number}-of-00003.parquet" for number in range(3)}
    assert set(stored_views.files(tmp_path / "out")) == named | {job.SUMMARY}
    assert [each["input"] for each in summary["files"]] == [
        str(tmp_path / f"views-{number}.gz") for number in range(3)
    ]


def test_an_output_that_exists_is_refused_and_left_alone(model, tmp_path):
    path = stored_views.write(tmp_path / "views.gz", stored_views.columns(2))
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match=r"out: `output` must not exist"):
        job.run(bulk(model, path, tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


def test_an_error_in_the_middle_leaves_nothing(model, tmp_path, monkeypatch):
    path = stored_views.write(tmp_path / "views.gz", stored_views.columns(9))
    encode, calls = tfrecords.encode, []

    def encode_until_full(columns):
        calls.append(columns)
        if len(calls) == 2:
            raise OSError("disk full")
        return encode(columns)

    monkeypatch.setattr(tfrecords, "encode", encode_until_full)
    with pytest.raises(OSError, match="disk full"):
        job.run(bulk(model, path, tmp_path / "out", form="tfrecord", batch_size=4))
    assert [child.name for child in tmp_path.iterdir()] == ["views.gz"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "csv"}, r"`form` must be one of parquet, tfrecord. Received: 'csv'"),
        ({"max_lost_share": 1.5}, r"`max_lost_share` must lie in \[0, 1\]. Received: 1.5"),
        ({"batch_size": 0}, r"`batch_size` must be at least 1. Received: 0"),
        ({"output": "gs://bucket/out"}, r"`output` must be paths of files; mount a bucket"),
    ],
)
def test_options_that_do_not_do_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        job.BulkLift(**{"model": "studio", "inputs": ("views.gz",), "output": "out"} | options)


def test_a_pattern_of_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\*.gz: `inputs` must match files"):
        job.run(bulk("studio", tmp_path / "nothing*.gz", tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_clips_is_refused(tmp_path):
    temporal_networks.save(tmp_path / "model")
    path = stored_views.write(tmp_path / "views.gz", stored_views.columns(2))
    with pytest.raises(ValueError, match=r"`model` must lift single frames. Received: .*/model,"):
        job.run(bulk(tmp_path / "model", path, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_workers_load_a_model_of_the_package_by_its_name_and_others_by_their_place(
    model, tmp_path, monkeypatch
):
    assert job._model("studio", inference.load_model("studio")) == "studio"
    (tmp_path / "served").mkdir()
    shutil.copytree(model, tmp_path / "served" / "7")
    monkeypatch.chdir(tmp_path)
    assert job._model("served", inference.load_model("served")) == str(tmp_path / "served" / "7")


def test_a_bad_record_is_named_and_the_rest_is_lifted(model, tmp_path):
    drawn = stored_views.columns(30)
    drawn["keypoints_2d"][7, 3] = np.inf
    path = stored_views.write(tmp_path / "views.gz", drawn)
    summary = job.run(bulk(model, path, tmp_path / "out", batch_size=4))
    assert (summary["poses"], summary["lost_records"]) == (29, 1)
    (letter,) = stored_views.letters(tmp_path / "out")
    assert (letter["file"], letter["record"], letter["field"]) == (str(path), 7, "keypoints_2d")
    assert letter["reason"].startswith("must be finite")
    frames = [row["frame"] for row in stored_views.lifted(tmp_path / "out")]
    assert frames == [5 * row for row in range(30) if row != 7]


def test_too_many_bad_records_fail_by_name_and_their_list_stays(model, tmp_path):
    drawn = stored_views.columns(10)
    drawn["confidence"][4, 0] = 1.5
    path = stored_views.write(tmp_path / "views.parquet", drawn)
    rule = re.escape(f"1 of 10 lost, 10.0%; all are listed in {tmp_path}/out.dead_letters; the")
    named = r".*views.parquet, record 4: `confidence` must lie in \[0, 1\]. Received: .* to 1.5"
    with pytest.raises(ValueError, match=f"`max_lost_share`.* 5.0% of its records.*{rule}{named}"):
        job.run(bulk(model, path, tmp_path / "out"))
    assert [each["record"] for each in stored_views.letters(tmp_path / "out.dead_letters")] == [4]
    assert {child.name for child in tmp_path.iterdir()} == {"views.parquet", "out.dead_letters"}
    assert job.run(bulk(model, path, tmp_path / "out", max_lost_share=0.1))["poses"] == 9


def test_a_damaged_file_is_lost_as_a_whole(model, tmp_path):
    for number in range(3):
        stored_views.write(tmp_path / f"views-{number}.gz", stored_views.columns(8))
    damaged = tmp_path / "views-1.gz"
    damaged.write_bytes(damaged.read_bytes()[:-900])
    with pytest.raises(
        ValueError, match=r"its files. Received: 1 of 3 lost.*`records` must be who"
    ):
        job.run(bulk(model, tmp_path / "*.gz", tmp_path / "out"))
    lift = bulk(model, tmp_path / "*.gz", tmp_path / "out", max_lost_share=0.5, batch_size=2)
    summary = job.run(lift)
    assert (summary["poses"], summary["lost_files"]) == (16, 1)
    assert [each["output"] is None for each in summary["files"]] == [False, True, False]
    assert len(stored_views.lifted(tmp_path / "out")) == 16
    (letter,) = stored_views.letters(tmp_path / "out")
    assert (letter["file"], letter["record"]) == (str(damaged), None)


def test_a_file_with_a_bad_record_of_each_kind_loses_all_of_them(model, tmp_path):
    # A share of 1 lets all go, and the summary says so.
    stored_views.write_records(tmp_path / "views.gz", [b"", b"\xff" * 9])
    lift = bulk(model, tmp_path / "views.gz", tmp_path / "out", max_lost_share=1.0)
    assert job.run(lift)["lost_records"] == 2
    assert stored_views.lifted(tmp_path / "out") == []


@pytest.mark.e2e
@pytest.mark.skipif(" " in sys.executable, reason="Beam starts no processes by such a path.")
def test_two_processes_write_the_same_bytes_as_one(model, tmp_path):
    for number in range(3):
        path = tmp_path / f"views-{number}.gz"
        drawn = stored_views.columns(40 + number, seed=number)
        drawn["confidence"][number, 0] = 2.0
        stored_views.write(path, drawn)
    written = []
    for name, arguments in (("one", ()), ("two", PROCESSES)):
        lift = job.BulkLift(
            model=str(model),
            inputs=(str(tmp_path / "*.gz"),),
            output=str(tmp_path / name),
            batch_size=16,
        )
        assert job.run(lift, arguments)["poses"] == 120
        written.append(stored_views.files(tmp_path / name))
    assert written[0] == written[1]
    assert len(written[0]) == 7
