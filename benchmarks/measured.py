"""Time and memory of a function that runs in a process of its own."""

import multiprocessing
import multiprocessing.connection
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil

GIGABYTE = 1e9

# Seconds between two looks at the memory.
_INTERVAL = 0.05


class Measured(NamedTuple):
    """What a call took.

    Attributes:
        result: What it gave.
        seconds: Its time, without the start of the process and its imports.
        start_bytes: The memory of the process when the call began.
        peak_bytes: The most memory that the process and its children held together, seen by
            looking twenty times a second.
    """

    result: Any
    seconds: float
    start_bytes: int
    peak_bytes: int


def call(function: Callable[..., Any], *arguments: Any) -> Measured:
    """Calls a function of a module, by name, in a new process.

    Raises:
        RuntimeError: If the call did not end well; its own error is on the screen.
    """
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe()
    process = context.Process(target=_answer, args=(there, function, arguments))
    process.start()
    there.close()
    try:
        start_bytes = here.recv()
        watched = psutil.Process(process.pid)
        peak_bytes = start_bytes
        while not here.poll(_INTERVAL):
            peak_bytes = max(peak_bytes, _memory(watched))
        result, seconds = here.recv()
    except EOFError as error:
        raise RuntimeError(f"`{function.__name__}` must end well. Received: no answer.") from error
    finally:
        process.join()
    return Measured(result, seconds, start_bytes, peak_bytes)


def _answer(
    there: multiprocessing.connection.Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    there.send(psutil.Process().memory_info().rss)
    start = time.perf_counter()
    result = function(*arguments)
    there.send((result, time.perf_counter() - start))


def _memory(process: psutil.Process) -> int:
    try:
        total, children = process.memory_info().rss, process.children(recursive=True)
    except psutil.Error:
        return 0
    for child in children:
        try:
            # What a fork shares with the process is counted there.
            total += child.memory_full_info().uss
        except psutil.Error:
            # It ended between two looks.
            continue
    return total
