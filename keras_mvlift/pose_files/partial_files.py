"""Files that are written whole or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path beside `path` to write to, which takes its place once all is written.

    What was there before stays if writing fails, and half a file never stands there.

    Args:
        path: The file to be written.

    Raises:
        FileNotFoundError: If its folder is not there.
        IsADirectoryError: If it is a folder.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} must be a folder to write {path.name} to.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} must be a file to write to, not a folder.")
    # Libraries tell the format by the ending, some in small letters only.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix.lower()}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
