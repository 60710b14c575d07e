"""Reads videos' frames through FFmpeg, the way up in which they are meant to be seen."""

import base64
import dataclasses
import importlib.util
import io
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import clocks
from keras_mvlift.untrusted import files, reading

if importlib.util.find_spec("av") is None:
    raise ValueError(
        "Videos must be read by PyAV: pip install 'keras-mvlift[video]'. Received: no module av."
    )

from PIL import Image

MAX_BYTES = 1 << 40
MAX_SIDE = 8192  # The most pixels that a frame may be wide or high.

_FIELD = "video"
# A frame farther than this part of a frame's time from where a steady clock has it is out of time.
_STEADY = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Film:
    """What is known of a video before its frames are decoded."""

    path: pathlib.Path  # The file.
    # Width and height of a frame as it is meant to be seen, pixels as they are stored.
    size: tuple[int, int]
    # How often a frame is turned by 90 degrees, counterclockwise, to be upright.
    quarter_turns: int
    num_frames: int  # How many frames the file says that it has.
    frame_rate: float | None  # Their mean rate, per second; None where the file tells none.
    # Whether each frame comes within half of a frame's time of where that rate has it.
    is_steady: bool


def inspect(path: str | os.PathLike[str]) -> Film:
    """Reads what a video says of itself, its frames' times, and the first of its frames.

    Raises:
        RecordingError: If it is missing, empty, no video, or has no picture that can be decoded.
    """
    source = pathlib.Path(path)
    if files.size(source, _FIELD, MAX_BYTES) == 0:
        raise errors.RecordingError(source, _FIELD, "hold frames", "an empty file")
    found = reading.film(source, MAX_SIDE, MAX_BYTES)
    (width, height), turns = found["size"], found["turns"]
    times = np.sort(found["times"])
    ratio = Fraction(*found["ratio"])
    if ratio not in (0, 1):
        told = f"{source.name}: pixels are {ratio} as wide as high and are taken as they are stored"
        told += ": a camera must be of such pixels."
        warnings.warn(told, errors.InputWarning, stacklevel=2)
    clocks.check_length(source, len(times))
    rate, is_steady = _rate(times, Fraction(*found["rate"]) if found["rate"] else None)
    return Film(
        path=source,
        size=(height, width) if turns % 2 else (width, height),
        quarter_turns=turns,
        num_frames=len(times),
        frame_rate=rate,
        is_steady=is_steady,
    )


def read(film: Film, longest_side: int | None = None) -> Iterator[np.ndarray]:
    """Decodes frames one by one, so that memory does not grow with their number.

    Args:
        film: Of `inspect`.
        longest_side: The most pixels of the longer side, to which larger frames are scaled down;
            None for frames as they are.

    Yields:
        `[height, width, 3]`, uint8, RGB, upright.

    Raises:
        RecordingError: If a frame cannot be decoded.
    """
    width, height = film.size if film.quarter_turns % 2 == 0 else film.size[::-1]
    share = min(1.0, (longest_side or max(film.size)) / max(film.size))
    scaled = (max(1, round(share * width)), max(1, round(share * height)))
    for picture in reading.frames(film.path, *scaled, MAX_BYTES):
        yield np.ascontiguousarray(np.rot90(picture, film.quarter_turns))


def _rate(times: np.ndarray, stated: Fraction | None) -> tuple[float | None, bool]:
    """Returns the mean rate of frames, and whether they keep to it."""
    known = times[np.isfinite(times)]
    if len(known) < 2 or known[-1] <= known[0]:
        return (float(stated), True) if stated else (None, True)
    period = (known[-1] - known[0]) / (len(known) - 1)
    drift = np.abs(known - known[0] - period * np.arange(len(known)))
    is_steady = bool(drift.max() <= _STEADY * period)
    # Times are rounded; where a steady film's stated rate says the same it says it exactly.
    if is_steady and stated and abs(float(stated) * period - 1) * len(known) <= _STEADY:
        return float(stated), True
    return float(1 / period), is_steady


# A video's frames as small pictures, for pages and films of what was lifted from it.

LONGEST_SIDE = 480  # Pixels of the longer side of a picture in a page.

MAX_IMAGES = 300
"""The most pictures in a page unless told otherwise; of a longer clip each n-th frame has one."""

_QUALITY = 70


def addresses(
    film: Film,
    num_frames: int,
    *,
    first_frame: int = 0,
    max_images: int = MAX_IMAGES,
    progress: Callable[[Iterator[Any]], Iterable[Any]] = iter,
) -> dict[int, str]:
    """Makes small JPEGs of a clip's frames, evenly spread, as `data:image/` addresses by frame.

    Args:
        film: Of `inspect`.
        num_frames: The clip's.
        first_frame: The video's frame that is the clip's first.
        max_images: The most pictures. 480 by 270 pixels take about 20 kB each in a page.
        progress: Is given the video's frames and gives them on, such as `tqdm.tqdm`.

    Raises:
        RecordingError: If a frame cannot be decoded, or none of the clip's is in the video.
    """
    errors.require(max_images >= 1, "max_images", "be at least 1", max_images)
    step = -(-num_frames // max_images)
    made: dict[int, str] = {}
    for number, picture in enumerate(progress(read(film, LONGEST_SIDE)), -first_frame):
        if number >= num_frames:
            break
        if number >= 0 and number % step == 0:
            made[number] = _address(picture)
    rule = f"have frames from {first_frame} on, as what was lifted"
    errors.require_in(film.path, made, "frames", rule, film.num_frames)
    return made


def _address(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def reel(film: Film, first_frame: int = 0) -> Callable[[int], np.ndarray | None]:
    """Returns what gives a video's pictures by a clip's frames, asked for in order; one is held.

    Pictures are `[height, width, 3]`, uint8, RGB, of `LONGEST_SIDE`; behind the end it is the last
    one. `first_frame` is the video's frame that is the clip's first.
    """
    frames = enumerate(read(film, LONGEST_SIDE), -first_frame)
    number = -first_frame - 1
    picture: np.ndarray | None = None

    def show(frame: int) -> np.ndarray | None:
        nonlocal number, picture
        while number < frame:
            number, picture = next(frames, (frame, picture))
        return picture

    return show
