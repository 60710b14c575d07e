"""TFX's Evaluator, which blesses by the score without labels and by baselines too.

TFMA judges a model's examples one by one, while that score compares views of an instant with each
other, and a baseline is no model. Both come measured, and a bound that is missed takes back what
TFMA's thresholds gave: there is one blessing, for the Pusher and for the search of the last blessed
model.
"""

import dataclasses
import functools
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import validation_result_pb2
from tensorflow_model_analysis.slicer import slicer_lib
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as tfx_executor
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import io_utils, json_utils

from components import scores
from keras_mvlift import errors, inference
from keras_mvlift.metrics import baselines, pose_error

HELD_OUT, BASELINES, BOUNDS = "held_out", "baselines", "further_bounds"

_STANDARD = standard_component_specs.EvaluatorSpec


class Executor(tfx_executor.Executor):
    """Evaluates and blesses as TFX does, then holds what TFMA does not measure to its bounds."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs TFMA."""
        super().Do(input_dict, output_dict, exec_properties)
        values = scores.values(
            scores.read_held_out(artifact_utils.get_single_uri(input_dict[HELD_OUT])),
            read(artifact_utils.get_single_uri(output_dict["evaluation"]))["overall"],
            scores.read_baselines(artifact_utils.get_single_uri(input_dict[BASELINES])),
        )
        if scores.why(values, json.loads(exec_properties[BOUNDS])):
            _take_back(artifact_utils.get_single_instance(output_dict["blessing"]))


class EvaluatorSpec(types.ComponentSpec):
    """TFX's, with the score, the baselines and their bounds."""

    PARAMETERS: ClassVar[dict[str, component_spec.ExecutionParameter]] = {
        **_STANDARD.PARAMETERS,
        BOUNDS: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, component_spec.ChannelParameter]] = {
        **_STANDARD.INPUTS,
        HELD_OUT: component_spec.ChannelParameter(type=scores.HeldOutFigures),
        BASELINES: component_spec.ChannelParameter(type=scores.BaselineFigures),
    }
    OUTPUTS = _STANDARD.OUTPUTS
    TYPE_ANNOTATION = _STANDARD.TYPE_ANNOTATION


def _take_back(blessing: types.Artifact) -> None:
    blessed = os.path.join(blessing.uri, constants.BLESSED_FILE_NAME)
    if fileio.exists(blessed):
        fileio.remove(blessed)
    io_utils.write_string_file(os.path.join(blessing.uri, constants.NOT_BLESSED_FILE_NAME), "")
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.NOT_BLESSED_VALUE
    )


