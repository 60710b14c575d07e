"""Looks at the input before each run, so that changed files and new spans are read."""

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from components.example_gen import executor, spans
from keras_mvlift import sources


class Driver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Adds a digest of the input files to the execution's properties, and which span they are.

    As in TFX's own ExampleGen, `{SPAN}` in the input's path stands for the newest.

    TFX has two base classes of this name and asks a component's driver to be both.
    """

    def __init__(self, metadata_handle: metadata.Metadata):
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Gives the properties with the digest and the span."""
        properties = dict(execution_info.exec_properties)
        if spans.are_in(properties[executor.DATA_ROOT]):
            newest = spans.newest(properties[executor.DATA_ROOT])
            properties[executor.DATA_ROOT] = newest.path
            properties |= {spans.SPAN: newest.number, spans.VERSION: newest.version}
        properties[executor.FINGERPRINT] = sources.fingerprint(properties[executor.DATA_ROOT])
        output = driver_output_pb2.DriverOutput()
        for name, value in properties.items():
            data_types_utils.set_metadata_value(output.exec_properties[name], value)
        return output
