import os

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.types import standard_artifacts

from components.example_gen import component, executor
from keras_mvlift import sources


def example_gen():
    return component.RecordingExampleGen('{"stride": 2}', "recording", "abc")


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
    output = component.Driver(metadata.Metadata(in_memory)).run(
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
    assert node.DRIVER_CLASS is component.Driver
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


def test_fingerprint_is_stable(recording):
    assert fingerprint(recording) == fingerprint(recording)
    assert fingerprint("") == fingerprint("")


def test_fingerprint_changes_with_a_file(recording):
    former = fingerprint(recording)
    (recording / "pose" / "1.json").write_text("something longer")
    assert fingerprint(recording) != former


def test_fingerprint_changes_with_a_file_of_the_same_size_and_time(recording):
    former, path = fingerprint(recording), recording / "pose" / "1.json"
    kept = path.stat().st_mtime_ns
    path.write_text(path.read_text()[::-1])
    os.utime(path, ns=(kept, kept))
    assert fingerprint(recording) != former


@pytest.mark.parametrize("change", ["add", "remove", "rename"])
def test_fingerprint_changes_with_the_set_of_files(recording, change):
    former, path = fingerprint(recording), recording / "pose" / "2.json"
    if change == "add":
        (recording / "pose" / "3.json").write_text("")
    elif change == "remove":
        path.unlink()
    else:
        path.rename(path.with_name("3.json"))
    assert fingerprint(recording) != former


def test_the_newest_span_is_read_and_its_number_told(recording, tmp_path):
    (tmp_path / "00003").mkdir()
    recording.rename(tmp_path / "00012")
    root = f"{tmp_path}/{{SPAN}}"
    in_memory = metadata_store_pb2.ConnectionConfig()
    in_memory.fake_database.SetInParent()
    found = component.Driver(metadata.Metadata(in_memory)).run(
        data_types.ExecutionInfo(exec_properties={executor.DATA_ROOT: root})
    )
    told = found.exec_properties
    assert told[executor.DATA_ROOT].string_value == str(tmp_path / "00012")
    assert (told[sources.SPAN].int_value, told[sources.VERSION].int_value) == (12, 0)
    assert told[executor.FINGERPRINT].string_value == fingerprint(tmp_path / "00012")
