"""Writes poses over time as a film: what was lifted beside the skeletons, as .mp4 or .gif."""

import fractions
import itertools
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import matplotlib
import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import collections as mpl_collections
from matplotlib import colors as mpl_colors
from matplotlib import figure as mpl_figure
from matplotlib import image as mpl_image
from matplotlib import patches as mpl_patches
from matplotlib.backends import backend_agg
from PIL import Image

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import pose_clip, pose_comparison
from keras_mvlift.untrusted import files
from keras_mvlift.visualization import pictures, scene

MAX_GIF_RATE = 25.0
"""Frames per second of a .gif, which takes hundredths of seconds and much space for each."""
_GIF_TICKS = 100
# Of a frame's own palette: lines on plain ground need few, the video beside them all there are.
_GIF_COLORS, _VIDEO_COLORS = 64, 256
# Of the encoder, 0 for lossless to 51; lines and plain areas stay clean at this one.
_MP4_QUALITY = "20"


Images = Callable[[int], np.ndarray | None]
"""Returns the image that a frame was lifted from, `[height, width, 3]`, uint8, RGB, or None."""


def write(
    clip: pose_clip.PoseClip,
    path: str | os.PathLike[str],
    size: tuple[int, int] = (960, 540),
    title: str = "",
    progress: Callable[[range], Iterable[int]] = iter,
    images: Images | None = None,
) -> None:
    """Films a clip.

    Args:
        clip: Who is shown, but for people of low quality, of `scene.doubts`.
        path: Ends in .mp4 (H.264; the extra `video`) or .gif, which drops frames above
            `MAX_GIF_RATE`; what is there is replaced, and nothing is left if writing fails.
        size: Width and height in pixels; even for .mp4.
        title: A line above the pictures.
        progress: Is given the frames to draw and gives them on, such as `tqdm.tqdm`.
        images: What lies below the 2D input; asked for frames in rising order.

    Raises:
        ValueError: If the path ends in something else or the size does not do.
        ModuleNotFoundError: If the encoder is not installed.
        OSError: If the file cannot be written.
    """
    target = pathlib.Path(path)
    ending = target.suffix.lower()
    errors.require(ending in (".mp4", ".gif"), "path", "end in .mp4 or .gif", target.name)
    is_even = min(size) >= SMALLEST_SIDE and not any(side % 2 for side in size)
    errors.require(is_even, "size", f"be even numbers of at least {SMALLEST_SIDE}", size)

    step = max(1, round(clip.frame_rate / MAX_GIF_RATE)) if ending == ".gif" else 1
    frames = range(0, clip.num_frames, step)
    drawn = draw_frames(clip, progress(frames), size, title, images)
    with files.replacing(target) as partial:
        if ending == ".mp4":
            _write_mp4(partial, drawn, clip.frame_rate, size)
        else:
            colors = _GIF_COLORS if images is None else _VIDEO_COLORS
            ticks = _GIF_TICKS * step / clip.frame_rate
            _write_gif(partial, drawn, len(frames), ticks, colors)


def _write_mp4(
    path: pathlib.Path, drawn: Iterator[np.ndarray], frame_rate: float, size: tuple[int, int]
) -> None:
    # The film's encoder is an extra, and a .gif does without.
    import av

    rate = fractions.Fraction(frame_rate).limit_denominator(1001)
    # The index at the front lets browsers play it while it loads.
    with av.open(str(path), "w", options={"movflags": "faststart"}) as film:
        stream = film.add_stream("libx264", rate=rate, options={"crf": _MP4_QUALITY})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for picture in drawn:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode(None))


