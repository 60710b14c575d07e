"""A video's frames as small pictures, for pages and films of what was lifted from it."""

import base64
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from keras_mvlift.datasets import errors
from keras_mvlift.video import films

LONGEST_SIDE = 480
"""Pixels of the longer side of a picture in a page."""

MAX_IMAGES = 300
"""The most pictures in a page unless told otherwise; of a longer clip each n-th frame has one."""

_QUALITY = 70


def addresses(
    film: films.Film,
    num_frames: int,
    *,
    first_frame: int = 0,
    max_images: int = MAX_IMAGES,
    progress: Callable[[Iterator[Any]], Iterable[Any]] = iter,
) -> dict[int, str]:
    """Makes small JPEGs of a clip's frames, evenly spread.

    Args:
        film: Of `films.inspect`.
        num_frames: The clip's.
        first_frame: The video's frame that is the clip's first.
        max_images: The most pictures. 480 by 270 pixels take about 20 kB each in a page.
        progress: Is given the video's frames and gives them on, such as `tqdm.tqdm`.

    Returns:
        Index of a clip's frame to a `data:image/` address.

    Raises:
        RecordingError: If a frame cannot be decoded, or none of the clip's is in the video.
    """
    if max_images < 1:
        raise ValueError(f"`max_images` must be at least 1. Received: {max_images}.")
    step = -(-num_frames // max_images)
    made: dict[int, str] = {}
    for number, picture in enumerate(progress(films.read(film, LONGEST_SIDE)), -first_frame):
        if number >= num_frames:
            break
        if number >= 0 and number % step == 0:
            made[number] = _address(picture)
    if not made:
        rule = f"have frames from {first_frame} on, as what was lifted"
        raise errors.RecordingError(film.path, "frames", rule, film.num_frames)
    return made


def _address(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


class Reel:
    """Frames of a video by a clip's numbers, asked for in order; one is held at a time.

    Args:
        film: Of `films.inspect`.
        first_frame: The video's frame that is the clip's first.
        longest_side: Pixels of the longer side.
    """

    def __init__(self, film: films.Film, first_frame: int = 0, longest_side: int = LONGEST_SIDE):
        self._frames = enumerate(films.read(film, longest_side), -first_frame)
        self._number = -first_frame - 1
        self._picture: np.ndarray | None = None

    def __call__(self, frame: int) -> np.ndarray | None:
        """Gives the picture `[height, width, 3]`, uint8, RGB; the last one behind the end."""
        while self._number < frame:
            self._number, self._picture = next(self._frames, (frame, self._picture))
        return self._picture
