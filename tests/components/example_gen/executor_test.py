import contextlib
import dataclasses
import json
import os
import pathlib
import re
import sys

import numpy as np
import pytest
import tensorflow as tf
from apache_beam.runners.portability import local_job_service
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.types import standard_artifacts

from components.example_gen import executor
from components.example_gen import files as example_gen_files
from keras_mvlift import configs, sources
from keras_mvlift.datasets import preparation, tfrecords
from keras_mvlift.datasets.rigs import pose2sim
from tests.components import studio_examples

FORMATS = pathlib.Path(__file__).parents[3] / "docs" / "formats.md"
DEMO = configs.DataConfig(
    source_options='{"reference": "opensim/Balancing_for_IK.trc"}',
    split_options='{"held_out_share": 0.1}',
    stride=3,
    num_virtual_views=1,
)
TABLES = {
    "train": "train_pairs",
    "eval": "held_out_pairs",
    "train_instants": "train_instants",
    "eval_instants": "held_out_instants",
    "test": "test_views",
}
ARTIFACTS = {split: name for name, splits in executor.SPLITS.items() for split in splits}


@pytest.fixture(scope="module")
def studio(studio_records):
    return studio_examples.config(), "", studio_records


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    root = pose2sim.demo_root()
    artifacts = studio_examples.generate(tmp_path_factory.mktemp("demo"), DEMO, root)
    return DEMO, root, artifacts


def prepared(config, data_root):
    """What preparation gives for each clip."""
    split = sources.open_split(config)
    source = sources.open_source(config, data_root)
    return {clip: preparation.prepare(source.read(clip), split, config) for clip in source.clips()}


def columns(rows):
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def files(artifacts):
    """Every file below the artifacts."""
    return {
        (name, str(path.relative_to(artifact.uri))): path.read_bytes()
        for name, artifact in artifacts.items()
        for path in pathlib.Path(artifact.uri).rglob("*")
        if path.is_file()
    }


def documented(kind, following):
    """Feature names that docs/formats.md lists for a kind of record."""
    text = FORMATS.read_text()
    section = text[text.index(f"**{kind}**") : text.index(following)]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def all_rows(artifacts, split):
    paths = studio_examples.shards(artifacts[ARTIFACTS[split]], split)
    return [row for path in paths for row in studio_examples.records(path)]


# Four real cameras and, in training, a virtual one.
NUM_VIEWS = {"train_instants": 5, "eval_instants": 4}
SIZES = {"keypoints_2d": 34, "confidence": 17, "intrinsics": 9, "rotation": 9, "center": 3}
ABOUT = {"clip": 1, "subject": 1, "action": 1, "frame": 1, "camera_confidence": 4}


@pytest.fixture(scope="module")
def artifact(studio):
    return studio[2]["examples"]


def rows(artifact, split):
    paths = studio_examples.shards(artifact, split)
    return [row for path in paths for row in studio_examples.records(path)]


def moments(rows):
    return {(row["clip"][0], row["frame"][0]) for row in rows}


# Beam starts no processes of a Python whose path has a space.
MODES = ("in_memory", "multi_threading", *["multi_processing"] * (" " not in sys.executable))


@contextlib.contextmanager
def job_server():
    """Starts a server that takes jobs over gRPC; gives its port."""
    server = local_job_service.LocalJobServicer(None)
    port = server.start_grpc_server()
    try:
        yield port
    finally:
        server.stop()