class Evaluator(base_beam_component.BaseBeamComponent):
    """Evaluates a model beside the last blessed one, and blesses it if it keeps all thresholds.

    It is given what TFX's own is and `held_out`, the candidate's score without labels, `baselines`,
    the errors of what needs no network, and `further_bounds`, the most that bless, by name of
    `scores.NAMES`.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self, *, example_splits: list[str], further_bounds: dict[str, float], **given: Any
    ):
        super().__init__(
            EvaluatorSpec(
                example_splits=json_utils.dumps(example_splits),
                further_bounds=json.dumps(further_bounds, sort_keys=True),
                evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
                **given,
            )
        )


SIGNATURE = "serving_examples"
LABEL_KEY = "reference_pose"
PREDICTION_KEY = "root_relative_pose"
SLICE_KEYS = ("action", "camera")


def eval_config(
    bounds: Mapping[str, float] | None = None, worsening: Mapping[str, float] | None = None
) -> tfma.EvalConfig:
    """Makes the rules of an evaluation: which model, which numbers, which slices, what blesses.

    Thresholds look at all examples together, not at each slice. A model is blessed if it keeps
    all of them; TFX blesses none where there are none. Given no blessed model to compare with,
    TFX's Evaluator drops the baseline and the comparisons, and only the bounds count.

    Args:
        bounds: The worst value that blesses, by metric of `pose_error.FIGURE_NAMES` and in its
            unit: the most that an error, the least that a share may be. Those of
            `scores.NAMES` are for `Evaluator` to hold; TFMA sees none of it.
        worsening: How much worse than the last blessed model's a value may be, by metric, as a
            share of it; below 0 it asks for an improvement.

    Returns:
        The config; TFMA's `example_count` comes with the metrics.

    Raises:
        ValueError: If a metric is unknown.
    """
    bounds, worsening = bounds or {}, worsening or {}
    names = pose_error.FIGURE_NAMES
    for argument, given, known in (
        ("bounds", bounds, (*names, *scores.NAMES)),
        ("worsening", worsening, names),
    ):
        unknown = sorted({*given} - {*known})
        errors.require(not unknown, argument, f"name metrics of {known}", unknown)
    if any(name in scores.NAMES for name in bounds):
        # Where all thresholds are others', TFX would bless nothing.
        bounds = {"mpjpe_mm": math.inf, **bounds}
    metrics = [
        _metric(name, _threshold(name, bounds.get(name), worsening.get(name))) for name in names
    ]
    slices = [tfma.SlicingSpec(feature_keys=[key]) for key in SLICE_KEYS]
    counted = tfma.MetricConfig(class_name="ExampleCount")
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                name=name,
                is_baseline=name == tfma.BASELINE_KEY,
                model_type=tfma.TF_GENERIC,
                signature_name=SIGNATURE,
                label_key=LABEL_KEY,
                prediction_key=PREDICTION_KEY,
            )
            for name in (tfma.CANDIDATE_KEY, tfma.BASELINE_KEY)
        ],
        slicing_specs=[tfma.SlicingSpec(), *slices],
        metrics_specs=[tfma.MetricsSpec(metrics=[counted, *metrics])],
    )


def read(evaluation_uri: str) -> dict[str, Any]:
    """Reads the candidate's results from the folder that TFMA wrote.

    Returns:
        `overall`, a dict of `pose_error.FIGURE_NAMES` in their units and `num_examples`; and for
        each slicing feature, as in `per_action`, a dict from its values to such dicts.

    Raises:
        ValueError: If the evaluation saw no example.
    """
    slices = {
        slicer_lib.deserialize_slice_key(metrics.slice_key): _numbers(metrics)
        for metrics in tfma.load_metrics(evaluation_uri)
    }
    rule = "hold an evaluation of at least one example"
    errors.require(() in slices, "evaluation_uri", rule, evaluation_uri)
    report: dict[str, Any] = {"overall": slices.pop(())}
    # Each slicing spec of `eval_config` names one feature.
    for ((feature, value),) in sorted(slices):
        report.setdefault(f"per_{feature}", {})[value] = slices[((feature, value),)]
    return report


def why(validation: tfma.ValidationResult) -> list[str]:
    """Says why a model is not blessed, in a sentence for each reason; none for a blessed model."""
    reasons = ["No threshold was set."] if validation.missing_thresholds else []
    reasons += ["No example was evaluated."] if validation.missing_slices else []
    for per_slice in validation.metric_validations_per_slice:
        reasons += [_sentence(failure) for failure in per_slice.failures]
    return reasons


def _metric(name: str, threshold: tfma.MetricThreshold) -> tfma.MetricConfig:
    config = tfma.MetricConfig(
        class_name=PoseMetric.__name__,
        module=PoseMetric.__module__,
        config=json.dumps({"name": name}),
    )
    if threshold.ByteSize():
        # A `MetricConfig.threshold` would hold for every slice, the hardest action too.
        everything = tfma.PerSliceMetricThreshold(
            slicing_specs=[tfma.SlicingSpec()], threshold=threshold
        )
        config.per_slice_thresholds.append(everything)
    return config


def _threshold(name: str, bound: float | None, worsening: float | None) -> tfma.MetricThreshold:
    is_error = name in pose_error.ERROR_NAMES
    sign = 1.0 if is_error else -1.0
    threshold = tfma.MetricThreshold()
    if worsening is not None:
        lower, higher = tfma.MetricDirection.LOWER_IS_BETTER, tfma.MetricDirection.HIGHER_IS_BETTER
        threshold.change_threshold.direction = lower if is_error else higher
        threshold.change_threshold.relative.value = sign * worsening
        # TFX drops comparisons of a first model and blesses none without a threshold: there
        # would never be a baseline. Any number but NaN keeps this bound.
        bound = sign * math.inf if bound is None else bound
    if bound is not None:
        value = threshold.value_threshold
        (value.upper_bound if is_error else value.lower_bound).value = bound
    return threshold


def _numbers(metrics: tfma.MetricsForSlice) -> dict[str, float]:
    values = {
        entry.key.name: entry.value.double_value.value
        for entry in metrics.metric_keys_and_values
        if entry.key.model_name in ("", tfma.CANDIDATE_KEY) and not entry.key.is_diff
    }
    numbers = {name: values[name] for name in pose_error.FIGURE_NAMES}
    return {**numbers, "num_examples": int(values["example_count"])}


def _sentence(failure: validation_result_pb2.ValidationFailure) -> str:
    name, value = failure.metric_key.name, failure.metric_value.double_value.value
    bounds = failure.metric_threshold.value_threshold
    if not failure.HasField("metric_value"):
        return f"{name} was not computed."
    if failure.metric_threshold.HasField("change_threshold"):
        allowed = pose_error.PERCENT * failure.metric_threshold.change_threshold.relative.value
        return f"{name} changed by {value:+g} from the baseline; allowed: {allowed:+g}%."
    if bounds.HasField("upper_bound"):
        return f"{name} {value:g} is not at most {bounds.upper_bound.value:g}."
    return f"{name} {value:g} is not at least {bounds.lower_bound.value:g}."


# The numbers of `keras_mvlift.metrics.pose_error` as TFMA's metrics, of flattened
# root-relative poses `[J * 3]`, meters. All come from one shared computation, which measures poses
# in batches; each metric then picks its own.

# Poses that wait in an accumulator until they are measured together, which at this size takes a
# small part of the time that TFMA itself spends on them.
_BATCH_SIZE = 512

_SHARED = "_pose_sums"
"""TFMA leaves results whose name begins with an underscore out of what it writes."""


@dataclasses.dataclass
class PoseSums:
    """Sums of `pose_error.FIGURE_NAMES`, `[5]`, over poses, and those that wait to be measured."""

    num_poses: int = 0
    totals: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(len(pose_error.FIGURE_NAMES))
    )
    # Pairs of a true and a predicted pose, each [J * 3], meters.
    waiting: list[tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=list)

    def measure(self) -> "PoseSums":
        """Measures the poses that wait."""
        if self.waiting:
            poses = np.asarray(self.waiting, np.float32)
            pose_true, pose_pred = poses.reshape(len(poses), 2, -1, 3).swapaxes(0, 1)
            measured = pose_error.per_pose(pose_true, pose_pred)
            self.totals += [
                np.sum(measured[name], dtype=np.float64) for name in pose_error.FIGURE_NAMES
            ]
            self.num_poses += len(poses)
            self.waiting = []
        return self


class _PoseCombiner(beam.CombineFn):
    def __init__(self, key: tfma.metrics.MetricKey, eval_config: tfma.EvalConfig | None):
        self._key = key
        self._eval_config = eval_config

    def create_accumulator(self) -> PoseSums:
        return PoseSums()

    def add_input(
        self, accumulator: PoseSums, element: tfma.metrics.StandardMetricInputs
    ) -> PoseSums:
        for label, prediction, _ in tfma.metrics.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            flatten=False,
            squeeze=False,
        ):
            accumulator.waiting.append(_pair(label, prediction))
        return accumulator.measure() if len(accumulator.waiting) >= _BATCH_SIZE else accumulator

    def merge_accumulators(self, accumulators: Iterable[PoseSums]) -> PoseSums:
        merged = PoseSums()
        for accumulator in accumulators:
            merged.num_poses += accumulator.num_poses
            merged.totals += accumulator.totals
            merged.waiting += accumulator.waiting
        return merged

    def compact(self, accumulator: PoseSums) -> PoseSums:
        return accumulator.measure()

    def extract_output(self, accumulator: PoseSums) -> dict[tfma.metrics.MetricKey, PoseSums]:
        return {self._key: accumulator.measure()}


class PoseMetric(tfma.metrics.Metric):
    """The mean over poses of one of `pose_error.FIGURE_NAMES`, which is the metric's name."""

    def __init__(self, name: str):
        super().__init__(tfma.metrics.merge_per_key_computations(_computations), name=name)


