"""Reads videos' frames through FFmpeg, the way up in which they are meant to be seen."""

import base64
import contextlib
import dataclasses
import io
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import clocks
from keras_mvlift.untrusted import files

try:
    import av
    from av.video import frame as av_frames
    from av.video import stream as av_streams
except ImportError as error:
    raise ValueError(
        "Videos must be read by PyAV: pip install 'keras-mvlift[video]'. "
        f"Received: {type(error).__name__}: {error}."
    ) from error


ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm")
"""Of files that are taken for videos."""

MAX_BYTES = 1 << 40
MAX_SIDE = 8192
"""The most pixels that a frame may be wide or high."""

_FIELD = "video"
# A frame farther than this part of a frame's time from where a steady clock has it is out of time.
_STEADY = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Film:
    """What is known of a video before its frames are decoded.

    Attributes:
        path: The file.
        size: Width and height of a frame as it is meant to be seen, pixels as they are stored.
        quarter_turns: How often a frame is turned by 90 degrees, counterclockwise, to be upright.
        num_frames: How many frames the file says that it has.
        frame_rate: Their mean rate, per second; None where the file tells none.
        is_steady: Whether each frame comes within half of a frame's time of where that rate has it.
    """

    path: pathlib.Path
    size: tuple[int, int]
    quarter_turns: int
    num_frames: int
    frame_rate: float | None
    is_steady: bool


def inspect(path: str | os.PathLike[str]) -> Film:
    """Reads what a video says of itself, its frames' times, and the first of its frames.

    Raises:
        RecordingError: If it is missing, empty, no video, or has no picture that can be decoded.
    """
    source = pathlib.Path(path)
    if files.size(source, _FIELD, MAX_BYTES) == 0:
        raise errors.RecordingError(source, _FIELD, "hold frames", "an empty file")
    with _opened(source) as (container, stream):
        with errors.parsing(source, "frame 0", "be decodable"):
            first = next(container.decode(stream), None)
        ratio = stream.sample_aspect_ratio
    if first is None:
        raise errors.RecordingError(source, "frames", "be there", "none")
    turns = round(first.rotation / 90) % 4
    size = (first.width, first.height)
    if max(size) > MAX_SIDE:
        rule = f"have frames of at most {MAX_SIDE} pixels on a side"
        raise errors.RecordingError(source, _FIELD, rule, f"{size[0]} x {size[1]}")
    if ratio and ratio != 1:
        told = f"{source.name}: pixels are {ratio} as wide as high and are taken as they are stored"
        warnings.warn(
            f"{told}: a camera must be of such pixels.", errors.InputWarning, stacklevel=2
        )
    times, stated = _clock(source)
    clocks.check_length(source, len(times))
    rate, is_steady = _rate(times, stated)
    return Film(
        path=source,
        size=(size[1], size[0]) if turns % 2 else size,
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
    with _opened(film.path) as (container, stream):
        stream.thread_type = "AUTO"
        decoded = container.decode(stream)
        number = 0
        while True:
            with errors.parsing(film.path, f"frame {number}", "be decodable"):
                frame = next(decoded, None)
                if frame is None:
                    return
                picture = _picture(frame, scaled)
            yield np.ascontiguousarray(np.rot90(picture, film.quarter_turns))
            number += 1


def _picture(frame: av_frames.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    return frame.to_ndarray(format="rgb24", width=size[0], height=size[1])


@contextlib.contextmanager
def _opened(
    path: pathlib.Path,
) -> Iterator[tuple[av.container.InputContainer, av_streams.VideoStream]]:
    with errors.parsing(path, _FIELD, "be a video that FFmpeg reads"):
        container = av.open(str(path))
    with container:
        # A song's cover is a stream of pictures too.
        cover = av.stream.Disposition.attached_pic
        moving = [each for each in container.streams.video if not each.disposition & cover]
        if not moving:
            received = ", ".join(each.type for each in container.streams) or "no stream"
            raise errors.RecordingError(path, _FIELD, "hold moving pictures", received)
        yield container, moving[0]


def _clock(path: pathlib.Path) -> tuple[np.ndarray, Fraction | None]:
    """Returns each frame's time in seconds, NaN where the file tells none, and the stated rate."""
    with _opened(path) as (container, stream), errors.parsing(path, "frames", "be readable"):
        base = stream.time_base
        times = [
            np.nan if packet.pts is None or base is None else float(packet.pts * base)
            for packet in container.demux(stream)
            if packet.size and not packet.is_discard
        ]
        return np.sort(np.array(times)), stream.average_rate


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

LONGEST_SIDE = 480
"""Pixels of the longer side of a picture in a page."""

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
    """Makes small JPEGs of a clip's frames, evenly spread.

    Args:
        film: Of `inspect`.
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
    for number, picture in enumerate(progress(read(film, LONGEST_SIDE)), -first_frame):
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
        film: Of `inspect`.
        first_frame: The video's frame that is the clip's first.
        longest_side: Pixels of the longer side.
    """

    def __init__(self, film: Film, first_frame: int = 0, longest_side: int = LONGEST_SIDE):
        self._frames = enumerate(read(film, longest_side), -first_frame)
        self._number = -first_frame - 1
        self._picture: np.ndarray | None = None

    def __call__(self, frame: int) -> np.ndarray | None:
        """Returns the picture `[height, width, 3]`, uint8, RGB; the last one behind the end."""
        while self._number < frame:
            self._number, self._picture = next(self._frames, (frame, self._picture))
        return self._picture