@pytest.mark.parametrize("recording", ["studio", "demo"])
def test_records_are_exactly_what_preparation_gives(recording, request):
    config, data_root, artifacts = request.getfixturevalue(recording)
    clips = prepared(config, data_root)
    for index, (split, table) in [(i, pair) for i in range(len(clips)) for pair in TABLES.items()]:
        expected = getattr([*clips.values()][index], table)
        name = f"data_tfrecord-{index:05d}-of-{len(clips):05d}.gz"
        folder = executor.split_folder(artifacts[ARTIFACTS[split]].uri, split)
        path = pathlib.Path(folder, name)
        assert path.is_file() == bool(len(expected["frame"]))
        if path.is_file():
            written = columns(studio_examples.records(path))
            assert set(written) == set(expected)
            for key, values in expected.items():
                flat = values.reshape(len(values), -1)
                is_text, is_float = flat.dtype == object, flat.dtype == np.float64
                flat = (
                    flat.astype("S") if is_text else flat.astype(np.float32) if is_float else flat
                )
                np.testing.assert_array_equal(written[key], flat)


@pytest.mark.parametrize("recording", ["studio", "demo"])
def test_no_frame_is_in_two_splits(recording, request):
    _, _, artifacts = request.getfixturevalue(recording)
    for kind in ("", "_instants"):
        parts = [
            {(row["clip"][0], row["frame"][0]) for row in all_rows(artifacts, split)}
            for split in (f"train{kind}", f"eval{kind}", "test")
        ]
        assert all(parts)
        assert len(set.union(*parts)) == sum(map(len, parts))


def test_each_clip_has_a_shard_in_each_split_it_adds_to(studio):
    _, _, artifacts = studio
    names = {
        split: [path.name for path in studio_examples.shards(artifacts[ARTIFACTS[split]], split)]
        for split in TABLES
    }
    first, second = (f"data_tfrecord-0000{i}-of-00004.gz" for i in (0, 1))
    third, fourth = (f"data_tfrecord-0000{i}-of-00004.gz" for i in (2, 3))
    for split, found in names.items():
        assert found == ([third, fourth] if split == "test" else [first, second])


def test_artifacts_name_their_splits(studio):
    _, _, artifacts = studio
    assert artifacts["examples"].split_names == (
        '["train", "eval", "train_instants", "eval_instants"]'
    )
    assert artifacts["test_examples"].split_names == '["test"]'


def test_dataset_json_sums_up_the_clips(studio):
    config, data_root, artifacts = studio
    dataset = executor.read_dataset(artifacts["examples"].uri)
    source = sources.open_source(config, data_root)
    counts = [clip.counts for clip in prepared(config, data_root).values()]
    assert [clip["clip"] for clip in dataset["clips"]] == sorted(studio_examples.CLIPS)
    assert {clip["subject"] for clip in dataset["clips"]} == {"S01", "S02"}
    assert {clip["frame_rate"] for clip in dataset["clips"]} == {25.0}
    assert dataset["counts"] == {key: sum(count[key] for count in counts) for key in counts[0]}
    assert dataset["counts"]["test_views"] == len(all_rows(artifacts, "test"))
    assert dataset["reference"] == "recorded"
    np.testing.assert_allclose(dataset["intrinsics"], source.camera.intrinsics.mean(axis=0))
    distance = preparation.rig_distance(source.read(studio_examples.CLIPS[0]))
    assert dataset["rig_distance"] == pytest.approx(distance)


def test_dataset_json_says_where_references_are_triangulated(tmp_path):
    config = configs.DataConfig(stride=3)
    artifacts = studio_examples.generate(tmp_path, config, pose2sim.demo_root())
    assert executor.read_dataset(artifacts["examples"].uri)["reference"] == "triangulated"


@pytest.mark.parametrize("recording", ["studio", "demo"])
def test_examples_hold_the_documented_features_and_no_3d(recording, request):
    _, _, artifacts = request.getfixturevalue(recording)
    for split in executor.PAIR_SPLITS:
        for row in all_rows(artifacts, split):
            assert set(row) == documented("Pairs", "**Instants**")
            # Seventeen keypoints and confidences, two matrices, a center, a number per camera.
            assert {len(values) for values in row.values()} == {34, 17, 9, 3, 4, 1}
            for side in ("source", "target"):
                assert len(row[f"{side}/keypoints_2d"]) == 34


