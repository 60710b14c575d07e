"""What goes wrong with a server, in one sentence."""

from keras_mvlift.serving import addresses

_RULES = {
    "UNAVAILABLE": "be up and reachable",
    "DEADLINE_EXCEEDED": "answer within the deadline",
    "RESOURCE_EXHAUSTED": "have room for it",
    "NOT_FOUND": "serve this model, in this version or under this label",
    "INVALID_ARGUMENT": "take the request",
    "FAILED_PRECONDITION": "have this signature",
}
_BY_HTTP_STATUS = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    412: "FAILED_PRECONDITION",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
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

    def __init__(self, address: addresses.Address, subject: str, code: str, detail: str):
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


def code_of_status(status: int) -> str:
    """Gives gRPC's name of an HTTP status."""
    return _BY_HTTP_STATUS.get(status, "INTERNAL")
