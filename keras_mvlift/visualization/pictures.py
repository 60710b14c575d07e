"""Puts what went in beside what came out: 2D joints, and the lifted pose from front and side."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import style
from matplotlib import text as mpl_text
from matplotlib.backends import backend_agg
from PIL import Image

from keras_mvlift import skeletons
from keras_mvlift.visualization import colors, image_planes, legends, orthographic_views

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

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": colors.FRAME,
    "axes.grid": True,
    "axes.labelcolor": colors.FAINT_TEXT,
    "axes.labelpad": 2.0,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.8,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": colors.GRID,
    "grid.linewidth": 0.8,
    "text.color": colors.TEXT,
    # Names of clips and cameras are no formulae.
    "text.parse_math": False,
    "xtick.color": colors.FRAME,
    "xtick.labelcolor": colors.FAINT_TEXT,
    "xtick.labelsize": 8.5,
    "xtick.major.size": 2.5,
    "ytick.color": colors.FRAME,
    "ytick.labelcolor": colors.FAINT_TEXT,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 2.5,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A view and what was made of it.

    Attributes:
        keypoints_2d: `[J, 2]`, pixels.
        confidence: `[J]`, in [0, 1]; a joint of confidence 0 is not drawn.
        pose_pred: `[J, 3]`, meters, root at 0, camera axes: x right, y down, z away.
        pose_reference: The same for the pose to compare with, NaN where unknown; None without.
        title: A line of text above the row.
        error_mm: The lifted pose's MPJPE, millimeters.
        image_size: The image's width and height, pixels; None to show the joints'
            surroundings instead of all of it.

    Raises:
        ValueError: If a shape is not the one stated above.
    """

    keypoints_2d: np.ndarray
    confidence: np.ndarray
    pose_pred: np.ndarray
    pose_reference: np.ndarray | None = None
    title: str = ""
    error_mm: float | None = None
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        num_joints = skeletons.H36M_17.num_joints
        shapes = {
            "keypoints_2d": (num_joints, 2),
            "confidence": (num_joints,),
            "pose_pred": (num_joints, 3),
            "pose_reference": (num_joints, 3),
        }
        for name, shape in shapes.items():
            if getattr(self, name) is None and name == "pose_reference":
                continue
            array = np.asarray(getattr(self, name), np.float64)
            if array.shape != shape:
                raise ValueError(f"`{name}` must have shape {shape}. Received: {array.shape}.")
            object.__setattr__(self, name, array)


def lifted_pose(
    path: str | os.PathLike[str],
    *,
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
    pose_pred: np.ndarray,
    pose_reference: np.ndarray | None = None,
    title: str = "",
    error_mm: float | None = None,
    image_size: tuple[int, int] | None = None,
) -> None:
    """Draws one view; the arguments are those of `Row`.

    Args:
        path: The PNG file.
        keypoints_2d: `[J, 2]`, pixels.
        confidence: `[J]`, in [0, 1].
        pose_pred: `[J, 3]`, meters, root at 0, camera axes.
        pose_reference: `[J, 3]`, the same; None without.
        title: A line of text.
        error_mm: Millimeters.
        image_size: Pixels.

    Raises:
        ValueError: If a shape is not the one stated above.
    """
    row = Row(
        keypoints_2d=keypoints_2d,
        confidence=confidence,
        pose_pred=pose_pred,
        pose_reference=pose_reference,
        title=title,
        error_mm=error_mm,
        image_size=image_size,
    )
    lifted_poses(path, [row])


def lifted_poses(path: str | os.PathLike[str], rows: Sequence[Row], note: str = "") -> None:
    """Draws several views below each other, all poses at one scale; equal rows, equal bytes.

    Each row has the 2D joints and the lifted pose from the front and from the side, in color
    over the reference in grey. The file measures `size(len(rows), bool(note))` pixels.

    Args:
        path: The PNG file.
        rows: The views, such as those of one instant.
        note: A line below them; none if empty.

    Raises:
        ValueError: If there is no row.
    """
    if not rows:
        raise ValueError(f"`rows` must hold at least one view. Received: {rows}.")
    # Not what the user's matplotlibrc says, so that a picture is the same everywhere.
    with style.context(_STYLE, after_reset=True):
        canvas = _drawn(rows, note)
        canvas.draw()
    # With a palette, and without what matplotlib would note of itself.
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.quantize(_NUM_COLORS, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)


