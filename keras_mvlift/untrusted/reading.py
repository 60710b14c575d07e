"""Files that nobody vouches for, each parsed in a process that has nothing to lose.

`parsers` is what runs in that process: without an environment, unable to write files, limited in
memory and time as `files.limits` states. Values and arrays come back, of a stated form and size; a
process that dies takes nothing along, and the error names the file.

All readers raise a `RecordingError` if the file is missing, damaged, over the limits or of another
format, or lacks what is asked for.
"""

import atexit
import contextlib
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
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

import keras_mvlift
from keras_mvlift import errors
from keras_mvlift.untrusted import files

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
        left, arrays = limits.content_bytes, []
        for code, shape, order in content["arrays"]:
            if not _DTYPE.fullmatch(code):
                raise ValueError(f"an array of {code!r}")
            dtype = np.dtype(code)
            num_bytes = files.array_bytes(tuple(shape), dtype.itemsize)
            left -= num_bytes
            if left < 0:
                raise ValueError(f"more than {limits.content_bytes} bytes")
            data = self._read(num_bytes, limits)
            arrays.append(data.view(dtype).reshape(shape, order=order))
        if "value" in content:
            content["value"] = _value(content["value"], arrays)
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
    if how == "SIGXCPU":
        return f"what takes more than {limits.seconds} s of computing"
    if how == "SIGALRM":
        return f"what takes more than {limits.waiting_seconds} s"
    return f"what ends the process that reads it ({how})"


