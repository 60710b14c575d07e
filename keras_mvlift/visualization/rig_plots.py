"""Draws what is measured of a rig, each plot as SVG to be put into a page."""

import io

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import style

from keras_mvlift import skeletons
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import measures, report, time_offsets
from keras_mvlift.visualization import camera_colors, colors

_STYLE = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": colors.TEXT,
    "axes.labelcolor": colors.FAINT_TEXT,
    "axes.edgecolor": colors.FRAME,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": colors.GRID,
    "xtick.color": colors.FAINT_TEXT,
    "ytick.color": colors.FAINT_TEXT,
    "svg.fonttype": "path",
}
# Inches; a page shows an inch as 72 pixels.
_WIDE, _HALF = 13.0, 6.3
_HEIGHT = 3.4
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_NUM_BINS = 250
_DARK = 0.62


def _svg(figure: mpl_figure.Figure, salt: str) -> str:
    with style.context(_STYLE | {"svg.hashsalt": salt}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA, bbox_inches="tight")
    drawn = buffer.getvalue()
    # The page is HTML: no XML declaration, no document type.
    return drawn[drawn.index("<svg") :]


def joint_errors(footage: footages.Footage, measured: measures.Measures, salt: str) -> str:
    """Draws the median reprojection error of every camera and joint."""
    values = report.joint_errors(measured)
    with style.context(_STYLE, after_reset=True):
        figure = mpl_figure.Figure(figsize=(_WIDE, 1.5 + 0.3 * footage.num_views))
        axes = figure.subplots()
        _matrix(axes, values, "Reds")
        names = [name.replace("_", " ") for name in skeletons.H36M_17.joints]
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
        axes.set_yticks(range(footage.num_views), footage.camera_names)
    return _svg(figure, f"{salt}-joints")


def pair_errors(footage: footages.Footage, measured: measures.Measures, salt: str) -> str:
    """Draws the median epipolar error of every pair of cameras."""
    with style.context(_STYLE, after_reset=True):
        figure = mpl_figure.Figure(figsize=(_HALF, max(_HEIGHT, 1.2 + 0.3 * footage.num_views)))
        axes = figure.subplots()
        _matrix(axes, measured.pair_error, "Reds")
        views = range(footage.num_views)
        axes.set_xticks(views, footage.camera_names, rotation=35, ha="right")
        axes.set_yticks(views, footage.camera_names)
    return _svg(figure, f"{salt}-pairs")


def errors_over_time(footage: footages.Footage, measured: measures.Measures, salt: str) -> str:
    """Draws each camera's median reprojection error over the frames looked at."""
    error = measured.error
    bins = np.array_split(np.arange(footage.num_frames), min(_NUM_BINS, footage.num_frames))
    middle = [float(part.mean()) for part in bins]
    with style.context(_STYLE, after_reset=True):
        figure = mpl_figure.Figure(figsize=(_WIDE, 2.8))
        axes = figure.subplots()
        for view, name in enumerate(footage.camera_names):
            parts = [error[view, part].ravel() for part in bins]
            values = [
                np.median(p[np.isfinite(p)]) if np.isfinite(p).any() else np.nan for p in parts
            ]
            axes.plot(middle, values, label=name, linewidth=1.2, **camera_colors.line(view))
        for start in np.flatnonzero(np.diff(footage.run)) + 0.5:
            axes.axvline(start, color=colors.FRAME, linewidth=0.8, linestyle=":")
        axes.set(xlabel="frame looked at", ylabel="median error (px)", ylim=(0, None))
        axes.margins(x=0.01)
        _legend(axes)
    return _svg(figure, f"{salt}-time")


def confidences(footage: footages.Footage, measured: measures.Measures, salt: str) -> str:
    """Draws how sure the detector is in each camera."""
    del measured
    edges = np.linspace(0, 1, 26)
    with style.context(_STYLE, after_reset=True):
        figure = mpl_figure.Figure(figsize=(_HALF, _HEIGHT))
        axes = figure.subplots()
        for view, name in enumerate(footage.camera_names):
            values = footage.detector_confidence[view]
            share = np.histogram(values, edges)[0] / max(values.size, 1)
            looks = camera_colors.line(view)
            axes.stairs(100 * share, edges, label=name, linewidth=1.3, **looks)
        axes.axvline(footages.MIN_CONFIDENCE, color=colors.FRAME, linewidth=0.8, linestyle=":")
        axes.set(xlabel="confidence; left of the dots not used", ylabel="joints (%)", xlim=(0, 1))
        _legend(axes)
    return _svg(figure, f"{salt}-confidence")


