"""What every array of the release's files must be: of its shape, finite, and of earthly size."""

import numpy as np

from keras_mvlift import errors

# Pixels or millimeters; nothing in a studio or a meadow is a hundred meters away.
_LARGEST = 1e5


def checked(path: object, field: str, value: object, shape: tuple[int | None, ...]) -> np.ndarray:
    """Gives an array of a file in double precision, if it is as it must be.

    Args:
        path: The file.
        field: The array's name in it.
        value: What the file holds.
        shape: The shape it must have; None for any length.

    Raises:
        RecordingError: If it is no array of numbers of that shape.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        received = f"{type(value).__name__} {getattr(value, 'dtype', '')}".strip()
        raise errors.RecordingError(path, field, "be an array of numbers", received)
    fits = len(value.shape) == len(shape) and all(
        wanted in (None, given) for wanted, given in zip(shape, value.shape, strict=True)
    )
    if not fits or not value.size:
        rule = f"have shape [{', '.join('any' if n is None else str(n) for n in shape)}]"
        raise errors.RecordingError(path, field, rule, value.shape)
    return value.astype(np.float64)


def require_finite(path: object, field: str, value: np.ndarray) -> None:
    """Refuses NaN, infinity and what is far too large, by the first frame that has it.

    Args:
        path: The file.
        field: The array's name in it.
        value: `[T, ...]`.

    Raises:
        RecordingError: If a number is not below 100 000, which is 100 m in millimeters.
    """
    is_sound = (np.abs(value) < _LARGEST).reshape(len(value), -1).all(axis=1)
    if not is_sound.all():
        frame = int(np.argmin(is_sound))
        worst = value[frame].ravel()[np.argmin(np.abs(value[frame].ravel()) < _LARGEST)]
        rule = f"hold finite numbers below {_LARGEST:g}"
        raise errors.RecordingError(path, field, rule, f"{worst} in frame {frame}")
