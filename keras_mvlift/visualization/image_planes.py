"""Draws 2D joints where the camera saw them."""

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import patheffects, ticker

from keras_mvlift import skeletons
from keras_mvlift.visualization import colors

# The share of the joints' extent that a view without a known image shows around them.
MARGIN = 0.1

# Pixels: a smaller view, such as a single joint's, is not blown up.
_LEAST_HALF = 10.0

NOTHING_SEEN = "no joint was seen"

# Points and square points: a joint of confidence 0 would just vanish, one of 1 is this large.
_BONE_WIDTH, _OUTLINE_WIDTH = 1.8, 0.9
_LEAST_AREA, _MOST_AREA = 3.0, 34.0
_LEAST_OPACITY = 0.2

# A person who fills this share of a panel's height is drawn with marks of full size.
_FULL_SHARE, _LEAST_SCALE = 0.7, 0.4


def draw(
    axes: mpl_axes.Axes,
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
    image_size: tuple[int, int] | None = None,
) -> None:
    """Draws the joints that were seen, the larger and stronger the surer the detector was.

    Args:
        axes: Where to; its limits become the image's, y down, one pixel as wide as high.
        keypoints_2d: `[J, 2]`, pixels.
        confidence: `[J]`, in [0, 1]; 0 leaves a joint and its bones out.
        image_size: The image's width and height, pixels; None to show the joints' surroundings.
    """
    is_seen = (confidence > 0) & np.isfinite(keypoints_2d).all(axis=-1)
    _set_limits(axes, keypoints_2d[is_seen], image_size)
    scale = _scale(axes, keypoints_2d[is_seen])
    for parent, child in skeletons.H36M_17.bones:
        if is_seen[parent] and is_seen[child]:
            axes.plot(
                *keypoints_2d[[parent, child]].T,
                color=colors.of_joint(child, opacity(min(confidence[[parent, child]]))),
                linewidth=_BONE_WIDTH * scale,
                solid_capstyle="round",
            )
    joints = np.flatnonzero(is_seen)
    outline = patheffects.withStroke(linewidth=_OUTLINE_WIDTH * scale, foreground=colors.BACKGROUND)
    axes.scatter(
        keypoints_2d[joints, 0],
        keypoints_2d[joints, 1],
        s=[area(confidence[joint]) * scale**2 for joint in joints],
        c=[colors.of_joint(joint, opacity(confidence[joint])) for joint in joints],
        linewidths=0,
        zorder=3,
        path_effects=[outline],
    )


def area(confidence: float) -> float:
    """Gives the area of a joint's mark, square points."""
    return _LEAST_AREA + (_MOST_AREA - _LEAST_AREA) * confidence


def opacity(confidence: float) -> float:
    """Gives the opacity of a joint's mark, in [0, 1]."""
    return _LEAST_OPACITY + (1 - _LEAST_OPACITY) * confidence


def _set_limits(axes: mpl_axes.Axes, seen: np.ndarray, image_size: tuple[int, int] | None) -> None:
    axes.set_aspect("equal")
    axes.set_anchor("NW")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(nbins=5, steps=[1, 2, 4, 5, 10]))
    if not len(seen):
        axes.text(0.5, 0.5, NOTHING_SEEN, transform=axes.transAxes, ha="center", va="center")
    if image_size is not None:
        axes.set(xlim=(0, image_size[0]), ylim=(image_size[1], 0))
    elif len(seen):
        low, high = seen.min(axis=0), seen.max(axis=0)
        aspect = axes.bbox.width / axes.bbox.height
        width, height = high - low
        half = max(width / aspect / 2, height / 2, _LEAST_HALF) * (1 + 2 * MARGIN)
        (x, y) = (low + high) / 2
        axes.set(xlim=(x - half * aspect, x + half * aspect), ylim=(y + half, y - half))
    else:
        axes.set(xticks=[], yticks=[])


def _scale(axes: mpl_axes.Axes, seen: np.ndarray) -> float:
    """Makes the marks smaller where a person is small in a whole image."""
    if not len(seen):
        return 1.0
    pixels_per_panel = abs(axes.get_ylim()[1] - axes.get_ylim()[0])
    share = float((seen.max(axis=0) - seen.min(axis=0)).max()) / pixels_per_panel
    return float(np.clip(share / _FULL_SHARE, _LEAST_SCALE, 1.0))