def test_no_point_in_examples_but_the_cameras_centers(studio):
    config, data_root, artifacts = studio
    rig = sources.open_source(config, data_root).camera.center.astype(np.float32)
    for split in executor.PAIR_SPLITS:
        for row in all_rows(artifacts, split):
            for side in ("source", "target"):
                name = row[f"{side}/camera"][0].decode()
                if name.startswith("camera_"):
                    center = rig[int(name.removeprefix("camera_")) - 1]
                    np.testing.assert_array_equal(row[f"{side}/center"], center)
                else:
                    assert name == "virtual_0"


def test_virtual_cameras_are_seen_in_training_alone(studio):
    _, _, artifacts = studio
    names = {
        split: {row["target/camera"][0] for row in all_rows(artifacts, split)}
        for split in executor.PAIR_SPLITS
    }
    assert b"virtual_0" in names["train"]
    assert b"virtual_0" not in names["eval"]


def test_test_examples_hold_the_documented_features(studio):
    _, _, artifacts = studio
    shared = {"keypoints_2d", "confidence", "intrinsics", "rotation", "center", "camera"}
    shared |= {"clip", "subject", "action", "frame", "camera_confidence"}
    for row in all_rows(artifacts, "test"):
        assert set(row) == shared | {tfrecords.REFERENCE_POSE}
        assert len(row[tfrecords.REFERENCE_POSE]) == 51


@pytest.mark.parametrize(
    ("test_subjects", "kind"), [(["S01", "S02"], "train_pairs"), (["S09"], "test_views")]
)
def test_nothing_to_train_or_test_on_is_refused(test_subjects, kind, tmp_path):
    config = studio_examples.config(test_subjects=test_subjects)
    with pytest.raises(ValueError, match=f"`{kind}` must not be empty: .*'{kind}': 0"):
        studio_examples.generate(tmp_path, config)


def test_nothing_held_out_is_refused_where_it_was_asked_for(tmp_path):
    options = {"test_subjects": ["S02"], "held_out_clips": ["S03_walking_01"]}
    config = dataclasses.replace(studio_examples.config(), split_options=json.dumps(options))
    with pytest.raises(ValueError, match="`held_out_pairs` must not be empty"):
        studio_examples.generate(tmp_path, config)


def test_an_unknown_source_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"`source` must be one of pose2sim.*'cinema'"):
        studio_examples.generate(tmp_path, configs.DataConfig(source="cinema"))
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_middle_of_a_shard_leaves_none(tmp_path, monkeypatch):
    write, written = tf.io.TFRecordWriter.write, []

    def write_until_full(writer, record):
        if b"S01_turning_01" in record:
            written.append(record)
            if len(written) > 3:
                raise OSError("disk full")
        write(writer, record)

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", write_until_full)
    with pytest.raises(OSError, match="disk full"):
        studio_examples.generate(tmp_path, studio_examples.config())
    found = {path.name for path in (tmp_path / "examples" / "Split-train").iterdir()}
    assert found <= {"data_tfrecord-00000-of-00004.gz"}
    assert not (tmp_path / "examples" / executor.DATASET).exists()


def test_what_an_earlier_attempt_left_is_gone(studio, tmp_path):
    config, data_root, artifacts = studio
    left = ("partial/half.gz", "Split-train/data_tfrecord-00007-of-00009.gz", executor.DATASET)
    for name in left:
        path = tmp_path / "examples" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    assert files(studio_examples.generate(tmp_path, config, data_root)) == files(artifacts)


def test_nothing_is_there_beside_the_splits_but_what_is_documented(studio):
    _, _, artifacts = studio
    names = {
        name: sorted(path.name for path in pathlib.Path(artifact.uri).iterdir())
        for name, artifact in artifacts.items()
    }
    notes = ["dataset.json", "dead_letters.json"]
    assert names == {
        "examples": [*sorted(map(example_gen_files.folder, executor.SPLITS["examples"])), *notes],
        "test_examples": ["Split-test"],
    }


