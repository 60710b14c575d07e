"""TFX's Evaluator, which blesses by the score without labels too.

TFMA judges examples one by one, while that score compares views of an instant with each other. It
comes measured, and a bound that it misses takes back what TFMA's thresholds gave: there is one
blessing, for the Pusher and for the search of the last blessed model.
"""

import json
import os
from typing import Any, ClassVar

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as tfx_executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import io_utils, json_utils

from components import artifacts, held_out

HELD_OUT, BOUNDS = "held_out", "held_out_bounds"

_STANDARD = standard_component_specs.EvaluatorSpec


class Executor(tfx_executor.Executor):
    """Evaluates and blesses as TFX does, then holds the score without labels to its bounds."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs TFMA."""
        super().Do(input_dict, output_dict, exec_properties)
        scores = held_out.read(artifact_utils.get_single_uri(input_dict[HELD_OUT]))
        if held_out.why(scores, json.loads(exec_properties[BOUNDS])):
            _take_back(artifact_utils.get_single_instance(output_dict["blessing"]))


class EvaluatorSpec(types.ComponentSpec):
    """TFX's, with the score and its bounds."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        **_STANDARD.PARAMETERS,
        BOUNDS: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        **_STANDARD.INPUTS,
        HELD_OUT: component_spec.ChannelParameter(type=artifacts.HeldOutScores),
    }
    OUTPUTS = _STANDARD.OUTPUTS
    TYPE_ANNOTATION = _STANDARD.TYPE_ANNOTATION


class Evaluator(base_beam_component.BaseBeamComponent):
    """Evaluates a model beside the last blessed one, and blesses it if it keeps all thresholds.

    Args:
        examples: The test views.
        model: The candidate.
        baseline_model: The last blessed model, if there is one.
        held_out: The candidate's score without labels.
        example_splits: Splits of the examples.
        eval_config: TFMA's rules, with at least one threshold.
        held_out_bounds: The most that bless, by name of `held_out.NAMES`.
        module_path: The module of `custom_extractors`, if TFMA's own do not do.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        held_out: types.BaseChannel,
        example_splits: list[str],
        eval_config: tfma.EvalConfig,
        held_out_bounds: dict[str, float],
        module_path: str | None = None,
    ):
        super().__init__(
            EvaluatorSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                held_out=held_out,
                example_splits=json_utils.dumps(example_splits),
                eval_config=eval_config,
                held_out_bounds=json.dumps(held_out_bounds, sort_keys=True),
                module_path=module_path,
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )


def _take_back(blessing: types.Artifact) -> None:
    blessed = os.path.join(blessing.uri, constants.BLESSED_FILE_NAME)
    if fileio.exists(blessed):
        fileio.remove(blessed)
    io_utils.write_string_file(os.path.join(blessing.uri, constants.NOT_BLESSED_FILE_NAME), "")
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.NOT_BLESSED_VALUE
    )