def _write_gif(
    path: pathlib.Path, drawn: Iterator[np.ndarray], num_frames: int, ticks: float, colors: int
) -> None:
    pictures = (
        Image.fromarray(picture).quantize(colors, Image.Quantize.MAXCOVERAGE, kmeans=1)
        for picture in drawn
    )
    first = next(pictures)
    # Times are rounded to hundredths so that the film as a whole lasts as long as the clip.
    ends = [round(ticks * index) for index in range(num_frames + 1)]
    each = [1000 // _GIF_TICKS * max(1, stop - at) for at, stop in itertools.pairwise(ends)]
    first.save(path, save_all=True, append_images=pictures, duration=each, loop=0)


# Draws frames of a clip as pictures: the 2D input on the left, the skeletons on the right.

SMALLEST_SIDE = 64
_DOTS_PER_INCH = 100
_POINTS_PER_INCH = 72
# Parts of the picture's height: of a bone's width, and of the letters.
_BONE, _TEXT = 0.009, 0.032
_PALEST = 0.15
_MARGIN = 1.12
_INPUT_SHARE = 0.42
# The least half of what is shown, in meters or pixels, so that a point does not fill it.
_SMALLEST_HALF = 0.5
_IMAGE = "#F4F5F7"
# Of the view, radians; of the floor, meters.
_SWING, _LEAST_ELEVATION, _SQUARE = math.radians(25), 0.15, 0.5
# Of the axes in the corner: their box as a part of the picture's height, the width of their lines
# in points per inch of it, and the least length at which a name has room.
_AXES, _AXES_WIDTH, _LEAST_AXIS = 0.13, 0.25, 0.25
# Matplotlib draws patches at 1 and lines at 2.
_BEHIND_LINES = 1.5


def draw_frames(
    clip: pose_clip.PoseClip,
    frames: Iterable[int],
    size: tuple[int, int],
    title: str = "",
    images: Images | None = None,
) -> Iterator[np.ndarray]:
    """Draws frames by their indices from 0, each `[height, width, 3]`, uint8, RGB; see `write`."""
    clip = scene.without_doubtful(clip)
    inches = (size[0] / _DOTS_PER_INCH, size[1] / _DOTS_PER_INCH)
    with matplotlib.rc_context({"path.simplify": False}):
        figure = mpl_figure.Figure(
            figsize=inches, dpi=_DOTS_PER_INCH, facecolor=pictures.BACKGROUND
        )
        canvas = backend_agg.FigureCanvasAgg(figure)
        letters = _TEXT * inches[1] * _POINTS_PER_INCH
        clock = figure.text(0.98, 0.03, "", ha="right", color=pictures.FAINT_TEXT, fontsize=letters)
        figure.text(0.02, 0.98, title, va="top", color=pictures.TEXT, fontsize=1.2 * letters)
        _name_tracks(clip, figure, letters)
        parts = _parts(clip, figure, _BONE * inches[1] * _POINTS_PER_INCH, images)
        for frame in frames:
            for show in parts:
                show(frame)
            clock.set_text(f"{frame / clip.frame_rate:.2f} s")
            canvas.draw()
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


# Shows a frame in one part of the picture.
_Show = Callable[[int], None]


def _lines(axes: mpl_axes.Axes, **looks: Any) -> mpl_collections.LineCollection:
    lines = mpl_collections.LineCollection([], **looks)
    axes.add_collection(lines, autolim=False)
    return lines


def _show_track(
    axes: mpl_axes.Axes,
    clip: pose_clip.PoseClip,
    track: pose_clip.Track,
    points: np.ndarray,
    confidence: np.ndarray | None,
    width: float,
) -> _Show:
    """Shows a track by its points in the picture, `[T, J, 2]`, the paler the less sure."""
    pairs = [(parent, joint) for joint, parent in enumerate(clip.parents) if parent >= 0]
    bones = np.array(pairs).reshape(-1, 2)
    rgba = _colors(clip, track)[bones[:, 1]]
    opacity = np.ones(points.shape[:2])
    if confidence is not None:
        opacity = _PALEST + (1 - _PALEST) * confidence
    is_faint = track.is_reference
    looks = {"linewidths": width * (0.5 if is_faint else 1.0), "capstyle": "round"}
    lines = _lines(axes, linestyles=[(0, (1.6, 1.2)) if is_faint else "solid"], **looks)

    def show(frame: int) -> None:
        ends = points[frame][bones]
        is_known = np.isfinite(ends).all(axis=(1, 2))
        rgba[:, 3] = opacity[frame][bones].min(axis=1)
        lines.set_segments(list(ends[is_known]))
        lines.set_color(list(rgba[is_known]))

    return show


def _name_tracks(clip: pose_clip.PoseClip, figure: mpl_figure.Figure, letters: float) -> None:
    """Writes the names of several tracks below the pictures, each in its color."""
    across = 0.02
    for track in clip.tracks if len(clip.tracks) > 1 else ():
        color = _colors(clip, track)[clip.parents.index(-1)]
        words = figure.text(across, 0.03, track.name, color=color, fontsize=letters, weight="bold")
        across += words.get_window_extent().width / figure.bbox.width + 0.02


def _show_video(axes: mpl_axes.Axes, size: tuple[int, int], images: Images) -> _Show:
    """Shows what a camera saw, in the place of its image."""
    # Over the blank area, behind the lines; the axes keep the limits that they have.
    seen = mpl_image.AxesImage(axes, extent=(0, size[0], size[1], 0), zorder=_BEHIND_LINES)
    seen.set_data(np.zeros((1, 1, 3), np.uint8))
    axes.add_image(seen)

    def show(frame: int) -> None:
        picture = images(frame)
        seen.set_visible(picture is not None)
        if picture is not None:
            seen.set_data(picture)

    return show


def _show_floor(axes: mpl_axes.Axes, clip: pose_clip.PoseClip, views: np.ndarray) -> _Show:
    """Shows the floor, squares of half a meter below everybody's feet."""
    middle, radius = scene.bounds(clip)
    floor = scene.floor(clip)
    half = _SQUARE * math.ceil(radius / _SQUARE)
    row = len(clip.tracks) * scene.SPACING if scene.are_apart(clip) else 0.0
    across = np.arange(-half, half + row + _SQUARE / 2, _SQUARE)
    away = np.arange(-half, half + _SQUARE / 2, _SQUARE)
    edges = [[(x, -half), (x, half)] for x in across]
    edges += [[(-half, y), (across[-1], y)] for y in away]
    ends = np.array(edges) @ scene.floor_directions(floor)
    rise = floor.height - middle @ floor.normal
    lines = _lines(axes, colors=pictures.GRID, zorder=1, linewidths=1)
    return lambda frame: lines.set_segments(
        list((ends + rise[frame] * floor.normal) @ views[frame])
    )


def _show_axes(figure: mpl_figure.Figure, left: float, space: str, views: np.ndarray) -> _Show:
    """Shows the directions of the clip's axes, in the picture's lower left corner."""
    width, height = figure.get_size_inches()
    side = _AXES * height
    axes = figure.add_axes((left + 0.01, 0.1, side / width, side / height))
    axes.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6))
    axes.set_axis_off()
    names, directions = zip(*scene.axes(space), strict=True)
    tips = np.array(directions) @ views
    lines = _lines(axes, colors=pictures.FAINT_TEXT, linewidths=_AXES_WIDTH * height)
    letters: dict[str, Any] = {"ha": "center", "va": "center", "color": pictures.FAINT_TEXT}
    letters["fontsize"] = 0.8 * _TEXT * height * _POINTS_PER_INCH
    words = [axes.text(0, 0, name, **letters) for name in names]

    def show(frame: int) -> None:
        lines.set_segments([[(0.0, 0.0), tip] for tip in tips[frame]])
        for word, tip in zip(words, tips[frame], strict=True):
            word.set_position(tuple(1.4 * tip))
            # An axis that points at the eye has no room for its name.
            word.set_visible(float(np.hypot(*tip)) > _LEAST_AXIS)

    return show


