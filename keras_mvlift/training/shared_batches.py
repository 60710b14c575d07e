"""Batches, and draws for their rows, that replicas share.

Together the replicas see what one of them would have seen, in the same order.
"""

from typing import Any

import tensorflow as tf


def share(strategy: tf.distribute.Strategy, batches: tf.data.Dataset, num_rows: int) -> Any:
    """Gives each replica its rows of each batch.

    Args:
        strategy: That of the model.
        batches: The same in each process; every batch has `num_rows` rows.
        num_rows: A multiple of the number of replicas.

    Returns:
        What `fit` takes.
    """
    if strategy.num_replicas_in_sync == 1:
        return batches
    return strategy.distribute_datasets_from_function(
        lambda context: rows_of_worker(context, batches, num_rows)
    )


def rows_of_worker(
    context: tf.distribute.InputContext, batches: tf.data.Dataset, num_rows: int
) -> tf.data.Dataset:
    """Gives the rows of one worker, those of each of its replicas as a batch of their own."""
    own = num_rows // context.num_input_pipelines
    rows = slice(context.input_pipeline_id * own, (context.input_pipeline_id + 1) * own)
    parts = batches.map(lambda batch: tf.nest.map_structure(lambda field: field[rows], batch))
    of_replica = parts.rebatch(num_rows // context.num_replicas_in_sync, drop_remainder=True)
    return of_replica.prefetch(tf.data.AUTOTUNE)


def repeat(strategy: tf.distribute.Strategy, batches: tf.data.Dataset | None) -> dict[str, Any]:
    """Gives every replica all rows of each batch, as the last may be too small to be shared.

    Args:
        strategy: That of the model.
        batches: What the loss is measured on, without being trained on; None for nothing.

    Returns:
        Arguments of `fit`.
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
    """Gives each batch as often as a worker has replicas."""
    times = context.num_replicas_in_sync // context.num_input_pipelines
    return batches.flat_map(lambda batch: tf.data.Dataset.from_tensors(batch).repeat(times))


def uniform(generator: tf.random.Generator, num: tf.Tensor | int) -> tf.Tensor:
    """Draws from [0, 1) for the rows of a batch what one replica would have drawn for them.

    A generator gives each replica numbers of its own. Here all replicas draw for the whole batch,
    with the state that they have in common, and each takes its part.

    Args:
        generator: Made in the scope of the strategy.
        num: Rows of this replica's part of a batch.
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
