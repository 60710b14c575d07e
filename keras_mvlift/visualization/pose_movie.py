"""Writes poses over time as a film: what was lifted beside the skeletons, as .mp4 or .gif."""

import fractions
import functools
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image
from rich import console, progress

from keras_mvlift.lifting import pose_clip
from keras_mvlift.visualization import movie_frames

MAX_GIF_RATE = 25.0
"""Frames per second of a .gif, which takes hundredths of seconds and much space for each."""
_GIF_TICKS = 100
_GIF_COLORS = 64
# Of the encoder, 0 for lossless to 51; lines and plain areas stay clean at this one.
_MP4_QUALITY = "20"

_Draw = Callable[[range], Iterator[np.ndarray]]


def write(
    clip: pose_clip.PoseClip,
    path: str | os.PathLike[str],
    size: tuple[int, int] = (960, 540),
    title: str = "",
    verbose: bool = False,
    images: movie_frames.Images | None = None,
) -> None:
    """Films a clip.

    Args:
        clip: Who is shown.
        path: Ends in .mp4 (H.264; the extra `video`) or .gif, which drops frames above
            `MAX_GIF_RATE`; what is there is replaced, and nothing is left if writing fails.
        size: Width and height in pixels; even for .mp4.
        title: A line above the pictures.
        verbose: Whether a progress bar is shown.
        images: What lies below the 2D input; asked for frames in rising order.

    Raises:
        ValueError: If the path ends in something else or the size does not do.
        ModuleNotFoundError: If the encoder is not installed.
        OSError: If the file cannot be written.
    """
    target = pathlib.Path(path)
    ending = target.suffix.lower()
    if ending not in _WRITERS:
        raise ValueError(f"`path` must end in {' or '.join(_WRITERS)}. Received: {target.name}.")
    if min(size) < movie_frames.SMALLEST_SIDE or any(side % 2 for side in size):
        rule = f"be even numbers of at least {movie_frames.SMALLEST_SIDE}"
        raise ValueError(f"`size` must {rule}. Received: {size}.")
    partial = target.with_name(f".{target.name}.partial{ending}")
    try:
        draw = functools.partial(_pictures, clip, size, title, verbose, images)
        _WRITERS[ending](clip, partial, size, draw)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _pictures(
    clip: pose_clip.PoseClip,
    size: tuple[int, int],
    title: str,
    verbose: bool,
    images: movie_frames.Images | None,
    frames: range,
) -> Iterator[np.ndarray]:
    drawn = movie_frames.draw(clip, frames, size, title, images)
    # Results go to the standard output.
    shown_on = console.Console(stderr=True)
    return iter(
        progress.track(drawn, "Filming", total=len(frames), disable=not verbose, console=shown_on)
    )


def _write_mp4(
    clip: pose_clip.PoseClip, path: pathlib.Path, size: tuple[int, int], draw: _Draw
) -> None:
    # The film's encoder is an extra, and a .gif does without.
    import av

    rate = fractions.Fraction(clip.frame_rate).limit_denominator(1001)
    frames = range(clip.num_frames)
    # The index at the front lets browsers play it while it loads.
    with av.open(str(path), "w", options={"movflags": "faststart"}) as film:
        stream = film.add_stream("libx264", rate=rate, options={"crf": _MP4_QUALITY})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for picture in draw(frames):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode(None))


def _write_gif(
    clip: pose_clip.PoseClip, path: pathlib.Path, size: tuple[int, int], draw: _Draw
) -> None:
    step = max(1, round(clip.frame_rate / MAX_GIF_RATE))
    frames = range(0, clip.num_frames, step)
    pictures = (
        Image.fromarray(picture).quantize(_GIF_COLORS, Image.Quantize.MAXCOVERAGE)
        for picture in draw(frames)
    )
    first = next(pictures)
    first.save(
        path,
        save_all=True,
        append_images=pictures,
        duration=_durations_ms(len(frames), step / clip.frame_rate),
        loop=0,
    )


def _durations_ms(count: int, seconds: float) -> list[int]:
    """Rounds times to hundredths so that the film as a whole lasts as long as the clip."""
    ends = [round(_GIF_TICKS * seconds * index) for index in range(count + 1)]
    tick = 1000 // _GIF_TICKS
    return [tick * max(1, stop - start) for start, stop in itertools.pairwise(ends)]


_WRITERS: dict[str, Callable[..., None]] = {".mp4": _write_mp4, ".gif": _write_gif}