def test_what_is_known_of_the_set_is_json(studio):
    _, _, artifacts = studio
    text = pathlib.Path(artifacts["examples"].uri, executor.DATASET).read_text()
    assert json.dumps(json.loads(text), indent=2, sort_keys=True) == text


def test_a_span_is_told_by_artifacts_records_and_dataset(studio, tmp_path):
    config, data_root, without = studio
    numbered = studio_examples.generate(tmp_path, config, data_root, span=7, version=2)
    for artifact in numbered.values():
        assert (artifact.span, artifact.version) == (7, 2)
        # Where TFX's own resolvers look.
        assert artifact.get_int_custom_property("span") == 7
    for split in TABLES:
        rows, former = (
            all_rows(numbered, split),
            all_rows(without, split),
        )
        assert {row["clip"][0] for row in rows} == {b"00007/" + row["clip"][0] for row in former}
        for row, other in zip(rows, former, strict=True):
            assert row | {"clip": other["clip"]} == other
    dataset = executor.read_dataset(numbered["examples"].uri)
    assert executor.spans_of(dataset) == [7]
    assert dataset["split"] == "subject"
    assert {clip["clip"] for clip in dataset["clips"]} == {
        f"00007/{x}" for x in studio_examples.CLIPS
    }
    assert not without["examples"].has_custom_property("span")
    assert executor.spans_of(executor.read_dataset(without["examples"].uri)) == []


@pytest.mark.parametrize("split", executor.INSTANT_SPLITS)
def test_instants_hold_all_views_and_no_3d(artifact, split):
    num_views = NUM_VIEWS[split]
    sizes = ABOUT | {f"views/{name}": num_views * size for name, size in SIZES.items()}
    for row in rows(artifact, split):
        assert {name: len(values) for name, values in row.items()} == sizes


def test_no_point_but_the_cameras_centers(artifact):
    source = sources.open_source(studio_examples.config(), "")
    for split, num_views in NUM_VIEWS.items():
        for row in rows(artifact, split):
            center = np.reshape(row["views/center"], (num_views, 3))[:4]
            np.testing.assert_array_equal(center, source.camera.center.astype(np.float32))


@pytest.mark.parametrize("split", executor.INSTANT_SPLITS)
def test_instants_are_those_of_the_pairs_each_once(artifact, split):
    found = rows(artifact, split)
    assert len(moments(found)) == len(found)
    assert moments(found) == moments(rows(artifact, split.removesuffix("_instants")))


def test_instants_are_read_as_batches_of_all_views(artifact):
    files = [str(path) for path in studio_examples.shards(artifact, "eval_instants")]
    first = rows(artifact, "eval_instants")[0]

    def decode(records):
        return tfrecords.decode_instants(records, num_views=6)

    view = next(iter(tfrecords.load_once(files, 3, decode)))
    assert view.keypoints_2d.shape == (3, 6, 17, 2)
    expected = np.reshape(first["views/keypoints_2d"], (4, 17, 2))
    np.testing.assert_array_equal(view.keypoints_2d[0, :4], expected)
    assert not view.confidence.numpy()[:, 4:].any()
    np.testing.assert_array_equal(view.camera.rotation[0, 5], np.eye(3))
    assert np.isfinite(view.rays).all()


def test_more_views_than_were_announced_are_refused(artifact):
    files = [str(path) for path in studio_examples.shards(artifact, "eval_instants")]
    batches = tfrecords.load_once(files, 3, lambda records: tfrecords.decode_instants(records, 3))
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iter(batches))


@pytest.mark.e2e
def test_two_workers_of_each_kind_write_the_same_bytes_as_one(tmp_path):
    config = studio_examples.config(num_frames=40)
    written = {}
    for mode in MODES:
        # The first is what Beam does if nothing is asked of it.
        asked = ("--runner=DirectRunner", f"--direct_running_mode={mode}", "--direct_num_workers=2")
        arguments = () if mode == "in_memory" else asked
        artifacts = studio_examples.generate(tmp_path / mode, config, "", arguments)
        written[mode] = files(artifacts)
    first, *others = (written[mode] for mode in MODES)
    assert {name for _, name in first} > {"dataset.json", "dead_letters.json"}
    assert all(other == first for other in others)


