"""What goes wrong in some frames only: who is seen beside where the other cameras put them.

Medians over a recording do not move while less than half of it is wrong. So here every frame is
looked at by itself: each two cameras put the person somewhere, the place that most cameras agree
with is taken, and a camera that sees the person elsewhere is off in that frame.
"""

import functools
from typing import NamedTuple

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import residuals
from keras_mvlift.geometry import cameras, epipolar

LIMBS = np.array(skeletons.H36M_17.left + skeletons.H36M_17.right)
"""The joints that have a side; if left and right are swapped, the median of them moves."""

TOLERANCE = (0.05, 0.12)
"""A camera is off beyond three times its own noise, but no nearer and no further than these;
shares of the person's size."""

MIN_LIMBS = 5  # A view with fewer limb joints in common says nothing about a frame.

MIN_SINE = 0.25
"""Of the angle between two rays; where it is less, they do not fix a joint's depth."""

_NOISES = 3.0
# So many pairs of a large rig are enough to find where most of its cameras put the person.
_MAX_PAIRS = 15


class Consensus(NamedTuple):
    """Where most cameras put the person, frame by frame."""

    points: np.ndarray  # [T, L, 3], the limb joints, meters, world frame; NaN where unknown.
    # [V, T], median distance from them, shares of the person's size; NaN where the camera or all
    # others see too little.
    error: np.ndarray
    tolerance: np.ndarray  # [V], the error beyond which a camera is off, by its better frames.
    is_off: np.ndarray  # [V, T]; with two cameras both are.
    fixes: np.ndarray  # [V, V, T], whether two cameras fix the person's place by themselves.

    @property
    def share_off(self) -> np.ndarray:
        """The share of its frames, `[V]`, in which each camera is off."""
        return self.is_off.sum(axis=1) / np.maximum((~np.isnan(self.error)).sum(axis=1), 1)


@functools.lru_cache(maxsize=4)
def consensus(footage: footages.Footage) -> Consensus:
    """Finds who agrees in each frame."""
    pairs = residuals.pairs_of_views(footage.num_views)
    pairs = pairs[sequences.spread(len(pairs), _MAX_PAIRS)]
    errors, is_fixed = _errors_of_pairs(footage, pairs)
    tolerance = np.full(footage.num_views, TOLERANCE[0])
    trust = np.zeros(footage.num_views)
    for _ in range(2):
        # Of hypotheses that as many agree with, the one of those who are mostly right wins.
        is_in = errors <= tolerance[:, np.newaxis]
        slack = np.where(is_in, errors / tolerance[:, np.newaxis], 0.0).sum(axis=1)
        # NaN is neither in nor out.
        votes = (is_in * (1 + trust[:, np.newaxis])).sum(axis=1) - slack / (2 * footage.num_views)
        best = votes.argmax(axis=0)
        chosen = errors[best, :, np.arange(footage.num_frames)].T
        known = (row[np.isfinite(row)] for row in chosen)
        lowest = [np.quantile(row, 0.25, method="lower") if len(row) else np.nan for row in known]
        noise = np.nan_to_num(lowest, nan=TOLERANCE[0])
        tolerance = np.clip(_NOISES * noise, *TOLERANCE)
        trust = (chosen <= tolerance[:, np.newaxis]).mean(axis=1) / 2
    members = chosen <= tolerance[:, np.newaxis]
    fixes = np.zeros((footage.num_views, footage.num_views, footage.num_frames), bool)
    fixes[tuple(pairs.T)] = is_fixed
    # Whoever is off is left out of the points.
    points = placed(footage, members, fixes)
    error = distances(footage, points)
    return Consensus(points, error, tolerance, error > tolerance[:, np.newaxis], fixes)


def placed(footage: footages.Footage, members: np.ndarray, fixes: np.ndarray) -> np.ndarray:
    """Triangulates limb joints from members `[V, T]`, two of whom must see them at an angle.

    Of two cameras, which have nothing but each other, all count.

    Returns:
        `[T, L, 3]`, meters, world frame; NaN where fewer than two saw a joint.
    """
    is_told = (fixes & members & members[:, np.newaxis]).any(axis=(0, 1))
    counts = (members & is_told) | (footage.num_views == 2)
    weights = footage.confidence[:, :, LIMBS] * counts[..., np.newaxis]
    return residuals.triangulate(footage, weights, LIMBS)


def project(footage: footages.Footage, points: np.ndarray) -> np.ndarray:
    """Projects points `[..., T, L, 3]` into all views, `[..., V, T, L, 2]`, pixels; NaN behind."""
    image, depth = residuals.project(points, footage.camera)
    return np.where(depth[..., np.newaxis] > 1e-6, image, np.nan)


def distances(footage: footages.Footage, points: np.ndarray) -> np.ndarray:
    """Measures how far each camera sees limb joints from points `[..., T, L, 3]`.

    Returns:
        `[..., V, T]`, the median over the joints, shares of the person's size; NaN if too few.
    """
    image = project(footage, points)
    is_known = np.isfinite(points).all(axis=-1)[..., np.newaxis, :, :]
    known = (footage.confidence[:, :, LIMBS] > 0) & is_known
    error = np.linalg.norm(image - footage.keypoints_2d[:, :, LIMBS], axis=-1)
    # Behind a camera nothing is seen at all.
    error = np.where(np.isfinite(error), error, np.inf)
    median = residuals.masked_median(error, known)
    enough = known.sum(axis=-1) >= MIN_LIMBS
    return np.where(enough, median / footage.person_size[:, np.newaxis], np.nan)


def _errors_of_pairs(footage: footages.Footage, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measures `[P, V, T]` how far cameras are from where each two put the person.

    The other value, `[P, T]`, tells whether the two fix the person's place at all.
    """
    rays = footage.rays[:, :, LIMBS]
    both = (footage.confidence[:, :, LIMBS] > 0)[pairs].all(axis=1)
    rigs = [
        cameras.Camera(*(field[side, np.newaxis] for field in footage.camera)) for side in pairs.T
    ]
    *depths, sine = epipolar.depths(
        *cameras.relative_extrinsics(*rigs), *(rays[i] for i in pairs.T)
    )
    # The points of both rays that are nearest to each other; their middle.
    middle = sum(
        cameras.world_from_camera(depth[..., np.newaxis] * epipolar.homogeneous(rays[side]), rig)
        / 2
        for depth, side, rig in zip(depths, pairs.T, rigs, strict=True)
    )
    is_fixed = residuals.masked_median(sine, both) >= MIN_SINE
    known = both & (is_fixed | (footage.num_views == 2))[..., np.newaxis]
    return distances(footage, np.where(known[..., np.newaxis], middle, np.nan)), is_fixed
