"""Held-out views while and after a model trains: logs, early stopping, its uncertainty."""

import contextlib
import functools
import itertools
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.metrics import held_out_views, pose_error
from keras_mvlift.training import lifters
from keras_mvlift.training import uncertainty as training_uncertainty

# Views lifted at once.
_SCORED_AT_ONCE = 8192

Lift = Callable[[views.View], tf.Tensor]
"""From views, fields `[N, ...]`, to root-relative poses `[N, J, 3]`, meters."""


class HeldOutViews(keras.callbacks.Callback):
    """Adds the score without labels to the logs of each epoch, as `val_held_out_mean_px` and so on.

    It must stand before the callbacks that read it in the list given to `fit`.

    Args:
        seen: All views of some held-out instants, fields `[T, V, ...]`, in memory; for pairs,
            `held_out_views.views_of_pairs` gives them.
        lifter: What is measured; without, the model that is trained.

    Example:
        >>> callbacks = [
        ...     HeldOutViews(held_out_views.views_of_pairs(pairs)),
        ...     keras.callbacks.EarlyStopping("val_held_out_mean_mm", patience=10),
        ... ]
        >>> lifter.fit(batches, steps_per_epoch=100, epochs=300, callbacks=callbacks)
    """

    def __init__(self, seen: views.View, lifter: lifters.Model | None = None):
        super().__init__()
        self.seen = tf.nest.map_structure(np.asarray, seen)
        self.lifter = lifter

    @functools.cached_property
    def _lift(self) -> Lift:
        return _graph(self.lifter or self.model, self.seen)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        found = _score(self._lift, self.seen)
        if logs is not None:
            logs.update({f"val_held_out_{name}": value for name, value in found.items()})


def score(lifter: lifters.Model, seen: views.View) -> dict[str, float]:
    """Lifts every view of some instants, fields `[T, V, ...]`, and compares it with the others.

    Returns:
        Mean and median, `held_out_views.SCORE_NAMES`.

    Raises:
        ValueError: If nothing could be compared.
    """
    return _score(_graph(lifter, seen), seen)


def _graph(lifter: lifters.Model, seen: views.View) -> Lift:
    lift = tf.function(lambda view: lifter(view, training=False).root_relative_pose)
    # Of any number of views, so that what is scored and what is drawn is traced once.
    lift.get_concrete_function(
        tf.nest.map_structure(lambda x: tf.TensorSpec((None, *np.shape(x)[2:]), tf.float32), seen)
    )
    return lift


def _score(lift: Lift, seen: views.View) -> dict[str, float]:
    return held_out_views.score(seen, _of_views(lift, seen))


def _of_views(measure: Lift, seen: views.View) -> np.ndarray:
    """Returns `[T, V, ...]`, what a function gives of views, `[N, ...]`, some at once."""
    shape = np.shape(seen.confidence)[:2]
    flat = tf.nest.map_structure(lambda field: np.reshape(field, (-1, *np.shape(field)[2:])), seen)
    found = [measure(some).numpy() for some in held_out_views.pieces(flat, _SCORED_AT_ONCE)]
    whole = np.concatenate(found)
    return whole.reshape(*shape, *whole.shape[1:])


MONITOR = "val_held_out_mean_mm"
"""The mean ranks models more as their true errors do than the median; docs tell by how much."""


class BestEpoch(HeldOutViews):
    """Scores each epoch without labels, stops when the score is stuck, and keeps the best weights.

    Unlike Keras' own early stopping, what it knows are variables, to go into the checkpoints of a
    stage: one that was killed ends in the epoch, and with the weights, of an unbroken one. Where
    weights are averaged, the averages are what is scored and kept.

    Args:
        seen: All views of some held-out instants, fields `[T, V, ...]`, in memory.
        lifter: The model that is trained.
        patience: Epochs without a better score after which training ends.

    Attributes:
        state: Variables by name: the best `score`, its `epoch` (-1 before any) and its `weights`.
    """

    def __init__(self, seen: views.View, lifter: lifters.Model, patience: int):
        super().__init__(seen, lifter)
        self.trained = lifter
        self.patience = patience
        self.state = {
            "score": tf.Variable(np.inf, trainable=False, dtype=tf.float64),
            "epoch": tf.Variable(-1, trainable=False, dtype=tf.int64),
            "weights": [tf.Variable(x, trainable=False) for x in lifters.weights_of(lifter)],
        }

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        with averaged(self.trained):
            super().on_epoch_end(epoch, logs)
            if logs[MONITOR] < self.state["score"].numpy():
                self.state["score"].assign(logs[MONITOR])
                self.state["epoch"].assign(epoch)
                self._assign(self.state["weights"], lifters.weights_of(self.trained))
        self.model.stop_training = self.is_done(epoch + 1)

    def is_done(self, epochs_done: int) -> bool:
        """Tells whether a stage has trained long enough."""
        best = int(self.state["epoch"].numpy())
        return best >= 0 and epochs_done - 1 - best >= self.patience

    def restore(self) -> None:
        """Returns the model the weights of the best epoch, if there was any."""
        if int(self.state["epoch"].numpy()) >= 0:
            self._assign(lifters.weights_of(self.trained), self.state["weights"])

    @staticmethod
    def _assign(variables: list[tf.Variable], values: list[tf.Variable]) -> None:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