def _value(tree: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(tree, list):
        return [_value(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {key: _value(item, arrays) for key, item in content}
    shape, cells = content
    return np.fromiter((_value(cell, arrays) for cell in cells), object, len(cells)).reshape(shape)


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
        process = _Process()
        self._all.add(process)
        return process

    def give(self, process: _Process) -> None:
        with self._lock:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append(process)
                return
        process.end()

    def end(self) -> None:
        """Ends those that wait."""
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
    path: os.PathLike[str] | str,
    parser: str,
    field: str,
    rule: str,
    *arguments: Any,
    max_bytes: int = files.MAX_ARCHIVE_BYTES,
    seconds_per_mib: int | None = None,
) -> Iterator[Any]:
    """Yields what a parser returns or yields; a process that is not read to its end is ended."""
    limits = files.limits(files.size(pathlib.Path(path), field, max_bytes), seconds_per_mib)
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
    path: pathlib.Path,
    parser: str,
    kind: type,
    rule: str,
    *rest: Any,
    field: str = "file",
    **limit: Any,
) -> Any:
    """Returns what a parser returns, which must be of a type."""
    values = list(_answers(path, parser, field, rule, *rest, **limit))
    if len(values) != 1 or not isinstance(values[0], kind):
        received = ", ".join(type(value).__name__ for value in values)
        raise errors.RecordingError(path, field, _ANSWER_RULE, received or "nothing")
    return values[0]


# Each format.

_NPZ_RULE = "be an .npz archive"


def npz_names(path: pathlib.Path) -> list[str]:
    """Returns the names of an archive's arrays, in its order."""
    return _read(path, "arrays.npz_names", list, _NPZ_RULE)


def npz(path: pathlib.Path, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Reads arrays of an archive, all of them if `names` is None.

    Returns:
        Arrays of numbers and text; of objects, as far as `pickled` admits them. An array of objects
        without axes gives its one object.
    """
    return _read(path, "arrays.npz", dict, _NPZ_RULE, names)


def pickled(path: pathlib.Path) -> Any:
    """Reads a pickle of any protocol, of Python 2 or 3, of arrays and plain containers only.

    Text of Python 2 is decoded as latin-1; tuples come as lists, NumPy's scalars as Python's.
    """
    return _read(path, "arrays.unpickled", object, "hold NumPy arrays and plain containers only")


def matlab(path: pathlib.Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads variables of a MATLAB file of version 5 to 7.3.

    Returns:
        Arrays of real numbers or booleans with MATLAB's axes in MATLAB's order; a cell array as an
        array of objects, which are such arrays.
    """
    return _read(path, "arrays.matlab", dict, "be a MATLAB file of version 5 or 7.3", names)


def hdf5_tracks(path: pathlib.Path) -> dict[str, Any]:
    """Reads the tracks of SLEAP's analysis, or of DeepLabCut's table, both `.h5`.

    Returns:
        Of SLEAP's `tracks` `[P, 2, K, T]`, `node_names`, `track_names` and, if they are there,
        `point_scores` `[P, K, T]`; of DeepLabCut's `frames` `[T]`, `values` `[T, C]` and `columns`,
        the labels of each, from the scorer to the coordinate.

    Raises:
        RecordingError: If the file is missing, damaged, over the limits, or neither.
    """
    return _read(path, "arrays.hdf5_tracks", dict, "be SLEAP's analysis or DeepLabCut's table")


def cdf(path: pathlib.Path, name: str) -> np.ndarray:
    """Reads a variable of floating-point numbers of a CDF file."""
    return _read(path, "arrays.cdf", np.ndarray, "be a CDF file", name)


def yaml(path: pathlib.Path, field: str, tags: Sequence[str] = ()) -> Any:
    """Reads YAML of at most `files.MAX_MARKUP_BYTES`; errors name the field and the line.

    Keys are read as text, whatever they look like: a camera may be called 54138969. `%` directives
    that other programs put before the document are left out. Mappings of the tags are read as such.
    """
    limit = {"max_bytes": files.MAX_MARKUP_BYTES, "seconds_per_mib": files.YAML_SECONDS_PER_MIB}
    return _read(path, "documents.yaml", object, "be plain YAML", tags, field=field, **limit)


_PARQUET_RULE = "be a Parquet table that can be read"


def parquet_takes(path: pathlib.Path) -> tuple[dict[str, str], list[list[str]]]:
    """Reads what kind each of a table's columns is of, and its pairs of subject and take."""
    found = _read(path, "documents.parquet_takes", dict, _PARQUET_RULE)
    return found["kinds"], found["takes"]


def parquet_rows(path: pathlib.Path, subject: str, take: str) -> dict[str, Any]:
    """Reads a take's rows.

    Returns:
        `camera`, a list, and `frame`, `[N]`; `keypoints_2d` and `confidence`, all lists' values one
        after the other; `keypoints_2d_length` and `confidence_length`, `[N]`, with 0 for no list.
    """
    return _read(path, "documents.parquet_rows", dict, _PARQUET_RULE, subject, take)


def parquet_views(
    path: str, batch_size: int, required: Sequence[str], lists: Sequence[str], texts: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Reads rows in batches.

    Args:
        path: The file.
        batch_size: The most rows of a batch.
        required: Columns that must be there.
        lists: Columns of lists of numbers, flat or nested.
        texts: Columns of text; `frame` is one of whole numbers.

    Yields:
        `num_rows`, and of each column that is there `values` and `lengths` of lists; `words` of
        text, with `codes` that number them, -1 for null; `values` and `is_null` of frames.
    """
    asked = "file", "be whole Parquet", batch_size, required, lists, texts
    yield from _answers(path, "documents.parquet_views", *asked)


def c3d(path: pathlib.Path) -> dict[str, Any]:
    """Reads `names`, `unit`, `frame_rate`, `first_frame` and `points` `[T, M, 3]` of a C3D file."""
    return _read(path, "documents.c3d", dict, "be a C3D file with points")


def film(path: pathlib.Path, max_side: int, max_bytes: int) -> dict[str, Any]:
    """Reads `size`, `turns`, `times`, `rate` and `ratio` of a video; decodes its first frame."""
    rule = "be a video that FFmpeg reads"
    return _read(path, "documents.film", dict, rule, max_side, field="video", max_bytes=max_bytes)


def frames(path: pathlib.Path, width: int, height: int, max_bytes: int) -> Iterator[np.ndarray]:
    """Yields a video's frames `[height, width, 3]`, uint8, RGB, as they are stored."""
    asked = "video", "be a video that FFmpeg reads", width, height
    for frame in _answers(path, "documents.frames", *asked, max_bytes=max_bytes):
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise errors.RecordingError(path, "video", _ANSWER_RULE, frame.shape)
        yield frame
