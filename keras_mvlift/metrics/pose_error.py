"""Errors of poses as papers report them: MPJPE, N-MPJPE, P-MPJPE, PCK, AUC.

Mean distances between true and predicted joints: MPJPE, N-MPJPE and P-MPJPE.

The functions take and give meters; the Keras metrics, whose names end in `_mm`, report
millimeters. Every joint counts, the root too, as in Human3.6M's protocols 1 and 2; a joint that the
true pose lacks, NaN in it, does not. What is NaN in a prediction makes the error NaN.

`pose_true` and `pose_pred` are `[..., J, 3]`, meters, in any one frame, `skeletons.ROOT` being the
root joint; a ValueError says where their shapes are others, or not the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import reprojection, skeletons
from keras_mvlift.geometry import procrustes
from keras_mvlift.metrics import baselines

MILLIMETERS_PER_METER = 1000.0


def joint_errors(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    """Measures how far each joint is off once the roots coincide.

    Returns:
        `[..., J]`, meters, 0 for the root; its gradient at 0 is 0. NaN for joints that the true
        pose lacks.
    """
    pose_true, pose_pred = _checked(pose_true, pose_pred)
    return reprojection.norm(_relative_to_root(pose_true) - _relative_to_root(pose_pred))


def known_joints(pose_true: tf.Tensor) -> tf.Tensor:
    """Tells which joints `[..., J]` of poses `[..., J, 3]` are there: those that are not NaN.

    Relative to the root, which is to say none where the root is not.
    """
    relative = _relative_to_root(tf.convert_to_tensor(pose_true))
    return tf.reduce_all(tf.math.is_finite(relative), axis=-1)


def mean_over_joints(
    values: tf.Tensor, pose_true: tf.Tensor, joints: Sequence[int] | None = None
) -> tf.Tensor:
    """Averages values of joints, `[..., J]`, over those that a true pose `[..., J, 3]` has.

    Returns:
        `[...]`, over the joints that are told, or all; NaN for a pose without any.

    Raises:
        ValueError: If a joint that is told is not there, or none is.
    """
    is_known = known_joints(pose_true)
    if joints is not None:
        num_joints = values.shape[-1]
        if not joints or (num_joints and not all(0 <= joint < num_joints for joint in joints)):
            rule = f"be one or more indices below {num_joints}"
            raise ValueError(f"`joints` must {rule}. Received: {joints}.")
        is_known, values = (tf.gather(each, joints, axis=-1) for each in (is_known, values))
    total = tf.reduce_sum(tf.where(is_known, values, tf.zeros_like(values)), axis=-1)
    return total / tf.reduce_sum(tf.cast(is_known, values.dtype), axis=-1)


def mpjpe(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    """Computes the mean per-joint position error, roots aligned, `[...]`, meters: protocol 1.

    References:
        Ionescu et al., Human3.6M, PAMI 2014, eq. (8).
    """
    return mean_over_joints(joint_errors(pose_true, pose_pred), pose_true)


def n_mpjpe(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    """Computes the MPJPE after the best scale about the root, and no rotation.

    The scale is the least-squares one. For a single pose the mean distance after it can exceed
    the one before it, since squares are what it minimizes. `pose_pred` may be in any unit;
    otherwise as `mpjpe`.

    References:
        Rhodin et al., Unsupervised geometry-aware representation for 3D human pose estimation,
        ECCV 2018.
    """
    true, pred = _of_known(*map(_relative_to_root, _checked(pose_true, pose_pred)))
    off = reprojection.norm(true - procrustes.align_scale(pred, true))
    return mean_over_joints(off, pose_true)


def p_mpjpe(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    """Computes the MPJPE after the best rotation, translation and scale: protocol 2.

    `pose_pred` may be in any unit and frame; otherwise as `mpjpe`.

    References:
        Martinez et al., A simple yet effective baseline for 3D human pose estimation, ICCV 2017.
    """
    true, pred = _of_known(*_checked(pose_true, pose_pred))
    weights = tf.cast(known_joints(pose_true), pred.dtype)
    off = reprojection.norm(true - procrustes.align(pred, true, weights))
    return mean_over_joints(off, pose_true)


def _of_known(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> Iterator[tf.Tensor]:
    """Puts zeros into both poses where the true one lacks a joint."""
    is_known = known_joints(pose_true)[..., tf.newaxis]
    return (tf.where(is_known, pose, tf.zeros_like(pose)) for pose in (pose_true, pose_pred))


@keras.saving.register_keras_serializable(package="keras_mvlift")
class MPJPE(keras.metrics.MeanMetricWrapper):
    """The mean of `mpjpe` over poses, in millimeters.

    Call arguments:
        y_true: `[..., J, 3]`, meters.
        y_pred: `[..., J, 3]`, meters.

    Example:
        >>> model.compile(loss="mse", metrics=[MPJPE()])
    """

    def __init__(self, name: str = "mpjpe_mm", dtype: str | None = None):
        super().__init__(_times(MILLIMETERS_PER_METER, mpjpe), name=name, dtype=dtype)


@keras.saving.register_keras_serializable(package="keras_mvlift")
class NMPJPE(keras.metrics.MeanMetricWrapper):
    """The mean of `n_mpjpe` over poses, in millimeters; otherwise as `MPJPE`."""

    def __init__(self, name: str = "n_mpjpe_mm", dtype: str | None = None):
        super().__init__(_times(MILLIMETERS_PER_METER, n_mpjpe), name=name, dtype=dtype)


@keras.saving.register_keras_serializable(package="keras_mvlift")
class PMPJPE(keras.metrics.MeanMetricWrapper):
    """The mean of `p_mpjpe` over poses, in millimeters; otherwise as `MPJPE`."""

    def __init__(self, name: str = "p_mpjpe_mm", dtype: str | None = None):
        super().__init__(_times(MILLIMETERS_PER_METER, p_mpjpe), name=name, dtype=dtype)


def _times(factor: float, measure: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    def scaled(y_true: tf.Tensor, y_pred: tf.Tensor, **options: Any) -> tf.Tensor:
        return factor * measure(y_true, y_pred, **options)

    return scaled


def _checked(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    pose_pred = tf.convert_to_tensor(pose_pred)
    pose_true = tf.cast(pose_true, pose_pred.dtype)
    rule = (
        "`pose_true` and `pose_pred` must have the same shape [..., J, 3]. "
        f"Received: {pose_true.shape} and {pose_pred.shape}."
    )
    # Leading axes that broadcast would silently compare every pose with every other.
    if not pose_true.shape.is_compatible_with(pose_pred.shape):
        raise ValueError(rule)
    tf.debugging.assert_shapes(
        [(pose_true, (..., "J", 3)), (pose_pred, (..., "J", 3))], message=rule
    )
    return pose_true, pose_pred


def _relative_to_root(pose: tf.Tensor) -> tf.Tensor:
    return pose - pose[..., skeletons.ROOT : skeletons.ROOT + 1, :]


# Shares of joints found within a distance: PCK, and the area under its curve.
#
# The functions give shares in [0, 1]; the Keras metrics report them times 100, as papers print
# them. A joint counts as found if it lies strictly nearer than the threshold once the roots
# coincide; one that the true pose lacks, NaN in it, does not count at all.

PCK_THRESHOLD_MM = 150.0
"""Half a head, roughly; the choice of MPI-INF-3DHP's authors."""

