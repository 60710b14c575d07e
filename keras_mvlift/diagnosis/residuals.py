"""What is measured of a rig: residuals, reprojections, bodies, offsets in time.

How far joints lie from the epipolar lines of the same joints in another view.

The distance is measured in shares of the person's size in the image, so that one threshold does
for every lens, image size and distance: `0.01` is about 2 cm at a person of 1.7 m.
"""

import collections
import itertools
from typing import NamedTuple

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.geometry import cameras, epipolar, triangulation

CAP = 0.5
"""The residual of a pair that has nothing to do with each other; no larger one is told apart."""

_TINY = 1e-12


def pairs_of_views(num_views: int) -> np.ndarray:
    """Lists the pairs of cameras, `[P, 2]`."""
    return np.array(list(itertools.combinations(range(num_views), 2)), int).reshape(-1, 2)


def line_distances(first: footages.Views, second: footages.Views) -> tuple[np.ndarray, np.ndarray]:
    """Measures how far `P` pairs of views see joints from each other's epipolar lines.

    Returns:
        `[P, N]` in the first view and in the second, signed, shares of the person's size.
    """
    matrix = epipolar.essential_from_cameras(first.camera, second.camera)
    in_first, in_second = epipolar.line_distances(matrix, first.rays, second.rays)
    size = first.person_size[:, np.newaxis], second.person_size[:, np.newaxis]
    return in_first / size[0], in_second / size[1]


def residuals_of_views(first: footages.Views, second: footages.Views) -> np.ndarray:
    """Measures the median residual of `P` pairs of views, of the same frames.

    Returns:
        `[P]`, shares of the person's size, at most `CAP`; `CAP` where two cameras stand in one
        place, NaN where they have seen no joint at the same time.
    """
    residual = np.abs(line_distances(first, second)).mean(axis=0)
    median = masked_median(residual, first.is_seen & second.is_seen)
    apart = np.linalg.norm(first.camera.center - second.camera.center, axis=-1) > _TINY
    # NaN stays NaN.
    return np.where(apart, np.minimum(median, CAP), CAP)


def residual_matrix(footage: footages.Footage) -> np.ndarray:
    """Measures the median residual of every pair, `[V, V]`, symmetric, NaN on the diagonal."""
    residuals = np.full((footage.num_views, footage.num_views), np.nan)
    first, second = pairs_of_views(footage.num_views).T
    residuals[first, second] = residuals_of_views(footage.views(first), footage.views(second))
    return np.fmax(residuals, residuals.T)


def mean_residual(footage: footages.Footage) -> float:
    """Returns the mean over all pairs; NaN if no two cameras ever saw the same joint."""
    return float(mean_of_pairs(residual_matrix(footage).ravel()))


