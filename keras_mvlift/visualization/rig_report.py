"""Writes the check of a rig as one HTML page that needs nothing else."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import style

from keras_mvlift import skeletons
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import report, residuals, verdicts
from keras_mvlift.visualization import pages, pictures, tables


def joint_errors(axes: mpl_axes.Axes, footage: footages.Footage, measured: report.Measures) -> None:
    """Draws the median reprojection error of every camera and joint."""
    names = [name.replace("_", " ") for name in skeletons.H36M_17.joints]
    _matrix(axes, report.joint_errors(measured), names, footage.camera_names)


def pair_errors(axes: mpl_axes.Axes, footage: footages.Footage, measured: report.Measures) -> None:
    """Draws the median epipolar error of every pair of cameras."""
    _matrix(axes, measured.pair_error, footage.camera_names, footage.camera_names)


def errors_over_time(
    axes: mpl_axes.Axes, footage: footages.Footage, measured: report.Measures
) -> None:
    """Draws each camera's median reprojection error over the frames looked at."""
    bins = np.array_split(np.arange(footage.num_frames), min(_NUM_BINS, footage.num_frames))
    middle = [float(part.mean()) for part in bins]
    for view, name, looks in _cameras(footage):
        parts = [measured.error[view, part].ravel() for part in bins]
        values = [np.median(p[np.isfinite(p)]) if np.isfinite(p).any() else np.nan for p in parts]
        axes.plot(middle, values, label=name, linewidth=1.2, **looks)
    for start in np.flatnonzero(np.diff(footage.run)) + 0.5:
        axes.axvline(start, color=pictures.FRAME, linewidth=0.8, linestyle=":")
    if worst := _worst(footage, measured):
        axes.axvline(worst.moment, color=pictures.TEXT, linewidth=0.8, label="worst frame")
    axes.set(xlabel="frame looked at", ylabel="median error (px)", ylim=(0, None))
    axes.margins(x=0.01)
    _legend(axes)


def confidences(axes: mpl_axes.Axes, footage: footages.Footage, measured: report.Measures) -> None:
    """Draws how sure the detector is in each camera."""
    del measured
    edges = np.linspace(0, 1, 26)
    for view, name, looks in _cameras(footage):
        values = footage.detector_confidence[view]
        share = np.histogram(values, edges)[0] / max(values.size, 1)
        axes.stairs(100 * share, edges, label=name, linewidth=1.3, **looks)
    axes.axvline(footages.MIN_CONFIDENCE, color=pictures.FRAME, linewidth=0.8, linestyle=":")
    axes.set(xlabel="confidence; left of the dots not used", ylabel="joints (%)", xlim=(0, 1))
    _legend(axes)


def top_view(axes: mpl_axes.Axes, footage: footages.Footage, measured: report.Measures) -> None:
    """Draws where the cameras stand and look, and where the person goes, seen from above."""
    center, forward = footage.camera.center, footage.camera.rotation[:, 2]
    reach = float(np.nanmedian(np.linalg.norm(center - np.nanmedian(center, axis=0), axis=-1)))
    path = measured.path
    # Where the calibration is wrong a point can be anywhere; far off it would hide the rest.
    inside = np.linalg.norm(path - np.median(center, axis=0), axis=-1) < 5 * max(reach, 1e-6)
    path = np.where(inside[:, np.newaxis], path, np.nan)
    for run in np.unique(footage.run):
        axes.plot(*path[footage.run == run, :2].T, color=pictures.TEXT, linewidth=1)
    for view, name, looks in _cameras(footage):
        arrow = {"arrowstyle": "-|>", "color": looks["color"], "linewidth": 1.5}
        place, ahead = center[view, :2], forward[view, :2]
        axes.annotate("", place + 0.3 * reach * ahead, place, arrowprops=arrow)
        axes.plot(*place, "o", markersize=7, color=looks["color"])
        away = -np.sign(ahead[1]) if ahead[1] else 1.0
        looks = {"textcoords": "offset points", "ha": "center", "va": "center"}
        axes.annotate(name, place, xytext=(0, 9 * away), **looks)
    axes.set(xlabel="x (m)", ylabel="y (m)")
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.15)