AUC_THRESHOLDS_MM = tuple(np.linspace(0.0, 150.0, 31).tolist())
"""0, 5, ..., 150: the curve whose mean MPI-INF-3DHP's test code reports as the AUC."""

OFFICIAL_JOINTS = tuple(
    index
    for index, joint in enumerate(skeletons.H36M_17.joints)
    if joint not in ("pelvis", "spine", "nose")
)
"""The 14 joints of `H36M_17` that MPI-INF-3DHP's test code counts; many ports count all 17."""

PERCENT = 100.0


def pck(
    pose_true: tf.Tensor,
    pose_pred: tf.Tensor,
    threshold_mm: float = PCK_THRESHOLD_MM,
    joints: Sequence[int] | None = None,
) -> tf.Tensor:
    """Computes the share of joints that lie strictly nearer than a threshold, roots aligned.

    Args:
        pose_true: What is true.
        pose_pred: What is judged.
        threshold_mm: The distance, millimeters.
        joints: Indices of the joints that count, such as `OFFICIAL_JOINTS`; None for all that
            are given, of which the root is always found.

    Returns:
        `[...]`, in [0, 1].

    Raises:
        ValueError: As said above, or if a joint is not there.

    References:
        Mehta et al., Monocular 3D human pose estimation in the wild using improved CNN
        supervision, 3DV 2017, section 6.
    """
    found = tf.cast(_errors_mm(pose_true, pose_pred) < threshold_mm, tf.float32)
    return mean_over_joints(found, pose_true, joints)