@pytest.mark.e2e
def test_a_job_by_the_portable_interface_writes_the_same_bytes_as_one_in_process(tmp_path):
    config = studio_examples.config(num_frames=20)
    in_process = studio_examples.generate(tmp_path / "in_process", config)
    with job_server() as port:
        arguments = ("--runner=PortableRunner", f"--job_endpoint=localhost:{port}")
        portable = studio_examples.generate(
            tmp_path / "portable", config, "", (*arguments, "--environment_type=LOOPBACK")
        )
    assert {name for name, _ in files(in_process)} == {*in_process}
    assert files(portable) == files(in_process)


def example_gen():
    return executor.RecordingExampleGen('{"stride": 2}', "recording", "abc")


@pytest.fixture
def recording(tmp_path):
    folder = tmp_path / "recording"
    (folder / "pose").mkdir(parents=True)
    for name in ("calibration.txt", "pose/1.json", "pose/2.json"):
        (folder / name).write_text(name)
    return folder


def run(data_root, **properties):
    """Returns the properties that the driver answers with."""
    in_memory = metadata_store_pb2.ConnectionConfig()
    in_memory.fake_database.SetInParent()
    properties[executor.DATA_ROOT] = str(data_root)
    output = executor.Driver(metadata.Metadata(in_memory)).run(
        data_types.ExecutionInfo(exec_properties=properties)
    )
    return {name: value.string_value for name, value in output.exec_properties.items()}


def fingerprint(data_root):
    return run(data_root)[executor.FINGERPRINT]


def test_pairs_and_test_views_are_two_artifacts():
    outputs = example_gen().outputs
    assert {name: channel.type for name, channel in outputs.items()} == {
        "examples": standard_artifacts.Examples,
        "test_examples": standard_artifacts.Examples,
    }


def test_settings_data_and_code_are_what_the_cache_knows():
    assert dict(example_gen().exec_properties) == {
        "data_config": '{"stride": 2}',
        "data_root": "recording",
        "code_version": "abc",
    }


def test_it_runs_our_driver_and_executor():
    node = example_gen()
    assert node.DRIVER_CLASS is executor.Driver
    assert issubclass(node.DRIVER_CLASS, portable_base_driver.BaseDriver)
    assert node.executor_spec.executor_class is executor.Executor


def test_properties_are_kept_beside_the_fingerprint(recording):
    properties = run(recording, data_config="{}", code_version="abc")
    assert properties.pop(executor.FINGERPRINT)
    assert properties == {
        "data_config": "{}",
        "code_version": "abc",
        "data_root": str(recording),
    }


def test_fingerprint_changes_with_a_file_of_the_same_size_and_time(recording):
    former, path = fingerprint(recording), recording / "pose" / "1.json"
    kept = path.stat().st_mtime_ns
    path.write_text(path.read_text()[::-1])
    os.utime(path, ns=(kept, kept))
    assert fingerprint(recording) != former


def test_the_newest_span_is_read_and_its_number_told(recording, tmp_path):
    (tmp_path / "00003").mkdir()
    recording.rename(tmp_path / "00012")
    root = f"{tmp_path}/{{SPAN}}"
    in_memory = metadata_store_pb2.ConnectionConfig()
    in_memory.fake_database.SetInParent()
    found = executor.Driver(metadata.Metadata(in_memory)).run(
        data_types.ExecutionInfo(exec_properties={executor.DATA_ROOT: root})
    )
    told = found.exec_properties
    assert told[executor.DATA_ROOT].string_value == str(tmp_path / "00012")
    assert (told[sources.SPAN].int_value, told[sources.VERSION].int_value) == (12, 0)
    assert told[executor.FINGERPRINT].string_value == fingerprint(tmp_path / "00012")
