"""Views in memory, and batches of them: pairs, instants, their mirror images, a replica's share."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.geometry import cameras
from keras_mvlift.training import objectives

_NUM_JOINTS = skeletons.H36M_17.num_joints
# Of a view's fields, those of its camera last.
_SHAPES = ((_NUM_JOINTS, 2), (_NUM_JOINTS,), (3, 3), (3, 3), (3,))
_SIZES = [math.prod(shape) for shape in _SHAPES]

BYTES_PER_VIEW = 4 * sum(_SIZES)

# Pairs within which views are found again: those of an instant lie side by side.
_READ_SIZE = 4096


class Pairs(NamedTuple):
    """Pairs of views as NumPy arrays.

    Attributes:
        views: `[N, 72]`, single precision, all numbers of a view in a row.
        rows: `[P, 2]`, 32-bit integers, the rows of each pair's source and target.
    """

    views: np.ndarray
    rows: np.ndarray

    @property
    def num_bytes(self) -> int:
        """The memory that they take."""
        return self.views.nbytes + self.rows.nbytes


def read_pairs(file_pattern: str | list[str], max_bytes: float) -> Pairs | None:
    """Reads all pairs of gzip-compressed TFRecord files, unless they take too much memory.

    Returns:
        The pairs in the order of the records; None if they would take more than `max_bytes`.

    Raises:
        ValueError: If there is no record.
    """
    if not max_bytes > 0:
        return None
    tables: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    num_views, num_bytes = 0, 0
    for pair in tfrecords.load_once(file_pattern, _READ_SIZE):
        table, where = _distinct(pair)
        tables.append(table)
        rows.append(where + num_views)
        num_views += len(table)
        num_bytes += table.nbytes + where.nbytes
        if num_bytes > max_bytes:
            return None
    errors.require(bool(rows), "file_pattern", "match pairs", repr(file_pattern))
    return Pairs(np.concatenate(tables), np.concatenate(rows).astype(np.int32))


def pairs_of_instants(seen: views.View, index: np.ndarray) -> Pairs:
    """Makes pairs of the views of instants, fields `[N, V, ...]`.

    `index`, `[P, 3]`, has each pair's instant, and the numbers of its two views.
    """
    num_views = seen.confidence.shape[1]
    fields = [
        np.reshape(field, (-1, size))
        for field, size in zip(tf.nest.flatten(seen), _SIZES, strict=True)
    ]
    rows = num_views * index[:, :1] + index[:, 1:]
    return Pairs(np.concatenate(fields, axis=1).astype(np.float32), rows.astype(np.int32))


def load_pairs(
    pairs: Pairs, batch_size: int, *, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Draws batches of pairs, epoch after epoch without end.

    All pairs are shuffled anew in each epoch; the rest that fills no batch is left out. The order
    depends on the seed and the epoch's number alone, so that a run that resumes at `first_epoch`
    sees what an unbroken run would have seen.

    Returns:
        Batches `[batch_size, 2]` of rows, for `take_pairs`.

    Raises:
        ValueError: If there is less than a batch.
    """
    num_pairs = len(pairs.rows)
    # Epochs without a batch would follow each other for ever.
    rule = f"be at most the number of pairs, {num_pairs}"
    errors.require(num_pairs >= batch_size, "batch_size", rule, batch_size)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order_seed = tf.random.experimental.stateless_fold_in([seed, 2], number)
        order = tf.random.experimental.stateless_shuffle(tf.range(num_pairs), order_seed)
        return tf.data.Dataset.from_tensors(order).rebatch(batch_size, drop_remainder=True)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    return epochs.flat_map(epoch).map(_take(pairs.rows)).prefetch(tf.data.AUTOTUNE)


def load_once(values: Any, batch_size: int) -> tf.data.Dataset:
    """Returns batches of all rows of arrays `[N, ...]`, in any structure, once and in order."""
    return tf.data.Dataset.range(count_instants(values)).batch(batch_size).map(_take(values))


def look_up(pairs: Pairs, batches: tf.data.Dataset) -> tf.data.Dataset:
    """Turns batches of rows into batches of `ViewPair`, on the CPU."""
    table = _on_host(pairs.views)
    found = batches.map(lambda rows: take_pairs(table, rows), tf.data.AUTOTUNE)
    return found.prefetch(tf.data.AUTOTUNE)


def take_pairs(table: tf.Tensor, rows: tf.Tensor) -> views.ViewPair:
    """Takes pairs, fields `[B, ...]`, out of a table of views `[N, 72]` by their rows `[B, 2]`."""
    source, target = tf.unstack(tf.gather(table, tf.transpose(rows)))
    return views.ViewPair(_view(source), _view(target))


def _view(values: tf.Tensor) -> views.View:
    parts = zip(tf.split(values, _SIZES, axis=-1), _SHAPES, strict=True)
    keypoints_2d, confidence, *camera = (tf.reshape(part, [-1, *shape]) for part, shape in parts)
    return views.View(keypoints_2d, confidence, cameras.Camera(*camera))