def masked_median(values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Returns the lower median along the last axis, NaN of nothing.

    What counts is what the mask says, or else what is finite.
    """
    mask = np.isfinite(values) if mask is None else mask
    median = triangulation.median(values[..., np.newaxis, :], mask[..., np.newaxis, :])[..., 0, 0]
    return np.where(mask.any(axis=-1), median, np.nan)


def mean_of_pairs(residuals: np.ndarray) -> np.ndarray:
    """Averages `[..., P]` residuals over the pairs that have one; NaN where none has."""
    count = np.isfinite(residuals).sum(axis=-1)
    return np.where(count > 0, np.nansum(residuals, axis=-1) / np.maximum(count, 1), np.nan)


# Where triangulated joints lie, and how far from there each camera sees them.


class Reprojection(NamedTuple):
    """Joints in space and their distances from what the cameras saw."""

    points: np.ndarray  # [T, J, 3], meters, world frame; NaN where fewer than two cameras saw one.
    # [V, T, J, 2], pixels, seen minus projected; NaN where a camera did not see the joint or it
    # could not be triangulated.
    residual: np.ndarray
    depth: np.ndarray  # [V, T, J], meters along the optical axis; NaN as above.

    @property
    def error(self) -> np.ndarray:
        """The residuals' lengths, `[V, T, J]`, pixels."""
        return np.linalg.norm(self.residual, axis=-1)


def reproject(footage: footages.Footage, weights: np.ndarray | None = None) -> Reprojection:
    """Triangulates each joint from all cameras that see it, and projects it into all.

    Weights, `[V, T, J]`, are the confidences if not given.
    """
    points = triangulate(footage, footage.confidence if weights is None else weights)
    image, depth = project(points, footage.camera)
    known = np.isfinite(depth) & (footage.confidence > 0)
    residual = np.where(known[..., np.newaxis], footage.keypoints_2d - image, np.nan)
    return Reprojection(points, residual, np.where(known, depth, np.nan))


def triangulate(
    footage: footages.Footage, weights: np.ndarray, joints: np.ndarray | None = None
) -> np.ndarray:
    """Triangulates joints, all if none are named, by weights `[V, T, K]`.

    Returns:
        `[T, K, 3]`, meters, world frame; NaN where fewer than two cameras saw a joint.
    """
    keypoints_2d = footage.keypoints_2d if joints is None else footage.keypoints_2d[:, :, joints]
    seen = keypoints_2d.swapaxes(0, 1), weights.swapaxes(0, 1)
    points, is_seen = triangulation.triangulate(*seen, footage.camera)
    return np.where(is_seen[..., np.newaxis], points, np.nan)


def project(points: np.ndarray, camera: cameras.Camera) -> tuple[np.ndarray, np.ndarray]:
    """Projects points `[..., T, K, 3]`, meters, world frame, into `V` views, behind them, too.

    Returns:
        `[..., V, T, K, 2]`, pixels, and `[..., V, T, K]`, the depth, meters; NaN for NaN.
    """
    camera = cameras.expand(camera, -1)
    in_camera = cameras.camera_from_world(points[..., np.newaxis, :, :, :], camera)
    depth = in_camera[..., 2]
    # Not cut off at small depths: a point behind a camera is a finding, not a nuisance.
    safe = np.where(np.abs(depth) <= 1e-9, 1e-9, depth)[..., np.newaxis]
    return cameras.pixels(in_camera[..., :2] / safe, camera.intrinsics), depth


def leaving_one_out(footage: footages.Footage) -> np.ndarray:
    """Measures how far each camera sees joints from where the others put them.

    Returns:
        `[V, T, J]`, pixels; NaN where the camera or two others did not see the joint, which is
        everywhere with two cameras.
    """
    errors = np.full(footage.confidence.shape, np.nan)
    for view in range(footage.num_views if footage.num_views > 2 else 0):
        weights = footage.confidence.copy()
        weights[view] = 0.0
        errors[view] = reproject(footage, weights).error[view]
    return errors


# What a triangulated person tells about the world's scale, and about left and right.

PLAUSIBLE_HEIGHT = (0.7, 2.4)
"""From a child's to a very tall person's standing height, meters."""

MIN_FACING = 0.3
"""How clearly the body must face backwards for left and right to be called swapped."""

MIN_IN_FRONT = 0.9
"""The share of joints that must lie in front of the cameras."""

# From the ankle to the sole, and from what detectors call the head to its top.
_FOOT, _TOP = 0.08, 0.06
_TRUNK = ("spine", "thorax", "nose", "head")


class Person(NamedTuple):
    """Who was triangulated, which speaks for a rig or against it."""

    bone_lengths: dict[str, float]  # As of `bone_lengths`, meters.
    height: float  # Standing, meters; NaN if unknown.
    facing: float  # As of `facing`.
    in_front: float  # The share of joints in front of the cameras; NaN without any.

    @property
    def is_in_front(self) -> bool:
        """Whether enough joints lie in front of the cameras."""
        return self.in_front >= MIN_IN_FRONT

    @property
    def score(self) -> int:
        """How much is as it should be; being in front counts most."""
        low, high = PLAUSIBLE_HEIGHT
        is_ahead = self.facing >= -MIN_FACING
        return 4 * self.is_in_front + 2 * (low <= self.height <= high) + is_ahead


def person(placed: Reprojection) -> Person:
    """Looks at who was triangulated."""
    depth = placed.depth[np.isfinite(placed.depth)]
    lengths = bone_lengths(placed.points)
    in_front = float((depth > 0).mean()) if len(depth) else float("nan")
    return Person(lengths, body_height(lengths), facing(placed.points), in_front)


def _by_name(points: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(skeletons.H36M_17.joints, np.moveaxis(points, -2, 0), strict=True))


def bone_lengths(points: np.ndarray) -> dict[str, float]:
    """Measures the median length of each bone, of `[T, J, 3]`, NaN where unknown.

    Returns:
        By the name of the bone's far joint, meters; bones never seen are left out.
    """
    lengths = {}
    for parent, child in skeletons.H36M_17.bones:
        length = np.linalg.norm(points[:, child] - points[:, parent], axis=-1)
        if np.isfinite(length).any():
            lengths[skeletons.H36M_17.joints[child]] = float(np.nanmedian(length))
    return lengths


def asymmetry(lengths: dict[str, float]) -> float:
    """Returns by how much bones of the left and the right differ on average, a share of them.

    People's differ by a few percent; joints read in another set's order make bones of anything.
    """
    pairs = ((name, name.replace("left", "right")) for name in lengths if "left" in name)
    ratios = [lengths[left] / lengths[right] for left, right in pairs if right in lengths]
    return float(np.abs(np.log(np.maximum(ratios, 1e-9))).mean()) if ratios else float("nan")


def upward(points: np.ndarray) -> np.ndarray:
    """Returns the mean direction `[3]` from ankles to thorax: of length 1 if it never changes."""
    joint = _by_name(points)
    body = joint["thorax"] - (joint["left_ankle"] + joint["right_ankle"]) / 2
    body = body[np.isfinite(body).all(axis=-1)]
    return _unit(body).mean(axis=0) if len(body) else np.zeros(3)


def body_height(lengths: dict[str, float]) -> float:
    """Estimates how tall the person stands, meters, from bone lengths; NaN if they do not do."""
    known = collections.defaultdict(lambda: float("nan"), lengths)
    legs = [known[f"{side}_knee"] + known[f"{side}_ankle"] for side in ("left", "right")]
    legs = [leg for leg in legs if np.isfinite(leg)] or [float("nan")]
    body = float(np.mean(legs)) + sum(known[name] for name in _TRUNK)
    # Foot and top of the head are shares of a body of 1.7 m, so that a wrong unit stays one.
    return body * (1.0 + (_FOOT + _TOP) / (1.7 - _FOOT - _TOP))


def facing(points: np.ndarray) -> float:
    """Tells whether a body, `[T, J, 3]`, bends and looks the way that its left and right say.

    Ahead is up cross right, from hips, pelvis and thorax. There the nose is, and there knees bend.

    Returns:
        From 1, always, to -1, never: left and right are swapped. 0 if nothing tells.
    """
    joint = _by_name(points)
    trunk = joint["thorax"] - joint["pelvis"]
    ahead = _unit(np.cross(joint["left_hip"] - joint["right_hip"], trunk))
    hints = [joint["nose"] - (joint["thorax"] + joint["head"]) / 2]
    for side in ("left", "right"):
        hip, knee, ankle = (joint[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        thigh, bent = _unit(ankle - hip), knee - hip
        hints.append(bent - (bent * thigh).sum(axis=-1, keepdims=True) * thigh)
    with np.errstate(invalid="ignore"):
        votes = (np.stack(hints) * ahead).sum(axis=-1) / np.linalg.norm(trunk, axis=-1)
    vote = np.clip(votes[np.isfinite(votes)], -1.0, 1.0)
    total = np.abs(vote).sum()
    return float(vote.sum() / total) if total > 0 else 0.0


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), _TINY)


# By how many frames each camera is late, told from how the person moves.
#
# For every pair of cameras and every shift the mean epipolar residual is measured; the offsets are
# those whose differences fit all pairs' curves best.

MAX_SHIFT = 50
"""The largest offset between two cameras that is searched for, frames."""

# Frames of one camera that are compared with each of the other's shifted ones: so many over all
# pairs, but neither fewer nor more for a pair than these.
_ALL_FRAMES, _MIN_FRAMES, _MAX_FRAMES = 1800, 150, 600
_CAP = 0.1  # A residual beyond it says no more than that it is large; shares of the person's size.
# Joints that move, and that detectors find well.
_LIMBS = ("knee", "ankle", "elbow", "wrist", "pelvis", "thorax", "head")
_LIMB_JOINTS = [i for i, name in enumerate(skeletons.H36M_17.joints) if name.endswith(_LIMBS)]


class TimeOffsets(NamedTuple):
    """The cameras' offsets."""

    # [V], whole frames: what camera v shows in its frame t + frames[v] the others show in frame
    # t. The most frequent offset is 0.
    frames: np.ndarray
    refined: np.ndarray  # [V], the same between frames.
    # [V, 2 * MAX_SHIFT + 1], the mean residual of each camera with all others if it were moved by
    # -MAX_SHIFT ... MAX_SHIFT frames, shares of the person's size; NaN where too few frames
    # overlap.
    curve: np.ndarray


def estimate_offsets(footage: footages.Footage) -> TimeOffsets:
    """Estimates the offsets of all cameras together."""
    curves = _pair_curves(footage)
    offsets = _fit(curves)
    # The offsets' differences count; the largest group of cameras is taken to be right.
    values, counts = np.unique(offsets, return_counts=True)
    tied = values[counts == counts.max()]
    offsets = offsets - (offsets[0] if offsets[0] in tied else tied[0])
    curve = np.stack([_curve(curves, offsets, view) for view in range(footage.num_views)])
    return TimeOffsets(offsets, _refined(curve, offsets), curve)


def _pair_curves(footage: footages.Footage) -> np.ndarray:
    """Measures `[V, V, S]`: pair v, w with v moved ahead by each shift; antisymmetric in v, w."""
    first, second = pairs_of_views(footage.num_views).T
    max_frames = int(np.clip(_ALL_FRAMES // len(first), _MIN_FRAMES, _MAX_FRAMES))
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    rays = footage.rays[:, :, _LIMB_JOINTS]
    seen = footage.confidence[:, :, _LIMB_JOINTS] > 0
    views = footage.views(first), footage.views(second)
    curves = np.full((footage.num_views, footage.num_views, len(shifts)), np.nan)
    # The same frames for all shifts, but for those that leave their run.
    spread = sequences.spread(footage.num_frames, max_frames)
    for column, shift in enumerate(shifts):
        here = spread[(spread + shift >= 0) & (spread + shift < footage.num_frames)]
        here = here[footage.run[here] == footage.run[here + shift]]
        near, far = (
            view._replace(
                rays=rays[chosen][:, at].reshape(len(chosen), -1, 2),
                is_seen=seen[chosen][:, at].reshape(len(chosen), -1),
            )
            for view, chosen, at in zip(views, (first, second), (here + shift, here), strict=True)
        )
        residual = np.minimum(np.abs(line_distances(near, far)).mean(axis=0), _CAP)
        mean = mean_of_pairs(np.where(near.is_seen & far.is_seen, residual, np.nan))
        curves[first, second, column] = mean
        curves[second, first, len(shifts) - 1 - column] = mean
    return curves


def _fit(curves: np.ndarray) -> np.ndarray:
    """Finds the offsets `[V]` of the least cost, by descent from each camera in turn."""
    found = [np.zeros(len(curves), int)]
    for reference in range(len(curves)):
        start = np.nan_to_num(curves[:, reference], nan=_CAP).argmin(axis=-1) - MAX_SHIFT
        start[reference] = 0
        found.append(_descend(curves, start))
    return min(found, key=lambda offsets: _cost(curves, offsets))


def _descend(curves: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    for _ in range(len(offsets) * 2):
        before = offsets.copy()
        for view in range(len(offsets)):
            offsets[view] = np.nan_to_num(_curve(curves, offsets, view), nan=_CAP).argmin()
            offsets[view] -= MAX_SHIFT
        if (offsets == before).all():
            break
    return offsets


def _at_shifts(curves: np.ndarray, shift: np.ndarray, outside: float) -> np.ndarray:
    """Takes values of curves `[..., S]` at shifts `[..., N]`, or what holds outside of them."""
    inside = np.abs(shift) <= MAX_SHIFT
    index = np.clip(shift + MAX_SHIFT, 0, curves.shape[-1] - 1)
    return np.where(inside, np.take_along_axis(curves, index, axis=-1), outside)


def _curve(curves: np.ndarray, offsets: np.ndarray, view: int) -> np.ndarray:
    """Returns the mean residual `[S]` of one camera with the others, by its own offset."""
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1) - np.delete(offsets, view)[:, np.newaxis]
    values = _at_shifts(np.delete(curves[view], view, axis=0), shifts, np.nan)
    count = np.isfinite(values).sum(axis=0)
    mean = np.nansum(values, axis=0) / np.maximum(count, 1)
    return np.where(count == count.max(), mean, np.nan)


def _cost(curves: np.ndarray, offsets: np.ndarray) -> float:
    first, second = pairs_of_views(len(offsets)).T
    shift = (offsets[first] - offsets[second])[:, np.newaxis]
    mean = mean_of_pairs(_at_shifts(curves[first, second], shift, _CAP)[:, 0])
    return float(np.nan_to_num(mean, nan=_CAP))


def _refined(curve: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Places each minimum between frames, by a parabola through it and its neighbors."""
    middle = np.clip(offsets + MAX_SHIFT, 1, curve.shape[-1] - 2)
    rows = np.arange(len(offsets))
    before, here, after = (curve[rows, middle + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    step = np.where(bend > 0, (before - after) / (2 * np.where(bend > 0, bend, 1.0)), 0.0)
    return offsets + np.clip(np.nan_to_num(step), -0.5, 0.5)