# For TensorBoard: epochs between what is shown, records that it is told of, and views drawn.
_SHOWN_EVERY, _SHOWN_RECORDS, _SHOWN_VIEWS = 10, 1024, 4
# Pixels of a picture's side; what it shows, in meters of a pose and as a share around 2D joints.
_SIDE, _SHOWN_METERS, _AROUND = 160, 2.2, 1.3
_LINE = 2
_LEFT, _RIGHT, _MIDDLE = (0, 114, 178), (213, 94, 0), (34, 34, 34)


class Board(HeldOutViews):
    """Shows in TensorBoard, each tenth epoch and the last, the score without labels and some poses.

    A picture has a view's 2D joints and the lifted pose from the front and from the side, blue on
    the person's left and orange on the right. What is shown has no part in the logs of an epoch.
    """

    def __init__(self, seen: views.View, lifter: lifters.Model, folder: pathlib.Path):
        super().__init__(seen, lifter)
        self.folder = folder
        self._writer: tf.summary.SummaryWriter | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % _SHOWN_EVERY and epoch + 1 != self.params["epochs"]:
            return
        found: dict[str, float] = {}
        # Data that cannot be scored can be trained on.
        with contextlib.suppress(ValueError):
            super().on_epoch_end(epoch, found)
        self._writer = self._writer or tf.summary.create_file_writer(str(self.folder))
        with self._writer.as_default(step=epoch):
            for name, value in found.items():
                tf.summary.scalar(name.removeprefix("val_"), value)
            tf.summary.image("lifted_poses", self._pictures(), max_outputs=_SHOWN_VIEWS)
        self._writer.flush()

    def _pictures(self) -> np.ndarray:
        """Draws views that are evenly spread over the instants, `[N, height, width, 3]`, uint8."""
        chosen = np.linspace(0, len(self.seen.confidence) - 1, _SHOWN_VIEWS).round().astype(int)
        some = tf.nest.map_structure(lambda field: field[chosen, 0].astype(np.float32), self.seen)
        rows = zip(self._lift(some).numpy(), some.keypoints_2d, some.confidence, strict=True)
        return np.stack([_picture(*row) for row in rows])


def _picture(pose: np.ndarray, keypoints_2d: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    seen = np.where(confidence[:, np.newaxis] > 0, keypoints_2d, np.nan)
    panels = [np.full_like(seen, 0.5)]
    if (confidence > 0).any():
        low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
        panels = [(seen - (low + high) / 2) / max(_AROUND * (high - low).max(), 1.0) + 0.5]
    panels += [pose[:, axes] / _SHOWN_METERS + 0.5 for axes in ([0, 1], [2, 1])]
    return np.concatenate([_drawn(panel) for panel in panels], axis=1)


def _drawn(joints: np.ndarray) -> np.ndarray:
    """Draws a skeleton whose joints `[J, 2]` lie in [0, 1], as an image."""
    image = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    steps = np.linspace(0.0, 1.0, 2 * _SIDE)[:, np.newaxis]
    for parent, child in skeletons.H36M_17.bones:
        line = (1 - steps) * joints[parent] + steps * joints[child]
        inside = line[((line >= 0) & (line <= 1)).all(axis=-1)]
        columns, rows = (inside * (_SIDE - _LINE)).astype(int).T
        color = _LEFT if child in skeletons.H36M_17.left else _MIDDLE
        color = _RIGHT if child in skeletons.H36M_17.right else color
        for down, right in itertools.product(range(_LINE), repeat=2):
            image[rows + down, columns + right] = color
    return image


def read_shown(file_pattern: str | list[str], num_views: int = 0) -> views.View | None:
    """Reads the first records to show what is learned of them, as `read_records`; None of none."""
    first = tfrecords.load_once(file_pattern, _SHOWN_RECORDS, _decoder(num_views)).take(1)
    return next(first.as_numpy_iterator(), None)


MAX_RECORDS = 20_000
"""More of them make the score hardly surer, and it is taken after each epoch."""

_READ_AT_ONCE = 4096


def read_records(file_pattern: str | list[str], num_views: int = 0) -> views.View:
    """Reads records of pairs, or of whole instants, as instants with all of their views.

    Instants have `num_views` at most; it is 0 where records are pairs, which are instants of two
    views. Of more than `MAX_RECORDS` about as many are drawn, the same each time. Fields are NumPy
    arrays `[T, V, ...]`, confidence 0 throughout for a lacking view; a ValueError tells of no
    record.
    """
    count = tfrecords.count(file_pattern) if tf.io.gfile.glob(file_pattern) else 0
    if not count:
        raise ValueError("No instant is held out: the score without labels needs some.")

    rng = np.random.default_rng(0)
    parts = []
    for batch in tfrecords.load_once(file_pattern, _READ_AT_ONCE, _decoder(num_views)):
        # Every so many pairs would be those of the same two cameras.
        is_drawn = rng.random(len(batch.confidence)) * count < MAX_RECORDS
        parts.append(tf.nest.map_structure(lambda field, rows=is_drawn: field.numpy()[rows], batch))
    return tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts)