def _distinct(pair: views.ViewPair) -> tuple[np.ndarray, np.ndarray]:
    """Returns each view of `B` pairs once, `[n, 72]`, and where each pair's are, `[B, 2]`."""
    sides = [
        np.concatenate([np.reshape(field, (len(field), -1)) for field in fields], axis=1)
        for fields in (tf.nest.flatten(side) for side in pair)
    ]
    both = np.stack(sides, axis=1).reshape(-1, sum(_SIZES))
    # Compared as bytes: equal to the bit is what the same view is.
    keys = np.ascontiguousarray(both).view(np.dtype((np.void, BYTES_PER_VIEW)))[:, 0]
    _, first, where = np.unique(keys, return_index=True, return_inverse=True)
    return both[first], where.reshape(-1, 2).astype(np.int32)


def _on_host(values: Any) -> Any:
    # On a GPU they would be copied back for each batch.
    with tf.device("CPU:0"):
        return tf.nest.map_structure(tf.constant, values)


def _take(values: Any) -> Callable[[tf.Tensor], Any]:
    """Returns what takes rows out of arrays by their numbers."""
    values = _on_host(values)
    return lambda index: tf.nest.map_structure(lambda field: tf.gather(field, index), values)


Seen = views.View | objectives.Instants


def read_instants(
    file_pattern: str | list[str], num_views: int, needs_agreement: bool = False
) -> Seen:
    """Reads all instants of gzip-compressed TFRecord files, some 400 bytes for each of their views.

    They have `num_views` views, or fewer. What these agree on is found once for all epochs, if
    needed.

    Returns:
        NumPy arrays, fields `[N, V, ...]`.

    Raises:
        ValueError: If there is no record.
    """
    batches = tfrecords.load_once(
        file_pattern, _READ_SIZE, lambda records: tfrecords.decode_instants(records, num_views)
    )
    parts = [tf.nest.map_structure(np.asarray, batch) for batch in batches]
    errors.require(bool(parts), "file_pattern", "match instants", repr(file_pattern))
    seen = tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts)
    return objectives.agreed_beforehand(seen) if needs_agreement else seen


def count_instants(seen: Any) -> int:
    """Counts the instants."""
    return len(tf.nest.flatten(seen)[0])


