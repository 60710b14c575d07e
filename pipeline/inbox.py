"""Recordings in a watched folder: which have come whole."""

import math
import pathlib
import time

SPANS = "spans"
"""The folder that recordings are moved to."""

_UNFINISHED = (".partial", ".part", ".tmp", ".filepart", ".crdownload")


def ready(folder: pathlib.Path, settle_seconds: float) -> list[pathlib.Path]:
    """Lists the recordings that nothing was written to for a while, the oldest first.

    A recording is a folder. One whose name begins with a dot or ends as that of an unfinished copy
    is left alone until it is renamed.

    Args:
        folder: The watched folder.
        settle_seconds: The while.
    """
    found = {
        path: changed
        for path in folder.iterdir()
        if is_recording(path) and (changed := last_change(path)) is not None
    }
    now = time.time()
    quiet = [path for path, changed in found.items() if now - changed >= settle_seconds]
    return sorted(quiet, key=lambda path: (found[path], path.name))


def is_recording(path: pathlib.Path) -> bool:
    """Tells whether a path may be a recording."""
    is_hidden = path.name.startswith(".")
    is_named = path.name != SPANS and not path.name.lower().endswith(_UNFINISHED)
    return path.is_dir() and not path.is_symlink() and is_named and not is_hidden


def last_change(folder: pathlib.Path) -> float | None:
    """Gives when something below a folder last changed, seconds since 1970; None if it is empty.

    What is still changing gives infinity.

    It is the system's own time of change, which copying does not take over from the original.
    """
    files = 0
    newest = folder.stat().st_ctime
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except FileNotFoundError:
            # It was renamed meanwhile, so something changed just now.
            return math.inf
        files += path.is_file()
        if path.name.lower().endswith(_UNFINISHED):
            return math.inf
        newest = max(newest, status.st_ctime)
    return newest if files else None
