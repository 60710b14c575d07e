"""TensorFlow Serving by REST."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tenacity
import urllib3

from keras_mvlift import errors
from keras_mvlift.serving import clients

_HEADERS = {"Content-Type": "application/json"}
# gRPC's names of what HTTP says.
_CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    412: "FAILED_PRECONDITION",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestClient:
    """A `clients.Client` that speaks HTTP and JSON.

    With `https` the server is asked for a certificate of an authority that the system knows.
    """

    def __init__(self, address: clients.Address, deadline: float = clients.DEADLINE):
        self.address, self.deadline = address, deadline
        self._url = f"{address.scheme}://{address.target}/v1/models/{address.path}"
        self._pool = urllib3.PoolManager(retries=False)

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature."""
        named = {name: _json(name, array) for name, array in clients.arrays(inputs).items()}
        asked = {"signature_name": signature, "inputs": named}
        outputs = self._field(self._call(":predict", asked, signature), "outputs", signature)
        if not isinstance(outputs, dict):
            # A single output comes without its name.
            (name,) = self.signatures()[signature].outputs
            outputs = {name: outputs}
        return {name: np.asarray(values, np.float32) for name, values in outputs.items()}

    def signatures(self) -> dict[str, clients.Signature]:
        """Tells the signatures by name."""
        found = self._call("/metadata")
        for field in ("metadata", "signature_def", "signature_def"):
            found = self._field(found, field)
        return {
            name: clients.Signature(_shapes(signature["inputs"]), _shapes(signature["outputs"]))
            for name, signature in found.items()
            if not name.startswith("__")
        }

    def versions(self) -> dict[int, str]:
        """Tells the state of each version that the address means."""
        found = self._field(self._call(""), "model_version_status")
        return {int(each["version"]): each["state"] for each in found}

    def _call(self, path: str, asked: Any = None, subject: str = "server") -> Any:
        """Asks, and asks again, until the deadline, where the server is short of something."""
        end = time.monotonic() + self.deadline
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_transient),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
            stop=tenacity.stop_after_attempt(5) | tenacity.stop_before_delay(self.deadline),
            reraise=True,
        )
        return attempts(self._ask, path, asked, subject, end)

    def _ask(self, path: str, asked: Any, subject: str, end: float) -> Any:
        # An attempt has what the others left of the deadline.
        timeout = urllib3.Timeout(total=max(end - time.monotonic(), 1e-3))
        body = None if asked is None else json.dumps(asked).encode()
        try:
            answer = self._pool.request(
                "GET" if body is None else "POST",
                self._url + path,
                body=body,
                headers=_HEADERS,
                timeout=timeout,
            )
        except urllib3.exceptions.HTTPError as error:
            # Nobody there is of the kind of a timeout to urllib3, but no time has passed.
            is_gone = isinstance(error, urllib3.exceptions.NewConnectionError)
            if isinstance(error, urllib3.exceptions.TimeoutError) and not is_gone:
                said = f"nothing for {self.deadline:g} s"
                raise self._error(subject, "DEADLINE_EXCEEDED", said) from error
            raise self._error(subject, "UNAVAILABLE", str(error)) from error
        code = _CODES.get(answer.status, "INTERNAL")
        try:
            # A server repeats what it was sent, which need not be text.
            told = json.loads(answer.data.decode(errors="replace"))
        except ValueError as error:
            said = f"HTTP {answer.status} without JSON"
            raise self._error(subject, code, said) from error
        if answer.status == 200:
            return told
        said = str(told.get("error", told)) if isinstance(told, dict) else str(told)
        raise self._error(subject, code, said)

    def _field(self, told: Any, field: str, subject: str = "server") -> Any:
        if not isinstance(told, dict) or field not in told:
            raise self._error(subject, "INTERNAL", f"an answer without `{field}`")
        return told[field]

    def _error(self, subject: str, code: str, said: str) -> clients.ServerError:
        return clients.ServerError(self.address, subject, code, said)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, clients.ServerError) and error.code in clients.TRANSIENT


def _json(name: str, array: np.ndarray) -> Any:
    if not array.size:
        rule = "hold something to be sent as JSON, whose empty lists tell no shape"
        raise errors.ArgumentError(name, rule, f"shape {list(array.shape)}")
    if array.dtype == object:
        return [{"b64": base64.b64encode(each).decode()} for each in array.tolist()]
    return array.tolist()


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int | None, ...]]:
    axes = {name: tensor["tensor_shape"].get("dim", []) for name, tensor in tensors.items()}
    sizes = {name: [int(axis["size"]) for axis in found] for name, found in axes.items()}
    return {
        name: tuple(None if size < 0 else size for size in found) for name, found in sizes.items()
    }
