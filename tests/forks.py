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
        return
    forkserver.set_forkserver_preload([])
    with mock.patch.object(util, "spawnv_passfds", _fork):
        forkserver.ensure_running()


def _fork(path, arguments, descriptors):
    process = os.fork()
    if not process:
        try:
            faulthandler.disable()
            # As a new program has it: the end of the pipe that ends this process is one of them.
            for descriptor in {*map(int, os.listdir("/proc/self/fd"))} - {0, 1, 2, *descriptors}:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
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
