"""A rig from its pairs: cameras are placed one after the other, best pairs first.

The graph has cameras as nodes and pairs that see enough together as edges; a maximum spanning
tree of it (Prim's), by how well a pair fixes points, is the order. Each pair knows its baseline's
direction only; its length follows from points that the cameras placed before have fixed too.
"""

import itertools
from collections.abc import Iterable

import numpy as np
import tqdm

from keras_mvlift import errors
from keras_mvlift.calibration import observations, relative_pose, reprojection
from keras_mvlift.geometry import cameras, epipolar

_MIN_SHARED = 20

# By (source, target), in both directions.
_Pairs = dict[tuple[int, int], relative_pose.RelativePose]


def place(
    seen: observations.Observations,
    intrinsics: np.ndarray,
    names: tuple[str, ...],
    *,
    seed: int = 0,
    verbose: bool = False,
) -> cameras.Camera:
    """Places all cameras of a rig.

    Args:
        seen: What the rig saw.
        intrinsics: `[V, 3, 3]`, pixels.
        names: The cameras' names, for errors.
        seed: Of the drawing in RANSAC.
        verbose: Whether to show the progress over pairs.

    Returns:
        Fields `[V, ...]`, NumPy arrays, in a world of unknown scale whose origin and axes are one
        of the cameras'.

    Raises:
        RecordingError: If a camera cannot be reached from the others; says why its pairs failed.
    """
    pairs, failures = _find_pairs(seen, intrinsics, names, seed, verbose)
    if not pairs:
        raise _unreachable(range(len(names)), names, failures)
    (first, second), best = max(pairs.items(), key=lambda item: item[1].quality)
    placed = {first: (np.eye(3), np.zeros(3)), second: (best.rotation, best.center)}
    while len(placed) < len(names):
        known = sorted(placed)
        rig = _rig(placed, known, intrinsics)
        points = reprojection.triangulate(rig, seen.views(known))
        edge = _next(pairs, placed, np.isfinite(points[:, 0]))
        if edge is None:
            raise _unreachable(set(range(len(names))) - set(placed), names, failures)
        pair, (rotation, center) = pairs[edge], placed[edge[0]]
        rays = cameras.rays(seen.keypoints_2d[list(edge)], intrinsics[list(edge)]).numpy()
        length = _baseline(pair, rays, (points - center) @ rotation[2])
        placed[edge[1]] = pair.rotation @ rotation, center + length * pair.center @ rotation
    return _rig(placed, range(len(names)), intrinsics)


def _find_pairs(
    seen: observations.Observations,
    intrinsics: np.ndarray,
    names: tuple[str, ...],
    seed: int,
    verbose: bool,
) -> tuple[_Pairs, dict[tuple[int, int], errors.RecordingError]]:
    """Finds the relative extrinsics of every two cameras, or why there are none."""
    pairs: _Pairs = {}
    failures = {}
    every = list(itertools.combinations(range(len(names)), 2))
    for pair in tqdm.tqdm(every, desc="pairs of cameras", unit="pair", disable=not verbose):
        views = list(pair)
        try:
            found = relative_pose.estimate(
                seen.views(views), intrinsics[views], (names[pair[0]], names[pair[1]]), seed
            )
        except errors.RecordingError as error:
            failures[pair] = error
            continue
        pairs[pair], pairs[pair[::-1]] = found, found.inverse()
    return pairs, failures


def _next(pairs: _Pairs, placed: Iterable[int], is_known: np.ndarray) -> tuple[int, int] | None:
    """Chooses the best pair of a placed and an unplaced camera; None if there is none."""
    placed = set(placed)
    open_edges = [
        edge
        for edge, pair in pairs.items()
        if edge[0] in placed
        and edge[1] not in placed
        and np.count_nonzero(pair.is_inlier & is_known) >= _MIN_SHARED
    ]
    return max(open_edges, key=lambda edge: pairs[edge].quality, default=None)


def _baseline(pair: relative_pose.RelativePose, rays: np.ndarray, depth: np.ndarray) -> float:
    """Gives the length of a pair's baseline, from the depths of points in its source's frame."""
    at_unit_length, _ = epipolar.depths(pair.rotation, pair.center, *rays)
    ratio = (depth / at_unit_length)[pair.is_inlier]
    return float(np.median(ratio[ratio > 0]))


def _rig(
    placed: dict[int, tuple[np.ndarray, np.ndarray]], index: Iterable[int], intrinsics: np.ndarray
) -> cameras.Camera:
    chosen = list(index)
    rotation, center = (np.stack(value) for value in zip(*(placed[i] for i in chosen), strict=True))
    return cameras.Camera(intrinsics[chosen], rotation, center)


def _unreachable(
    missing: Iterable[int],
    names: tuple[str, ...],
    failures: dict[tuple[int, int], errors.RecordingError],
) -> errors.RecordingError:
    lost = sorted(missing)
    reasons = [str(error) for pair, error in failures.items() if set(pair) & set(lost)]
    if len(names) == 2:
        # The one reason says it all.
        return next(iter(failures.values()))
    where = "Cameras " + ", ".join(repr(names[index]) for index in lost)
    rule = f"share {_MIN_SHARED} joints with two cameras that are placed already"
    return errors.RecordingError(where, "keypoints_2d", rule, " ".join(reasons) or "none")
