"""TFX's InfraValidator, which says at once where there is no Docker.

TFX's own tries again and again, and then calls the model bad that no server has seen.
"""

from typing import Any

import docker
import requests
from tfx import types
from tfx.components.infra_validator import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import infra_validator_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from keras_mvlift.serving import clients

SIGNATURE, SPLIT = "serving_examples", "test"


class NoDockerError(ConnectionError):
    """Docker cannot be reached."""


class Executor(executor.Executor):
    """Checks as TFX does, where Docker can be reached."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Starts the server and asks it."""
        spec = infra_validator_pb2.ServingSpec()
        told = exec_properties[standard_component_specs.SERVING_SPEC_KEY]
        require_docker(proto_utils.json_to_proto(told, spec).local_docker.client_base_url)
        super().Do(input_dict, output_dict, exec_properties)


class InfraValidator(component.InfraValidator):
    """Loads a model in TensorFlow Serving's image and has it lift test views.

    Args:
        model: The candidate.
        examples: The test views; None to load it only.
        serving_image: The image's name.
        tag: The image's tag.
        num_examples: Test views to lift.
        num_tries: How often the server is started before the model is refused.
        max_loading_seconds: The most for a start.
        docker_url: Where Docker listens; empty for its socket.
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

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
    """Refuses to go on without Docker.

    Args:
        url: Where it listens; empty for its socket.

    Raises:
        NoDockerError: If nobody answers there.
    """
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
