"""What the studio model is trained and tested on: recorded motions before cameras of all kinds.

Motions are cut into short segments, each filmed by a rig of its own: cameras high and low, near and
far, tilted, with wide and narrow lenses.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks import studio_bodies
from keras_mvlift.datasets import sequences, views
from keras_mvlift.experiments import origins
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import actions
from keras_mvlift.studio import filming as studio_filming

FRAME_RATE = 60.0
FOCAL_LENGTHS = (700.0, 2200.0)
"""Pixels, of images 1000 pixels wide: horizontal fields of view from 71 to 26 degrees."""
DISTANCES = (2.3, 8.5)
"""Meters, from a camera to what it looks at."""
_HEIGHTS_PX = (280.0, 900.0)
# Degrees; some cameras look down steeply.
_ELEVATION, _STEEP_ELEVATION, _STEEP_SHARE = (-8.0, 35.0), (35.0, 65.0), 0.12
_MIN_CAMERA_HEIGHT = 0.15
# Meters, and a share of the vertical.
_AIM_SPREAD, _ROLL_SPREAD = 0.25, 0.07
# As a share of the angle between neighbors.
_AZIMUTH_SPREAD = 0.25


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filming:
    """How motions are filmed.

    Attributes:
        num_cameras: `V`, of each rig.
        takes: How often each motion is filmed, each time on another body.
        segment: Frames that share a rig.
        stride: Every how many frames one is filmed.
        noise_px: As of `studio_filming.Detector`.
        missing_rate: The share of joints that are not found.
        seed: Of bodies, rigs and detections.
    """

    num_cameras: int = 6
    takes: int = 1
    segment: int = 90
    stride: int = 6
    noise_px: float = 4.0
    missing_rate: float = 0.02
    seed: int = 0


class Film(NamedTuple):
    """Instants, and what is true of them.

    Attributes:
        seen: All views of each instant, fields `[N, V, ...]`, single precision.
        pose_world: `[N, J, 3]`, meters. To test with; training does not see it.
        subject: `[N]`, who moves.
    """

    seen: views.View
    pose_world: np.ndarray
    subject: np.ndarray

    def select(self, index: np.ndarray) -> "Film":
        """Returns the chosen instants."""
        seen = tf.nest.map_structure(lambda field: field[index], self.seen)
        return Film(seen, self.pose_world[index], self.subject[index])


def film(recorded: Sequence[origins.Motion], filming: Filming) -> Film:
    """Films motions, each take on another body, each segment with another rig."""
    parts = [
        _film_take(motion, take, filming) for motion in recorded for take in range(filming.takes)
    ]
    segments = [segment for part in parts for segment in part]
    return tf.nest.map_structure(lambda *fields: np.concatenate(fields), *segments)


def rig(aim: np.ndarray, num_cameras: int, rng: np.random.Generator) -> cameras.Camera:
    """Draws cameras around a point, each with a lens, a height and a tilt of its own.

    Args:
        aim: `[3]`, meters, world frame.
        num_cameras: `V`.
        rng: The source of the draws.

    Returns:
        NumPy arrays, fields `[V, ...]`.
    """
    spread = rng.uniform(-_AZIMUTH_SPREAD, _AZIMUTH_SPREAD, num_cameras)
    turn = rng.uniform(0.0, 1.0)
    azimuth = 2 * np.pi * (np.arange(num_cameras) + turn + spread) / num_cameras
    is_steep = rng.random(num_cameras) < _STEEP_SHARE
    gentle = rng.uniform(*_ELEVATION, num_cameras)
    steep = rng.uniform(*_STEEP_ELEVATION, num_cameras)
    elevation = np.radians(np.where(is_steep, steep, gentle))
    focal = _log_uniform(FOCAL_LENGTHS, num_cameras, rng)
    height_px = _log_uniform(_HEIGHTS_PX, num_cameras, rng)
    distance = np.clip(focal * studio_filming.PERSON_HEIGHT / height_px, *DISTANCES)
    level = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1) * np.cos(elevation)[:, None]
    away = np.concatenate([level, np.sin(elevation)[:, None]], axis=-1)
    center = aim + distance[:, None] * away
    center[:, 2] = np.maximum(center[:, 2], _MIN_CAMERA_HEIGHT)
    intrinsics = np.tile(np.eye(3), (num_cameras, 1, 1))
    intrinsics[:, [0, 1], [0, 1]] = focal[:, None]
    intrinsics[:, :2, 2] = np.array(studio_filming.IMAGE_SIZE) / 2
    target = aim + rng.normal(0.0, _AIM_SPREAD, center.shape)
    up = np.array([0.0, 0.0, 1.0]) + rng.normal(0.0, _ROLL_SPREAD, center.shape)
    return cameras.Camera(*map(np.asarray, cameras.look_at(intrinsics, center, target, up)))


def _log_uniform(limits: tuple[float, float], number: int, rng: np.random.Generator) -> np.ndarray:
    low, high = np.log(limits)
    return np.exp(rng.uniform(low, high, number))


def _film_take(motion: origins.Motion, take: int, filming: Filming) -> list[Film]:
    body = f"{motion.subject}/{take}"
    rate = FRAME_RATE / filming.stride
    moved = studio_bodies.give(motion.positions[:: filming.stride], filming.seed, body, rate)
    length = max(filming.segment // filming.stride, 1)
    rng = sequences.seeded_generator(filming.seed, "film", motion.name, str(take))
    detector = studio_filming.Detector(noise_px=filming.noise_px, missing_rate=filming.missing_rate)
    segments = []
    for start in range(0, len(moved), length):
        pose = actions.into_room(moved[start : start + length], rng)
        camera = rig(pose.mean(axis=(0, 1)), filming.num_cameras, rng)
        keypoints_2d, confidence = detector.detect(pose, camera, rng)
        segments.append(_instants(keypoints_2d, confidence, camera, pose, motion.subject))
    return segments


def _instants(
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
    camera: cameras.Camera,
    pose: np.ndarray,
    subject: str,
) -> Film:
    seen = views_of(keypoints_2d, confidence, camera)
    return Film(seen, pose, np.full(len(pose), subject))


def views_of(
    keypoints_2d: np.ndarray, confidence: np.ndarray, camera: cameras.Camera
) -> views.View:
    """Returns all views of each instant, fields `[T, V, ...]`, single precision.

    Args:
        keypoints_2d: `[V, T, J, 2]`, pixels.
        confidence: `[V, T, J]`.
        camera: Fields `[V, ...]`.
    """
    every = confidence.shape[1::-1]
    return views.View(
        keypoints_2d.swapaxes(0, 1).astype(np.float32),
        confidence.swapaxes(0, 1).astype(np.float32),
        cameras.Camera(
            *(np.broadcast_to(x.astype(np.float32), (*every, *x.shape[1:])) for x in camera)
        ),
    )
