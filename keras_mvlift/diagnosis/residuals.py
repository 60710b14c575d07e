"""What is measured of a rig: residuals, reprojections, bodies, offsets in time.

How far joints lie from the epipolar lines of the same joints in another view.

The distance is measured in shares of the person's size in the image, so that one threshold does
for every lens, image size and distance: `0.01` is about 2 cm at a person of 1.7 m.
"""

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


def residuals_of_views(first: footages.Views, second: footages.Views) -> np.ndarray:
    """Measures the median residual of `P` pairs of views, of the same frames.

    Returns:
        `[P]`, shares of the person's size, at most `CAP`; `CAP` where two cameras stand in one
        place, NaN where they have seen no joint at the same time.
    """
    matrix = epipolar.essential_from_cameras(first.camera, second.camera)
    in_first, in_second = epipolar.line_distances(matrix, first.rays, second.rays)
    residual = np.abs(in_first) / first.person_size[:, np.newaxis]
    residual = (residual + np.abs(in_second) / second.person_size[:, np.newaxis]) / 2
    median = masked_median(residual, first.is_seen & second.is_seen)
    apart = np.linalg.norm(first.camera.center - second.camera.center, axis=-1) > _TINY
    # NaN stays NaN.
    return np.where(apart, np.minimum(median, CAP), CAP)


def residual_matrix(footage: footages.Footage) -> np.ndarray:
    """Measures the median residual of every pair, `[V, V]`, symmetric, NaN on the diagonal."""
    index = pairs_of_views(footage.num_views)
    residuals = np.full((footage.num_views, footage.num_views), np.nan)
    first, second = index.T
    residuals[first, second] = residuals_of_views(footage.views(first), footage.views(second))
    return np.fmax(residuals, residuals.T)


def mean_residual(footage: footages.Footage) -> float:
    """Returns the mean over all pairs; NaN if no two cameras ever saw the same joint."""
    return float(mean_of_pairs(residual_matrix(footage).ravel()))


