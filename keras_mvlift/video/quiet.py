"""Keeps native libraries from writing to the terminal."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def standard_error() -> Iterator[None]:
    """Holds back what anything in this process writes to its standard error.

    Libraries in C++ write past `sys.stderr`, so that the file behind it is turned away. All that
    was held back comes out if the block fails, and is dropped otherwise.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            except BaseException:
                os.dup2(kept, 2)
                held.seek(0)
                os.write(2, held.read())
                raise
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
    finally:
        os.close(kept)
