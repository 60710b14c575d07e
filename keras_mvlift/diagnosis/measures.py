"""What is measured of a rig: errors, confidence, losses, offsets, sizes and distances."""

from typing import NamedTuple

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.diagnosis import (
    anatomy,
    epipolar_residuals,
    remainders,
    reprojections,
    time_offsets,
)
from keras_mvlift.diagnosis import footage as footages

MIN_DIP = 1.1
"""A time offset is told only where being wrong costs so many times as much."""


class Measures(NamedTuple):
    """What is measured of footage; errors in pixels, NaN where there is nothing to measure.

    Attributes:
        error: `[V, T, J]`, reprojection error, triangulated from all cameras.
        left_out_error: `[V, T, J]`, the same, triangulated from the other cameras.
        bias: `[V, 2]`, by how much each camera sees the person beside the triangulated one.
        pair_error: `[V, V]`, the median distance from the epipolar lines of another camera.
        offsets: The cameras' time offsets.
        is_offset_told: `[V]`, whether the person moves enough to tell them.
        nobody: `[V]`, the share of frames without a person.
        too_few: `[V]`, the share of frames with fewer than `remainders.MIN_JOINTS` joints.
        distance: `[V]`, the median distance of the pelvis from each camera, meters.
        path: `[T, 3]`, the pelvis, meters, world frame; NaN where unknown.
        bone_lengths: As of `anatomy.bone_lengths`, meters.
        height: The person's standing height, meters.
        facing: As of `anatomy.facing`.
        in_front: The share of joints in front of the cameras.
    """

    error: np.ndarray
    left_out_error: np.ndarray
    bias: np.ndarray
    pair_error: np.ndarray
    offsets: time_offsets.TimeOffsets
    is_offset_told: np.ndarray
    nobody: np.ndarray
    too_few: np.ndarray
    distance: np.ndarray
    path: np.ndarray
    bone_lengths: dict[str, float]
    height: float
    facing: float
    in_front: float


def of(footage: footages.Footage) -> Measures:
    """Measures footage."""
    placed = reprojections.of_all(footage)
    offsets = time_offsets.estimate(footage)
    lengths = anatomy.bone_lengths(placed.points, placed.is_seen)
    pelvis = placed.points[:, skeletons.ROOT]
    known = placed.is_seen[:, skeletons.ROOT]
    away = np.linalg.norm(pelvis - footage.camera.center[:, np.newaxis], axis=-1)
    depth = placed.depth[np.isfinite(placed.depth)]
    nobody, too_few = remainders.lost_frames(footage)
    return Measures(
        error=placed.error,
        left_out_error=reprojections.leaving_one_out(footage),
        bias=remainders.bias(footage),
        pair_error=epipolar_residuals.matrix(footage) * np.median(footage.person_size),
        offsets=offsets,
        is_offset_told=_is_told(offsets),
        nobody=nobody,
        too_few=too_few,
        distance=epipolar_residuals.masked_median(away, np.broadcast_to(known, away.shape)),
        path=np.where(known[:, np.newaxis], pelvis, np.nan),
        bone_lengths=lengths,
        height=anatomy.height(lengths),
        facing=anatomy.facing(placed.points, placed.is_seen),
        in_front=float((depth > 0).mean()) if len(depth) else float("nan"),
    )


def _is_told(offsets: time_offsets.TimeOffsets) -> np.ndarray:
    curve = np.where(np.isfinite(offsets.curve), offsets.curve, -np.inf)
    least = np.where(np.isfinite(offsets.curve), offsets.curve, np.inf).min(axis=-1)
    return np.isfinite(least) & (curve.max(axis=-1) >= MIN_DIP * least)
