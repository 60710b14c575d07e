"""The places and attitudes of a rig's cameras, from the people they see.

`estimate` needs the intrinsics and one known distance; `refine` betters a calibration that is
there. Neither touches intrinsics.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tqdm

from keras_mvlift import errors, skeletons
from keras_mvlift.calibration import bundle_adjustment, observations, relative_pose, reports
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import calibration_files
from keras_mvlift.geometry import cameras, epipolar

_MIN_DETECTIONS = bundle_adjustment.MIN_POINTS


class Calibrated(NamedTuple):
    """A rig that has been calibrated, meters, world with z up, and how well it explains people."""

    camera: cameras.Camera
    report: reports.Report


def estimate(
    clips: Sequence[sequences.MultiViewSequence],
    known_distance: Mapping[tuple[str, str], float],
    max_frames: int = observations.MAX_FRAMES,
    *,
    verbose: bool = False,
) -> Calibrated:
    """Finds where cameras stand and look, from detections and intrinsics alone.

    Args:
        clips: What the rig saw; their extrinsics are not looked at.
        known_distance: Meters between the centers of two named cameras, of one pair or more.
        max_frames: So many frames are used at most.
        verbose: Whether to show progress, on a terminal.

    Returns:
        The rig, in a world with z up, the floor at 0 and the origin where people are. In the
        report, "before" is the rig before its bundle adjustment.

    Raises:
        ValueError: If `known_distance` is wrong.
        RecordingError: If the detections do not determine the rig; says why and what to do.
    """
    seen, names = _gather(clips, max_frames), clips[0].camera_names
    check_distances(names, known_distance)
    start = place_cameras(seen, clips[0].camera.intrinsics, names, verbose=verbose)
    camera = bundle_adjustment.adjust(start, seen)
    scale = scale_from_distances(camera, names, known_distance)
    camera = camera._replace(center=scale * camera.center)
    camera = upright_world(camera, observations.triangulate(camera, seen), seen)
    start = _laid_on(start, camera, seen)
    return Calibrated(camera, _report(clips, max_frames, start, camera))


def refine(
    clips: Sequence[sequences.MultiViewSequence], max_frames: int = observations.MAX_FRAMES
) -> Calibrated:
    """Betters a calibration, where clips' cameras start, by bundle adjustment on so many frames.

    Returns:
        The rig, laid onto the given one as a whole: world and size are what they were.

    Raises:
        RecordingError: If clips have other cameras, or show too little.
    """
    seen, start = _gather(clips, max_frames), clips[0].camera
    camera = _laid_on(bundle_adjustment.adjust(start, seen), start, seen)
    return Calibrated(camera, _report(clips, max_frames, start, camera))


def _gather(
    clips: Sequence[sequences.MultiViewSequence], max_frames: int
) -> observations.Observations:
    seen = observations.gather(clips, max_frames)
    counts = np.count_nonzero(seen.weights, axis=-1)
    for name, count in zip(clips[0].camera_names, counts, strict=True):
        rule = f"hold {_MIN_DETECTIONS} joints that another camera sees at the same time"
        is_enough = count >= _MIN_DETECTIONS
        errors.require_in(f"Camera {name!r}", is_enough, "keypoints_2d", rule, count)
    return seen


def _laid_on(
    camera: cameras.Camera, target: cameras.Camera, seen: observations.Observations
) -> cameras.Camera:
    points = observations.triangulate(target, seen)
    distance = np.linalg.norm(points - np.asarray(target.center)[:, np.newaxis], axis=-1)
    return reports.align(camera, target, reach=float(np.nanmedian(distance)), with_scale=True)


def _report(
    clips: Sequence[sequences.MultiViewSequence],
    max_frames: int,
    before: cameras.Camera,
    after: cameras.Camera,
) -> reports.Report:
    """Compares the rigs on up to ten times the frames that the calibration used."""
    seen = observations.gather(clips, 10 * max_frames)
    return reports.compare(clips[0].camera_names, before, after, seen, max_frames)


# A rig from its pairs: cameras are placed one after the other, best pairs first.
#
# The graph has cameras as nodes and pairs that see enough together as edges; a maximum spanning
# tree of it (Prim's), by how well a pair fixes points, is the order. Each pair knows its baseline's
# direction only; its length follows from points that the cameras placed before have fixed too.

_MIN_SHARED = 20

# By (source, target), in both directions; and why there is none.
_Pairs = dict[tuple[int, int], relative_pose.RelativePose]
_Failures = dict[tuple[int, int], errors.RecordingError]


def place_cameras(
    seen: observations.Observations,
    intrinsics: np.ndarray,
    names: tuple[str, ...],
    *,
    verbose: bool = False,
) -> cameras.Camera:
    """Places all cameras, in a world of unknown scale whose origin and axes are one of theirs.

    Raises:
        RecordingError: If a camera cannot be reached from the others; says why its pairs failed.
    """
    pairs, failures = _find_pairs(seen, intrinsics, names, verbose)
    if not pairs:
        raise _unreachable(range(len(names)), names, failures)
    (first, second), best = max(pairs.items(), key=lambda item: item[1].quality)
    placed = {first: (np.eye(3), np.zeros(3)), second: (best.rotation, best.center)}
    while len(placed) < len(names):
        known = sorted(placed)
        rig = _rig(placed, known, intrinsics)
        points = observations.triangulate(rig, seen.views(known))
        edge = _next(pairs, placed, np.isfinite(points[:, 0]))
        if edge is None:
            raise _unreachable(set(range(len(names))) - set(placed), names, failures)
        pair, (rotation, center) = pairs[edge], placed[edge[0]]
        rays = cameras.rays(seen.keypoints_2d[list(edge)], intrinsics[list(edge)])
        # The length of the baseline, from the depths of points in the source's frame.
        at_unit_length, *_ = epipolar.depths(pair.rotation, pair.center, *rays)
        ratio = ((points - center) @ rotation[2] / at_unit_length)[pair.is_inlier]
        length = float(np.median(ratio[ratio > 0]))
        placed[edge[1]] = pair.rotation @ rotation, center + length * pair.center @ rotation
    return _rig(placed, range(len(names)), intrinsics)


def _find_pairs(
    seen: observations.Observations, intrinsics: np.ndarray, names: tuple[str, ...], verbose: bool
) -> tuple[_Pairs, _Failures]:
    """Finds the relative extrinsics of every two cameras, or why there are none."""
    pairs: _Pairs = {}
    failures: _Failures = {}
    every = list(itertools.combinations(range(len(names)), 2))
    is_hidden = None if verbose else True
    for pair in tqdm.tqdm(every, desc="pairs of cameras", unit="pair", disable=is_hidden):
        views, named = list(pair), (names[pair[0]], names[pair[1]])
        try:
            found = relative_pose.estimate(seen.views(views), intrinsics[views], named)
        except errors.RecordingError as error:
            failures[pair] = error
        else:
            pairs[pair], pairs[pair[::-1]] = found, found.inverse()
    return pairs, failures


def _next(pairs: _Pairs, placed: Collection[int], is_known: np.ndarray) -> tuple[int, int] | None:
    """Chooses the best pair of a placed and an unplaced camera; None if there is none."""
    leading = [edge for edge in pairs if edge[0] in placed and edge[1] not in placed]
    shared = {edge: np.count_nonzero(pairs[edge].is_inlier & is_known) for edge in leading}
    usable = [edge for edge in leading if shared[edge] >= _MIN_SHARED]
    return max(usable, key=lambda edge: pairs[edge].quality, default=None)


def _rig(
    placed: dict[int, tuple[np.ndarray, np.ndarray]], index: Iterable[int], intrinsics: np.ndarray
) -> cameras.Camera:
    chosen = list(index)
    rotation, center = (np.stack(value) for value in zip(*(placed[i] for i in chosen), strict=True))
    return cameras.Camera(intrinsics[chosen], rotation, center)


def _unreachable(
    missing: Iterable[int], names: tuple[str, ...], failures: _Failures
) -> errors.RecordingError:
    if len(names) == 2:
        # The one reason says it all.
        return next(iter(failures.values()))
    lost = {*missing}
    reasons = " ".join(str(error) for pair, error in failures.items() if {*pair} & lost)
    where = "Cameras " + ", ".join(repr(names[index]) for index in sorted(lost))
    rule = f"share {_MIN_SHARED} joints with two cameras that are placed already"
    return errors.RecordingError(where, "keypoints_2d", rule, reasons or "none")


# The size of a rig, of which images tell nothing, from distances between its cameras.


_MOST_RATIO = 1.5  # Of a distance, to what all that are known make it.


def scale_from_distances(
    camera: cameras.Camera, names: tuple[str, ...], known_distance: Mapping[tuple[str, str], float]
) -> float:
    """Returns the factor that brings a rig to its true size, by least squares over known distances.

    Cameras of the distances that stand in one place, or distances that contradict each other by
    half and more, are a ValueError.
    """
    center = np.asarray(camera.center)
    pairs = [[names.index(name) for name in pair] for pair in known_distance]
    found = np.linalg.norm(np.subtract(*np.moveaxis(center[pairs], 1, 0)), axis=-1)
    known = np.array(list(known_distance.values()))
    errors.require(found.any(), "known_distance", "be of cameras apart", known_distance)
    scale = float(known @ found / (found @ found))
    off = np.abs(np.log(known / np.maximum(scale * found, calibration_files.SPACING[0])))
    worst, pair = max(zip(off, known_distance, strict=True))
    received = f"{known_distance[pair]:g} m of {' and '.join(pair)}, which is {np.exp(worst):.1f} "
    received += "times as far or near as all together make it"
    rule = "fit the other distances in the rig that people show"
    errors.require(worst < np.log(_MOST_RATIO), "known_distance", rule, received)
    return scale


def check_distances(
    names: tuple[str, ...], known_distance: Mapping[tuple[str, str], float]
) -> None:
    """Raises a ValueError if there is no distance, or one is not earthly or of two cameras."""
    field, (low, high) = "known_distance", calibration_files.SPACING
    errors.require(bool(known_distance), field, "hold one distance or more", "none")
    for pair, distance in known_distance.items():
        told = " and ".join(pair)
        is_pair = len({*pair}) == len(pair) == 2 and {*pair} <= {*names}
        errors.require(is_pair, field, f"be of two of the cameras {', '.join(names)}", told)
        is_near = low <= distance <= high
        errors.require(is_near, field, f"be {low} to {high} meters", f"{distance} of {told}")


# A world with z up and the floor at 0, found from people who stand in it.

# So far over the floor an adult's ankle joint is, when the foot is flat on it; meters.
_ANKLE_HEIGHT = 0.08
# Ankles are taken to be on the floor in this share of the frames: a heel leaves it, a detection
# falls below it.
_LOWEST_PERCENT = 10.0
# Of the mean of unit vectors from ankles to shoulders: 1 if people stand, 0 if they lie around.
_MIN_UPRIGHTNESS = 0.8
_MIN_FRAMES = 5


def upright_world(
    camera: cameras.Camera, points: np.ndarray, seen: observations.Observations
) -> cameras.Camera:
    """Turns and shifts a world so that people stand on its floor.

    Up is the mean direction from the middle of the ankles to that of the shoulders, the floor is
    below the lowest ankles, the origin below the mean of all points, `[N, 3]`, meters, NaN where
    unknown, and x to the right in the first camera's image.

    Raises:
        RecordingError: If too few frames show ankles and shoulders, or people mostly do not stand.
    """
    ankles, shoulders = (_middles(points, seen, joint) for joint in ("ankle", "shoulder"))
    body = shoulders - ankles
    body = body[np.isfinite(body).all(axis=-1)]
    rule = f"show ankles and shoulders in {_MIN_FRAMES} frames or more"
    errors.require_in("The recording", len(body) >= _MIN_FRAMES, "keypoints_2d", rule, len(body))
    body /= np.linalg.norm(body, axis=-1, keepdims=True)
    mean = body.mean(axis=0)
    upright = np.linalg.norm(mean)
    rule = "show people who stand or walk, from whom up and down can be told"
    is_told = upright >= _MIN_UPRIGHTNESS
    errors.require_in("The recording", is_told, "keypoints_2d", rule, f"{upright:.2f}")
    rotation = _axes(mean / upright, camera)
    ankle = points[np.isin(seen.joint, _sides("ankle"))] @ rotation[2]
    floor = np.nanpercentile(ankle, _LOWEST_PERCENT) - _ANKLE_HEIGHT
    origin = rotation @ np.nanmean(points, axis=0)
    origin[2] = floor
    turned = cameras.turn_world(camera, rotation)
    return turned._replace(center=turned.center - origin)


def _axes(up: np.ndarray, camera: cameras.Camera) -> np.ndarray:
    """Returns the new world's axes in the old one, `[3, 3]`."""
    right, down = camera.rotation[0, 0], camera.rotation[0, 1]
    # A camera rolled by a quarter turn has its x axis along up; its y axis then is not.
    across = right if np.abs(right @ up) < np.abs(down @ up) else down
    x = across - (across @ up) * up
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(up, x), up])


def _middles(points: np.ndarray, seen: observations.Observations, joint: str) -> np.ndarray:
    """Returns, per frame, the middle of the left and the right joint, `[T, 3]`; NaN if unknown."""
    frames, row = np.unique(seen.frame, return_inverse=True)
    positions = np.full((2, len(frames), 3), np.nan)
    for position, index in zip(positions, _sides(joint), strict=True):
        position[row[seen.joint == index]] = points[seen.joint == index]
    return np.mean(positions, axis=0)


def _sides(joint: str) -> list[int]:
    return [skeletons.H36M_17.joints.index(f"{side}_{joint}") for side in ("left", "right")]
