"""Where one camera stands relative to another, up to the distance, from what both saw.

OpenCV finds the fundamental matrix by RANSAC, and of the essential matrix's four decompositions the
one that has the points in front; then the two cameras' bundle is adjusted.
"""

from typing import NamedTuple

import cv2
import numpy as np

from keras_mvlift import errors
from keras_mvlift.calibration import bundle_adjustment, observations
from keras_mvlift.datasets import sequences
from keras_mvlift.geometry import cameras, epipolar

_MIN_SHARED = 50
_MAX_CORRESPONDENCES = 2000
_MAX_ADJUSTED = 500  # Enough for a start: all cameras are adjusted together in the end.
# Detections agree with two cameras within this angle, radians; 11 pixels at a focal length of 1145.
_THRESHOLD = 0.01
_MIN_INLIER_SHARE = 0.6
# RANSAC ends when a clean sample has been among those drawn with this probability.
_CERTAINTY = 0.9999
_MAX_SAMPLES = 10_000
# Points farther away than so many baselines are in front of neither camera, to OpenCV.
_MAX_BASELINES = 1e6
_MIN_SHARE_IN_FRONT = 0.9
_MIN_MOTION = 0.1  # Joints must wander by this share of the person's size in the image.
# Of `epipolar.conditioning`: 1 to 1.5 of points in a plane, 2 of someone who stands and waves,
# 4 and more of someone who walks, turns, squats or boxes.
_MIN_CONDITIONING = 2.0


class RelativePose(NamedTuple):
    """The target camera in the source's frame."""

    rotation: np.ndarray  # [3, 3], target from source.
    center: np.ndarray  # [3], of length one.
    is_inlier: np.ndarray  # [N], which of the observations agree.
    # How well the pair fixes points: the weights' sum over inliers, each times the sine of the
    # angle at which its rays cross.
    quality: float

    def inverse(self) -> "RelativePose":
        """Returns the source camera in the target's frame."""
        return self._replace(rotation=self.rotation.T, center=-self.rotation @ self.center)


def estimate(
    seen: observations.Observations, intrinsics: np.ndarray, names: tuple[str, str]
) -> RelativePose:
    """Finds the relative extrinsics of two cameras, of intrinsics `[2, 3, 3]`, from what they saw.

    Raises:
        RecordingError: If the observations do not determine them: too few are shared, the person
            hardly moved or only within a plane, most disagree, or an image is mirrored. Says
            which, and what to do.
    """
    tracks = np.flatnonzero((seen.weights > 0).all(axis=0))
    rule = f"see {_MIN_SHARED} joints or more together; let people walk where both look"
    _require(len(tracks) >= _MIN_SHARED, names, rule, len(tracks))
    used = seen.select(tracks[sequences.spread(len(tracks), _MAX_CORRESPONDENCES)])
    moved = motion(used)
    rule = f"see joints move by {_MIN_MOTION} of the person's size; let them walk about and turn"
    _require(moved >= _MIN_MOTION, names, rule, f"{moved:.3f}")
    rotation, center, agreeing = _from_fundamental(used, intrinsics, names)
    places = np.stack([np.eye(3), rotation]), np.stack([np.zeros(3), center])
    pair = cameras.Camera(intrinsics, *places)
    few = agreeing.select(sequences.spread(len(agreeing.frame), _MAX_ADJUSTED))
    with errors.parsing(_where(names), "keypoints_2d", "be explained by two cameras"):
        _, rotation, center = (value[1] for value in bundle_adjustment.adjust(pair, few))
    rays, weights = cameras.rays(seen.keypoints_2d, intrinsics), seen.weights.min(axis=0)
    return _assess(rotation, center / np.linalg.norm(center), rays, weights)


