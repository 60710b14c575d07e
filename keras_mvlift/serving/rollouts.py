"""Moves labels of versions on a server that polls its config, and waits until it has."""

import dataclasses
import pathlib
import time
from collections.abc import Callable

from keras_mvlift.serving import addresses, clients, server_errors, version_labels

WAIT = 120.0
"""Seconds for the server to read its config, load a version and warm it up."""

_BETWEEN = 0.5


def apply(
    path: pathlib.Path,
    change: Callable[[version_labels.Labels], version_labels.Labels],
    server: addresses.Address | None = None,
    wait: float = WAIT,
) -> version_labels.Labels:
    """Changes the labels in a config and waits until the server has them.

    Args:
        path: The server's model config.
        change: From the labels to those that are to come, such as `Labels.promoted`.
        server: Where to ask; its model is taken from the config. Without it nobody waits, and
            labels may only move among versions that are loaded.
        wait: Seconds for each step.

    Returns:
        The new labels.

    Raises:
        ValueError: If the change does not do, or needs a server to ask.
        TimeoutError: If the server did not follow; the config is as it was then.
    """
    before = version_labels.read(path)
    new = change(version_labels.labels(path, before))
    steps = version_labels.steps(path, before, new)
    if server is None and len(steps) > 1:
        rule = "be given, for it must have loaded a version before a label moves to it"
        raise ValueError(f"`server` must {rule}. Received: nothing.")
    for step in steps:
        version_labels.write(path, step)
        if server is not None and not _follows(path, step, server, wait):
            version_labels.write(path, before)
            raise TimeoutError(
                f"{server.scheme}://{server.target}: the server must have {_told(path, step)} "
                f"within {wait:g} s; {path} is as it was. Received: none of this, see its log."
            )
    return new


def _follows(
    path: pathlib.Path, config: version_labels.Config, server: addresses.Address, wait: float
) -> bool:
    model = version_labels.only_model(path, config)
    there = dataclasses.replace(server, model=model.name, label=None, version=None)
    versions = model.model_version_policy.specific.versions
    asked = {dataclasses.replace(there, version=number): number for number in versions}
    for label, number in model.version_labels.items():
        asked[dataclasses.replace(there, label=label)] = number
    waiting = {clients.connect(address): number for address, number in asked.items()}
    end = time.monotonic() + wait
    while waiting := {each: number for each, number in waiting.items() if not _is(each, number)}:
        if time.monotonic() > end:
            return False
        time.sleep(_BETWEEN)
    return True


def _is(client: clients.Client, number: int) -> bool:
    try:
        return client.versions() == {number: "AVAILABLE"}
    except server_errors.ServerError:
        # Not loaded or labeled yet, or the server is starting.
        return False


def _told(path: pathlib.Path, config: version_labels.Config) -> str:
    labels = version_labels.labels(path, config)
    named = ", ".join(f"{label} {version}" for label, version in labels._asdict().items())
    loaded = version_labels.only_model(path, config).model_version_policy.specific.versions
    return f"loaded {', '.join(map(str, loaded))} as {named}"
