"""Which line stands for which camera: colors told apart by any eye, dashed where they repeat."""

from typing import Any

# Okabe and Ito's palette without its yellow, which is too pale for a line.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#222222")
_DASHES = ("-", "--", ":")


def line(view: int) -> dict[str, Any]:
    """Gives the color and line style of a camera by its number, as Matplotlib takes them."""
    turn, index = divmod(view, len(_COLORS))
    return {"color": _COLORS[index], "linestyle": _DASHES[turn % len(_DASHES)]}