def time_curves(axes: mpl_axes.Axes, footage: footages.Footage, measured: report.Measures) -> None:
    """Draws how well each camera agrees with the others, moved by so many frames."""
    shifts = np.arange(-residuals.MAX_SHIFT, residuals.MAX_SHIFT + 1)
    axes.axvline(0, color=pictures.FRAME, linewidth=0.8)
    for view, name, looks in _cameras(footage):
        curve = 100 * measured.offsets.curve[view]
        axes.plot(shifts, curve, label=name, linewidth=1.3, **looks)
        least = measured.offsets.frames[view]
        height = curve[least + residuals.MAX_SHIFT]
        axes.plot(least, height, "o", markersize=5, color=looks["color"])
    axes.set(xlabel="frames late", ylabel="epipolar error (% of the person's size)")
    axes.set_ylim(0, None)
    _legend(axes)


class _Worst(NamedTuple):
    """The frame in which a camera is farthest off."""

    view: int
    moment: int
    words: str


def _worst(footage: footages.Footage, measured: report.Measures) -> _Worst | None:
    num_seen = np.isfinite(measured.error).sum(axis=-1)
    error = residuals.masked_median(measured.error)
    error = np.where(num_seen >= verdicts.MIN_JOINTS, error, np.nan)
    if not np.isfinite(error).any():
        return None
    view, index = np.unravel_index(np.nanargmax(error), error.shape)
    clip = footage.clips[footage.run[index]]
    words = (
        f"{footage.camera_names[view]} in frame {footage.frame[index]} of {clip}, "
        f"{error[view, index]:.1f} px in the median"
    )
    return _Worst(int(view), int(index), words)


def worst_frame(axes: mpl_axes.Axes, footage: footages.Footage, measured: report.Measures) -> None:
    """Draws what cameras saw in the worst frame, over where all together put it, in grey."""
    axes.set_axis_off()
    worst = _worst(footage, measured)
    if worst is None:
        return
    error = measured.error[:, worst.moment]
    order = np.argsort(-residuals.masked_median(error), kind="stable")
    views = [int(view) for view in [worst.view, *order[order != worst.view]]][:_MOST_VIEWS]
    is_seen = footage.confidence[:, worst.moment] > 0
    seen = np.where(is_seen[..., np.newaxis], footage.keypoints_2d[:, worst.moment], np.nan)
    placed = seen - residuals.reproject(footage).residual[:, worst.moment]
    for place, view in enumerate(views):
        both = np.concatenate([seen[view], placed[view]])
        known = both[np.isfinite(both).all(axis=-1)]
        if not len(known):
            continue
        middle = (known.min(axis=0) + known.max(axis=0)) / 2
        scale = max(float((known - middle).max()), 1.0) * _SPREAD
        for points, looks in ((placed[view], _PLACED), (seen[view], camera_line(view))):
            x, y = ((points - middle) / scale + [place, 0]).T
            for bone in map(list, skeletons.H36M_17.bones):
                axes.plot(x[bone], y[bone], **_SEEN | looks)
        axes.text(place, -0.56, footage.camera_names[view], ha="center")
    axes.set(xlim=(-0.55, _MOST_VIEWS - 0.45), ylim=(0.55, -0.65))
    axes.set_aspect("equal")


Draw = Callable[[mpl_axes.Axes, footages.Footage, report.Measures], None]

# Inches; a page shows an inch as 72 pixels.
_WIDE, _HALF, _PER_CAMERA = 13.0, 6.3, 0.3

# In the order of the page: caption, drawing, width, the least height, and the height to which
# each camera adds, if it does.
_FIXED = -np.inf
PLOTS: tuple[tuple[str, Draw, float, float, float], ...] = (
    ("Reprojection error of each joint, median, px", joint_errors, _WIDE, 0.0, 1.5),
    ("Reprojection error over time, px", errors_over_time, _WIDE, 2.8, _FIXED),
    ("The worst frame, where all cameras put it together in grey", worst_frame, _WIDE, 3.6, _FIXED),
    ("Epipolar error of each pair, median, px", pair_errors, _HALF, 3.4, 1.2),
    ("Confidence of the detections", confidences, _HALF, 3.4, _FIXED),
    ("Cameras and the person's path from above", top_view, _HALF, 4.6, _FIXED),
    ("Time offset: error of a camera moved in time", time_curves, _HALF, 4.6, _FIXED),
)


def render(reports: Sequence[report.RigReport]) -> str:
    """Writes reports, one below the other, as an HTML page; equal reports give equal pages."""
    rigs = [_rig(rig, number) for number, rig in enumerate(reports)]
    title = ", ".join(tables.headline(rig).rstrip(".") for rig in reports)
    return pages.fill("rig_report.html", rigs=rigs, title=title)


