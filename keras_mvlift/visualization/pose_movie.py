"""Writes poses over time as a film: what was lifted beside the skeletons, as .mp4 or .gif."""

import fractions
import itertools
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
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

from keras_mvlift import errors
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

_Draw = Callable[[range], Iterator[np.ndarray]]

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

    def draw(frames: range) -> Iterator[np.ndarray]:
        return draw_frames(clip, progress(frames), size, title, images)

    with files.replacing(target) as partial:
        if ending == ".mp4":
            _write_mp4(clip, partial, size, draw)
        else:
            colors = _GIF_COLORS if images is None else _VIDEO_COLORS
            _write_gif(clip, partial, draw, colors)


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


def _write_gif(clip: pose_clip.PoseClip, path: pathlib.Path, draw: _Draw, colors: int) -> None:
    step = max(1, round(clip.frame_rate / MAX_GIF_RATE))
    frames = range(0, clip.num_frames, step)
    pictures = (
        Image.fromarray(picture).quantize(colors, Image.Quantize.MAXCOVERAGE, kmeans=1)
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
        panels = _panels(clip, figure, _BONE * inches[1] * _POINTS_PER_INCH, images)
        for frame in frames:
            for panel in panels:
                panel.show(frame)
            clock.set_text(f"{frame / clip.frame_rate:.2f} s")
            canvas.draw()
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


class _Panel:
    """Tracks in one picture: points `[T, J, 2]` and opacities `[T, J]` of each."""

    def __init__(
        self,
        axes: mpl_axes.Axes,
        clip: pose_clip.PoseClip,
        shown: Sequence[tuple[pose_clip.Track, np.ndarray, np.ndarray]],
        width: float,
    ):
        self._bones = np.array(
            [(parent, joint) for joint, parent in enumerate(clip.parents) if parent >= 0]
        ).reshape(-1, 2)
        self._shown = [
            (points, opacity, _colors(clip, track), self._lines(axes, track, width))
            for track, points, opacity in shown
        ]

    def _lines(
        self, axes: mpl_axes.Axes, track: pose_clip.Track, width: float
    ) -> mpl_collections.LineCollection:
        lines = mpl_collections.LineCollection(
            [],
            linewidths=width * (0.5 if track.is_reference else 1.0),
            linestyles=[(0, (1.6, 1.2)) if track.is_reference else "solid"],
            capstyle="round",
        )
        axes.add_collection(lines, autolim=False)
        return lines

    def show(self, frame: int) -> None:
        for points, opacity, rgba, lines in self._shown:
            ends = points[frame][self._bones]
            is_known = np.isfinite(ends).all(axis=(1, 2))
            shade = rgba[self._bones[:, 1]].copy()
            shade[:, 3] = opacity[frame][self._bones].min(axis=1)
            lines.set_segments(list(ends[is_known]))
            lines.set_color(list(shade[is_known]))


def _name_tracks(clip: pose_clip.PoseClip, figure: mpl_figure.Figure, letters: float) -> None:
    """Writes the names of several tracks below the pictures, each in its color."""
    if len(clip.tracks) == 1:
        return
    across = 0.02
    for track in clip.tracks:
        color = _colors(clip, track)[clip.parents.index(-1)]
        words = figure.text(across, 0.03, track.name, color=color, fontsize=letters, weight="bold")
        across += words.get_window_extent().width / figure.bbox.width + 0.02


class _Backdrop:
    """What a camera saw, in the place of its image."""

    def __init__(self, axes: mpl_axes.Axes, size: tuple[int, int], images: Images):
        self._images = images
        place = (0, size[0], size[1], 0)
        # Over the blank area, behind the lines; the axes keep the limits that they have.
        self._shown = mpl_image.AxesImage(axes, extent=place, zorder=_BEHIND_LINES)
        self._shown.set_data(np.zeros((1, 1, 3), np.uint8))
        self._shown.set_visible(False)
        axes.add_image(self._shown)

    def show(self, frame: int) -> None:
        picture = self._images(frame)
        self._shown.set_visible(picture is not None)
        if picture is not None:
            self._shown.set_data(picture)


class _Floor:
    """The floor, squares of half a meter below everybody's feet."""

    def __init__(self, axes: mpl_axes.Axes, clip: pose_clip.PoseClip, views: np.ndarray):
        middle, radius = scene.bounds(clip)
        floor = scene.floor(clip)
        half = _SQUARE * math.ceil(radius / _SQUARE)
        row = len(clip.tracks) * scene.SPACING if scene.are_apart(clip) else 0.0
        across = np.arange(-half, half + row + _SQUARE / 2, _SQUARE)
        away = np.arange(-half, half + _SQUARE / 2, _SQUARE)
        lines = [[(x, -half), (x, half)] for x in across]
        lines += [[(-half, y), (across[-1], y)] for y in away]
        self._ends = np.array(lines) @ scene.floor_directions(floor)
        self._rise = floor.height - middle @ floor.normal
        self._normal, self._views = floor.normal, views
        self._lines = mpl_collections.LineCollection([], colors=pictures.GRID, zorder=1)
        self._lines.set_linewidth(1)
        axes.add_collection(self._lines, autolim=False)

    def show(self, frame: int) -> None:
        ends = self._ends + self._rise[frame] * self._normal
        self._lines.set_segments(list(ends @ self._views[frame]))


class _Axes:
    """The directions of the clip's axes, in the picture's lower left corner."""

    def __init__(self, figure: mpl_figure.Figure, left: float, space: str, views: np.ndarray):
        width, height = figure.get_size_inches()
        side = _AXES * height
        axes = figure.add_axes((left + 0.01, 0.1, side / width, side / height))
        axes.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6))
        axes.set_axis_off()
        named = scene.axes(space)
        self._ends = (
            np.array([[(0.0, 0.0, 0.0), direction] for _, direction in named])
            @ views[:, np.newaxis]
        )
        looks = {"colors": pictures.FAINT_TEXT, "linewidths": _AXES_WIDTH * height}
        self._lines = mpl_collections.LineCollection([], **looks)
        axes.add_collection(self._lines, autolim=False)
        letters: dict[str, Any] = {"ha": "center", "va": "center", "color": pictures.FAINT_TEXT}
        letters["fontsize"] = 0.8 * _TEXT * height * _POINTS_PER_INCH
        self._names = [axes.text(0, 0, name, **letters) for name, _ in named]

    def show(self, frame: int) -> None:
        ends = self._ends[frame]
        self._lines.set_segments(list(ends))
        for name, tip in zip(self._names, ends[:, 1], strict=True):
            name.set_position(tuple(1.4 * tip))
            # An axis that points at the eye has no room for its name.
            name.set_visible(float(np.hypot(*tip)) > _LEAST_AXIS)