def size(num_rows: int, has_note: bool = False) -> tuple[int, int]:
    """Gives width and height of a picture of so many views, pixels."""
    return round(WIDTH * DOTS_PER_INCH), round(_height(num_rows, has_note) * DOTS_PER_INCH)


def _height(num_rows: int, has_note: bool) -> float:
    foot = _FOOT + _NOTE * has_note
    return _HEADINGS + num_rows * (_TITLE + _PANEL_HEIGHT + _BELOW_PANEL) + foot


def _drawn(rows: Sequence[Row], note: str) -> backend_agg.FigureCanvasAgg:
    height = _height(len(rows), bool(note))
    figure = mpl_figure.Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH)
    canvas = backend_agg.FigureCanvasAgg(figure)
    poses = [pose for row in rows for pose in (row.pose_pred, row.pose_reference)]
    shown = orthographic_views.extent(
        [pose for pose in poses if pose is not None], _PANEL_WIDTH / _PANEL_HEIGHT
    )
    for left, name in zip(_LEFTS, _HEADING_NAMES, strict=True):
        _text(figure, left, height - 0.22, name, fontsize=10.5)
    for index, row in enumerate(rows):
        top = height - _HEADINGS - index * (_TITLE + _PANEL_HEIGHT + _BELOW_PANEL) - _TITLE
        _title(figure, row, top + 0.08)
        panels = [_panel(figure, left, top - _PANEL_HEIGHT) for left in _LEFTS]
        _draw(panels, row, shown)
    _name_axes(panels)
    _text(figure, WIDTH / 2, _FOOT, note[:_MAX_LETTERS], ha="center")
    legends.draw(figure, any(row.pose_reference is not None for row in rows))
    return canvas


def _panel(figure: mpl_figure.Figure, left: float, bottom: float) -> mpl_axes.Axes:
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, _PANEL_WIDTH / width, _PANEL_HEIGHT / height)
    )


def _text(
    figure: mpl_figure.Figure, x: float, y: float, content: str, **looks: Any
) -> mpl_text.Text:
    width, height = figure.get_size_inches()
    return figure.text(x / width, y / height, content, **looks)


def _title(figure: mpl_figure.Figure, row: Row, baseline: float) -> None:
    right = _LEFTS[-1] + _PANEL_WIDTH
    words = row.title.replace("\n", " ")[:_MAX_LETTERS]
    title = _text(figure, _LEFTS[0], baseline, words, weight="bold")
    while title.get_window_extent().x1 > (right - _ERROR_WIDTH) * DOTS_PER_INCH:
        words = words[:-1]
        title.set_text(words + "…")
    if row.error_mm is not None:
        _text(figure, right, baseline, f"MPJPE {row.error_mm:.1f} mm", ha="right")


def _draw(panels: Sequence[mpl_axes.Axes], row: Row, shown: orthographic_views.Extent) -> None:
    image, *views = panels
    image_planes.draw(image, row.keypoints_2d, row.confidence, row.image_size)
    directions = (orthographic_views.FRONT, orthographic_views.SIDE)
    for axes, direction in zip(views, directions, strict=True):
        orthographic_views.set_limits(axes, shown)
        if row.pose_reference is not None:
            orthographic_views.draw_reference(axes, row.pose_reference, direction)
        orthographic_views.draw_lifted(axes, row.pose_pred, direction)
    image.set_ylabel("y (px)")
    views[0].set_ylabel("y (m)")
    views[1].tick_params(labelleft=False)


def _name_axes(panels: Sequence[mpl_axes.Axes]) -> None:
    for axes, name in zip(panels, ("x (px)", "x (m)", "z (m), away from camera →"), strict=True):
        axes.set_xlabel(name)
