"""Files that nobody vouches for, each parsed in a process that has nothing to lose.

`parsers` is what runs in that process, with the functions of `arrays` and `documents`: without an
environment, unable to write files, limited in memory and time as `files.limits` states. Values and
arrays come back, of a stated form and size: tuples as lists. A process that dies takes nothing
along, and the error names the file.

All readers raise a `RecordingError` if the file is missing, damaged, over the limits or of another
format, or lacks what is asked for.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

import keras_mvlift
from keras_mvlift import errors
from keras_mvlift.untrusted import arrays, documents, files

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from keras_mvlift.untrusted import parsers; parsers.main()"
)
# Threads would take address space of their own.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
# Without it nothing starts on Windows.
_ENVIRONMENT |= {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
_PIPE_BYTES = 2**20
# Processes that wait for the next file.
_MAX_IDLE = 2
_DTYPE = re.compile(rf"[<>|][{files.KINDS}][0-9]+")
_LENGTH = struct.Struct("<Q")
_ANSWER_RULE = "be answered in the form that is agreed"


class _Process:
    """A process that parses one file after the other."""

    def __init__(self) -> None:
        root = str(pathlib.Path(keras_mvlift.__file__).absolute().parents[1])
        # Packages are found where they are here; the current folder is none of theirs.
        places = [root, *filter(os.path.isabs, sys.path)]
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, json.dumps(places)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=_PIPE_BYTES,
            cwd="/",
            env=_ENVIRONMENT,
            # Ctrl-C is for whoever waits.
            start_new_session=True,
        )
        self._requests, self._answers = cast(Any, (self._popen.stdin, self._popen.stdout))
        # Only Linux has wider pipes.
        with contextlib.suppress(ImportError, AttributeError, OSError):
            fcntl = importlib.import_module("fcntl")
            fcntl.fcntl(self._answers.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def ask(self, request: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()

    def answer(self, limits: files.Limits) -> dict[str, Any]:
        """Returns what comes next, arrays in their places.

        Raises:
            EOFError: If the process has ended; says how.
            Exception: If it is of another form than agreed, or larger.
        """
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, limits).data)
        if length > files.MAX_JSON_BYTES:
            raise ValueError(f"an answer of {length} bytes")
        content = json.loads(bytes(self._read(length, limits)))
        left, found = limits.content_bytes, []
        for code, shape, order in content["arrays"]:
            if not _DTYPE.fullmatch(code):
                raise ValueError(f"an array of {code!r}")
            dtype = np.dtype(code)
            num_bytes = files.array_bytes(tuple(shape), dtype.itemsize)
            left -= num_bytes
            if left < 0:
                raise ValueError(f"more than {limits.content_bytes} bytes")
            data = self._read(num_bytes, limits)
            found.append(data.view(dtype).reshape(shape, order=order))
        if "value" in content:
            content["value"] = _value(content["value"], found)
        return content

    def _read(self, num_bytes: int, limits: files.Limits) -> np.ndarray:
        data = np.empty(num_bytes, np.uint8)
        if num_bytes and self._answers.readinto(data) != num_bytes:
            raise EOFError(_how_it_ended(self.end(), limits))
        return data

    def end(self) -> int:
        """Ends the process, if it has not ended, and returns its status."""
        self._popen.kill()
        self.close()
        return self._popen.wait()

    def close(self) -> None:
        """Lets go of the process, which ends when it has answered."""
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()

    def disown(self) -> None:
        """Lets go of another process' child."""
        self._popen.returncode = 0
        self.close()


def _how_it_ended(status: int, limits: files.Limits) -> str:
    how = signal.Signals(-status).name if status < 0 else f"status {status}"
    most = {"SIGXCPU": f"{limits.seconds} s of computing", "SIGALRM": f"{limits.waiting_seconds} s"}
    if how in most:
        return f"what takes more than {most[how]}"
    return f"what ends the process that reads it ({how})"