def _rig(rig: report.RigReport, number: int) -> dict[str, Any]:
    headings, rows = tables.rows(rig)
    shown = [("Measured", rig.footage, rig.as_read, f"{number}")]
    if rig.corrected is not None and rig.after is not None:
        mended = ("Once mended", rig.corrected, rig.after, f"{number}-after")
        shown = [mended, ("As it was read", *shown[0][1:])]
    return {
        "headline": tables.headline(rig),
        "subject": tables.subject(rig),
        "person": tables.person(rig),
        "findings": rig.found,
        "cameras": {
            "title": "Errors of each camera",
            # Not broken as in a terminal.
            "headings": [heading.replace("-\n", "") for heading in headings],
            "rows": rows,
            "best": pages.best_cells(rows, _RANKS),
            "is_published": False,
        },
        "sections": [_section(*each) for each in shown],
        "bones": _bones(rig.as_read if rig.after is None else rig.after),
    }


# Of the columns of `tables.rows`: errors are the better the lower, confidence the higher.
_RANKS = (0, -1, -1, -1, -1, -1, 1, -1, 0, 0)


def _section(
    title: str, footage: footages.Footage, measured: report.Measures, salt: str
) -> dict[str, Any]:
    plots = []
    worst = _worst(footage, measured)
    address = f"worst-{salt}"
    for caption, draw, width, least, base in PLOTS:
        size = (width, max(least, base + _PER_CAMERA * footage.num_views))
        svg = plot(draw, size, footage, measured, f"{salt}-{draw.__name__}")
        told = {"caption": caption, "svg": svg, "is_wide": width == _WIDE, "id": None}
        if draw is worst_frame and worst is not None:
            told |= {"id": address, "caption": f"{caption}: {worst.words}"}
        plots.append(told)
    return {"title": title, "plots": plots, "worst": worst, "address": address}


def plot(
    draw: Draw,
    size: tuple[float, float],
    footage: footages.Footage,
    measured: report.Measures,
    salt: str,
) -> str:
    """Returns a plot as an element of a page; names in it are made with the salt."""
    with style.context(pictures.PLOT_STYLE, after_reset=True):
        figure = mpl_figure.Figure(figsize=size)
        draw(figure.subplots(), footage, measured)
    return pictures.svg(figure, salt, bbox_inches="tight")


def _bones(measured: report.Measures) -> str:
    lengths = ", ".join(
        f"{name.replace('_', ' ')} {100 * length:.1f}"
        for name, length in measured.person.bone_lengths.items()
    )
    return f"Length of the bone that ends at each joint, cm: {lengths or 'none known'}."


# Which line stands for which camera: colors told apart by any eye, dashed where they repeat.

_COLORS = (*pictures.COLORS, pictures.TEXT)
_DASHES = ("-", "--", ":")


def camera_line(view: int) -> dict[str, Any]:
    """Returns the color and line style of a camera by its number, as Matplotlib takes them."""
    turn, index = divmod(view, len(_COLORS))
    return {"color": _COLORS[index], "linestyle": _DASHES[turn % len(_DASHES)]}


def _cameras(footage: footages.Footage) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for view, name in enumerate(footage.camera_names):
        yield view, name, camera_line(view)


# Draws what is measured of a rig, each plot as SVG to be put into a page.

_NUM_BINS = 250
# Of the worst frame: cameras that are drawn, and how much wider their places are than people.
_MOST_VIEWS, _SPREAD = 4, 2.2
_SEEN: dict[str, Any] = {"linewidth": 1.8, "marker": "o", "markersize": 3}
_PLACED = {"color": "#BBBBBB", "linewidth": 5.0, "markersize": 0}
_DARK = 0.62


def _matrix(
    axes: mpl_axes.Axes, values: np.ndarray, columns: Sequence[str], rows: Sequence[str]
) -> None:
    known = values[np.isfinite(values)]
    # A healthy rig is to look pale: the scale ends no lower than at twenty pixels.
    top = max(20.0, float(known.max(initial=0.0)))
    axes.imshow(values, cmap="Reds", vmin=0, vmax=top, aspect="auto")
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    looks: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8.5}
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            shade = "white" if value > _DARK * top else pictures.TEXT
            digits = 1 if value < 99.95 else 0
            axes.text(column, row, f"{value:.{digits}f}", color=shade, **looks)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    axes.set_yticks(range(len(rows)), rows)


def _legend(axes: mpl_axes.Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5)
