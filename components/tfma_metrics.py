"""The five numbers of `keras_mvlift.metrics.pose_error` as TensorFlow Model Analysis metrics.

Labels and predictions are flattened root-relative poses: `[J * 3]`, meters. All five numbers of a
model come from one shared private computation, which measures poses in batches; each metric then
picks its own. Name them in an EvalConfig by class and module, as `components.evaluation` does.
"""

import dataclasses
import functools
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma

from keras_mvlift.metrics import pose_error

# Poses that wait in an accumulator until they are measured together, which at this size takes a
# small part of the time that TFMA itself spends on them.
_BATCH_SIZE = 512

_SHARED = "_pose_sums"
"""TFMA leaves results whose name begins with an underscore out of what it writes."""


@dataclasses.dataclass
class PoseSums:
    """What is known of some poses: the sums over those measured, and those that still wait.

    Attributes:
        num_poses: How many poses are measured.
        totals: `[5]`, the sums of `pose_error.FIGURE_NAMES` over them.
        waiting: Pairs of a true and a predicted pose, each `[J * 3]`, meters.
    """

    num_poses: int = 0
    totals: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(len(pose_error.FIGURE_NAMES))
    )
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


class _PoseMetric(tfma.metrics.Metric):
    number: str

    def __init__(self, name: str | None = None):
        compute = functools.partial(_computations, number=self.number)
        super().__init__(tfma.metrics.merge_per_key_computations(compute), name=name or self.number)


class MPJPE(_PoseMetric):
    """The mean per-joint position error, roots aligned, in millimeters."""

    number = "mpjpe_mm"


class NMPJPE(_PoseMetric):
    """The MPJPE after the best scale, in millimeters."""

    number = "n_mpjpe_mm"


class PMPJPE(_PoseMetric):
    """The MPJPE after the best rotation, translation and scale, in millimeters."""

    number = "p_mpjpe_mm"


class PCK(_PoseMetric):
    """The share of joints strictly nearer than 150 mm, roots aligned, times 100."""

    number = "pck_150"


class AUC3D(_PoseMetric):
    """The mean of the PCK over the thresholds 0, 5, ..., 150 mm, times 100."""

    number = "auc"


CLASSES = {metric.number: metric for metric in (MPJPE, NMPJPE, PMPJPE, PCK, AUC3D)}
"""The metric that reports each of `summary.NAMES`."""


def _computations(
    name: str,
    eval_config: tfma.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    *,
    number: str,
) -> tfma.metrics.MetricComputations:
    make_key = functools.partial(
        tfma.metrics.MetricKey, model_name=model_name, output_name=output_name
    )
    key, shared = make_key(name), make_key(_SHARED)

    def mean(results: dict[tfma.metrics.MetricKey, PoseSums]) -> dict:
        sums = results[shared]
        return {key: sums.totals[pose_error.FIGURE_NAMES.index(number)] / sums.num_poses}

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
