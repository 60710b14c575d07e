"""How a pose estimator is judged by TensorFlow Model Analysis: the rules, the results, the reasons.

`eval_config` is what TFX's Evaluator is given; `read` and `why` read what it wrote.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import validation_result_pb2
from tensorflow_model_analysis.slicer import slicer_lib

from components import held_out, tfma_metrics
from keras_mvlift.metrics import pose_error

SIGNATURE = "serving_examples"
LABEL_KEY = "reference_pose"
PREDICTION_KEY = "root_relative_pose"
SLICE_KEYS = ("action", "camera")


def eval_config(
    bounds: Mapping[str, float] | None = None,
    worsening: Mapping[str, float] | None = None,
    relative_worsening: Mapping[str, float] | None = None,
    baseline: bool = False,
    slice_keys: Sequence[str] = SLICE_KEYS,
) -> tfma.EvalConfig:
    """Makes the rules of an evaluation: which model, which numbers, which slices, what blesses.

    Thresholds look at all examples together, not at each slice. A model is blessed if it keeps
    all of them; TFX blesses none where there are none. Given no blessed model to compare with,
    TFX's Evaluator drops the baseline and the comparisons, and only the bounds count.

    Args:
        bounds: The worst value that blesses, by metric of `pose_error.FIGURE_NAMES` and in its
            unit: the most that an error, the least that a share may be. Those of `held_out.NAMES`
            are for `evaluator.Evaluator` to hold; TFMA sees none of it.
        worsening: How much worse than the baseline's a value may be, by metric and in its unit;
            below 0 it asks for an improvement.
        relative_worsening: The same as a share of the baseline's value.
        baseline: Whether the last blessed model is evaluated too.
        slice_keys: The features that each tell slices apart.

    Returns:
        The config; TFMA's `example_count` comes with the metrics.

    Raises:
        ValueError: If a metric is unknown, or models are compared without a baseline.
    """
    bounds, worsening, relative = bounds or {}, worsening or {}, relative_worsening or {}
    _check_names("bounds", bounds, (*pose_error.FIGURE_NAMES, *held_out.NAMES))
    if any(name in held_out.NAMES for name in bounds):
        # Where all thresholds are others', TFX would bless nothing.
        bounds = {"mpjpe_mm": math.inf, **bounds}
    _check_names("worsening", worsening)
    _check_names("relative_worsening", relative)
    if (worsening or relative) and not baseline:
        raise ValueError(
            "`baseline` must be true where models are compared. Received: "
            f"baseline={baseline}, worsening={worsening}, relative_worsening={relative}."
        )
    metrics = [
        _metric(name, _threshold(name, bounds.get(name), worsening.get(name), relative.get(name)))
        for name in pose_error.FIGURE_NAMES
    ]
    return tfma.EvalConfig(
        model_specs=_model_specs(baseline),
        slicing_specs=[tfma.SlicingSpec()]
        + [tfma.SlicingSpec(feature_keys=[key]) for key in slice_keys],
        metrics_specs=[
            tfma.MetricsSpec(metrics=[tfma.MetricConfig(class_name="ExampleCount"), *metrics])
        ],
    )


def read(evaluation_uri: str) -> dict[str, Any]:
    """Reads the candidate's results.

    Args:
        evaluation_uri: The folder that TFMA wrote.

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
    if () not in slices:
        raise ValueError(
            "`evaluation_uri` must hold an evaluation of at least one example. "
            f"Received: {evaluation_uri}."
        )
    report: dict[str, Any] = {"overall": slices.pop(())}
    # Each slicing spec of `eval_config` names one feature.
    for ((feature, value),) in sorted(slices):
        report.setdefault(f"per_{feature}", {})[value] = slices[((feature, value),)]
    return report


def why(validation: tfma.ValidationResult) -> list[str]:
    """Says why a model is not blessed.

    Args:
        validation: What `tfma.load_validation_result` gives for the folder that TFMA wrote.

    Returns:
        A sentence for each reason, none for a blessed model.
    """
    reasons = ["No threshold was set."] if validation.missing_thresholds else []
    reasons += ["No example was evaluated."] if validation.missing_slices else []
    for per_slice in validation.metric_validations_per_slice:
        reasons += [_sentence(failure) for failure in per_slice.failures]
    return reasons


def _check_names(
    argument: str, thresholds: Mapping[str, float], names: Sequence[str] = pose_error.FIGURE_NAMES
) -> None:
    unknown = sorted(set(thresholds) - set(names))
    if unknown:
        raise ValueError(f"`{argument}` must name metrics of {names}. Received: {unknown}.")


def _model_specs(baseline: bool) -> list[tfma.ModelSpec]:
    make_spec = functools.partial(
        tfma.ModelSpec,
        model_type=tfma.TF_GENERIC,
        signature_name=SIGNATURE,
        label_key=LABEL_KEY,
        prediction_key=PREDICTION_KEY,
    )
    if not baseline:
        return [make_spec()]
    return [
        make_spec(name=tfma.CANDIDATE_KEY),
        make_spec(name=tfma.BASELINE_KEY, is_baseline=True),
    ]


def _metric(name: str, threshold: tfma.MetricThreshold) -> tfma.MetricConfig:
    metric_class = tfma_metrics.CLASSES[name]
    config = tfma.MetricConfig(class_name=metric_class.__name__, module=metric_class.__module__)
    if threshold.ByteSize():
        # A `MetricConfig.threshold` would hold for every slice, the hardest action too.
        everything = tfma.PerSliceMetricThreshold(
            slicing_specs=[tfma.SlicingSpec()], threshold=threshold
        )
        config.per_slice_thresholds.append(everything)
    return config


def _threshold(
    name: str, bound: float | None, worsening: float | None, relative: float | None
) -> tfma.MetricThreshold:
    is_error = name in pose_error.ERROR_NAMES
    sign = 1.0 if is_error else -1.0
    threshold = tfma.MetricThreshold()
    if worsening is not None or relative is not None:
        lower, higher = tfma.MetricDirection.LOWER_IS_BETTER, tfma.MetricDirection.HIGHER_IS_BETTER
        threshold.change_threshold.direction = lower if is_error else higher
        # TFX drops comparisons of a first model and blesses none without a threshold: there
        # would never be a baseline. Any number but NaN keeps this bound.
        bound = sign * math.inf if bound is None else bound
    if worsening is not None:
        threshold.change_threshold.absolute.value = sign * worsening
    if relative is not None:
        threshold.change_threshold.relative.value = sign * relative
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
        return f"{name} changed by {value:+g} from the baseline; allowed: {_allowed(failure)}."
    if bounds.HasField("upper_bound"):
        return f"{name} {value:g} is not at most {bounds.upper_bound.value:g}."
    return f"{name} {value:g} is not at least {bounds.lower_bound.value:g}."


def _allowed(failure: validation_result_pb2.ValidationFailure) -> str:
    change = failure.metric_threshold.change_threshold
    absolute = [f"{change.absolute.value:+g}"] if change.HasField("absolute") else []
    relative = (
        [f"{change.relative.value * pose_error.PERCENT:+g}%"] if change.HasField("relative") else []
    )
    return " and ".join(absolute + relative)