def _value(tree: Any, found: list[np.ndarray]) -> Any:
    if isinstance(tree, list):
        return [_value(item, found) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        return found[content]
    if kind == "dict":
        return {key: _value(item, found) for key, item in content}
    shape, cells = content
    return np.fromiter((_value(cell, found) for cell in cells), object, len(cells)).reshape(shape)


class _Pool:
    """Processes that are kept warm, for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._all: weakref.WeakSet[_Process] = weakref.WeakSet()

    def take(self) -> _Process:
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.is_alive():
                    return process
                process.end()
        self._all.add(process := _Process())
        return process

    def give(self, process: _Process) -> None:
        with self._lock:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append(process)
                return
        process.end()

    def end(self) -> None:
        while self._idle:
            self._idle.pop().end()

    def forget(self) -> None:
        """Leaves to the process that was forked what is its own."""
        for process in self._all:
            process.disown()
        self.__init__()  # type: ignore[misc]


_POOL = _Pool()
atexit.register(_POOL.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)


def _answers(
    path: files.AnyPath,
    parse: Callable[..., Any],
    field: str,
    rule: str,
    *arguments: Any,
    max_bytes: int = files.MAX_ARCHIVE_BYTES,
    seconds_per_mib: int | None = None,
) -> Iterator[Any]:
    """Yields what a parser returns or yields; a process that is not read to its end is ended."""
    limits = files.limits(files.size(pathlib.Path(path), field, max_bytes), seconds_per_mib)
    parser = f"{parse.__module__.rpartition('.')[2]}.{parse.__name__}"
    told = {"parser": parser, "path": os.path.abspath(path), "arguments": arguments}
    content: dict[str, Any] = {}
    process, is_done = _POOL.take(), False
    try:
        process.ask({**told, "field": field, "rule": rule, "limits": limits})
        while not is_done:
            try:
                content = process.answer(limits)
            except EOFError as error:
                raise errors.RecordingError(path, field, rule, error) from error
            except Exception as error:
                raise errors.RecordingError(path, field, _ANSWER_RULE, error) from error
            is_done = "value" not in content
            if not is_done:
                yield content.pop("value")
        _POOL.give(process)
    finally:
        if not is_done:
            process.end()
    if "missing" in content:
        missing = str(content["missing"])
        raise ModuleNotFoundError(f"No module named {missing!r}, to read {path}.", name=missing)
    if "error" in content:
        raise errors.RecordingError(path, *map(str, content["error"]))


def _read(
    path: files.AnyPath,
    parse: Callable[..., Any],
    kind: type,
    rule: str,
    *rest: Any,
    field: str = "file",
    **limit: Any,
) -> Any:
    """Returns what a parser returns, which must be of a type."""
    values = list(_answers(path, parse, field, rule, *rest, **limit))
    if len(values) != 1 or not isinstance(values[0], kind):
        received = ", ".join(type(value).__name__ for value in values)
        raise errors.RecordingError(path, field, _ANSWER_RULE, received or "nothing")
    return values[0]


# Each format: the parser's own function, which runs in the process.

Asked = ParamSpec("Asked")
Found = TypeVar("Found")


def _apart(parse: Callable[Asked, Found], kind: type, rule: str) -> Callable[Asked, Found]:
    """Has a parser run in a process of its own; what it returns must be of a type."""

    def read(path: files.AnyPath, *rest: Any) -> Any:
        return _read(path, parse, kind, rule, *rest)

    return cast(Callable[Asked, Found], functools.update_wrapper(read, parse))


npz_names = _apart(arrays.npz_names, list, "be an .npz archive")
npz = _apart(arrays.npz, dict, "be an .npz archive")
pickled = _apart(arrays.pickled, object, arrays.PICKLE_RULE)
matlab = _apart(arrays.matlab, dict, arrays.MATLAB_RULE)
hdf5_tracks = _apart(arrays.hdf5_tracks, dict, arrays.TRACKS_RULE)
cdf = _apart(arrays.cdf, np.ndarray, "be a CDF file")
parquet_takes = _apart(documents.parquet_takes, list, "be a Parquet table that can be read")
parquet_rows = _apart(documents.parquet_rows, dict, "be a Parquet table that can be read")
c3d = _apart(documents.c3d, dict, "be a C3D file with points")


def yaml(path: pathlib.Path, field: str, tags: Sequence[str] = ()) -> Any:
    """Reads YAML of at most `files.MAX_MARKUP_BYTES` as `documents.yaml`; errors name the field."""
    limit = {"max_bytes": files.MAX_MARKUP_BYTES, "seconds_per_mib": files.YAML_SECONDS_PER_MIB}
    return _read(path, documents.yaml, object, "be plain YAML", tags, field=field, **limit)


def parquet_views(path: str, *asked: Any) -> Iterator[dict[str, Any]]:
    """Yields rows in batches, as `documents.parquet_views`, whose arguments it takes."""
    yield from _answers(path, documents.parquet_views, "file", "be whole Parquet", *asked)


_FILM_RULE = "be a video that FFmpeg reads"


def film(path: pathlib.Path, max_side: int, max_bytes: int) -> dict[str, Any]:
    """Reads what `documents.film` tells of a video of at most `max_bytes`."""
    asked = documents.film, dict, _FILM_RULE, max_side
    return _read(path, *asked, field="video", max_bytes=max_bytes)


def frames(path: pathlib.Path, width: int, height: int, max_bytes: int) -> Iterator[np.ndarray]:
    """Yields a video's frames `[height, width, 3]`, uint8, RGB, as they are stored."""
    asked = "video", _FILM_RULE, width, height
    for frame in _answers(path, documents.frames, *asked, max_bytes=max_bytes):
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise errors.RecordingError(path, "video", _ANSWER_RULE, frame.shape)
        yield frame
