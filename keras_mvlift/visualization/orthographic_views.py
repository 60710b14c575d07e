"""Draws 3D poses in parallel projection, so that lengths in meters can be read off."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import ticker

from keras_mvlift import skeletons
from keras_mvlift.visualization import colors

# The share of the largest pose's extent that stays free around it.
MARGIN = 0.12

# Meters: a smaller pose, such as one joint on another, is not blown up.
_LEAST_HALF = 0.1

# Points. The reference is the wider, so that it shows where the lifted pose covers it.
BONE_WIDTH, REFERENCE_WIDTH = 2.0, 5.0
JOINT_SIZE = 3.6


@dataclasses.dataclass(frozen=True)
class Direction:
    """From where a pose is seen; down is always down.

    Attributes:
        across: The coordinate that grows to the right, as an index.
        toward: The axis that points at the onlooker, `[3]`.
    """

    across: int
    toward: tuple[float, float, float]


FRONT = Direction(across=0, toward=(0.0, 0.0, -1.0))
"""As the camera looks."""

SIDE = Direction(across=2, toward=(1.0, 0.0, 0.0))
"""From the right of the camera, which itself stands to the left of what is drawn."""

_DOWN = 1


@dataclasses.dataclass(frozen=True)
class Extent:
    """What is drawn, meters; its middle is at the root across and at `down` below it.

    Attributes:
        down: How far below the root the middle is.
        half_width: Half of it across.
        half_height: Half of it from top to bottom.
    """

    down: float
    half_width: float
    half_height: float


def extent(poses: Iterable[np.ndarray], aspect: float = 1.0) -> Extent:
    """Finds what holds all poses from the front and from the side.

    Args:
        poses: `[J, 3]` each, meters, root at 0, camera axes; NaN where unknown.
        aspect: The width of what is drawn over its height.
    """
    points = np.concatenate([pose.reshape(-1, 3) for pose in poses])
    points = points[np.isfinite(points).all(axis=-1)]
    points = np.concatenate([points, np.zeros((1, 3))])
    low, high = points[:, _DOWN].min(), points[:, _DOWN].max()
    across = np.abs(points[:, [FRONT.across, SIDE.across]]).max()
    half_height = max(float(across) / aspect, float(high - low) / 2, _LEAST_HALF) * (1 + MARGIN)
    return Extent(float(low + high) / 2, half_height * aspect, half_height)


def set_limits(axes: mpl_axes.Axes, shown: Extent) -> None:
    """Makes the axes show an extent, y down, a meter being as wide as high."""
    axes.set_aspect("equal")
    axes.set(
        xlim=(-shown.half_width, shown.half_width),
        ylim=(shown.down + shown.half_height, shown.down - shown.half_height),
    )
    steps = ticker.MaxNLocator(nbins=5, steps=[1, 2, 5, 10])
    axes.xaxis.set_major_locator(steps)
    axes.yaxis.set_major_locator(steps)


def draw_reference(axes: mpl_axes.Axes, pose: np.ndarray, direction: Direction) -> None:
    """Draws a pose `[J, 3]`, meters, camera axes, as a grey shape; leaves out what is NaN."""
    for joints in map(list, skeletons.H36M_17.bones):
        axes.plot(
            pose[joints, direction.across],
            pose[joints, _DOWN],
            color=colors.REFERENCE,
            linewidth=REFERENCE_WIDTH,
            solid_capstyle="round",
        )


def draw_lifted(axes: mpl_axes.Axes, pose: np.ndarray, direction: Direction) -> None:
    """Draws a pose `[J, 3]`, meters, camera axes, what is nearer over what is farther."""
    nearness = pose @ np.asarray(direction.toward)
    bones = sorted(skeletons.H36M_17.bones, key=lambda bone: nearness[list(bone)].sum())
    for bone in map(list, bones):
        axes.plot(
            pose[bone, direction.across],
            pose[bone, _DOWN],
            color=colors.of_joint(bone[1]),
            linewidth=BONE_WIDTH,
            solid_capstyle="round",
        )
    for joint in np.argsort(nearness, kind="stable"):
        axes.plot(
            pose[joint, direction.across],
            pose[joint, _DOWN],
            color=colors.of_joint(joint),
            marker="o",
            markersize=JOINT_SIZE,
            markeredgewidth=0,
        )
