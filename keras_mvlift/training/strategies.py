"""How training is spread over devices and machines, by name.

Whatever the strategy, a step is one over the whole batch: the replicas share its rows, batch norm
takes its statistics over all of them, and gradients are summed.
"""

import contextlib
import functools
import json
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from tensorflow import keras

from keras_mvlift import configs, errors


class WorkerLostError(ConnectionError):
    """Another worker ended before training did."""


def of_name(name: str) -> tf.distribute.Strategy:
    """Makes a strategy; a model is trained with the one in whose scope it is built.

    Args:
        name: `"none"`, `"mirrored"` for all GPUs of this machine (with fewer than two of them, the
            same as none), or `"multi_worker"` for the processes that the environment's `TF_CONFIG`
            lists, all of which run the same program; asked for before TensorFlow does any work.

    Raises:
        ValueError: If there is no such strategy, or `TF_CONFIG` is missing or malformed.
        RuntimeError: If TensorFlow was at work before its workers could be joined.

    Example:
        >>> strategy = of_name(config.strategy)
        >>> with strategy.scope():
        ...     objective = stages.objective(config, model_config.recipe)
        ...     lifter = lifters.build(model_config, objective, rig_distance=5.0)
        >>> stages.run(lifter, config, files, "Finetune")
    """
    errors.require_known("strategy", name, configs.STRATEGIES)
    if name == "multi_worker":
        return _multi_worker()
    several = name == "mirrored" and len(tf.config.list_logical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Tells whether this process is the one that writes what all share."""
    return bool(strategy.extended.should_checkpoint)


@contextlib.contextmanager
def own_folder(strategy: tf.distribute.Strategy, folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Returns where to write what belongs into `folder`: there, or where it vanishes.

    Saving sums over all workers, so all of them save; what the chief writes is kept.
    """
    if is_chief(strategy):
        yield folder
        return
    with tempfile.TemporaryDirectory() as own:
        yield pathlib.Path(own)


def check(model: keras.Model, name: str, batch_size: int) -> None:
    """Holds a model to the strategy that a stage names, and a batch to what replicas can share.

    Raises:
        ValueError: If the model was not built in the scope of such a strategy, or the rows of a
            batch cannot be shared alike, two or more to each replica.
    """
    strategy = model.distribute_strategy
    rule = f"be the one in whose scope the model was built, {type(strategy).__name__}"
    errors.require((name == "multi_worker") == _has_workers(strategy), "strategy", rule, repr(name))
    replicas = strategy.num_replicas_in_sync
    is_shared = replicas == 1 or (not batch_size % replicas and batch_size >= 2 * replicas)
    rule = f"be a multiple, two times or more, of the {replicas} replicas"
    errors.require(is_shared, "batch_size", rule, batch_size)


def check_same(strategy: tf.distribute.Strategy, epochs_done: int) -> None:
    """Waits for all workers, and holds them, by a ValueError, to the same epoch."""
    if strategy.num_replicas_in_sync == 1:
        return

    @tf.function
    def all_of_them() -> tf.Tensor:
        return strategy.gather(strategy.run(lambda: tf.constant([epochs_done])), axis=0)

    found = sorted({int(epoch) for epoch in all_of_them().numpy()})
    rule = "be a folder that all workers share"
    errors.require(len(found) <= 1, "checkpoints", rule, f"folders with {found} epochs")


def synchronize(model: keras.Model) -> None:
    """Lets batch norm take its statistics over all replicas, and logs tell what all of them saw."""
    if model.distribute_strategy.num_replicas_in_sync == 1:
        return
    # Each replica already reports the mean over all; Keras would add those means up.
    model.distribute_reduction_method = "first"
    for layer in model.submodules:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized, layer.fused = True, False


@contextlib.contextmanager
def naming_lost_workers(strategy: tf.distribute.Strategy, name: str) -> Iterator[None]:
    """Raises a `WorkerLostError` about a stage where TensorFlow tells what call it waited for."""
    try:
        yield
    except tf.errors.OpError as error:
        if not (_has_workers(strategy) and isinstance(error, _LOST)):
            raise
        found = _REPORTED.search(str(error))
        raise WorkerLostError(
            f"{name}: {found.group(1) if found else 'a worker'} was lost. Started again, all "
            "workers go on behind the last epoch that was saved."
        ) from error


_REPORTED = re.compile(r"Error reported from (/job:\w+/task:\d+)")
# What a collective operation ends with where a peer no longer answers, here or in its turn.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def _has_workers(strategy: tf.distribute.Strategy) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    # Once per process: TensorFlow joins the others a single time.
    check_environment()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        rule = "must be asked for before TensorFlow does any work in this process"
        raise RuntimeError(f"Strategy 'multi_worker' {rule}. Received: {error}") from error


VARIABLE = "TF_CONFIG"
"""TensorFlow's name of the variable."""

_JOBS = ("chief", "worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def check_environment() -> None:
    """Holds `TF_CONFIG`, by a ValueError, to what TensorFlow needs; it may wait for ever else."""
    text = os.environ.get(VARIABLE, "")
    _require(bool(text), "be set", "nothing")
    try:
        config = json.loads(text)
    except json.JSONDecodeError:
        config = None
    _require(config is not None, "be JSON", text)
    _require(isinstance(config, Mapping), "be an object", text)
    cluster, task = config.get("cluster"), config.get("task")
    is_cluster = isinstance(cluster, Mapping) and cluster and not {*cluster} - {*_JOBS}
    rule = "have a `cluster` of `worker` addresses, and one of a `chief` if need be"
    _require(is_cluster, rule, cluster)
    for job, addresses in cluster.items():
        is_list = isinstance(addresses, list) and addresses and all(map(_is_address, addresses))
        _require(is_list, f"list `{job}` as addresses, host:port each", addresses)
    everyone = [address for addresses in cluster.values() for address in addresses]
    _require(len({*everyone}) == len(everyone), "name each address once", everyone)
    is_task = isinstance(task, Mapping) and task.get("type") in cluster
    _require(is_task, "have a `task` whose `type` is one of the cluster's", task)
    index, num_tasks = task.get("index"), len(cluster[task["type"]])
    rule = f"have a `task` whose `index` is a number from 0 to {num_tasks - 1}"
    _require(type(index) is int and 0 <= index < num_tasks, rule, index)


def _is_address(address: Any) -> bool:
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    return bool(host) and port.isdecimal()


def _require(holds: Any, rule: str, received: Any) -> None:
    if not holds:
        message = f"The environment's `{VARIABLE}` must {rule}, as in {_EXAMPLE}."
        raise ValueError(f"{message} Received: {received}.")
