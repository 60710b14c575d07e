"""The score without labels over the error that it stands for, a point for each cell."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import ticker
from matplotlib.backends import backend_agg

NAME = "score_without_labels"
"""Of the figure's files."""

_PANELS = {
    "held_out_mean_px": "mean error in held-out views, px",
    "held_out_median_mm": "median error in held-out views, mm",
}
# Test sets that have a color of their own; they are sorted by their number of cells.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def draw(correlations: Sequence[Mapping[str, Any]]) -> mpl_figure.Figure:
    """Draws a panel for pixels and one for millimeters, both on log scales.

    Args:
        correlations: The list `score_without_labels` of `results.json`.
    """
    figure = mpl_figure.Figure(figsize=(10.0, 3.8), layout="constrained")
    backend_agg.FigureCanvasAgg(figure)
    panels: Sequence[mpl_axes.Axes] = figure.subplots(1, len(_PANELS))
    for panel, (score, label) in zip(panels, _PANELS.items(), strict=True):
        for color, group in zip(_COLORS, correlations, strict=False):
            cells = group["cells"]
            panel.scatter(
                [cell["mpjpe_mm"] for cell in cells],
                [cell[score] for cell in cells],
                s=18,
                color=color,
                alpha=0.75,
                label=f"{len(cells)} cells, Spearman {_plain(group['scores'][score]['spearman'])}",
            )
        panel.set(xlabel="MPJPE, mm", ylabel=label, xscale="log", yscale="log")
        for axis in (panel.xaxis, panel.yaxis):
            # The default labels are formulae, which the style leaves as they are.
            axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(ticker.LogFormatter(minor_thresholds=(2, 0.5)))
        panel.legend(fontsize=8, title="one color for each test set", title_fontsize=8)
    return figure


def _plain(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
