"""TFX's ExampleValidator, which says of its verdict which span it is about.

And where properties arrive as text, as they do in a container, it parses them.
"""

from typing import Any

from google.protobuf import json_format
from tensorflow_data_validation.anomalies.proto import custom_validation_config_pb2
from tfx import types
from tfx.components.example_validator import executor
from tfx.types import standard_component_specs

RULES = standard_component_specs.CUSTOM_VALIDATION_CONFIG_KEY


class Executor(executor.Executor):
    """Hands the span on, and parses the rules.

    TFX leaves the one undone, and the other to the local runner's launcher and to nothing else.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> Any:
        """Runs TFX's executor."""
        (anomalies,) = output_dict[standard_component_specs.ANOMALIES_KEY]
        anomalies.span = input_dict[standard_component_specs.STATISTICS_KEY][0].span
        rules = exec_properties.get(RULES)
        if isinstance(rules, str):
            parsed = json_format.Parse(rules, custom_validation_config_pb2.CustomValidationConfig())
            exec_properties = exec_properties | {RULES: parsed}
        return super().Do(input_dict, output_dict, exec_properties)
