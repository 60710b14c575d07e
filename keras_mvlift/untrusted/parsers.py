"""What runs in the process that parses foreign files; see `reading` for its limits.

The ordinary libraries do the reading, each imported when first needed. A parser is a function of a
path; what it returns, or yields, goes back as plain values and arrays. This process has no
environment, must not write, and may be killed by what it reads.
"""

import importlib
import importlib.util
import inspect
import json
import math
import os
import pathlib
import signal
import struct
import sys
from typing import Any, BinaryIO

import numpy as np

from keras_mvlift import errors
from keras_mvlift.untrusted import arrays, documents, files

# Windows has none, and limits neither time nor memory.
resource: Any = (
    importlib.import_module("resource") if importlib.util.find_spec("resource") else None
)
# Where Linux tells, in pages, what memory this process has.
_MEMORY = pathlib.Path("/proc/self/statm")
_BUFFER_BYTES = 2**20
# What an item, and what an array takes beside its numbers.
_ITEM_BYTES, _ARRAY_BYTES = 64, 512
_MAX_KEY = 2**53
_MAX_WORDS = 600  # Of a message that a file may have put into an error.


def main() -> None:
    """Answers requests, a line of JSON each on the standard input, until it is closed."""
    answers = os.fdopen(os.dup(1), "wb", buffering=_BUFFER_BYTES)
    # What a library prints is no answer.
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if resource is not None:
        for name in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
            resource.setrlimit(name, (0, 0))
    for line in sys.stdin:
        _answer(json.loads(line), answers)


def _answer(request: dict[str, Any], answers: BinaryIO) -> None:
    limits = files.Limits(*request["limits"])
    try:
        _begin(limits)
        module, name = request["parser"].split(".")
        parse = getattr({"arrays": arrays, "documents": documents}[module], name)
        found = parse(request["path"], *request["arguments"])
        for value in found if inspect.isgenerator(found) else [found]:
            message = _Message(limits.content_bytes)
            tree = message.tree(value, 0)
            _rest()
            _send(answers, {"value": tree}, message.arrays)
            del value, tree, message
            _begin(limits)
        answer: dict[str, Any] = {"end": True}
    except ModuleNotFoundError as error:
        answer = {"missing": error.name}
    except Exception as error:
        answer = {"error": _words(request, limits, error)}
    _rest()
    _send(answers, answer, [])


def _begin(limits: files.Limits) -> None:
    """Sets what may be taken from now on, to the next answer, as far as the system can."""
    if resource is None:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    most = {resource.RLIMIT_CPU: math.ceil(usage.ru_utime + usage.ru_stime) + limits.seconds}
    if _MEMORY.exists():
        taken = int(_MEMORY.read_bytes().split()[0]) * resource.getpagesize()
        most[resource.RLIMIT_AS] = taken + limits.memory_bytes
    for name, soft in most.items():
        hard = resource.getrlimit(name)[1]
        resource.setrlimit(name, (soft if hard < 0 else min(soft, hard), hard))
    # Ends the process wherever it waits.
    signal.setitimer(signal.ITIMER_REAL, limits.waiting_seconds)


def _rest() -> None:
    if resource is not None:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _words(request: dict[str, Any], limits: files.Limits, error: Exception) -> list[str]:
    field, rule = request["field"], request["rule"]
    received = errors.met(error)
    if isinstance(error, errors.RecordingError):
        field, rule, received = error.field, error.rule, str(error.received)
    if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
        received = f"what takes more than {limits.memory_bytes} bytes of memory"
    return [words[:_MAX_WORDS] for words in (field, rule, received)]


# Answers: the length of a JSON text, the text, and the bytes of the arrays that it lists.


def _send(answers: BinaryIO, content: dict[str, Any], arrays: list[tuple[Any, ...]]) -> None:
    heads = [head for head, _ in arrays]
    text = json.dumps(content | {"arrays": heads}).encode()
    answers.write(struct.pack("<Q", len(text)))
    answers.write(text)
    for _, data in arrays:
        answers.write(data)
    answers.flush()


class _Message:
    """A value as JSON, with its arrays beside it; counted as if no part of it were shared."""

    def __init__(self, max_bytes: int):
        self.arrays: list[tuple[Any, Any]] = []
        self._left = self._max_bytes = max_bytes

    def tree(self, value: Any, depth: int) -> Any:
        """Returns what `reading` makes the value of again."""
        self._spend(_ITEM_BYTES)
        if depth > files.MAX_NESTING:
            rule = f"nest at most {files.MAX_NESTING} deep"
            raise errors.RecordingError("", "content", rule, "more")
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            self._spend(len(value))
            return value
        if isinstance(value, (list, tuple)):
            return [self.tree(item, depth + 1) for item in value]
        if isinstance(value, dict):
            items = value.items()
            return {"dict": [[self._key(k), self.tree(v, depth + 1)] for k, v in items]}
        if isinstance(value, np.generic):
            return self.tree(value.item(), depth)
        made = value.made() if isinstance(value, arrays.Made) else value
        if type(made) is not np.ndarray:
            if isinstance(made, (bool, int, float, str)):
                return self.tree(made, depth)
            received = getattr(made, "name", type(made).__name__)
            raise errors.RecordingError("", "content", arrays.PICKLE_RULE, received)
        if made.dtype == object:
            cells = [self.tree(item, depth + 1) for item in made.ravel()]
            return {"objects": [made.shape, cells]}
        return self._array(made)

    def _array(self, array: np.ndarray) -> dict[str, int]:
        if array.dtype.kind not in files.KINDS or not array.dtype.itemsize:
            raise errors.RecordingError("", "content", "hold numbers, text or objects", array.dtype)
        is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        flat = np.ascontiguousarray(array.T if is_fortran else array)
        self._spend(flat.nbytes + _ARRAY_BYTES)
        head = [array.dtype.str, array.shape, "F" if is_fortran else "C"]
        self.arrays.append((head, flat.reshape(-1).view(np.uint8).data))
        return {"array": len(self.arrays) - 1}

    def _key(self, key: Any) -> str | int | None:
        key = key.made() if isinstance(key, arrays.Made) else key
        # Larger numbers, and tuples, may be chosen so that each looks like every other.
        if isinstance(key, (str, type(None))) or (isinstance(key, int) and abs(key) < _MAX_KEY):
            self._spend(_ITEM_BYTES + (len(key) if isinstance(key, str) else 0))
            return key
        rule = "have keys of text and small numbers"
        raise errors.RecordingError("", "content", rule, type(key).__name__)

    def _spend(self, num_bytes: int) -> None:
        self._left -= num_bytes
        if self._left < 0:
            rule = f"hold at most {self._max_bytes} bytes, for what the file has"
            raise errors.RecordingError("", "content", rule, "more")
