import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.bulk_inference import job
from keras_mvlift import inference
from keras_mvlift.datasets import tfrecords
from tests import temporal_networks
from tests.components.bulk_inference import stored_views


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return stored_views.save_model(tmp_path_factory.mktemp("models") / "saved")


def bulk(model, inputs, output, **options):
    return job.BulkLift(model=str(model), inputs=(str(inputs),), output=str(output), **options)


@pytest.mark.parametrize("form", ["parquet", "tfrecord"])
@pytest.mark.parametrize("name", stored_views.KINDS.values())
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


def test_two_workers_in_threads_write_the_same_bytes_as_one(model, tmp_path):
    for number in range(4):
        path = tmp_path / f"views-{number}.gz"
        stored_views.write(path, stored_views.columns(6 + number, seed=number))
    written = []
    for name, arguments in (
        ("one", ()),
        ("two", ("--direct_running_mode=multi_threading", "--direct_num_workers=2")),
    ):
        lift = bulk(model, tmp_path / "*.gz", tmp_path / name, batch_size=4)
        job.run(lift, arguments)
        written.append(stored_views.files(tmp_path / name))
    assert written[0] == written[1]
    assert len(written[0]) == 5


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
