"""Puts what went in beside what came out: 2D joints, and the lifted pose from front and side."""

import dataclasses
import functools
import io
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import colors as mpl_colors
from matplotlib import figure as mpl_figure
from matplotlib import legend_handler, lines, patheffects, style, ticker
from matplotlib.backends import backend_agg
from PIL import Image

from keras_mvlift import errors, skeletons

# Inches. Where they are eighths they are whole pixels, and sums of them stay exact.
DOTS_PER_INCH = 160
WIDTH = 9.0
_PANEL_WIDTH, _PANEL_HEIGHT = 2.45, 2.125
_LEFTS = (0.7, 3.8, 6.4)
_HEADINGS, _TITLE, _BELOW_PANEL, _NOTE, _FOOT = 0.375, 0.25, 0.375, 0.25, 0.625

# How many colors the file's palette has; drawn lines have few, their smoothed edges the rest.
_NUM_COLORS = 128

# What a title leaves free at its row's end for the error, and a length that surely is too long.
_ERROR_WIDTH, _MAX_LETTERS = 1.7, 200
_HEADING_NAMES = ("Input: 2D joints", "Lifted pose, camera view", "Lifted pose, side view")
TEXT, FAINT_TEXT, FRAME, GRID = "#222222", "#555555", "#888888", "#EBEBEB"

# Okabe and Ito's palette without its yellow, which is too pale for a line.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")

# They differ in lightness too, so that no color vision mixes them: blue and vermilion, and
# near-black: of the third colors tried it is the one that stays farthest from these and the grey
# in simulated protan, deutan and tritan vision.
LEFT, RIGHT, MIDDLE = COLORS[0], COLORS[1], TEXT
SIDES = {"left": LEFT, "right": RIGHT, "middle": MIDDLE}
REFERENCE_COLOR = "#C4C4C4"
BACKGROUND = "#FFFFFF"

# Points. The reference is the wider, so that it shows where the lifted pose covers it.
_BONE_WIDTH, _REFERENCE_WIDTH, _JOINT_SIZE = 2.0, 5.0, 3.6
# The share of the largest pose's, or the 2D joints', extent that stays free around it; and
# meters and pixels: less, such as one joint on another, is not blown up.
_MARGIN, _LEAST_HALF = 0.12, 0.1
_IMAGE_MARGIN, _LEAST_IMAGE_HALF = 0.1, 10.0
# Of 2D joints, points and square points: one of confidence 0 would just vanish, one of 1 is this
# large.
_IMAGE_BONE_WIDTH, _OUTLINE_WIDTH = 1.8, 0.9
_LEAST_AREA, _MOST_AREA, _LEAST_OPACITY = 3.0, 34.0, 0.2
_CONFIDENCES_TOLD = (0.2, 0.6, 1.0)
# A person who fills this share of a panel's height is drawn with marks of full size.
_FULL_SHARE, _LEAST_SCALE = 0.7, 0.4

NOTHING_SEEN = "no joint was seen"

