"""Whether lens distortion was removed from detections that no longer had any.

The subject is near the images' middle, where a lens bends little: a pixel or two, less than a
detector's noise. Undoing the correction therefore hardly shows in a median; but over thousands of
joints the share of it that fits best is known. It is fitted with an instrument: how a lens bends a
joint is computed from where it was some frames later, since a joint that noise carries outwards
would seem to be bent more than it is.
"""

from typing import NamedTuple

import numpy as np

from keras_mvlift.diagnosis import epipolar_residuals
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.geometry import cameras

MAX_UNCERTAINTY = 0.16
"""A share less sure than this is no evidence: right and wrong are 1 apart, three times twice it."""

MAX_DEVIATION = 0.4
"""A share this near to 0 or 1 is taken for it; one farther from both is no lens correction's."""

# Residuals beyond so many medians are blunders.
_MAX_MEDIANS = 4.0
_NUM_BLOCKS = 10
_MAX_FRAMES = 2000
# By then a detector's noise is another.
_LAG_FRAMES = 15
# A camera that the correction moves less than this share of the person's size tells nothing.
_MIN_BEND = 1e-4


class LensShares(NamedTuple):
    """How much of the correction is too much, by camera.

    Attributes:
        share: `[V]`: 0 if the correction was right, 1 if there was nothing to correct.
        uncertainty: `[V]`, the standard error; infinite for a camera that tells nothing.
    """

    share: np.ndarray
    uncertainty: np.ndarray


def undo(footage: footages.Footage) -> footages.Footage:
    """Bends the keypoints as the lenses do, which takes back the reader's correction."""
    bent = cameras.distort(footage.rays, footage.distortion[:, np.newaxis]).numpy()
    intrinsics = footage.camera.intrinsics[:, np.newaxis, np.newaxis]
    points = bent * intrinsics[..., [0, 1], [0, 1]] + intrinsics[..., :2, 2]
    return footage.replace_images(points, footage.confidence)


def shares(footage: footages.Footage) -> LensShares:
    """Estimates the shares of all cameras together, from signed epipolar residuals."""
    footage = footage.head(_MAX_FRAMES)
    undone = undo(footage)
    bend = np.linalg.norm(undone.keypoints_2d - footage.keypoints_2d, axis=-1)
    bend = bend.reshape(footage.num_views, -1) / footage.person_size[:, np.newaxis]
    seen = (footage.confidence > 0).reshape(footage.num_views, -1)
    tells = epipolar_residuals.masked_median(bend, seen) > _MIN_BEND
    if not tells.any():
        return LensShares(np.zeros(len(tells)), np.full(len(tells), np.inf))
    left, right = _normal_equations(footage, undone)
    left, right = left[:, tells][:, :, tells], right[:, tells]
    # Leaving out one block of frames after the other says how sure the answer is.
    without = [
        _solve(left.sum(axis=0) - one, right.sum(axis=0) - other)
        for one, other in zip(left, right, strict=True)
    ]
    spread = np.std(without, axis=0) * np.sqrt(len(without) - 1)
    share, uncertainty = np.zeros(len(tells)), np.full(len(tells), np.inf)
    share[tells], uncertainty[tells] = _solve(left.sum(axis=0), right.sum(axis=0)), spread
    return LensShares(share, uncertainty)


def _normal_equations(
    footage: footages.Footage, undone: footages.Footage
) -> tuple[np.ndarray, np.ndarray]:
    """Builds `[blocks, V, V]` and `[blocks, V]` of the shares."""
    index = epipolar_residuals.pairs(footage.num_views)
    first, second = footage.views(index[:, 0]), footage.views(index[:, 1])
    seen = first.is_seen & second.is_seen
    off = _signed(first, second)
    by_first = _signed(undone.views(index[:, 0]), second) - off
    by_second = _signed(first, undone.views(index[:, 1])) - off
    limit = _MAX_MEDIANS * epipolar_residuals.masked_median(np.abs(off), seen)
    used = seen & (np.abs(off) < limit[:, np.newaxis])
    design = np.stack([by_first, by_second], axis=-1)
    now, later = _lagged(footage)
    used = used[:, now] & used[:, later]
    left = np.zeros((_NUM_BLOCKS, footage.num_views, footage.num_views))
    right = np.zeros((_NUM_BLOCKS, footage.num_views))
    for number, block in enumerate(np.array_split(np.arange(len(now)), _NUM_BLOCKS)):
        for pair, views in enumerate(index):
            rows = block[used[pair, block]]
            instrument = design[pair, later[rows]]
            left[number][np.ix_(views, views)] += instrument.T @ design[pair, now[rows]]
            right[number][views] -= instrument.T @ off[pair, now[rows]]
    return left, right


def _lagged(footage: footages.Footage) -> tuple[np.ndarray, np.ndarray]:
    """Pairs each joint, by its number in a flat array, with itself some frames later."""
    frame = np.arange(max(0, footage.num_frames - _LAG_FRAMES))
    frame = frame[footage.run[frame] == footage.run[frame + _LAG_FRAMES]]
    num_joints = footage.confidence.shape[-1]
    now = (frame[:, np.newaxis] * num_joints + np.arange(num_joints)).ravel()
    return now, now + _LAG_FRAMES * num_joints


def _signed(first: footages.Views, second: footages.Views) -> np.ndarray:
    """Gives signed distances from the epipolar lines in the second view, `[P, N]`."""
    matrix = epipolar_residuals.essential(first.camera, second.camera)
    ones = np.ones_like(first.rays[..., :1])
    lines = np.einsum("pij,pnj->pni", matrix, np.concatenate([first.rays, ones], axis=-1))
    off = (lines * np.concatenate([second.rays, ones], axis=-1)).sum(axis=-1)
    length = np.maximum(np.hypot(lines[..., 0], lines[..., 1]), 1e-12)
    return off / length / second.person_size[:, np.newaxis]


def _solve(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(left, right, rcond=None)[0]


def removed_twice(estimate: LensShares) -> np.ndarray:
    """Tells whose distortion was removed twice, `[V]`; none where a camera contradicts."""
    is_sure = estimate.uncertainty <= MAX_UNCERTAINTY
    is_twice = np.abs(estimate.share - 1) <= MAX_DEVIATION
    is_right = np.abs(estimate.share) <= MAX_DEVIATION
    # Where a share is neither, something else is wrong and takes the lens as a way out.
    is_clear = (is_twice | is_right)[is_sure].all() and (is_twice & is_sure).any()
    return is_twice & np.isfinite(estimate.uncertainty) & is_clear
