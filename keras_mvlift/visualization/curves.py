"""Figures of experiments: losses and errors over the epochs, and errors over what was varied."""

import io
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import style, ticker
from matplotlib.backends import backend_agg

from keras_mvlift.visualization import pictures, score_scatter

DOTS_PER_INCH = 160
# Okabe and Ito's palette; lines of the same color differ in their dashes.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_STYLE = {
    "axes.edgecolor": pictures.FRAME,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": pictures.GRID,
    "legend.frameon": False,
    "svg.fonttype": "path",
    # The same figure is the same file.
    "svg.hashsalt": "keras_mvlift",
    "text.color": pictures.TEXT,
    "text.parse_math": False,
}
_PANELS = {"loss": "loss", "mpjpe_mm": "MPJPE of test people, mm"}
_ERRORS = {"mpjpe_mm": "MPJPE", "p_mpjpe_mm": "P-MPJPE"}

Draw = Callable[[Mapping[str, Any]], mpl_figure.Figure]


def write(results: Mapping[str, Any], folder: pathlib.Path) -> dict[str, str]:
    """Draws what tables ask for, and the score without labels, as `<name>.png` and `<name>.svg`.

    Args:
        results: The content of `results.json`.
        folder: Made if need be.

    Returns:
        Name of the table, or `score_scatter.NAME`, to its figure's SVG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for table in results["tables"]:
        draw = _drawing(table)
        if draw is not None:
            drawn[table["name"]] = _write(draw, table, folder / table["name"])
    if results["score_without_labels"]:
        path = folder / score_scatter.NAME
        drawn[score_scatter.NAME] = _write(
            score_scatter.draw, results["score_without_labels"], path
        )
    return drawn


def _write(draw: Callable[[Any], mpl_figure.Figure], about: Any, path: pathlib.Path) -> str:
    with style.context(_STYLE):
        figure = draw(about)
        figure.savefig(path.with_suffix(".png"), dpi=DOTS_PER_INCH)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    path.with_suffix(".svg").write_text(buffer.getvalue(), encoding="utf-8")
    return buffer.getvalue()


def epochs(table: Mapping[str, Any]) -> mpl_figure.Figure:
    """Draws loss and error of each row's first seed after each epoch, both on log scales.

    Epochs of pre-training, whose loss is another, are numbered up to 0 and have no loss drawn.
    """
    figure, panels = _figure(len(_PANELS))
    for index, row in enumerate(table["rows"]):
        curve = row["cells"][0]["curve"] if row["cells"] else []
        num_before = sum(entry["stage"] == "pretrain" for entry in curve)
        for panel, name in zip(panels, _PANELS, strict=True):
            points = [
                (number - num_before, entry[name])
                for number, entry in enumerate(curve, 1)
                if name != "loss" or entry["stage"] != "pretrain"
            ]
            panel.plot(
                *zip(*points, strict=True), label=row["name"], **_line(index)
            ) if points else None
    for panel, label in zip(panels, _PANELS.values(), strict=True):
        panel.set(xlabel="epoch", ylabel=label, yscale="log")
        panel.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        # The default labels are formulae, which the style leaves as they are.
        panel.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        panel.yaxis.set_minor_formatter(ticker.LogFormatter(minor_thresholds=(2, 0.5)))
    panels[0].legend(fontsize=8)
    return figure


def sweep(table: Mapping[str, Any]) -> mpl_figure.Figure:
    """Draws both protocols' errors over the number that the rows are named after."""
    figure, (panel,) = _figure(1)
    rows = [row for row in table["rows"] if row["overall"]]
    values = [float(row["name"]) for row in rows]
    for index, (name, label) in enumerate(_ERRORS.items()):
        means = [row["overall"][name]["mean"] for row in rows]
        spreads = [row["overall"][name]["spread"] or 0.0 for row in rows]
        panel.errorbar(values, means, spreads, label=label, marker="o", capsize=3, **_line(index))
    panel.set(xlabel=table["title"], ylabel="mm, lower is better")
    panel.set_ylim(bottom=0)
    panel.legend()
    return figure


def _drawing(table: Mapping[str, Any]) -> Draw | None:
    if table["has_curves"]:
        has_points = any(row["cells"] and row["cells"][0]["curve"] for row in table["rows"])
        return epochs if has_points else None
    names = [row["name"] for row in table["rows"] if row["overall"]]
    return sweep if len(names) > 1 and all(map(_is_number, names)) else None


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _figure(num_panels: int) -> tuple[mpl_figure.Figure, list[mpl_axes.Axes]]:
    figure = mpl_figure.Figure(figsize=(5.0 * num_panels, 3.6), layout="constrained")
    backend_agg.FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, num_panels, squeeze=False)[0])


def _line(index: int) -> dict[str, Any]:
    dashes = ("-", "--")[index % 2]
    return {"color": _COLORS[index // 2 % len(_COLORS)], "linestyle": dashes, "linewidth": 1.6}
