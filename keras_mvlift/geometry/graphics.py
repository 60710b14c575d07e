"""The operations of tensorflow_graphics that this library uses, imported quickly.

Each module of tensorflow_graphics lists its public names by `inspect.stack()`, of which it looks at
the calling frame alone. For every other frame, too, `inspect` reads source lines and looks through
all modules: 5 to 20 seconds in all, the deeper the import and the more modules there are, the more.
While they are imported here the stack ends with the caller and is given without source lines.
"""

import contextlib
import inspect
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _stack_of_two() -> Iterator[None]:
    original = inspect.stack
    inspect.stack = _own_and_calling_frame
    try:
        yield
    finally:
        inspect.stack = original


def _own_and_calling_frame(context: int = 1) -> list[inspect.FrameInfo]:
    own = sys._getframe(1)
    frames = [own, own.f_back] if own.f_back else [own]
    return [inspect.FrameInfo(frame, *inspect.getframeinfo(frame, context=0)) for frame in frames]


with _stack_of_two():
    from tensorflow_graphics.geometry.transformation import rotation_matrix_3d
    from tensorflow_graphics.rendering.camera import perspective

__all__ = ["perspective", "rotation_matrix_3d"]