def load_instants(
    seen: Any, batch_size: int, *, num_batches: int, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Draws batches of instants, epoch after epoch without end, in an order as of `load_pairs`.

    Each instant is drawn once before any is drawn again; a batch may have more than there are, and
    an epoch has `num_batches`. `seen` is what `read_instants` gave, or any structure of arrays `[N,
    ...]`; batches are the same of `[batch_size, ...]`.
    """
    num_instants = count_instants(seen)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        folded = tf.random.experimental.stateless_fold_in([seed, 1], number)

        def shuffled(turn: tf.Tensor) -> tf.Tensor:
            order_seed = tf.random.experimental.stateless_fold_in(folded, turn)
            return tf.random.experimental.stateless_shuffle(tf.range(num_instants), order_seed)

        turns = tf.data.Dataset.range(-(-num_batches * batch_size // num_instants))
        return turns.map(shuffled).rebatch(batch_size, drop_remainder=True).take(num_batches)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    drawn = epochs.flat_map(epoch).map(_take(seen), tf.data.AUTOTUNE)
    return drawn.prefetch(tf.data.AUTOTUNE)


def share(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Any:
    """Gives each replica its rows of each batch; together they see what one would have seen.

    Batches are the same in each process; the rows of every batch, a number that is known
    beforehand, are a multiple of the number of replicas. Returns what `fit` takes.
    """
    if strategy.num_replicas_in_sync == 1:
        return batches
    num_rows = tf.nest.flatten(batches.element_spec)[0].shape[0]
    return strategy.distribute_datasets_from_function(
        lambda context: rows_of_worker(context, batches, num_rows)
    )


def rows_of_worker(
    context: tf.distribute.InputContext, batches: tf.data.Dataset, num_rows: int
) -> tf.data.Dataset:
    """Returns the rows of one worker, those of each of its replicas as a batch of their own."""
    own = num_rows // context.num_input_pipelines
    rows = slice(context.input_pipeline_id * own, (context.input_pipeline_id + 1) * own)
    parts = batches.map(lambda batch: tf.nest.map_structure(lambda field: field[rows], batch))
    of_replica = parts.rebatch(num_rows // context.num_replicas_in_sync, drop_remainder=True)
    return of_replica.prefetch(tf.data.AUTOTUNE)


def repeat(strategy: tf.distribute.Strategy, batches: tf.data.Dataset | None) -> dict[str, Any]:
    """Gives every replica all rows of each batch, as the last may be too small to be shared.

    Returns arguments of `fit` that have the loss measured on the batches, or on none.
    """
    if strategy.num_replicas_in_sync == 1 or batches is None:
        return {"validation_data": batches}
    return {
        "validation_data": strategy.distribute_datasets_from_function(
            lambda context: rows_of_all(context, batches)
        ),
        "validation_steps": int(batches.reduce(0, lambda number, _: number + 1)),
    }


def rows_of_all(context: tf.distribute.InputContext, batches: tf.data.Dataset) -> tf.data.Dataset:
    """Returns each batch as often as a worker has replicas."""
    times = context.num_replicas_in_sync // context.num_input_pipelines
    return batches.flat_map(lambda batch: tf.data.Dataset.from_tensors(batch).repeat(times))


def uniform(generator: tf.random.Generator, num: tf.Tensor | int) -> tf.Tensor:
    """Draws from [0, 1) for `num` rows of this replica what one alone would have drawn for them.

    A generator, made in the scope of the strategy, gives each replica numbers of its own. Here all
    replicas draw for the whole batch, with the state that they have in common, and each takes its
    part.
    """
    replica = tf.distribute.get_replica_context()
    if not tf.distribute.has_strategy() or replica is None:
        return generator.uniform([num])
    num_all = num * replica.num_replicas_in_sync
    state = tf.bitcast(generator.skip(num_all), tf.uint64)
    drawn = tf.raw_ops.StatelessRandomUniformV2(
        shape=[num_all], key=state[2:], counter=state[:2], alg=generator.algorithm
    )
    return drawn[replica.replica_id_in_sync_group * num :][:num]


# A mirrored person before mirrored cameras: twice the data, and no geometry bent. With
# `S = diag(-1, 1, 1)`, let the world be mirrored, `x' = S x`, and each camera's own axes, too:
#
#     R' = S R S,   c' = S c,   so that   R' (x' - c') = S R (x - c).
#
# `R'` is a rotation again. A mirrored point has its ray at `-x` and its keypoint mirrored about the
# column of the principal point. A mirrored left side looks like a right one, so they change names.

Change = Callable[[Any, bool], Any]
"""From a batch, and whether it is trained on, to a batch of the same kind."""
_Seen = TypeVar("_Seen", views.View, views.WindowedView)

_ORDER = skeletons.mirror_images(skeletons.H36M_17.joints)
_SIGNS = (-1.0, 1.0, 1.0)


def mirrored(seen: _Seen) -> _Seen:
    """Mirrors views, and the windows around them; the intrinsics stay as they are.

    All views of an instant must be mirrored, or none.
    """
    intrinsics = seen.camera.intrinsics
    result = seen._replace(
        keypoints_2d=_mirrored_keypoints(seen.keypoints_2d, intrinsics),
        confidence=tf.gather(seen.confidence, _ORDER, axis=-1),
        camera=_mirrored_camera(seen.camera),
    )
    if not isinstance(result, views.WindowedView):
        return result
    of_frames = intrinsics[..., tf.newaxis, :, :]
    return result._replace(
        window_keypoints_2d=_mirrored_keypoints(result.window_keypoints_2d, of_frames),
        window_confidence=tf.gather(result.window_confidence, _ORDER, axis=-1),
    )


def mirrored_pose(pose: tf.Tensor) -> tf.Tensor:
    """Mirrors poses `[..., J, 3]`, in camera axes or the world's; again gives them back."""
    return tf.gather(pose, _ORDER, axis=-2) * tf.constant(_SIGNS, pose.dtype)


def mirrored_where(is_mirrored: tf.Tensor, data: Any) -> Any:
    """Mirrors the instants, pairs or `objectives.Instants`, of a batch that are marked, `[B]`."""

    def choose(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
        shape = [-1, *([1] * (len(old.shape) - 1))]
        return tf.where(tf.reshape(is_mirrored, shape), new, old)

    if isinstance(data, views.ViewPair):
        sides = (tf.nest.map_structure(choose, mirrored(side), side) for side in data)
        return views.ViewPair(*sides)
    seen, agreed = data
    chosen = objectives.Instants(tf.nest.map_structure(choose, mirrored(seen), seen))
    if agreed is None:
        return chosen
    points, is_known = agreed
    other = (mirrored_pose(points), tf.gather(is_known, _ORDER, axis=-1))
    return chosen._replace(agreed=objectives.Agreement(*map(choose, other, agreed)))


class Mirroring:
    """Mirrors each pair or instant with probability 1/2 in training, drawn from a generator."""

    def __init__(self, generator: tf.random.Generator):
        self.generator = generator

    def __call__(self, data: Any, training: bool) -> Any:
        if not training:
            return data
        seen = data.source if isinstance(data, views.ViewPair) else data.seen
        num_instants = tf.shape(seen.confidence)[0]
        return mirrored_where(uniform(self.generator, num_instants) < 0.5, data)


def _mirrored_keypoints(keypoints_2d: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    exchanged = tf.gather(keypoints_2d, _ORDER, axis=-2)
    column = intrinsics[..., tf.newaxis, 0, 2]
    turned = tf.stack([2 * column - exchanged[..., 0], exchanged[..., 1]], axis=-1)
    # What was not seen is at 0 and must stay there.
    is_seen = tf.reduce_any(exchanged != 0, axis=-1, keepdims=True)
    return tf.where(is_seen, turned, tf.zeros_like(turned))


def _mirrored_camera(camera: cameras.Camera) -> cameras.Camera:
    signs = tf.constant(_SIGNS, camera.rotation.dtype)
    return camera._replace(
        rotation=camera.rotation * signs[:, tf.newaxis] * signs, center=camera.center * signs
    )
