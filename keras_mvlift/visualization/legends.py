"""Says what the colors and sizes of a picture mean."""

from typing import Any

from matplotlib import figure as mpl_figure
from matplotlib import legend_handler, lines

from keras_mvlift.visualization import colors, image_planes, orthographic_views

_CONFIDENCES = (0.2, 0.6, 1.0)


def draw(figure: mpl_figure.Figure, has_reference: bool) -> None:
    """Puts a line of keys at the foot of a figure.

    Args:
        figure: Where to.
        has_reference: Whether the key of the reference pose is among them.
    """
    sides = {"left": colors.LEFT, "right": colors.RIGHT, "middle": colors.MIDDLE}
    keys: dict[str, Any] = {
        name: lines.Line2D(
            [],
            [],
            color=color,
            linewidth=orthographic_views.BONE_WIDTH,
            marker="o",
            markersize=orthographic_views.JOINT_SIZE,
        )
        for name, color in sides.items()
    }
    if has_reference:
        keys["reference pose"] = lines.Line2D(
            [], [], color=colors.REFERENCE, linewidth=orthographic_views.REFERENCE_WIDTH
        )
    keys["confidence " + ", ".join(f"{value:g}" for value in _CONFIDENCES)] = tuple(
        _joint(value) for value in _CONFIDENCES
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


def _joint(confidence: float) -> lines.Line2D:
    return lines.Line2D(
        [],
        [],
        color=colors.MIDDLE,
        alpha=image_planes.opacity(confidence),
        linestyle="none",
        marker="o",
        markersize=image_planes.area(confidence) ** 0.5,
        markeredgewidth=0,
    )
