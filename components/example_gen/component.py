"""The ExampleGen of multi-view recordings."""

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.example_gen import driver, executor


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
    DRIVER_CLASS = driver.Driver

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
