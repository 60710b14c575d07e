"""Which versions of a model TensorFlow Serving loads, and by which labels clients ask for them.

There are three labels, and all are always there. Clients ask for `stable`; a slice of them asks for
`canary`, which is the same version unless another is being tried; `previous` is what `stable` was
and stays loaded, so that going back is a move of labels and takes no loading.
"""

import os
import pathlib
import tempfile
from typing import NamedTuple, TypeAlias

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from keras_mvlift import errors

_HEADER = """\
# Which versions are served, by which labels: ModelServerConfig of TensorFlow Serving.
# `keras-mvlift rollout` writes this file; comments do not last.
"""


class Labels(NamedTuple):
    """Version numbers by label."""

    stable: int
    canary: int
    previous: int

    def tried(self, version: int) -> "Labels":
        """Gives another version to those who ask for `canary`."""
        return self._replace(canary=version)

    def promoted(self) -> "Labels":
        """Gives to everybody what `canary` is.

        Raises:
            ValueError: If that is `stable` already.
        """
        if self.canary == self.stable:
            raise ValueError(
                f"`canary` must be another version than stable to promote. Received: {self.canary}."
            )
        return Labels(stable=self.canary, canary=self.canary, previous=self.stable)

    def withdrawn(self) -> "Labels":
        """Ends a trial: `canary` is `stable` again."""
        return self._replace(canary=self.stable)

    def rolled_back(self) -> "Labels":
        """Gives to everybody what `stable` was before.

        Raises:
            ValueError: If there is no such version.
        """
        if self.previous == self.stable:
            rule = "be another version than stable to roll back to"
            raise ValueError(f"`previous` must {rule}. Received: {self.previous}.")
        return Labels(stable=self.previous, canary=self.previous, previous=self.previous)


def started(version: int) -> Labels:
    """Gives labels that all mean one version."""
    return Labels(version, version, version)


Config: TypeAlias = model_server_config_pb2.ModelServerConfig


def read(path: pathlib.Path) -> Config:
    """Reads a `ModelServerConfig`.

    Raises:
        RecordingError: If it is none.
    """
    if not path.is_file():
        raise errors.RecordingError(path, "file", "be a file that exists", "nothing")
    with errors.parsing(path, "file", "be TensorFlow Serving's model config"):
        return text_format.Parse(path.read_text(), Config())


def write(path: pathlib.Path, config: Config) -> None:
    """Writes a `ModelServerConfig`; a server that polls the file never sees half of it."""
    text = _HEADER + text_format.MessageToString(config)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    # The server's user reads it, whoever that is.
    pathlib.Path(partial).chmod(0o644)
    pathlib.Path(partial).replace(path)


def labels(path: object, config: Config) -> Labels:
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


def steps(path: object, config: Config, new: Labels, is_start: bool = False) -> list[Config]:
    """Gives the configs that lead to new labels, to be written one after the other.

    A label that is in use may only move to a version that is loaded already. So what is new is
    loaded first, and labels move, and what has no label is unloaded, once it is.

    Args:
        path: What errors name.
        config: As it is now.
        new: The labels to come to.
        is_start: Whether no server looks at the config yet.

    Returns:
        One config, or two if a version must be loaded first.

    Raises:
        RecordingError: If there are several models, or a label is missing.
    """
    last = _with(path, config, new, {*new})
    if is_start:
        return [last]
    old = labels(path, config)
    return [last] if {*new} <= {*old} else [_with(path, config, old, {*old, *new}), last]


def only_model(path: object, config: Config) -> model_server_config_pb2.ModelConfig:
    """Gives the only model of a config.

    Raises:
        RecordingError: If there are several models, or none.
    """
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