_TICKS = {"color": FRAME, "labelcolor": FAINT_TEXT, "labelsize": 8.5, "major.size": 2.5}
_STYLE = {
    **{f"{axis}tick.{name}": value for axis in "xy" for name, value in _TICKS.items()},
    "axes.axisbelow": True,
    "axes.edgecolor": FRAME,
    "axes.grid": True,
    "axes.labelcolor": FAINT_TEXT,
    "axes.labelpad": 2.0,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.8,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": TEXT,
    # Names of clips and cameras are no formulae.
    "text.parse_math": False,
}
# Of plots in pages, whose letters are drawn, so that they look alike everywhere.
PLOT_STYLE = _STYLE | {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "legend.frameon": False,
    "svg.fonttype": "path",
    # The same figure is the same file.
    "svg.hashsalt": "keras_mvlift",
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def svg(figure: mpl_figure.Figure, salt: str = "keras_mvlift", **options: Any) -> str:
    """Returns a figure as an element of an HTML page; names in it are made with the salt."""
    with style.context(PLOT_STYLE | {"svg.hashsalt": salt}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA, **options)
    # No XML declaration and no document type.
    drawn = buffer.getvalue()
    return drawn[drawn.index("<svg") :]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A view and what was made of it; a ValueError if a shape is not the one stated here."""

    keypoints_2d: np.ndarray  # [J, 2], pixels.
    confidence: np.ndarray  # [J], in [0, 1]; a joint of confidence 0 is not drawn.
    pose_pred: np.ndarray  # [J, 3], meters, root at 0, camera axes: x right, y down, z away.
    # The same for the pose to compare with, NaN where unknown; None without.
    pose_reference: np.ndarray | None = None
    title: str = ""  # A line of text above the row.
    error_mm: float | None = None  # The lifted pose's MPJPE, millimeters.

    def __post_init__(self) -> None:
        rest = {"keypoints_2d": (2,), "confidence": (), "pose_pred": (3,), "pose_reference": (3,)}
        for name, axes in rest.items():
            if getattr(self, name) is not None:
                array = np.asarray(getattr(self, name), np.float64)
                shape = (skeletons.H36M_17.num_joints, *axes)
                errors.require(array.shape == shape, name, f"have shape {shape}", array.shape)
                object.__setattr__(self, name, array)


def lifted_poses(path: str | os.PathLike[str], rows: Sequence[Row], note: str = "") -> None:
    """Draws views below each other in a PNG, all poses at one scale; equal rows, equal bytes.

    Each row has the 2D joints and the lifted pose from the front and from the side, in color
    over the reference in grey; a note stands below. No row is a ValueError.
    """
    errors.require(len(rows) > 0, "rows", "hold at least one view", rows)
    # Not what the user's matplotlibrc says, so that a picture is the same everywhere.
    with style.context(_STYLE, after_reset=True):
        canvas = _drawn(rows, note)
        canvas.draw()
    # With a palette, and without what matplotlib would note of itself.
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.quantize(_NUM_COLORS, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)


def _drawn(rows: Sequence[Row], note: str) -> backend_agg.FigureCanvasAgg:
    each = _TITLE + _PANEL_HEIGHT + _BELOW_PANEL
    height = _HEADINGS + len(rows) * each + _FOOT + _NOTE * bool(note)
    figure = mpl_figure.Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH)
    canvas = backend_agg.FigureCanvasAgg(figure)
    poses = [pose for row in rows for pose in (row.pose_pred, row.pose_reference)]
    shown = extent([pose for pose in poses if pose is not None], _PANEL_WIDTH / _PANEL_HEIGHT)
    for left, name in zip(_LEFTS, _HEADING_NAMES, strict=True):
        figure.text(left / WIDTH, 1 - 0.22 / height, name, fontsize=10.5)
    for index, row in enumerate(rows):
        top = height - _HEADINGS - index * each - _TITLE
        _title(figure, row, (top + 0.08) / height)
        size = (_PANEL_WIDTH / WIDTH, _PANEL_HEIGHT / height)
        bottom = (top - _PANEL_HEIGHT) / height
        panels = [figure.add_axes((left / WIDTH, bottom, *size)) for left in _LEFTS]
        _draw(panels, row, shown)
    for axes, name in zip(panels, ("x (px)", "x (m)", "z (m), away from camera →"), strict=True):
        axes.set_xlabel(name)
    figure.text(0.5, _FOOT / height, note[:_MAX_LETTERS], ha="center")
    _legend(figure, any(row.pose_reference is not None for row in rows))
    return canvas


def _title(figure: mpl_figure.Figure, row: Row, baseline: float) -> None:
    right = _LEFTS[-1] + _PANEL_WIDTH
    words = row.title.replace("\n", " ")[:_MAX_LETTERS]
    title = figure.text(_LEFTS[0] / WIDTH, baseline, words, weight="bold")
    while title.get_window_extent().x1 > (right - _ERROR_WIDTH) * DOTS_PER_INCH:
        words = words[:-1]
        title.set_text(words + "…")
    if row.error_mm is not None:
        figure.text(right / WIDTH, baseline, f"MPJPE {row.error_mm:.1f} mm", ha="right")


def _draw(panels: Sequence[mpl_axes.Axes], row: Row, shown: "Extent") -> None:
    image, *views = panels
    draw_keypoints(image, row.keypoints_2d, row.confidence)
    for axes, direction in zip(views, (FRONT, SIDE), strict=True):
        set_limits(axes, shown)
        if row.pose_reference is not None:
            draw_reference(axes, row.pose_reference, direction)
        draw_lifted(axes, row.pose_pred, direction)
    image.set_ylabel("y (px)")
    views[0].set_ylabel("y (m)")
    views[1].tick_params(labelleft=False)


def _legend(figure: mpl_figure.Figure, has_reference: bool) -> None:
    """Puts a line of keys at the foot of a figure: what its colors and sizes mean."""
    key: Any = functools.partial(lines.Line2D, [], [])
    bone: dict[str, Any] = {"linewidth": _BONE_WIDTH, "marker": "o", "markersize": _JOINT_SIZE}
    mark = {"color": MIDDLE, "linestyle": "none", "marker": "o", "markeredgewidth": 0}
    keys: dict[str, Any] = {name: key(color=color, **bone) for name, color in SIDES.items()}
    if has_reference:
        keys["reference pose"] = key(color=REFERENCE_COLOR, linewidth=_REFERENCE_WIDTH)
    keys["confidence " + ", ".join(f"{value:g}" for value in _CONFIDENCES_TOLD)] = tuple(
        key(alpha=confidence_opacity(each), markersize=_confidence_area(each) ** 0.5, **mark)
        for each in _CONFIDENCES_TOLD
    )
    figure.legend(
        list(keys.values()),
        list(keys),
        loc="lower center",
        ncols=len(keys),
        frameon=False,
        columnspacing=1.8,
        handlelength=2.2,
        handler_map={tuple: legend_handler.HandlerTuple(ndivide=None)},
    )


def joint_color(joint: int, opacity: float = 1.0) -> tuple[float, float, float, float]:
    """Returns the color of a joint of `H36M_17` and of the bone that leads to it, as RGBA."""
    return mpl_colors.to_rgba(SIDES[skeletons.side(skeletons.H36M_17.joints[joint])], opacity)


# 3D poses in parallel projection, so that lengths in meters can be read off.


class Direction(NamedTuple):
    """From where a pose is seen; down is always down.

    `across` is the coordinate that grows to the right, `toward` points at the onlooker, `[3]`.
    """

    across: int
    toward: tuple[float, float, float]

    def project(self, pose: np.ndarray) -> np.ndarray:
        """Returns `[J, 2]`, right and down, of a pose `[J, 3]`, meters, camera axes."""
        return pose[:, [self.across, 1]]


# As the camera looks, and from its right: it stands to the left of what is drawn.
FRONT = Direction(across=0, toward=(0.0, 0.0, -1.0))
SIDE = Direction(across=2, toward=(1.0, 0.0, 0.0))


class Extent(NamedTuple):
    """What is drawn, meters; its middle is at the root across and at `down` below it."""

    down: float
    half_width: float
    half_height: float


def extent(poses: Iterable[np.ndarray], aspect: float = 1.0) -> Extent:
    """Finds what holds all poses from the front and from the side, of an aspect, width over height.

    Poses are `[J, 3]` each, meters, root at 0, camera axes; NaN where unknown.
    """
    points = np.concatenate([*(pose.reshape(-1, 3) for pose in poses), np.zeros((1, 3))])
    points = points[np.isfinite(points).all(axis=-1)]
    low, high = points[:, 1].min(), points[:, 1].max()
    across = np.abs(points[:, [FRONT.across, SIDE.across]]).max()
    half_height = max(float(across) / aspect, float(high - low) / 2, _LEAST_HALF) * (1 + _MARGIN)
    return Extent(float(low + high) / 2, half_height * aspect, half_height)


def set_limits(axes: mpl_axes.Axes, shown: Extent) -> None:
    """Makes the axes show an extent, y down, a meter being as wide as high."""
    axes.set_aspect("equal")
    axes.set(
        xlim=(-shown.half_width, shown.half_width),
        ylim=(shown.down + shown.half_height, shown.down - shown.half_height),
    )
    _set_ticks(axes, [1, 2, 5, 10])


def _set_ticks(axes: mpl_axes.Axes, steps: list[int]) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(nbins=5, steps=steps))


def draw_reference(axes: mpl_axes.Axes, pose: np.ndarray, direction: Direction) -> None:
    """Draws a pose `[J, 3]`, meters, camera axes, as a grey shape; leaves out what is NaN."""
    points = direction.project(pose)
    for bone in map(list, skeletons.H36M_17.bones):
        _draw_bone(axes, points[bone], REFERENCE_COLOR, _REFERENCE_WIDTH)


def _draw_bone(axes: mpl_axes.Axes, ends: np.ndarray, color: Any, width: float) -> None:
    axes.plot(*ends.T, color=color, linewidth=width, solid_capstyle="round")


def draw_lifted(axes: mpl_axes.Axes, pose: np.ndarray, direction: Direction) -> None:
    """Draws a pose `[J, 3]`, meters, camera axes, what is nearer over what is farther."""
    points, nearness = direction.project(pose), pose @ np.asarray(direction.toward)
    bones = sorted(skeletons.H36M_17.bones, key=lambda bone: nearness[list(bone)].sum())
    for bone in map(list, bones):
        _draw_bone(axes, points[bone], joint_color(bone[1]), _BONE_WIDTH)
    mark: dict[str, Any] = {"marker": "o", "markersize": _JOINT_SIZE, "markeredgewidth": 0}
    for joint in np.argsort(nearness, kind="stable"):
        axes.plot(*points[joint], color=joint_color(joint), **mark)


# 2D joints where the camera saw them.


def draw_keypoints(axes: mpl_axes.Axes, keypoints_2d: np.ndarray, confidence: np.ndarray) -> None:
    """Draws the joints that were seen, the larger and stronger the surer the detector was.

    The limits become those of the joints' surroundings, y down, one pixel as wide as high.
    Confidence `[J]` of 0 leaves a joint, `[J, 2]`, pixels, and its bones out.
    """
    is_seen = (confidence > 0) & np.isfinite(keypoints_2d).all(axis=-1)
    scale = _set_image_limits(axes, keypoints_2d[is_seen])
    for bone in map(list, skeletons.H36M_17.bones):
        if is_seen[bone].all():
            color = joint_color(bone[1], confidence_opacity(min(confidence[bone])))
            _draw_bone(axes, keypoints_2d[bone], color, _IMAGE_BONE_WIDTH * scale)
    joints = np.flatnonzero(is_seen)
    outline = patheffects.withStroke(linewidth=_OUTLINE_WIDTH * scale, foreground=BACKGROUND)
    axes.scatter(
        keypoints_2d[joints, 0],
        keypoints_2d[joints, 1],
        s=[_confidence_area(confidence[joint]) * scale**2 for joint in joints],
        c=[joint_color(joint, confidence_opacity(confidence[joint])) for joint in joints],
        linewidths=0,
        zorder=3,
        path_effects=[outline],
    )


def _confidence_area(confidence: float) -> float:
    """Returns the area of a joint's mark, square points."""
    return _LEAST_AREA + (_MOST_AREA - _LEAST_AREA) * confidence


def confidence_opacity(confidence: float) -> float:
    """Returns the opacity of a joint's mark, in [0, 1]."""
    return _LEAST_OPACITY + (1 - _LEAST_OPACITY) * confidence


def _set_image_limits(axes: mpl_axes.Axes, seen: np.ndarray) -> float:
    """Shows what surrounds joints; returns the scale of marks, smaller where a person is small."""
    axes.set_aspect("equal")
    axes.set_anchor("NW")
    _set_ticks(axes, [1, 2, 4, 5, 10])
    if not len(seen):
        axes.text(0.5, 0.5, NOTHING_SEEN, transform=axes.transAxes, ha="center", va="center")
        axes.set(xticks=[], yticks=[])
        return 1.0
    low, high = seen.min(axis=0), seen.max(axis=0)
    aspect = axes.bbox.width / axes.bbox.height
    width, height = high - low
    half = max(width / aspect / 2, height / 2, _LEAST_IMAGE_HALF) * (1 + 2 * _IMAGE_MARGIN)
    (x, y) = (low + high) / 2
    axes.set(xlim=(x - half * aspect, x + half * aspect), ylim=(y + half, y - half))
    share = float(max(width, height)) / (2 * half)
    return float(np.clip(share / _FULL_SHARE, _LEAST_SCALE, 1.0))