def pck_auc(
    pose_true: tf.Tensor, pose_pred: tf.Tensor, joints: Sequence[int] | None = None
) -> tf.Tensor:
    """Computes the mean of the PCK over the thresholds 0, 5, ..., 150 mm; otherwise as `pck`.

    No joint is strictly nearer than 0 mm, so that a perfect pose reaches 30 / 31.
    """
    errors = _errors_mm(pose_true, pose_pred)
    found = errors[..., tf.newaxis] < tf.constant(AUC_THRESHOLDS_MM, errors.dtype)
    share = tf.reduce_mean(tf.cast(found, tf.float32), axis=-1)
    return mean_over_joints(share, pose_true, joints)


@keras.saving.register_keras_serializable(package="keras_mvlift")
class PCK(keras.metrics.MeanMetricWrapper):
    """The mean of `pck` over poses, times 100.

    Args:
        threshold_mm: The distance, millimeters.
        joints: Indices of the joints that count; None for all.
        name: The name it is reported by; by default the threshold's, as in `pck_150`.
        dtype: The type it is computed in.

    Call arguments:
        y_true: `[..., J, 3]`, meters.
        y_pred: `[..., J, 3]`, meters.

    Example:
        >>> model.compile(loss="mse", metrics=[PCK(joints=OFFICIAL_JOINTS)])
    """

    def __init__(
        self,
        threshold_mm: float = PCK_THRESHOLD_MM,
        joints: Sequence[int] | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ):
        name = name or f"pck_{threshold_mm:g}"
        options: dict[str, Any] = {"threshold_mm": threshold_mm, "joints": _plain(joints)}
        super().__init__(_times(PERCENT, pck), name, dtype, **options)


@keras.saving.register_keras_serializable(package="keras_mvlift")
class AUC3D(keras.metrics.MeanMetricWrapper):
    """The mean of `pck_auc` over poses, times 100; otherwise as `PCK`."""

    def __init__(
        self, joints: Sequence[int] | None = None, name: str = "auc", dtype: str | None = None
    ):
        super().__init__(_times(PERCENT, pck_auc), name, dtype, joints=_plain(joints))


def _plain(joints: Sequence[int] | None) -> list[int] | None:
    return None if joints is None else [int(joint) for joint in joints]


