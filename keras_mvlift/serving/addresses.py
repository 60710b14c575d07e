"""Where a model is served."""

import dataclasses
import urllib.parse

SCHEMES = {"grpc": 8500, "grpcs": 8500, "http": 8501, "https": 443}
"""Each with the port that is taken where none is given."""

DEFAULT_MODEL = "mvlift"
_FORM = "grpc[s]://HOST[:PORT][/MODEL[/labels/LABEL | /versions/VERSION]], or http[s]://..."


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
        """Gives host and port as gRPC and HTTP take them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def path(self) -> str:
        """Gives the model and its version, as TensorFlow Serving's paths have them."""
        if self.label is not None:
            return f"{self.model}/labels/{self.label}"
        return self.model if self.version is None else f"{self.model}/versions/{self.version}"

    @property
    def is_grpc(self) -> bool:
        """Tells gRPC from REST."""
        return self.scheme.startswith("grpc")

    @property
    def is_secure(self) -> bool:
        """Tells whether the server must prove who it is."""
        return self.scheme.endswith("s")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.target}/{self.path}"


def parse(text: str) -> Address:
    """Reads an address, such as `grpc://localhost:8500/mvlift/labels/canary`.

    Raises:
        ValueError: If it is none.
    """
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _refused(text) from error
    if parts.scheme not in SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise _refused(text)
    if parts.username is not None or any(character.isspace() for character in text):
        raise _refused(text)
    address = Address(
        scheme=parts.scheme,
        host=parts.hostname,
        port=SCHEMES[parts.scheme] if port is None else port,
    )
    return _of_model(text, address, parts.path.strip("/"))


def _of_model(text: str, address: Address, path: str) -> Address:
    match path.split("/") if path else []:
        case []:
            return address
        case [model] if model:
            return dataclasses.replace(address, model=model)
        case [model, "labels", label] if model and label:
            return dataclasses.replace(address, model=model, label=label)
        case [model, "versions", version] if model and version.isdecimal():
            return dataclasses.replace(address, model=model, version=int(version))
    raise _refused(text)


def _refused(text: str) -> ValueError:
    return ValueError(f"`server` must be {_FORM}. Received: {text!r}.")
