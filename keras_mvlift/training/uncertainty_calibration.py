"""Holds predicted uncertainties to what happened in held-out views.

Half of the held-out instants say by which factor predictions are to be multiplied so that the
share of joints of one standard deviation lies within them; the other half says how well that holds.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.metrics import held_out_views, pose_error
from keras_mvlift.networks import joint_scales
from keras_mvlift.training import joint_uncertainty, multi_view_lifter

SHARE = math.erf(math.sqrt(0.5))
"""The share of joints that lie within their predicted uncertainty: 0.683, one sigma."""

_OTHER_SHARES = (0.5, 0.95)
_NUM_GROUPS = 3
_BATCH_SIZE = 512


def calibrate(
    lifter: multi_view_lifter.MultiViewLifter,
    uncertainty: joint_uncertainty.JointUncertainty,
    seen: views.View,
    min_joints: int = 8,
) -> dict[str, Any]:
    """Multiplies all predictions by one factor, fitted to the errors in held-out views.

    Poses are placed by the root that explains them best in all views but the one compared with.

    Args:
        lifter: Lifts the poses.
        uncertainty: Corrected in place.
        seen: All views of two or more held-out instants, fields `[T, V, ...]`.
        min_joints: Joints that a view must show to be lifted from.

    Returns:
        As JSON: the `factor`; the share of joints `within` the uncertainty in the half that it was
        not fitted to, of all and of each third from the surest to the least sure; the
        `multiples` of the uncertainty that hold other shares, fitted, and the shares they do hold,
        `within_multiples`; Spearman's `rank_correlation` of prediction and error; and how many
        errors that is.

    Raises:
        ValueError: If a half has nothing to compare.
    """
    error, scale, weight = _measured(lifter, uncertainty, seen, min_joints)
    # Instants follow each other in time: blocks of them are less alike than every second.
    is_fitted = np.arange(len(error)) < len(error) / 2
    halves = [_flat(error[half], scale[half], weight[half]) for half in (is_fitted, ~is_fitted)]
    if not all(len(half[0]) for half in halves):
        raise ValueError("Uncertainties need two held-out instants or more that two views show.")
    ratio = halves[0][0] / halves[0][1]
    factor, *others = _quantiles(ratio, halves[0][2], (SHARE, *_OTHER_SHARES))
    joint_scales.enlarge(uncertainty.network, factor)
    multiples = [other / factor for other in others]
    return {
        "factor": factor,
        "multiples": dict(zip(map(str, _OTHER_SHARES), multiples, strict=True)),
    } | _check(halves[1][0], factor * halves[1][1], halves[1][2], multiples)


def _measured(
    lifter: multi_view_lifter.MultiViewLifter,
    uncertainty: joint_uncertainty.JointUncertainty,
    seen: views.View,
    min_joints: int,
) -> tuple[np.ndarray, ...]:
    """Gives errors, meters, predictions, meters, and weights, `[T, A, B, J]` each."""

    @tf.function
    def measure(some: views.View) -> tuple[tf.Tensor, ...]:
        shape = tf.shape(some.confidence)
        flat = tf.nest.map_structure(
            lambda field: tf.reshape(field, tf.concat([[-1], tf.shape(field)[2:]], axis=0)), some
        )
        flat = tf.nest.map_structure(
            lambda field, like: tf.ensure_shape(field, [None, *like.shape[2:]]), flat, some
        )
        pose = tf.reshape(
            lifter(flat, training=False).root_relative_pose, tf.concat([shape, [3]], axis=0)
        )
        placed = held_out_views.solved(pose, some, min_joints)
        found = held_out_views.errors(placed, some, min_joints)
        scale = tf.reshape(uncertainty(flat, training=False), shape)[:, :, tf.newaxis]
        meters = found.mm / pose_error.MILLIMETERS_PER_METER
        return meters, tf.broadcast_to(scale, tf.shape(meters)), found.weight

    parts = []
    for start in range(0, len(seen.confidence), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        some = tf.nest.map_structure(
            lambda field, rows=rows: tf.constant(field[rows], tf.float32), seen
        )
        parts.append([field.numpy() for field in measure(some)])
    return tuple(np.concatenate(fields) for fields in zip(*parts, strict=True))


def _flat(*fields: np.ndarray) -> tuple[np.ndarray, ...]:
    """Gives what was compared, `[N]` each; the weights come last."""
    is_compared = fields[-1] > 0
    return tuple(field[is_compared].astype(np.float64) for field in fields)


def _quantiles(values: np.ndarray, weight: np.ndarray, shares: tuple[float, ...]) -> list[float]:
    order = np.argsort(values)
    cumulated = np.cumsum(weight[order])
    index = np.searchsorted(cumulated, np.array(shares) * cumulated[-1])
    return [float(value) for value in values[order][np.minimum(index, len(values) - 1)]]


def _check(
    error: np.ndarray, scale: np.ndarray, weight: np.ndarray, multiples: list[float]
) -> dict[str, Any]:
    def share(rows: np.ndarray, multiple: float = 1.0) -> float:
        return float(np.average(error[rows] <= multiple * scale[rows], weights=weight[rows]))

    groups = np.array_split(np.argsort(scale, kind="stable"), _NUM_GROUPS)
    everything = np.arange(len(error))
    ranks = [np.argsort(np.argsort(values, kind="stable")) for values in (error, scale)]
    return {
        "within": share(everything),
        "within_by_third": [share(group) for group in groups if len(group)],
        "within_multiples": {
            str(other): share(everything, multiple)
            for other, multiple in zip(_OTHER_SHARES, multiples, strict=True)
        },
        "rank_correlation": float(np.corrcoef(ranks[0], ranks[1])[0, 1]),
        "num_errors": len(error),
    }