def _parts(
    clip: pose_clip.PoseClip, figure: mpl_figure.Figure, width: float, images: Images | None
) -> list[_Show]:
    seen = scene.inputs(clip.tracks)
    left = _INPUT_SHARE if seen else 0.0
    views = _views(clip)
    projected = _projected(clip, views)
    axes = figure.add_axes((left, 0.1, 1 - left, 0.82))
    axes.set_axis_off()
    _frame(axes, *_box(projected))
    parts = [
        _show_track(axes, clip, track, points, track.confidence, width)
        for track, points in zip(clip.tracks, projected, strict=True)
    ]
    parts += [_show_floor(axes, clip, views), _show_axes(figure, left, clip.space, views)]
    if seen:
        axes = figure.add_axes((0.02, 0.1, _INPUT_SHARE - 0.04, 0.82))
        axes.set_axis_off()
        _frame_image(axes, clip, np.stack([found.keypoints_2d for found in seen]))
        for found in seen:
            told = found.keypoints_2d, found.track.keypoint_confidence
            parts.append(_show_track(axes, clip, found.track, *told, 0.6 * width))
        if images is not None and clip.image_size is not None:
            parts.append(_show_video(axes, clip.image_size, images))
    return parts


def _views(clip: pose_clip.PoseClip) -> np.ndarray:
    """Returns what is right and what is up in each frame, `[T, 3, 2]`: a view that swings once.

    Depth is seen by what turns before what.
    """
    first, elevation = scene.viewpoint(clip)
    # From the height of the floor itself nothing of it would be seen.
    elevation = max(elevation, _LEAST_ELEVATION)
    turned = _SWING * np.sin(2 * np.pi * np.arange(clip.num_frames) / clip.num_frames)
    cosine, sine = np.cos(first + turned), np.sin(first + turned)
    right = np.stack([cosine, sine, 0 * sine], axis=-1)
    away = np.stack([-sine, cosine, 0 * sine], axis=-1)
    up = np.sin(elevation) * away + [0.0, 0.0, np.cos(elevation)]
    return np.stack([right, up], axis=-1)


