"""Moves labels of versions on a server that polls its config, and waits until it has."""

import dataclasses
import pathlib
import time
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from keras_mvlift import errors
from keras_mvlift.serving import clients
from keras_mvlift.untrusted import files

WAIT = 120.0
"""Seconds for the server to read its config, load a version and warm it up."""

_BETWEEN = 0.5


class Labels(NamedTuple):
    """Version numbers by label."""

    stable: int
    canary: int
    previous: int

    def tried(self, version: int) -> "Labels":
        """Returns another version to those who ask for `canary`."""
        return self._replace(canary=version)

    def promoted(self) -> "Labels":
        """Promotes `canary` to `stable`; a ValueError if it is that already."""
        rule = "be another version than stable to promote"
        errors.require(self.canary != self.stable, "canary", rule, self.canary)
        return Labels(stable=self.canary, canary=self.canary, previous=self.stable)

    def withdrawn(self) -> "Labels":
        """Ends a trial: `canary` is `stable` again."""
        return self._replace(canary=self.stable)

    def rolled_back(self) -> "Labels":
        """Makes `stable` what it was before; a ValueError if there is no such version."""
        rule = "be another version than stable to roll back to"
        errors.require(self.previous != self.stable, "previous", rule, self.previous)
        return Labels(stable=self.previous, canary=self.previous, previous=self.previous)


def apply(
    path: pathlib.Path,
    change: Callable[[Labels], Labels],
    server: clients.Address | None = None,
    wait: float = WAIT,
) -> Labels:
    """Changes the labels in a config and waits until the server has them; returns the new ones.

    `change` is from the labels to those that are to come, such as `Labels.promoted`. The server's
    model is taken from the config, and it has `wait` seconds for each step; without a server nobody
    waits, and labels may only move among versions that are loaded.

    Raises:
        ValueError: If the change does not do, or needs a server to ask.
        TimeoutError: If the server did not follow; the config is as it was then.
    """
    before = read_config(path)
    new = change(labels_of(path, before))
    steps = label_steps(path, before, new)
    if server is None and len(steps) > 1:
        rule = "be given, for it must have loaded a version before a label moves to it"
        raise ValueError(f"`server` must {rule}. Received: nothing.")
    for step in steps:
        write_config(path, step)
        if server is not None and not _follows(path, step, server, wait):
            write_config(path, before)
            raise TimeoutError(
                f"{server.scheme}://{server.target}: the server must have {_told(path, step)} "
                f"within {wait:g} s; {path} is as it was. Received: none of this, see its log."
            )
    return new


Config: TypeAlias = model_server_config_pb2.ModelServerConfig


def _follows(path: pathlib.Path, config: Config, server: clients.Address, wait: float) -> bool:
    model = only_model(path, config)
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
    except clients.ServerError:
        # Not loaded or labeled yet, or the server is starting.
        return False


def _told(path: pathlib.Path, config: Config) -> str:
    labels = labels_of(path, config)
    named = ", ".join(f"{label} {version}" for label, version in labels._asdict().items())
    loaded = only_model(path, config).model_version_policy.specific.versions
    return f"loaded {', '.join(map(str, loaded))} as {named}"


# Which versions of a model TensorFlow Serving loads, and by which labels clients ask for them.
#
# There are three labels, and all are always there. Clients ask for `stable`; a slice of them asks
# for `canary`, which is the same version unless another is being tried; `previous` is what `stable`
# was and stays loaded, so that going back is a move of labels and takes no loading.

_HEADER = """\
# Which versions are served, by which labels: ModelServerConfig of TensorFlow Serving.
# `keras-mvlift rollout` writes this file; comments do not last.
"""


def started(version: int) -> Labels:
    """Returns labels that all mean one version."""
    return Labels(version, version, version)


def read_config(path: pathlib.Path) -> Config:
    """Reads a `ModelServerConfig`, or raises a RecordingError."""
    if not path.is_file():
        raise errors.RecordingError(path, "file", "be a file that exists", "nothing")
    with errors.parsing(path, "file", "be TensorFlow Serving's model config"):
        return text_format.Parse(path.read_text(), Config())


def write_config(path: pathlib.Path, config: Config) -> None:
    """Writes a `ModelServerConfig`; a server that polls the file never sees half of it."""
    text = _HEADER + text_format.MessageToString(config)
    # The server's user reads it, whoever that is.
    with files.replacing(path) as partial:
        partial.write_text(text)
        partial.chmod(0o644)


def labels_of(path: object, config: Config) -> Labels:
    """Tells the labels of the only model of a config.

    Raises:
        RecordingError: If there are several models, or a label is missing.
    """
    model = only_model(path, config)
    known = dict(model.version_labels)
    missing = [name for name in Labels._fields if name not in known]
    if missing:
        rule = f"have the labels {', '.join(Labels._fields)}"
        raise errors.RecordingError(path, "version_labels", rule, ", ".join(known) or "none")
    return Labels(*(known[name] for name in Labels._fields))


def label_steps(path: object, config: Config, new: Labels, is_start: bool = False) -> list[Config]:
    """Returns the configs that lead to new labels, to be written one after the other.

    A label that is in use may only move to a version that is loaded already. So what is new is
    loaded first, and labels move, and what has no label is unloaded, once it is. At the start,
    when no server looks at the config yet, one step does.

    Raises:
        RecordingError: If there are several models, or a label is missing.
    """
    last = _with(path, config, new, {*new})
    if is_start:
        return [last]
    old = labels_of(path, config)
    return [last] if {*new} <= {*old} else [_with(path, config, old, {*old, *new}), last]


def only_model(path: object, config: Config) -> model_server_config_pb2.ModelConfig:
    """Returns the only model of a config, or refuses it with a `RecordingError`."""
    models = config.model_config_list.config
    if len(models) != 1:
        raise errors.RecordingError(path, "model_config_list", "have one model", len(models))
    return models[0]


def _with(path: object, config: Config, new: Labels, versions: set[int]) -> Config:
    changed = Config()
    changed.CopyFrom(config)
    model = only_model(path, changed)
    model.model_version_policy.specific.versions[:] = sorted(versions)
    model.version_labels.clear()
    model.version_labels.update(new._asdict())
    return changed
