"""Looks at the input before each run, so that changed files are read again."""

from tfx.dsl.components.base import base_driver
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from components.example_gen import executor
from keras_mvlift.datasets import sources


class Driver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Adds a digest of the input files to the execution's properties.

    TFX has two base classes of this name and asks a component's driver to be both.
    """

    def __init__(self, metadata_handle: metadata.Metadata):
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Gives the properties with the digest."""
        properties = dict(execution_info.exec_properties)
        properties[executor.FINGERPRINT] = sources.fingerprint(properties[executor.DATA_ROOT])
        output = driver_output_pb2.DriverOutput()
        for name, value in properties.items():
            data_types_utils.set_metadata_value(output.exec_properties[name], value)
        return output
