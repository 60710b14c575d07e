"""The one way to speak to a server: its address, a client of its protocol, its errors."""

import dataclasses
import importlib
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from keras_mvlift import errors

DEADLINE = 10.0
"""Seconds for a call and all its retries, where nobody says otherwise."""

MAX_BYTES = (1 << 31) - (1 << 20)
"""Of a request; Protocol Buffers hold no more than 2 GiB."""


class Signature(NamedTuple):
    """Shapes of what a signature takes and gives, by name; None for an axis of any length."""

    inputs: dict[str, tuple[int | None, ...]]
    outputs: dict[str, tuple[int | None, ...]]


DEFAULT_MODEL = "mvlift"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """A model on a server.

    Attributes:
        scheme: One of `SCHEMES`; those that end in s speak TLS.
        host: A name or a number.
        port: Of the host.
        model: The model's name.
        label: Which version by its label; None for none.
        version: Which version by its number; None for none. With neither, the server's newest.
    """

    scheme: str
    host: str
    port: int
    model: str = DEFAULT_MODEL
    label: str | None = None
    version: int | None = None

    @property
    def target(self) -> str:
        """Returns host and port as gRPC and HTTP take them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def path(self) -> str:
        """Returns the model and its version, as TensorFlow Serving's paths have them."""
        if self.label is not None:
            return f"{self.model}/labels/{self.label}"
        return self.model if self.version is None else f"{self.model}/versions/{self.version}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.target}/{self.path}"


class Client(Protocol):
    """Speaks to the server of one model. Every method raises `ServerError`.

    What `predict` is given it checks by `arrays` before it sends anything. `deadline` is the
    seconds for a call and all its retries.
    """

    address: Address
    deadline: float

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature; a code of `TRANSIENT` is tried again."""

    def signatures(self) -> dict[str, Signature]:
        """Tells the signatures by name."""

    def versions(self) -> dict[int, str]:
        """Tells the state of each version that the address means, such as `"AVAILABLE"`."""


def arrays(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Turns what a signature is given, by name, into arrays that can be sent.

    Raises:
        ArgumentError: If it is neither numbers, which are sent in single precision, nor bytes, such
            as records; or larger than a request may be.
    """
    sent = {name: _array(name, value) for name, value in inputs.items()}
    size = sum(array.nbytes for array in sent.values())
    if size > MAX_BYTES:
        largest = max(sent, key=lambda name: sent[name].nbytes)
        rule = f"leave a request at {MAX_BYTES} bytes or less; send it in parts"
        raise errors.ArgumentError(largest, rule, f"{size} bytes")
    return sent


def _array(name: str, value: Any) -> np.ndarray:
    is_record = isinstance(value, (list, tuple)) and value and isinstance(value[0], bytes)
    if is_record or (isinstance(value, np.ndarray) and value.dtype.kind in "OS"):
        records = np.asarray(value, object)
        if records.ndim != 1 or not all(isinstance(record, bytes) for record in records):
            rule = "be an array of numbers, or a list of bytes"
            raise errors.ArgumentError(name, rule, f"objects of shape {[*records.shape]}")
        return records
    return errors.numbers(name, value, np.float32)


def connect(address: Address, deadline: float = DEADLINE) -> Client:
    """Makes a client; nothing is sent yet.

    Raises:
        ValueError: If the deadline is not above 0, or a library is missing.
    """
    errors.require(deadline > 0, "deadline", "be above 0 seconds", deadline)
    is_grpc = address.scheme.startswith("grpc")
    name, kind = ("grpc_client", "GrpcClient") if is_grpc else ("rest_client", "RestClient")
    try:
        # Each needs libraries of its own, and only one of them is spoken.
        module = importlib.import_module(f"keras_mvlift.serving.{name}")
    except ImportError as error:
        rule = "be spoken to through the extra `serving`: pip install 'keras-mvlift[serving]'"
        raise ValueError(f"`server` must {rule}. Received: {error}.") from error
    client: Client = getattr(module, kind)(address, deadline)
    return client


SCHEMES = {"grpc": 8500, "grpcs": 8500, "http": 8501, "https": 443}
"""Each with the port that is taken where none is given."""
_PATH = re.compile(r"(?P<model>[^/]*)(/labels/(?P<label>[^/]+)|/versions/(?P<version>\d+))?")
_FORM = "grpc[s]://HOST[:PORT][/MODEL[/labels/LABEL | /versions/VERSION]], or http[s]://..."


def parse(text: str) -> Address:
    """Reads an address, as `grpc://localhost:8500/mvlift/labels/canary`; else a ValueError."""
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise errors.ArgumentError("server", f"be {_FORM}", repr(text)) from error
    told = _PATH.fullmatch(parts.path.strip("/"))
    is_address = parts.scheme in SCHEMES and parts.hostname and not re.search(r"\s", text)
    is_more = parts.query or parts.fragment or parts.username is not None
    if told is None or not is_address or is_more:
        raise errors.ArgumentError("server", f"be {_FORM}", repr(text))
    return Address(
        scheme=parts.scheme,
        host=str(parts.hostname),
        port=SCHEMES[parts.scheme] if port is None else port,
        model=told["model"] or DEFAULT_MODEL,
        label=told["label"],
        version=None if told["version"] is None else int(told["version"]),
    )


_RULES = {
    "UNAVAILABLE": "be up and reachable",
    "DEADLINE_EXCEEDED": "answer within the deadline",
    "RESOURCE_EXHAUSTED": "have room for it",
    "NOT_FOUND": "serve this model, in this version or under this label",
    "INVALID_ARGUMENT": "take the request",
    "FAILED_PRECONDITION": "have this signature",
}
# A server may repeat all that it was sent.
_MOST = 600

TRANSIENT = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
"""Codes after which the same request may well succeed."""


class ServerError(ConnectionError):
    """A server did not give what it was asked for.

    Args:
        address: The model.
        subject: What was asked for: a signature's name, or `"server"` for anything else.
        code: A name among gRPC's status codes.
        detail: What the server or the connection said.
    """

    def __init__(self, address: Address, subject: str, code: str, detail: str):
        rule = _RULES.get(code, "answer as TensorFlow Serving does")
        said = " ".join(detail.split()).rstrip(".") or "no more"
        said = said if len(said) <= _MOST else f"{said[:_MOST]}..."
        super().__init__(
            f"{address}: `{subject}`: the server must {rule}. Received: {code}: {said}."
        )
        self.address, self.subject, self.code, self.detail = address, subject, code, detail

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Rebuilds the error from its parts, so that it crosses process borders."""
        return ServerError, (self.address, self.subject, self.code, self.detail)
