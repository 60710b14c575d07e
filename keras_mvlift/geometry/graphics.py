"""The operations of tensorflow_graphics that this library uses, imported quickly.

Each module of tensorflow_graphics lists its public names by `inspect.stack()`, which reads the
source lines of every frame of the stack: 6 to 20 seconds in all, the deeper the import the more.
While they are imported here the stack is given without source lines, which nobody there looks at.
"""

import contextlib
import functools
import inspect
from collections.abc import Iterator


@contextlib.contextmanager
def _stack_without_sources() -> Iterator[None]:
    original = inspect.stack
    inspect.stack = functools.partial(original, 0)
    try:
        yield
    finally:
        inspect.stack = original


with _stack_without_sources():
    from tensorflow_graphics.geometry.transformation import rotation_matrix_3d
    from tensorflow_graphics.rendering.camera import perspective

__all__ = ["perspective", "rotation_matrix_3d"]
