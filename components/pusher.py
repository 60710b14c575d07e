"""A model on its way to a server: TFX's InfraValidator, and its Pusher.

The first says at once where there is no Docker; TFX's own tries again and again, and then calls the
model bad that no server has seen. The second pushes a model whole or not at all: TFX copies file by
file into the folder that a server watches, where a process that is killed, or a full disk, leaves a
version that is never to be loaded. Here it copies into a folder beside the versions, which servers
pass over as its name is no number, and moves it to its place in one step.
"""

import filecmp
import pathlib
import shutil
from typing import Any

import docker
import requests
from tfx import types
from tfx.components.infra_validator import component as infra_component
from tfx.components.infra_validator import executor as infra_executor
from tfx.components.pusher import component
from tfx.components.pusher import executor as tfx_executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import infra_validator_pb2, pusher_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.utils import proto_utils

from keras_mvlift.serving import clients

_Artifacts = dict[str, list[types.Artifact]]

PARTIAL = ".partial"

PUSHED = standard_artifacts.PushedModel.TYPE_NAME
PUSHED_DESTINATION = tfx_executor._PUSHED_DESTINATION_KEY
"""What of a `PushedModel` says where the model lies."""

_DESTINATION = standard_component_specs.PUSH_DESTINATION_KEY


class Executor(tfx_executor.Executor):
    """Pushes a blessed model as the next version, once."""

    def Do(
        self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]
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


SIGNATURE, SPLIT = "serving_examples", "test"


class NoDockerError(ConnectionError):
    """Docker cannot be reached."""


class InfraExecutor(infra_executor.Executor):
    """Checks as TFX does, where Docker can be reached."""

    def Do(
        self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """Starts the server and asks it."""
        spec = infra_validator_pb2.ServingSpec()
        told = exec_properties[standard_component_specs.SERVING_SPEC_KEY]
        require_docker(proto_utils.json_to_proto(told, spec).local_docker.client_base_url)
        super().Do(input_dict, output_dict, exec_properties)


class InfraValidator(infra_component.InfraValidator):
    """Loads a model in TensorFlow Serving's image and has it lift test views.

    Args are fields of `settings.InfraValidationConfig`; without `examples` it is loaded only.
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(InfraExecutor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel | None,
        *,
        serving_image: str,
        tag: str,
        num_examples: int,
        num_tries: int,
        max_loading_seconds: int,
        docker_url: str,
    ):
        serving = infra_validator_pb2.TensorFlowServing(image_name=serving_image, tags=[tag])
        asked = infra_validator_pb2.TensorFlowServingRequestSpec(signature_names=[SIGNATURE])
        super().__init__(
            model=model,
            serving_spec=infra_validator_pb2.ServingSpec(
                tensorflow_serving=serving,
                local_docker=infra_validator_pb2.LocalDockerConfig(client_base_url=docker_url),
                model_name=clients.DEFAULT_MODEL,
            ),
            validation_spec=infra_validator_pb2.ValidationSpec(
                num_tries=num_tries, max_loading_time_seconds=max_loading_seconds
            ),
            examples=examples,
            request_spec=None
            if examples is None
            else infra_validator_pb2.RequestSpec(
                tensorflow_serving=asked, split_name=SPLIT, num_examples=num_examples
            ),
        )


def require_docker(url: str = "") -> None:
    """Raises a `NoDockerError` where nobody answers at a URL, or by Docker's socket."""
    try:
        client = docker.DockerClient(base_url=url or None, timeout=10)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        # The client that TFX asks for cannot speak to a socket beside newer versions of requests.
        rule = "reach Docker, by a `docker_url` if not by its socket, or be left out"
        where = f" at {url}" if url else ""
        said = " ".join(str(error).split()).rstrip(".")
        raise NoDockerError(
            f"`infra_validation` must {rule}. Received: no answer{where}: {said}."
        ) from error
