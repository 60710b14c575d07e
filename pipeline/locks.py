"""One run at a time on one folder, however the last one ended."""

import contextlib
import datetime
import errno
import fcntl
import os
import pathlib
from collections.abc import Iterator

_TAKEN = (errno.EACCES, errno.EAGAIN)
_MAX_NOTE_BYTES = 1000


class BusyError(RuntimeError):
    """Another run is going on."""


@contextlib.contextmanager
def held(path: pathlib.Path) -> Iterator[None]:
    """Holds a lock that the system frees when the process ends, killed or not.

    Processes that are forked or started meanwhile do not hold it.

    Args:
        path: A file, made if it is not there and left when the lock is freed: it says which
            process held it last. Its folder is made, too.

    Raises:
        BusyError: If another process holds it.
        OSError: If the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(file, path)
        yield
    finally:
        os.close(file)


def _take(file: int, path: pathlib.Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        holder = os.pread(file, _MAX_NOTE_BYTES, 0).decode(errors="replace").strip()
        raise BusyError(
            f"`output_root` must have no other run of this pipeline going on in {path.parent}. "
            f"Received: {holder or 'a process that holds ' + path.name}. Wait for it to end, or "
            "give this run an `output_root` of its own."
        ) from error
    started = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    # On a full disk the lock holds without its note.
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()}, started {started}\n".encode(), 0)
