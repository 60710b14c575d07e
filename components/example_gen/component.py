"""The ExampleGen of multi-view recordings."""

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_beam_component, base_driver, executor_spec
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import component_spec, standard_artifacts

from components.example_gen import executor
from keras_mvlift import sources


class RecordingExampleGenSpec(types.ComponentSpec):
    """What goes in and what comes out."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        executor.DATA_CONFIG: component_spec.ExecutionParameter(type=str),
        executor.DATA_ROOT: component_spec.ExecutionParameter(type=str),
        executor.CODE_VERSION: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {}
    OUTPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        executor.EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        executor.TEST_EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


# Looks at the input before each run, so that changed files and new spans are read.


class Driver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Adds a digest of the input files to the execution's properties, and which span they are.

    As in TFX's own ExampleGen, `{SPAN}` in the input's path stands for the newest.

    TFX has two base classes of this name and asks a component's driver to be both.
    """

    def __init__(self, metadata_handle: metadata.Metadata):
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns the properties with the digest and the span."""
        properties = dict(execution_info.exec_properties)
        if sources.has_spans(properties[executor.DATA_ROOT]):
            newest = sources.newest_span(properties[executor.DATA_ROOT])
            properties[executor.DATA_ROOT] = newest.path
            properties |= {sources.SPAN: newest.number, sources.VERSION: newest.version}
        properties[executor.FINGERPRINT] = sources.fingerprint(properties[executor.DATA_ROOT])
        output = driver_output_pb2.DriverOutput()
        for name, value in properties.items():
            data_types_utils.set_metadata_value(output.exec_properties[name], value)
        return output


class RecordingExampleGen(base_beam_component.BaseBeamComponent):
    """Turns multi-view recordings into TFRecords.

    `outputs["examples"]` holds view pairs, splits `train` and `eval`, the same instants with all
    of their views, splits `train_instants` and `eval_instants`, and no 3D whatever.
    `outputs["test_examples"]` holds single views with their reference pose, split `test`; it goes
    to evaluation, never to a trainer.

    Args:
        data_config: A `configs.DataConfig` as JSON.
        data_root: The folder or file that the source reads; empty for a source that reads none.
        code_version: Identifies the code, so that results of older code are not reused.
    """

    SPEC_CLASS = RecordingExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = Driver

    def __init__(self, data_config: str, data_root: str, code_version: str):
        outputs = {name: standard_artifacts.Examples for name in self.SPEC_CLASS.OUTPUTS}
        channels = {name: types.Channel(type=artifact) for name, artifact in outputs.items()}
        super().__init__(
            RecordingExampleGenSpec(
                data_config=data_config,
                data_root=data_root,
                code_version=code_version,
                **channels,
            )
        )
