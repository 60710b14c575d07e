from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.types import standard_artifacts

from components.example_gen import component, executor


def example_gen():
    return component.RecordingExampleGen('{"stride": 2}', "recording", "abc")


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
