"""TFX's Pusher, which pushes a model whole or not at all.

TFX copies file by file into the folder that a server watches: a process that is killed, or a full
disk, leaves a version there that is never to be loaded. Here it copies into a folder beside the
versions, which servers pass over as its name is no number, and moves it to its place in one step.
"""

import filecmp
import pathlib
import shutil
from typing import Any

from tfx import types
from tfx.components.pusher import component
from tfx.components.pusher import executor as tfx_executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.utils import proto_utils

PARTIAL = ".partial"

PUSHED = standard_artifacts.PushedModel.TYPE_NAME
PUSHED_DESTINATION = tfx_executor._PUSHED_DESTINATION_KEY
"""What of a `PushedModel` says where the model lies."""

_DESTINATION = standard_component_specs.PUSH_DESTINATION_KEY


class Executor(tfx_executor.Executor):
    """Pushes a blessed model as the next version, once."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Copies, then moves. Object stores move no folders; there TFX's own order has to do."""
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties[_DESTINATION], destination)
        base = destination.filesystem.base_directory
        if "://" in base:
            super().Do(input_dict, output_dict, exec_properties)
            return
        partial = pathlib.Path(base) / PARTIAL
        # What a killed run left.
        shutil.rmtree(partial, ignore_errors=True)
        destination.filesystem.base_directory = str(partial)
        aside = exec_properties | {_DESTINATION: proto_utils.proto_to_json(destination)}
        try:
            super().Do(input_dict, output_dict, aside)
            pushed = artifact_utils.get_single_instance(
                output_dict[standard_component_specs.PUSHED_MODEL_KEY]
            )
            if pushed.get_int_custom_property(tfx_executor._PUSHED_KEY):
                copied = pathlib.Path(pushed.get_string_custom_property(PUSHED_DESTINATION))
                version = _move(copied, pathlib.Path(base))
                self._MarkPushed(pushed, str(version), version.name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


class Pusher(component.Pusher):
    """Pushes a model if it is blessed; takes what TFX's component of this name takes."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def _move(copied: pathlib.Path, base: pathlib.Path) -> pathlib.Path:
    """Makes a copy the latest version, unless that is the same model already; gives its folder."""
    versions = [path for path in base.iterdir() if path.name.isdecimal()]
    latest = max(versions, key=lambda path: int(path.name), default=None)
    if latest is None:
        return copied.rename(base / copied.name)
    # A run that was killed between moving and noting it is run again.
    if _is_same(copied, latest):
        return latest
    # A server takes the highest number for the newest, whatever the clock says.
    return copied.rename(base / str(max(int(copied.name), int(latest.name) + 1)))


def _is_same(folder: pathlib.Path, other: pathlib.Path) -> bool:
    names = _names(folder)
    if names != _names(other):
        return False
    _, differing, unreadable = filecmp.cmpfiles(folder, other, names, shallow=False)
    return not differing and not unreadable


def _names(folder: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