def _decoder(num_views: int) -> Callable[[tf.Tensor], views.View]:
    if num_views:
        return functools.partial(tfrecords.decode_instants, num_views=num_views)
    return lambda serialized: held_out_views.views_of_pairs(tfrecords.decode_pairs(serialized))


SHARE = math.erf(math.sqrt(0.5))
"""The share of joints that lie within their predicted uncertainty: 0.683, one sigma."""

_OTHER_SHARES = (0.5, 0.95)
_NUM_GROUPS = 3
_CALIBRATED_AT_ONCE = 512


def calibrate_uncertainty(
    lifter: lifters.Model, uncertainty: training_uncertainty.JointUncertainty, seen: views.View
) -> dict[str, Any]:
    """Multiplies all predictions by one factor, fitted to the errors in held-out views.

    Half of the held-out instants say by which factor the share of joints of one standard deviation
    lies within the predictions; the other half says how well that holds.
    Poses are placed by the root that explains them best in all views but the one compared with.

    Args:
        lifter: Lifts the poses.
        uncertainty: Corrected in place.
        seen: All views of two or more held-out instants, fields `[T, V, ...]`.

    Returns:
        As JSON: the `factor`; the share of joints `within` the uncertainty in the half that it was
        not fitted to, of all and of each third from the surest to the least sure; the
        `multiples` of the uncertainty that hold other shares, fitted, and the shares they do hold,
        `within_multiples`; Spearman's `rank_correlation` of prediction and error; and how many
        errors that is.

    Raises:
        ValueError: If a half has nothing to compare.
    """
    error, scale, weight = _measured(lifter, uncertainty, seen)
    # Instants follow each other in time: blocks of them are less alike than every second.
    is_fitted = np.arange(len(error)) < len(error) / 2
    halves = [_flat(error[half], scale[half], weight[half]) for half in (is_fitted, ~is_fitted)]
    if not all(len(half[0]) for half in halves):
        raise ValueError("Uncertainties need two held-out instants or more that two views show.")
    ratio = halves[0][0] / halves[0][1]
    shares = (SHARE, *_OTHER_SHARES)
    factor, *others = held_out_views.weighted_quantiles(ratio, halves[0][2], shares)
    training_uncertainty.enlarge(uncertainty.network, factor)
    multiples = [other / factor for other in others]
    return {
        "factor": factor,
        "multiples": dict(zip(map(str, _OTHER_SHARES), multiples, strict=True)),
    } | _check(halves[1][0], factor * halves[1][1], halves[1][2], multiples)


def _measured(
    lifter: lifters.Model, uncertainty: training_uncertainty.JointUncertainty, seen: views.View
) -> tuple[np.ndarray, ...]:
    """Returns errors, meters, predictions, meters, and weights, `[T, A, B, J]` each."""
    pose = _of_views(_graph(lifter, seen), seen)
    scales = tf.function(lambda view: uncertainty(view, training=False), reduce_retracing=True)
    scale = _of_views(scales, seen)
    parts = [
        held_out_views.errors(held_out_views.solved(lifted, some), some)
        for some, lifted in held_out_views.pieces((seen, pose), _CALIBRATED_AT_ONCE)
    ]
    found = held_out_views.Errors(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))
    meters = found.mm / pose_error.MILLIMETERS_PER_METER
    return meters, np.broadcast_to(scale[:, :, np.newaxis], meters.shape), found.weight


def _flat(*fields: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns what was compared, `[N]` each; the weights come last."""
    is_compared = fields[-1] > 0
    return tuple(field[is_compared].astype(np.float64) for field in fields)


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


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Lends a model in training the average of its weights, if its optimizer keeps one."""
    if not hasattr(model.optimizer, "assign_average_vars"):
        yield
        return
    own = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.assign_average_vars(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)
