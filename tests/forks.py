"""Processes forked from one that has imported all that the tests import, and has done nothing."""

import contextlib
import faulthandler
import multiprocessing
import os
import sys
from multiprocessing import forkserver, util
from unittest import mock


def serve():
    """Forks the process that all others are forked from; to be called before any test runs.

    The standard library has a new interpreter be that process, which would import TensorFlow again.
    So it does where TensorFlow has threads, as from its first tensor on: they cannot be forked.
    """
    if has_computed():
        forkserver.set_forkserver_preload(["tests.tiny_studio"])
        return
    forkserver.set_forkserver_preload([])
    with mock.patch.object(util, "spawnv_passfds", _fork):
        forkserver.ensure_running()


def _fork(path, arguments, descriptors):
    process = os.fork()
    if not process:
        try:
            faulthandler.disable()
            # What ends this process, and others, is that nobody has the other end of a pipe.
            # Numbers stay taken: logs are still written to some of them.
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in {*map(int, os.listdir("/proc/self/fd"))} - {0, 1, 2, *descriptors}:
                with contextlib.suppress(OSError):
                    os.dup2(nothing, descriptor)
            exec(arguments[-1], {})
        finally:
            os._exit(1)
    return process


def has_computed():
    """Says whether TensorFlow has done anything in this process."""
    context = sys.modules.get("tensorflow.python.eager.context")
    return bool(context and context._context and context._context._initialized)


def start(target, *arguments):
    """Starts a process in which TensorFlow is imported and has done nothing; gives it."""
    process = multiprocessing.get_context("forkserver").Process(target=target, args=arguments)
    process.start()
    return process