def _computations(
    name: str,
    eval_config: tfma.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
) -> tfma.metrics.MetricComputations:
    make_key = functools.partial(
        tfma.metrics.MetricKey, model_name=model_name, output_name=output_name
    )
    key, shared = make_key(name), make_key(_SHARED)

    def mean(results: dict[tfma.metrics.MetricKey, PoseSums]) -> dict:
        sums = results[shared]
        return {key: sums.totals[pose_error.FIGURE_NAMES.index(name)] / sums.num_poses}

    return [
        tfma.metrics.MetricComputation([shared], None, _PoseCombiner(shared, eval_config)),
        tfma.metrics.DerivedMetricComputation([key], mean),
    ]


def _pair(label: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pair = np.ravel(label), np.ravel(prediction)
    if pair[0].size != pair[1].size or pair[0].size % 3 or not pair[0].size:
        raise ValueError(
            "The label and the prediction must both hold J * 3 numbers, a flattened pose. "
            f"Received: {pair[0].size} and {pair[1].size}."
        )
    return pair


# TFMA gives a model examples of one frame each, in any order. Here the test views of each clip and
# camera are gathered, and every model, the candidate and the baseline, lifts them as it sees them:
# a track at once, or frame by frame.

EXTRACTORS_MODULE = "components.evaluator"

_INPUT, _FEATURES, _PREDICTIONS = tfma.INPUT_KEY, tfma.FEATURES_KEY, tfma.PREDICTIONS_KEY


def custom_extractors(
    eval_shared_model: Any, eval_config: tfma.EvalConfig, tensor_adapter_config: Any
) -> list[tfma.extractors.Extractor]:
    """Returns what TFMA does to each example before it measures; TFX's Evaluator calls it."""
    models = eval_shared_model if isinstance(eval_shared_model, list) else [eval_shared_model]
    paths = {model.model_name: model.model_path for model in models}
    return [
        tfma.extractors.FeaturesExtractor(eval_config),
        tfma.extractors.LabelsExtractor(eval_config),
        tfma.extractors.ExampleWeightsExtractor(eval_config),
        tfma.extractors.UnbatchExtractor(),
        tfma.extractors.Extractor("LiftTracks", _lift_tracks(paths)),
        tfma.extractors.SliceKeyExtractor(eval_config=eval_config),
    ]


class LiftTrack(beam.DoFn):
    """Adds the poses that models lift to the extracts of a clip and camera.

    `paths` are SavedModels by name; a single model's predictions go without its name.
    """

    def __init__(self, paths: dict[str, str]):
        self._paths = paths

    def setup(self) -> None:
        """Loads the models, once for all tracks that a worker is given."""
        self._models = {name: inference.load_model(path) for name, path in self._paths.items()}

    def process(self, track: tuple[Any, Iterable[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """Takes a key and the extracts of one example each; gives them back with predictions."""
        extracts = list(track[1])
        test = baselines.decode_test_views([np.ravel(one[_INPUT])[0] for one in extracts])
        poses = {
            name: scores.lift_views(model, test).root_relative_pose.reshape(len(extracts), -1)
            for name, model in self._models.items()
        }
        for index, extract in enumerate(extracts):
            lifted = {name: pose[index] for name, pose in poses.items()}
            alone = lifted if len(lifted) > 1 else next(iter(lifted.values()))
            yield extract | {_PREDICTIONS: alone}


@beam.ptransform_fn
def _lift_tracks(extracts: beam.PCollection, paths: dict[str, str]) -> beam.PCollection:
    return (
        extracts
        | "KeyByTrack" >> beam.Map(lambda extract: (_track(extract), extract))
        | "GatherTracks" >> beam.GroupByKey()
        | "Lift" >> beam.ParDo(LiftTrack(paths))
    )


def _track(extract: dict[str, Any]) -> tuple[bytes, bytes]:
    clip, camera = (np.ravel(extract[_FEATURES][name])[0] for name in ("clip", "camera"))
    return clip, camera