def _projected(clip: pose_clip.PoseClip, views: np.ndarray) -> np.ndarray:
    """Returns `[tracks, T, J, 2]`, meters right and up of the middle, as seen from far away."""
    seen = (scene.points(clip) - scene.bounds(clip)[0]) @ views
    if scene.are_apart(clip):
        judges = pose_comparison.references_of(clip)
        places = np.array(scene.slots(clip.tracks, judges))
        seen[..., 0] += scene.SPACING * places[:, np.newaxis, np.newaxis]
    return seen


def _colors(clip: pose_clip.PoseClip, track: pose_clip.Track) -> np.ndarray:
    judged = [other.name for other in clip.tracks if not other.is_reference]
    if track.is_reference and judged:
        names = [pictures.FRAME] * len(clip.joint_names)
    elif len(judged) > 1:
        color = pictures.COLORS[judged.index(track.name) % len(pictures.COLORS)]
        names = [color] * len(clip.joint_names)
    else:
        names = [pictures.SIDES[skeletons.side(joint)] for joint in clip.joint_names]
    return np.array([mpl_colors.to_rgba(name) for name in names])


def _box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the middle `[2]` of points and half of their extent `[2]`, with a margin."""
    known = scene.present(points)
    if not len(known):
        return np.zeros(2), np.full(2, _SMALLEST_HALF)
    low, high = known.min(axis=0), known.max(axis=0)
    return (low + high) / 2, _MARGIN * np.maximum((high - low) / 2, _SMALLEST_HALF)


def _frame(axes: mpl_axes.Axes, middle: np.ndarray, half: np.ndarray) -> None:
    """Shows a box as large as fits, both directions in one scale."""
    extent = axes.get_window_extent().size
    reach = max(half / extent) * extent
    (left, low), (right, high) = middle - reach, middle + reach
    axes.set(xlim=(left, right), ylim=(low, high))


def _frame_image(axes: mpl_axes.Axes, clip: pose_clip.PoseClip, points: np.ndarray) -> None:
    middle = half = np.array(clip.image_size or (0, 0)) / 2
    if clip.image_size is None:
        middle, half = _box(points)
    _frame(axes, middle, half)
    looks: dict[str, Any] = {"facecolor": _IMAGE, "edgecolor": pictures.GRID}
    axes.add_patch(mpl_patches.Rectangle(tuple(middle - half), *(2 * half), **looks))
    axes.invert_yaxis()