def top_view(footage: footages.Footage, measured: measures.Measures, salt: str) -> str:
    """Draws where the cameras stand and look, and where the person goes, seen from above."""
    center, forward = footage.camera.center, footage.camera.rotation[:, 2]
    reach = float(np.nanmedian(np.linalg.norm(center - np.nanmedian(center, axis=0), axis=-1)))
    path = measured.path
    # Where the calibration is wrong a point can be anywhere; far off it would hide the rest.
    inside = np.linalg.norm(path - np.median(center, axis=0), axis=-1) < 5 * max(reach, 1e-6)
    path = np.where(inside[:, np.newaxis], path, np.nan)
    with style.context(_STYLE, after_reset=True):
        figure = mpl_figure.Figure(figsize=(_HALF, 4.6))
        axes = figure.subplots()
        for run in np.unique(footage.run):
            axes.plot(*path[footage.run == run, :2].T, color=colors.TEXT, linewidth=1)
        for view, name in enumerate(footage.camera_names):
            _camera(axes, center[view, :2], forward[view, :2], 0.3 * reach, view, name)
        axes.set(xlabel="x (m)", ylabel="y (m)")
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.15)
    return _svg(figure, f"{salt}-top")


def time_curves(footage: footages.Footage, measured: measures.Measures, salt: str) -> str:
    """Draws how well each camera agrees with the others, moved by so many frames."""
    shifts = np.arange(-time_offsets.MAX_SHIFT, time_offsets.MAX_SHIFT + 1)
    with style.context(_STYLE, after_reset=True):
        figure = mpl_figure.Figure(figsize=(_HALF, 4.6))
        axes = figure.subplots()
        axes.axvline(0, color=colors.FRAME, linewidth=0.8)
        for view, name in enumerate(footage.camera_names):
            looks = camera_colors.line(view)
            curve = 100 * measured.offsets.curve[view]
            axes.plot(shifts, curve, label=name, linewidth=1.3, **looks)
            least = measured.offsets.frames[view]
            height = curve[least + time_offsets.MAX_SHIFT]
            axes.plot(least, height, "o", markersize=5, color=looks["color"])
        axes.set(xlabel="frames late", ylabel="epipolar error (% of the person's size)")
        axes.set_ylim(0, None)
        _legend(axes)
    return _svg(figure, f"{salt}-offsets")


def _matrix(axes: mpl_axes.Axes, values: np.ndarray, name: str) -> None:
    known = values[np.isfinite(values)]
    # A healthy rig is to look pale: the scale ends no lower than at twenty pixels.
    top = max(20.0, float(known.max()) if len(known) else 0.0)
    axes.imshow(values, cmap=name, vmin=0, vmax=top, aspect="auto")
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            shade = "white" if value > _DARK * top else colors.TEXT
            digits = 1 if value < 99.95 else 0
            axes.text(
                column,
                row,
                f"{value:.{digits}f}",
                ha="center",
                va="center",
                color=shade,
                fontsize=8.5,
            )


def _camera(
    axes: mpl_axes.Axes,
    center: np.ndarray,
    forward: np.ndarray,
    length: float,
    view: int,
    name: str,
) -> None:
    looks = camera_colors.line(view)
    place = (float(center[0]), float(center[1]))
    tip = (place[0] + length * float(forward[0]), place[1] + length * float(forward[1]))
    axes.annotate(
        "", tip, place, arrowprops={"arrowstyle": "-|>", "color": looks["color"], "linewidth": 1.5}
    )
    axes.plot(*center, "o", markersize=7, color=looks["color"])
    away = -np.sign(forward[1]) if forward[1] else 1.0
    axes.annotate(
        name, place, xytext=(0, 9 * away), textcoords="offset points", ha="center", va="center"
    )


def _legend(axes: mpl_axes.Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8.5)