def _errors_mm(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> tf.Tensor:
    return MILLIMETERS_PER_METER * joint_errors(pose_true, pose_pred)


# The five numbers that a pose estimator is reported by, in the units of the papers.

ERROR_NAMES = ("mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm")
"""Millimeters, the lower the better."""

SHARE_NAMES = ("pck_150", "auc")
"""Shares of joints times 100, the higher the better."""

FIGURE_NAMES = ERROR_NAMES + SHARE_NAMES

# Poses measured at once: the AUC compares each joint with 31 thresholds, which for a whole test
# set at once would be gigabytes.
_BATCH_SIZE = 8192


def per_pose(pose_true: tf.Tensor, pose_pred: tf.Tensor) -> dict[str, tf.Tensor]:
    """Measures each pose, as `mpjpe` takes them.

    Returns:
        `[...]` for each of `FIGURE_NAMES`: errors in millimeters, shares of all `J` joints times
        100.
    """
    errors = (mpjpe, n_mpjpe, p_mpjpe)
    shares = (pck, pck_auc)
    values = [MILLIMETERS_PER_METER * error(pose_true, pose_pred) for error in errors]
    values += [PERCENT * share(pose_true, pose_pred) for share in shares]
    return dict(zip(FIGURE_NAMES, values, strict=True))


def summary(pose_true: np.ndarray, pose_pred: np.ndarray) -> dict[str, float]:
    """Measures poses `[N, J, 3]`, meters, by the mean over them for each of `FIGURE_NAMES`.

    Raises:
        ValueError: If the shapes are others, or there is no pose.
    """
    if len(pose_true) == 0 or len(pose_true) != len(pose_pred):
        raise ValueError(
            "`pose_true` and `pose_pred` must hold equally many poses, and at least one. "
            f"Received: {np.shape(pose_true)} and {np.shape(pose_pred)}."
        )
    return _means(_of_each(pose_true, pose_pred))


def _of_each(pose_true: np.ndarray, pose_pred: np.ndarray) -> dict[str, np.ndarray]:
    batches = [
        per_pose(pose_true[start : start + _BATCH_SIZE], pose_pred[start : start + _BATCH_SIZE])
        for start in range(0, len(pose_true), _BATCH_SIZE)
    ]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in FIGURE_NAMES}


def _means(of_each: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values.mean(dtype=np.float64)) for name, values in of_each.items()}


# The figures of a run as `results.json` has them: overall, per action, per camera.

Figures = dict[str, Any]

COVERAGE = "coverage"
"""The share of the reference's joints that poses have, times 100."""


def figures_of_poses(test: baselines.TestViews, pose_pred: np.ndarray) -> Figures:
    """Measures poses as the pipeline's evaluator measures the model.

    Args:
        test: What is true.
        pose_pred: `[N, J, 3]`, meters, camera axes; a joint that is NaN is left out.

    Returns:
        `overall`, `per_action` and `per_camera`, each of `FIGURE_NAMES` and `COVERAGE`, over the
        poses that have joints; `per_action` and `per_camera` lack those without any, and where no
        pose has any there is nothing.
    """
    is_known = np.isfinite(test.reference_pose).all(axis=-1)
    is_compared = is_known & np.isfinite(pose_pred).all(axis=-1)
    pose_true = np.where(is_compared[..., np.newaxis], test.reference_pose, np.nan)
    pose_pred = np.where(is_compared[..., np.newaxis], pose_pred, 0.0)
    # The root alone is no pose, and without it there are no roots to align.
    is_pose = is_compared[:, skeletons.ROOT] & (np.count_nonzero(is_compared, axis=-1) > 1)
    if not is_pose.any():
        return {}
    of_each = _of_each(pose_true[is_pose], pose_pred[is_pose])

    def figures(index: np.ndarray) -> dict[str, float]:
        share = is_compared[index & is_pose].sum() / is_known[index].sum()
        means = _means({name: values[index[is_pose]] for name, values in of_each.items()})
        return means | {COVERAGE: PERCENT * float(share)}

    def per(names: np.ndarray) -> dict[str, dict[str, float]]:
        return {str(name): figures(names == name) for name in np.unique(names[is_pose])}

    everything = np.full(len(pose_pred), True)
    measured = {
        "overall": figures(everything),
        "per_action": per(test.action),
        "per_camera": per(test.camera),
    }
    return with_averages(measured)


def with_averages(figures: Figures) -> Figures:
    """Adds the plain mean over actions, as papers report it, and the median over cameras."""
    return figures | {
        "mean_over_actions": _across(figures["per_action"], np.mean),
        "median_over_cameras": _across(figures["per_camera"], np.median),
    }


def _across(slices: Mapping[str, Mapping[str, float]], average: Any) -> dict[str, float]:
    return {
        name: float(average([figures[name] for figures in slices.values()]))
        for name in FIGURE_NAMES
    }