def masked_median(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the median along the last axis of what the mask leaves; NaN where it leaves none."""
    ordered = np.sort(np.where(mask, values, np.inf), axis=-1)
    count = mask.sum(axis=-1)
    middle = np.maximum(count - 1, 0)[..., np.newaxis] // 2
    median = np.take_along_axis(ordered, middle, axis=-1)[..., 0]
    return np.where(count > 0, median, np.nan)


def mean_of_pairs(residuals: np.ndarray) -> np.ndarray:
    """Averages `[..., P]` residuals over the pairs that have one; NaN where none has."""
    is_known = np.isfinite(residuals)
    total = np.where(is_known, residuals, 0.0).sum(axis=-1)
    count = is_known.sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


# Where triangulated joints lie, and how far from there each camera sees them.


class Reprojection(NamedTuple):
    """Joints in space and their distances from what the cameras saw."""

    points: np.ndarray  # [T, J, 3], meters, world frame.
    is_seen: np.ndarray  # [T, J], whether two or more cameras saw the joint.
    # [V, T, J, 2], pixels, seen minus projected; NaN where a camera did not see the joint or it
    # could not be triangulated.
    residual: np.ndarray
    depth: np.ndarray  # [V, T, J], meters along the optical axis; NaN as above.

    @property
    def error(self) -> np.ndarray:
        """The residuals' lengths, `[V, T, J]`, pixels."""
        return np.linalg.norm(self.residual, axis=-1)


def reproject(footage: footages.Footage) -> Reprojection:
    """Triangulates each joint from all cameras that see it, and projects it into all."""
    points, is_seen = _triangulated(footage, footage.confidence)
    return Reprojection(points, is_seen, *_projected(footage, points, is_seen))


def leaving_one_out(footage: footages.Footage) -> np.ndarray:
    """Measures how far each camera sees joints from where the others put them.

    Returns:
        `[V, T, J]`, pixels; NaN where the camera or two others did not see the joint, which is
        everywhere with two cameras.
    """
    errors = np.full(footage.confidence.shape, np.nan)
    if footage.num_views > 2:
        for view in range(footage.num_views):
            weights = footage.confidence.copy()
            weights[view] = 0.0
            residual, _ = _projected(footage, *_triangulated(footage, weights))
            errors[view] = np.linalg.norm(residual[view], axis=-1)
    return errors


def _triangulated(footage: footages.Footage, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen = footage.keypoints_2d.swapaxes(0, 1), weights.swapaxes(0, 1)
    return triangulation.triangulate(*seen, footage.camera)


def _projected(
    footage: footages.Footage, points: np.ndarray, is_seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    camera = cameras.expand(footage.camera, -1)
    in_camera = cameras.camera_from_world(points, camera)
    known = is_seen & (footage.confidence > 0)
    depth = np.where(known, in_camera[..., 2], np.nan)
    # Not cut off at small depths: a point behind a camera is a finding, not a nuisance.
    safe = np.where(np.abs(in_camera[..., 2:]) > 1e-9, in_camera[..., 2:], 1e-9)
    image = cameras.pixels(in_camera[..., :2] / safe, camera.intrinsics)
    return np.where(known[..., np.newaxis], footage.keypoints_2d - image, np.nan), depth


# What a triangulated person tells about the world's scale, and about left and right.

PLAUSIBLE_HEIGHT = (0.7, 2.4)
"""From a child's to a very tall person's standing height, meters."""

MIN_FACING = 0.3
"""How clearly the body must face backwards for left and right to be called swapped."""

# From the ankle to the sole, and from what detectors call the head to its top.
_FOOT, _TOP = 0.08, 0.06
_JOINT_INDEX = {name: index for index, name in enumerate(skeletons.H36M_17.joints)}
_TRUNK = ("pelvis", "spine", "thorax", "nose", "head")


def bone_lengths(points: np.ndarray, is_seen: np.ndarray) -> dict[str, float]:
    """Measures the median length of each bone, of `[T, J, 3]` and whether they are seen, `[T, J]`.

    Returns:
        By the name of the bone's far joint, meters; bones never seen are left out.
    """
    lengths = {}
    for parent, child in skeletons.H36M_17.bones:
        both = is_seen[:, parent] & is_seen[:, child]
        if both.any():
            length = np.linalg.norm(points[both, child] - points[both, parent], axis=-1)
            lengths[skeletons.H36M_17.joints[child]] = float(np.median(length))
    return lengths


def asymmetry(lengths: dict[str, float]) -> float:
    """Returns by how much bones of the left and the right differ on average, a share of them.

    People's differ by a few percent; joints read in another set's order make bones of anything.
    """
    pairs = ((name, name.replace("left", "right")) for name in lengths if "left" in name)
    ratios = [lengths[left] / lengths[right] for left, right in pairs if right in lengths]
    return float(np.abs(np.log(np.maximum(ratios, 1e-9))).mean()) if ratios else float("nan")


def upward(points: np.ndarray, is_seen: np.ndarray) -> np.ndarray:
    """Returns the mean direction `[3]` from ankles to thorax: of length 1 if it never changes."""
    ankles = [_JOINT_INDEX["left_ankle"], _JOINT_INDEX["right_ankle"]]
    joints = [*ankles, _JOINT_INDEX["thorax"]]
    seen = points[is_seen[:, joints].all(axis=-1)]
    body = seen[:, joints[-1]] - seen[:, ankles].mean(axis=1)
    length = np.linalg.norm(body, axis=-1, keepdims=True)
    return (body / np.maximum(length, 1e-9)).mean(axis=0) if len(seen) else np.zeros(3)


def body_height(lengths: dict[str, float]) -> float:
    """Estimates how tall the person stands, meters, from bone lengths; NaN if they do not do."""
    legs = [
        lengths[f"{side}_knee"] + lengths[f"{side}_ankle"]
        for side in ("left", "right")
        if {f"{side}_knee", f"{side}_ankle"} <= lengths.keys()
    ]
    if not legs or not set(_TRUNK[1:]) <= lengths.keys():
        return float("nan")
    body = float(np.mean(legs)) + sum(lengths[name] for name in _TRUNK[1:])
    # Foot and top of the head are shares of a body of 1.7 m, so that a wrong unit stays one.
    return body * (1.0 + (_FOOT + _TOP) / (1.7 - _FOOT - _TOP))


def facing(points: np.ndarray, is_seen: np.ndarray) -> float:
    """Tells whether the body, `[T, J, 3]`, bends and looks the way that its left and right say.

    Ahead is up cross right, from hips, pelvis and thorax. There the nose is, and there knees bend.

    Returns:
        From 1, always, to -1, never: left and right are swapped. 0 if nothing tells.
    """

    def at(name: str) -> np.ndarray:
        return points[:, _JOINT_INDEX[name]]

    def unit(vector: np.ndarray) -> np.ndarray:
        return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12)

    ahead = unit(np.cross(at("left_hip") - at("right_hip"), at("thorax") - at("pelvis")))
    size = np.linalg.norm(at("thorax") - at("pelvis"), axis=-1)
    hints = {("nose", "thorax", "head"): at("nose") - (at("thorax") + at("head")) / 2}
    for side in ("left", "right"):
        names = (f"{side}_knee", f"{side}_hip", f"{side}_ankle")
        thigh = unit(at(names[2]) - at(names[1]))
        bent = at(names[0]) - at(names[1])
        hints[names] = bent - (bent * thigh).sum(axis=-1, keepdims=True) * thigh
    votes = []
    trunk = ("left_hip", "right_hip", "pelvis", "thorax")
    for names, hint in hints.items():
        seen = is_seen[:, [_JOINT_INDEX[name] for name in names + trunk]].all(axis=-1) & (size > 0)
        votes.append((hint * ahead).sum(axis=-1)[seen] / size[seen])
    vote = np.clip(np.concatenate(votes), -1.0, 1.0)
    total = np.abs(vote).sum()
    return float(vote.sum() / total) if total > 0 else 0.0


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
_LIMBS = ("knee", "ankle", "elbow", "wrist")
_LIMB_JOINTS = [
    index
    for index, name in enumerate(skeletons.H36M_17.joints)
    if name in ("pelvis", "thorax", "head") or name.endswith(_LIMBS)
]


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
    before: float  # The mean residual over pairs without any offset.
    after: float  # The same with `frames`.


def estimate_offsets(footage: footages.Footage) -> TimeOffsets:
    """Estimates the offsets of all cameras together."""
    curves = _pair_curves(footage)
    offsets = _fit(curves)
    # The offsets' differences count; the largest group of cameras is taken to be right.
    values, counts = np.unique(offsets, return_counts=True)
    tied = values[counts == counts.max()]
    offsets = offsets - (offsets[0] if offsets[0] in tied else tied[0])
    curve = np.stack([_curve(curves, offsets, view) for view in range(footage.num_views)])
    return TimeOffsets(
        offsets, _refined(curve, offsets), curve, _cost(curves, 0 * offsets), _cost(curves, offsets)
    )


def _pair_curves(footage: footages.Footage) -> np.ndarray:
    """Measures `[V, V, S]`: pair v, w with v moved ahead by each shift; antisymmetric in v, w."""
    index = pairs_of_views(footage.num_views)
    max_frames = int(np.clip(_ALL_FRAMES // len(index), _MIN_FRAMES, _MAX_FRAMES))
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    rays = footage.rays[:, :, _LIMB_JOINTS]
    seen = footage.confidence[:, :, _LIMB_JOINTS] > 0
    views = footage.views(np.arange(footage.num_views))
    first, second = index.T
    fields = [type(views.camera)(*(f[side] for f in views.camera)) for side in (first, second)]
    matrix = epipolar.essential_from_cameras(*fields)
    size = views.person_size[:, np.newaxis, np.newaxis]
    curves = np.full((footage.num_views, footage.num_views, len(shifts)), np.nan)
    for column, shift in enumerate(shifts):
        here, there = _overlap(footage.run, shift, max_frames)
        near, far = rays[first][:, there], rays[second][:, here]
        shape = (len(index), -1)
        both_rays = near.reshape(*shape, 2), far.reshape(*shape, 2)
        distances = np.abs(epipolar.line_distances(matrix, *both_rays))
        residual = distances[0] / size[first, 0] + distances[1] / size[second, 0]
        both = (seen[first][:, there] & seen[second][:, here]).reshape(shape)
        mean = mean_of_pairs(np.where(both, np.minimum(residual / 2, _CAP), np.nan))
        curves[first, second, column] = mean
        curves[second, first, len(shifts) - 1 - column] = mean
    return curves


def _overlap(run: np.ndarray, shift: int, max_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns frames t, and t + shift, that lie in one run, evenly spread."""
    # The same frames t for all shifts, but for those that leave the footage.
    here = sequences.spread(len(run), max_frames)
    here = here[(here + shift >= 0) & (here + shift < len(run))]
    there = here + shift
    same = run[here] == run[there]
    return here[same], there[same]


def _fit(curves: np.ndarray) -> np.ndarray:
    """Finds the offsets `[V]` of the least cost, by descent from each camera in turn."""
    best = np.zeros(len(curves), int)
    best_cost = _cost(curves, best)
    for reference in range(len(curves)):
        start = np.nan_to_num(curves[:, reference], nan=_CAP).argmin(axis=-1) - MAX_SHIFT
        start[reference] = 0
        offsets = _descend(curves, start)
        cost = _cost(curves, offsets)
        if cost < best_cost:
            best, best_cost = offsets, cost
    return best


def _descend(curves: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    for _ in range(len(offsets) * 2):
        before = offsets.copy()
        for view in range(len(offsets)):
            offsets[view] = np.nan_to_num(_curve(curves, offsets, view), nan=_CAP).argmin()
            offsets[view] -= MAX_SHIFT
        if (offsets == before).all():
            break
    return offsets


def _curve(curves: np.ndarray, offsets: np.ndarray, view: int) -> np.ndarray:
    """Returns the mean residual `[S]` of one camera with the others, by its own offset."""
    others = np.delete(np.arange(len(offsets)), view)
    index = np.arange(curves.shape[-1]) - offsets[others, np.newaxis]
    inside = (index >= 0) & (index < curves.shape[-1])
    index = np.clip(index, 0, curves.shape[-1] - 1)
    values = np.where(inside, curves[view, others[:, np.newaxis], index], np.nan)
    count = np.isfinite(values).sum(axis=0)
    mean = np.nansum(values, axis=0) / np.maximum(count, 1)
    return np.where(count == np.isfinite(values).sum(axis=0).max(), mean, np.nan)


def _cost(curves: np.ndarray, offsets: np.ndarray) -> float:
    first, second = pairs_of_views(len(offsets)).T
    shift = offsets[first] - offsets[second] + MAX_SHIFT
    inside = (shift >= 0) & (shift < curves.shape[-1])
    values = curves[first, second, np.clip(shift, 0, curves.shape[-1] - 1)]
    values = np.where(inside, values, _CAP)
    return float(np.nanmean(values)) if np.isfinite(values).any() else _CAP


def _refined(curve: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Places each minimum between frames, by a parabola through it and its neighbors."""
    middle = np.clip(offsets + MAX_SHIFT, 1, curve.shape[-1] - 2)
    rows = np.arange(len(offsets))
    before, here, after = (curve[rows, middle + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    step = np.where(bend > 0, (before - after) / (2 * np.where(bend > 0, bend, 1.0)), 0.0)
    return offsets + np.clip(np.nan_to_num(step), -0.5, 0.5)
