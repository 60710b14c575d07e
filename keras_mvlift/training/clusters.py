"""The processes that train together, as the environment lists them."""

import json
import os
from collections.abc import Mapping
from typing import Any

VARIABLE = "TF_CONFIG"
"""TensorFlow's name of the variable."""

_JOBS = ("chief", "worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def check_environment() -> None:
    """Holds `TF_CONFIG` to what TensorFlow needs to join the others; it may wait for ever else.

    Raises:
        ValueError: If it is missing, or not what it must be.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        raise _refusal("be set", "nothing")
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise _refusal("be JSON", text) from error
    if not isinstance(config, Mapping):
        raise _refusal("be an object", text)
    cluster = _cluster(config)
    task = config.get("task")
    if not isinstance(task, Mapping) or task.get("type") not in cluster:
        raise _refusal("have a `task` whose `type` is one of the cluster's", task)
    index, num_tasks = task.get("index"), len(cluster[task["type"]])
    if type(index) is not int or not 0 <= index < num_tasks:
        rule = f"have a `task` whose `index` is a number from 0 to {num_tasks - 1}"
        raise _refusal(rule, index)


def _cluster(config: Mapping[str, Any]) -> dict[str, list[str]]:
    cluster = config.get("cluster")
    if not isinstance(cluster, Mapping) or not cluster or set(cluster) - {*_JOBS}:
        rule = "have a `cluster` of `worker` addresses, and one of a `chief` if need be"
        raise _refusal(rule, cluster)
    for job, addresses in cluster.items():
        is_list = isinstance(addresses, list) and addresses
        if not is_list or not all(_is_address(address) for address in addresses):
            raise _refusal(f"list `{job}` as addresses, host:port each", addresses)
    everyone = [address for addresses in cluster.values() for address in addresses]
    if len(set(everyone)) < len(everyone):
        raise _refusal("name each address once", everyone)
    return dict(cluster)


def _is_address(address: Any) -> bool:
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    return bool(host) and port.isdecimal()


def _refusal(rule: str, received: Any) -> ValueError:
    message = f"The environment's `{VARIABLE}` must {rule}, as in {_EXAMPLE}."
    return ValueError(f"{message} Received: {received}.")