_Part = _Panel | _Backdrop | _Floor | _Axes


def _panels(
    clip: pose_clip.PoseClip, figure: mpl_figure.Figure, width: float, images: Images | None
) -> list[_Part]:
    seen = scene.inputs(clip.tracks)
    left = _INPUT_SHARE if seen else 0.0
    views = _views(clip)
    people = [
        (track, points, _opacity(clip, track.confidence))
        for track, points in zip(clip.tracks, _projected(clip, views), strict=True)
    ]
    axes = figure.add_axes((left, 0.1, 1 - left, 0.82))
    axes.set_axis_off()
    _frame(axes, _box([points for _, points, _ in people], _SMALLEST_HALF))
    panels: list[_Part] = [_Panel(axes, clip, people, width), _Floor(axes, clip, views)]
    panels.append(_Axes(figure, left, clip.space, views))
    if seen:
        image = [
            (found.track, found.keypoints_2d, _opacity(clip, found.track.keypoint_confidence))
            for found in seen
        ]
        axes = figure.add_axes((0.02, 0.1, _INPUT_SHARE - 0.04, 0.82))
        axes.set_axis_off()
        _frame_image(axes, clip, [points for _, points, _ in image])
        panels.append(_Panel(axes, clip, image, 0.6 * width))
        if images is not None and clip.image_size is not None:
            panels.append(_Backdrop(axes, clip.image_size, images))
    return panels


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
    every = np.stack([scene.points(track.pose, clip.space) for track in clip.tracks])
    seen = (every - scene.bounds(clip)[0]) @ views
    if scene.are_apart(clip):
        judges = pose_comparison.references_of(clip.tracks, clip.parents.index(-1))
        places = np.array(scene.slots(clip.tracks, judges))
        seen[..., 0] += scene.SPACING * places[:, np.newaxis, np.newaxis]
    return seen


def _opacity(clip: pose_clip.PoseClip, confidence: np.ndarray | None) -> np.ndarray:
    if confidence is None:
        return np.ones((clip.num_frames, len(clip.joint_names)))
    return _PALEST + (1 - _PALEST) * confidence


def _colors(clip: pose_clip.PoseClip, track: pose_clip.Track) -> np.ndarray:
    judged = [other.name for other in clip.tracks if not other.is_reference]
    if track.is_reference and judged:
        names = [pictures.FRAME] * len(clip.joint_names)
    elif len(judged) > 1:
        color = pictures.COLORS[judged.index(track.name) % len(pictures.COLORS)]
        names = [color] * len(clip.joint_names)
    else:
        sides = {"left": pictures.LEFT, "right": pictures.RIGHT}
        names = [
            next((sides[side] for side in sides if side in joint.split("_")), pictures.MIDDLE)
            for joint in clip.joint_names
        ]
    return np.array([mpl_colors.to_rgba(name) for name in names])


def _box(points: Sequence[np.ndarray], smallest_half: float) -> tuple[np.ndarray, np.ndarray]:
    """Finds the middle `[2]` of points and half of their extent `[2]`, with a margin."""
    every = np.concatenate([values.reshape(-1, 2) for values in points])
    known = every[np.isfinite(every).all(axis=-1)]
    if not len(known):
        return np.zeros(2), np.full(2, smallest_half)
    low, high = known.min(axis=0), known.max(axis=0)
    return (low + high) / 2, _MARGIN * np.maximum((high - low) / 2, smallest_half)


def _frame(axes: mpl_axes.Axes, box: tuple[np.ndarray, np.ndarray]) -> None:
    """Shows a box as large as fits, both directions in one scale."""
    middle, half = box
    extent = axes.get_window_extent()
    scale = max(half[0] / extent.width, half[1] / extent.height)
    across, up = scale * extent.width, scale * extent.height
    axes.set(xlim=(middle[0] - across, middle[0] + across), ylim=(middle[1] - up, middle[1] + up))


def _frame_image(
    axes: mpl_axes.Axes, clip: pose_clip.PoseClip, points: Sequence[np.ndarray]
) -> None:
    if clip.image_size is None:
        middle, half = _box(points, _SMALLEST_HALF)
    else:
        middle = half = np.array(clip.image_size) / 2
    _frame(axes, (middle, half))
    corner = middle - half
    area = mpl_patches.Rectangle(
        (corner[0], corner[1]), 2 * half[0], 2 * half[1], facecolor=_IMAGE, edgecolor=pictures.GRID
    )
    axes.add_patch(area)
    axes.invert_yaxis()