def motion(seen: observations.Observations) -> float:
    """Measures how far joints wandered, in sizes of the person, in the view that saw most of it.

    Both are medians, which gross errors do not move: of the joints' interquartile ranges over
    time, and over time of the joints' root mean square distance from their mean.
    """
    _, index = np.unique(seen.frame, return_inverse=True)
    count = np.bincount(index)

    def of(view: np.ndarray) -> float:
        of_joints = (view[seen.joint == each] for each in np.unique(seen.joint))
        ranges = [np.subtract(*np.percentile(part, [75, 25], axis=0)) for part in of_joints]
        mean = np.stack([np.bincount(index, axis) / count for axis in view.T], axis=-1)
        squared = np.sum(np.square(view - mean[index]), axis=-1)
        size = np.median(np.sqrt(np.bincount(index, squared) / count))
        return float(np.median(np.linalg.norm(ranges, axis=-1)) / max(size, 1e-9))

    return max(map(of, seen.keypoints_2d))


def _from_fundamental(
    seen: observations.Observations, intrinsics: np.ndarray, names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray, observations.Observations]:
    """Returns rotation, center and the observations that agree on them."""
    threshold_px = float(_THRESHOLD * np.mean(intrinsics[:, [0, 1], [0, 1]]))
    # Of OpenCV's ways the one that errs least, and always in the same way: its dice have one seed.
    source, target = seen.keypoints_2d
    fundamental, is_inlier = cv2.findFundamentalMat(
        source, target, cv2.USAC_MAGSAC, threshold_px, _CERTAINTY, _MAX_SAMPLES
    )
    agreeing = np.flatnonzero(is_inlier) if fundamental is not None else np.zeros(0, int)
    share = len(agreeing) / len(seen.frame)
    rule = (
        f"agree on {_MIN_INLIER_SHARE:.0%} of the joints within {threshold_px:.0f} pixels; check "
        "that they are synchronized, show the same person, and took neither left for right"
    )
    _require(share >= _MIN_INLIER_SHARE, names, rule, f"{share:.0%}")
    seen = seen.select(agreeing)
    source, target = seen.keypoints_2d
    conditioning = float(epipolar.conditioning(source, target, seen.weights.min(axis=0)))
    rule = (
        f"see people in more than a plane, a conditioning of {_MIN_CONDITIONING} or more; let "
        "them walk to and fro, and turn"
    )
    _require(conditioning >= _MIN_CONDITIONING, names, rule, f"{conditioning:.2f}")
    essential = epipolar.essential_from_fundamental(fundamental, *intrinsics)
    source, target = cameras.rays(seen.keypoints_2d, intrinsics)
    num_in_front, rotation, translation, *_ = cv2.recoverPose(
        essential, source, target, np.eye(3), distanceThresh=_MAX_BASELINES
    )
    in_front = num_in_front / len(agreeing)
    rule = (
        f"have {_MIN_SHARE_IN_FRONT:.0%} of the joints in front of both; check that neither image "
        "is mirrored, and that they are synchronized"
    )
    _require(in_front >= _MIN_SHARE_IN_FRONT, names, rule, f"{in_front:.0%}")
    return rotation, cameras.from_opencv(np.eye(3), rotation, translation[:, 0]).center, seen


def _assess(
    rotation: np.ndarray, center: np.ndarray, rays: np.ndarray, weights: np.ndarray
) -> RelativePose:
    essential = epipolar.essential_from_relative(rotation, center)
    distance = np.abs(epipolar.sampson_distance(essential, *rays))
    is_inlier = (distance < _THRESHOLD) & (weights > 0)
    in_source, in_target, sine = epipolar.depths(rotation, center, *rays)
    is_inlier &= (in_source > 0) & (in_target > 0)
    return RelativePose(rotation, center, is_inlier, float(np.sum((weights * sine)[is_inlier])))


def _require(holds: bool, names: tuple[str, str], rule: str, received: object) -> None:
    errors.require_in(_where(names), holds, "keypoints_2d", rule, received)


def _where(names: tuple[str, str]) -> str:
    return f"Cameras {names[0]!r} and {names[1]!r}"
