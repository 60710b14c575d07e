"""The one way to speak to a server, whichever protocol it is."""

import importlib
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from keras_mvlift.serving import addresses

DEADLINE = 10.0
"""Seconds for a call and all its retries, where nobody says otherwise."""


class Signature(NamedTuple):
    """What a signature takes and gives, by name; None for an axis of any length.

    Attributes:
        inputs: Shapes.
        outputs: Shapes.
    """

    inputs: dict[str, tuple[int | None, ...]]
    outputs: dict[str, tuple[int | None, ...]]


class Client(Protocol):
    """Speaks to the server of one model. Every method raises `server_errors.ServerError`.

    Attributes:
        address: The model.
        deadline: Seconds for a call and all its retries.
    """

    address: addresses.Address
    deadline: float

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature; a code of `server_errors.TRANSIENT` is tried again."""

    def signatures(self) -> dict[str, Signature]:
        """Tells the signatures by name."""

    def versions(self) -> dict[int, str]:
        """Tells the state of each version that the address means, such as `"AVAILABLE"`."""


def connect(address: addresses.Address, deadline: float = DEADLINE) -> Client:
    """Makes a client; nothing is sent yet.

    Raises:
        ValueError: If the deadline is not above 0, or a library is missing.
    """
    if not deadline > 0:
        raise ValueError(f"`deadline` must be above 0 seconds. Received: {deadline}.")
    name, kind = ("grpc_client", "GrpcClient") if address.is_grpc else ("rest_client", "RestClient")
    try:
        # Each needs libraries of its own, and only one of them is spoken.
        module = importlib.import_module(f"keras_mvlift.serving.{name}")
    except ImportError as error:
        rule = "be spoken to through the extra `serving`: pip install 'keras-mvlift[serving]'"
        raise ValueError(f"`server` must {rule}. Received: {error}.") from error
    client: Client = getattr(module, kind)(address, deadline)
    return client
