"""How the studio films: cameras placed, joints hidden, and a 2D keypoint detector imitated.

Rigs stand around a room with z up, the floor at 0 and its center as the origin. The detector's
noise, confidences, blunders and misses are in numbers of ours: in a room of Human3.6M's size they
give errors of the size and with the tails that OpenPose and its kin show, and confidences that tell
good joints from bad ones only roughly, as theirs do.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.geometry import cameras

IMAGE_SIZE = (1000, 1000)
"""Width and height of an image, pixels."""

FOCAL_LENGTH = 1145.0
# Where Human3.6M's four cameras stand, to the nearest decimeter or two.
_H36M_CENTERS = ((1.8, 5.0, 1.55), (1.8, -5.0, 1.6), (-1.8, 5.2, 1.5), (-1.8, -3.8, 1.55))
NUM_H36M_CAMERAS = len(_H36M_CENTERS)
RING_RADIUS, _RING_HEIGHT = 4.5, 1.5  # Meters.
_AIM = (0.0, 0.0, 0.95)  # Cameras look at a standing person's hips, meters.
# With jitter, cameras roll, and lenses differ, by these standard deviations.
_ROLL_SPREAD = np.radians(1.0)
_FOCAL_SPREAD = 3.0
_PRINCIPAL_POINT_SPREAD = 8.0


def h36m_like(jitter: float = 0.0, rng: np.random.Generator | None = None) -> cameras.Camera:
    """Puts four cameras where Human3.6M's are: near the corners, 4 to 5.5 m from the center.

    With jitter, the standard deviation of places and aims in meters, lenses and roll differ too; it
    needs random numbers. Fields are NumPy arrays `[4, ...]`.
    """
    return _aimed(np.array(_H36M_CENTERS), jitter, rng)


def ring(
    num_cameras: int, jitter: float = 0.0, rng: np.random.Generator | None = None
) -> cameras.Camera:
    """Puts cameras on a circle around the room, evenly spaced, looking inwards; NumPy arrays.

    `jitter` and `rng` are as of `h36m_like`. A number that is not positive is a ValueError.
    """
    errors.require(num_cameras > 0, "num_cameras", "be positive", num_cameras)
    angle = 2 * np.pi * (np.arange(num_cameras) + 0.5) / num_cameras
    around = RING_RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return _aimed(np.insert(around, 2, _RING_HEIGHT, axis=-1), jitter, rng)


def _aimed(center: np.ndarray, jitter: float, rng: np.random.Generator | None) -> cameras.Camera:
    rule = "be 0, or above it with `rng`"
    errors.require(jitter == 0 or (jitter > 0 and rng is not None), "jitter", rule, jitter)
    num_cameras = len(center)
    target, up = np.tile(_AIM, (num_cameras, 1)), np.tile((0.0, 0.0, 1.0), (num_cameras, 1))
    intrinsics = np.tile(np.diag([FOCAL_LENGTH, FOCAL_LENGTH, 1.0]), (num_cameras, 1, 1))
    intrinsics[:, :2, 2] = np.array(IMAGE_SIZE) / 2
    if rng is not None and jitter > 0:
        center = center + rng.normal(0.0, jitter, center.shape)
        target += rng.normal(0.0, jitter, center.shape)
        up += rng.normal(0.0, _ROLL_SPREAD, center.shape)
        focal = rng.normal(FOCAL_LENGTH, _FOCAL_SPREAD, num_cameras)
        intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal
        intrinsics[:, :2, 2] += rng.normal(0.0, _PRINCIPAL_POINT_SPREAD, (num_cameras, 2))
    return cameras.look_at(intrinsics, center, target, up)


PERSON_HEIGHT = 1.7
REFERENCE_HEIGHT_PX = 400.0

_CLEAR_CONFIDENCE, _HIDDEN_CONFIDENCE = 0.92, 0.32
_CONFIDENCE_SPREAD = 0.06
_CONFIDENCE_LIMITS = (0.05, 0.99)
# The noise's deviation is 1 + growth (1 - confidence)^2 times as large, and itself varies
# log-normally by tail (1 - confidence): the less sure, the farther off, now and then far off.
_NOISE_GROWTH = 4.0
_NOISE_TAIL = 1.0
# Half of the noise's variance is new in each frame, half drifts over so many frames.
_DRIFT_FRAMES = 6
# Blunders last so many frames, misses of the whole person so many.
_BLUNDER_FRAMES = 4
_DROP_FRAMES = 12
# A blunder keeps such a share of its confidence, and throws a joint such shares of the height.
_BLUNDER_CONFIDENCE = (0.4, 0.8)
_BLUNDER_DISTANCE = (0.15, 0.5)

_NOISE_BY_ENDING = {
    "pelvis": 1.2,
    "hip": 1.3,
    "ankle": 1.1,
    "spine": 1.2,
    "nose": 0.8,
    "head": 0.8,
    "shoulder": 0.9,
    "wrist": 1.2,
}
_JOINT_NOISE = np.array(
    [_NOISE_BY_ENDING.get(joint.split("_")[-1], 1.0) for joint in skeletons.H36M_17.joints]
)
# Limbs that are mistaken for each other, as joint indices: both legs, both arms.
_TWINS = (((4, 5, 6), (1, 2, 3)), ((11, 12, 13), (14, 15, 16)))


_Pixels = Annotated[float, configs.rule(lambda size: 0 <= size < np.inf, "be a number, 0 or more")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detector(configs.Checked):
    """How well a detector sees.

    Args:
        noise_px: Standard deviation in each of x and y, pixels, of a clearly seen elbow of a
            person 400 pixels tall. It grows with the person's size in the image.
        gross_error_rate: The share of keypoints that are blunders: left and right limbs swapped,
            or a joint seen somewhere else. Their confidence is lowered, not 0.
        missing_rate: The share of joints that are not found.
        dropped_view_rate: The share of images in which nobody is found.
        bias_px: Standard deviation over joints and directions of view, in each of x and y,
            pixels, of what is off in every image alike; for a person 400 pixels tall.

    Raises:
        ValueError: If `noise_px` or `bias_px` is negative or a rate lies outside [0, 1].
    """

    noise_px: _Pixels = 3.0
    gross_error_rate: configs.Share = 0.01
    missing_rate: configs.Share = 0.01
    dropped_view_rate: configs.Share = 0.005
    bias_px: _Pixels = 0.0

    def detect(
        self,
        motion: np.ndarray,
        camera: cameras.Camera,
        rng: np.random.Generator,
        *,
        girth: float = 1.0,
        image_size: tuple[int, int] = IMAGE_SIZE,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Detects a person's joints in the images of a rig, fields `[V, ...]`.

        Of a motion `[T, J, 3]`, meters, world frame, and the girth, which decides what a body
        hides, it returns keypoints `[V, T, J, 2]`, pixels, and confidence `[V, T, J]` in [0, 1].
        Both are 0 where a joint is missed, behind the camera or out of the image.

        Raises:
            ValueError: If `motion` is of another shape.
        """
        is_motion = motion.ndim == 3 and motion.shape[1:] == (len(_JOINT_NOISE), 3)
        errors.require(is_motion, "motion", "have shape [T, 17, 3]", motion.shape)
        camera = cameras.expand(cameras.Camera(*map(np.asarray, camera)), -1)
        points_camera = cameras.camera_from_world(motion.astype(np.float64), camera)
        exact = cameras.project(points_camera, camera.intrinsics)
        # The height that a standing person would have in the image there, `[V, T, 1]`.
        depth = np.maximum(points_camera[..., skeletons.ROOT, 2:], cameras.MIN_DEPTH)
        height_px = camera.intrinsics[..., 1, 1:2] * PERSON_HEIGHT / depth
        hidden = hidden_joints(points_camera, girth)
        mean = _CLEAR_CONFIDENCE + (_HIDDEN_CONFIDENCE - _CLEAR_CONFIDENCE) * hidden
        wavering = mean + _CONFIDENCE_SPREAD * _drifting(hidden.shape, rng)
        confidence = np.clip(wavering, *_CONFIDENCE_LIMITS)
        keypoints_2d = exact + self._noise(confidence, height_px, rng)
        if self.bias_px:
            size = self.bias_px * height_px[..., np.newaxis] / REFERENCE_HEIGHT_PX
            keypoints_2d = keypoints_2d + size * offsets(points_camera)
        keypoints_2d, confidence = self._blunder(keypoints_2d, confidence, height_px, rng)
        seen = points_camera[..., 2] > cameras.MIN_DEPTH
        for points in (exact, keypoints_2d):
            seen &= ((points >= 0) & (points < image_size)).all(axis=-1)
        shape = seen.shape
        dropped = _held(rng.random, (*shape[:2], 1), _DROP_FRAMES) < self.dropped_view_rate
        seen &= ~(dropped | (rng.random(shape) < self.missing_rate))
        return np.where(seen[..., np.newaxis], keypoints_2d, 0.0), np.where(seen, confidence, 0.0)

    def _noise(
        self, confidence: np.ndarray, height_px: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        doubt = 1.0 - confidence
        deviation = self.noise_px * _JOINT_NOISE * height_px / REFERENCE_HEIGHT_PX
        deviation = deviation * (1.0 + _NOISE_GROWTH * doubt * doubt)
        deviation *= np.exp(_NOISE_TAIL * doubt * rng.standard_normal(doubt.shape))
        shape = (*doubt.shape, 2)
        steady = (rng.standard_normal(shape) + _drifting(shape, rng)) * np.sqrt(0.5)
        return deviation[..., np.newaxis] * steady

    def _blunder(
        self,
        keypoints_2d: np.ndarray,
        confidence: np.ndarray,
        height_px: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Swaps limbs and throws joints, each for half of the asked share of keypoints."""
        shape = confidence.shape
        # From which joint each one comes.
        order = np.tile(np.arange(shape[-1]), (*shape[:2], 1))
        num_twins = sum(len(left) + len(right) for left, right in _TWINS)
        rate = self.gross_error_rate / 2 * shape[-1] / num_twins
        for left, right in _TWINS:
            swap = _held(rng.random, (*shape[:2], 1), _BLUNDER_FRAMES) < rate
            order[..., left + right] = np.where(swap, right + left, left + right)
        swapped = order != np.arange(shape[-1])
        keypoints_2d = np.take_along_axis(keypoints_2d, order[..., np.newaxis], axis=-2)
        confidence = np.take_along_axis(confidence, order, axis=-1)
        thrown = _held(rng.random, shape, _BLUNDER_FRAMES) < self.gross_error_rate / 2
        angle = 2 * np.pi * _held(rng.random, shape, _BLUNDER_FRAMES)
        low, high = _BLUNDER_DISTANCE
        distance = height_px * (low + (high - low) * _held(rng.random, shape, _BLUNDER_FRAMES))
        throw = distance[..., np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        keypoints_2d = keypoints_2d + throw * thrown[..., np.newaxis]
        lowered = confidence * rng.uniform(*_BLUNDER_CONFIDENCE, shape)
        wrong = np.maximum(lowered, _CONFIDENCE_LIMITS[0])
        return keypoints_2d, np.where(swapped | thrown, wrong, confidence)


def _held(
    draw: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], num_frames: int
) -> np.ndarray:
    """Draws `[V, T, ...]` values that stay the same for some frames."""
    views, frames, *rest = shape
    drawn = draw((views, -(-frames // num_frames), *rest))
    return np.repeat(drawn, num_frames, axis=1)[:, :frames]


def _drifting(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws `[V, T, ...]` standard normal values that drift from frame to frame."""
    views, frames, *rest = shape
    knots = rng.standard_normal((views, frames // _DRIFT_FRAMES + 2, *rest))
    index, rest_of_frame = np.divmod(np.arange(frames), _DRIFT_FRAMES)
    share = (rest_of_frame / _DRIFT_FRAMES).reshape(-1, *(1 for _ in rest))
    between = knots[:, index] * (1 - share) + knots[:, index + 1] * share
    # The mean of two is less spread than either.
    return between / np.sqrt((1 - share) ** 2 + share**2)


# Where a 2D keypoint detector puts joints in every image alike, beside the truth.
#
# Datasets draw joints in other places than bodies have them, and what is learned from them is off
# by the same amount again and again: so much for people seen from the front, so much from the side.
# No averaging over frames removes it, and views from different sides do not agree about it.

_RIGHT_HIP, _LEFT_HIP = (skeletons.H36M_17.joints.index(name) for name in ("right_hip", "left_hip"))


def offsets(points_camera: np.ndarray) -> np.ndarray:
    """Returns the direction and relative size by which each joint is seen beside its place.

    Of `[V, T, J, 3]`, meters, camera frames, these are `[V, T, J, 2]`, right and down in the image;
    over joints and directions of view zero on average, with a standard deviation of about 1 in
    each. Equal poses have equal offsets.
    """
    # A detector's habits are its own, whoever films: they depend on no studio's seed.
    rng = sequences.seeded_generator(0, "detector bias")
    # Half of the variance is the same from all sides; cosine and sine share the other half.
    habits = np.sqrt(0.5) * rng.standard_normal((3, points_camera.shape[-2], 2))
    # The hips' direction seen from above; hips right above each other have none.
    level = (points_camera[..., _LEFT_HIP, :] - points_camera[..., _RIGHT_HIP, :])[..., [0, 2]]
    length = np.linalg.norm(level, axis=-1, keepdims=True)
    level = np.divide(level, length, out=np.zeros_like(level), where=length > 0)
    seen_from = np.concatenate([np.ones_like(length), level], axis=-1)
    return np.einsum("vtk,kjc->vtjc", seen_from, habits)


# Which joints a camera cannot see because the person's own body is in the way.


class Capsule(NamedTuple):
    """A rounded cylinder from joint to joint, as which a part of the body is taken."""

    ends: tuple[str, str]
    # Meters, for a person of mean girth.
    radius: float
    # Joints that it never hides, its ends aside.
    spares: tuple[str, ...] = ()


_TRUNK = ("pelvis", "spine", "thorax", "nose", "left_hip", "right_hip")
_CAPSULES = (
    Capsule(("pelvis", "thorax"), 0.10, _TRUNK),
    Capsule(("nose", "head"), 0.09, ("thorax",)),
    *(
        capsule
        for side in ("left", "right")
        for capsule in (
            Capsule((f"{side}_hip", f"{side}_shoulder"), 0.08, _TRUNK),
            Capsule((f"{side}_hip", f"{side}_knee"), 0.07),
            Capsule((f"{side}_knee", f"{side}_ankle"), 0.05),
            Capsule((f"{side}_shoulder", f"{side}_elbow"), 0.045),
            Capsule((f"{side}_elbow", f"{side}_wrist"), 0.04),
        )
    ),
)
# Meters over which a joint goes from seen to hidden, across and along the line of sight.
_SOFT_EDGE = 0.04
_MIN_SQUARED_LENGTH = 1e-8


def hidden_joints(points_camera: np.ndarray, girth: float = 1.0) -> np.ndarray:
    """Tells how far each joint of `[..., J, 3]`, meters, camera frame, is hidden behind others.

    A joint is hidden if it lies within a part's outline in the image, and behind the part's
    surface. The outline is that of a capsule seen from the side: exact enough for a confidence.
    The answer is `[..., J]`: from 0, in full sight, to 1, float32.
    """
    points = np.ascontiguousarray(np.moveaxis(points_camera, -1, 0), dtype=np.float32)
    depth = np.maximum(points[2], cameras.MIN_DEPTH)
    rays = points[:2] / depth
    most = np.zeros_like(depth)
    for capsule in _CAPSULES:
        covered = _covered(rays, depth, capsule, girth)
        spared = [skeletons.H36M_17.joints.index(joint) for joint in capsule.ends + capsule.spares]
        covered[..., spared] = 0.0
        np.maximum(most, covered, out=most)
    return most


def _covered(rays: np.ndarray, depth: np.ndarray, capsule: Capsule, girth: float) -> np.ndarray:
    """Tells how far one capsule covers each joint, `[..., J]`; rays `[2, ..., J]`."""
    start, end = (skeletons.H36M_17.joints.index(joint) for joint in capsule.ends)
    (x, y), radius = rays - rays[..., start, np.newaxis], np.float32(capsule.radius * girth)
    axis_x, axis_y = x[..., end, np.newaxis], y[..., end, np.newaxis]
    squared_length = np.maximum(axis_x * axis_x + axis_y * axis_y, _MIN_SQUARED_LENGTH)
    along = (x * axis_x + y * axis_y) / squared_length
    np.clip(along, 0.0, 1.0, out=along)
    # Depth is not linear along an image line; over a limb at some meters it nearly is.
    near, far = depth[..., start, np.newaxis], depth[..., end, np.newaxis]
    depth_there = near + along * (far - near)
    distance = np.hypot(x - along * axis_x, y - along * axis_y) * depth_there
    across = np.clip((radius - distance) / _SOFT_EDGE + 0.5, 0.0, 1.0)
    behind = np.clip((depth - depth_there - radius) / _SOFT_EDGE, 0.0, 1.0)
    return across * behind


# What synthetic studios share: the cameras, the detector and the seed.


def empty_folder(root: str | pathlib.Path) -> pathlib.Path:
    """Returns the folder of a simulated release; a `FileExistsError` if it holds anything."""
    folder = pathlib.Path(root)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"`root` must be an empty folder or not there. Received: {root}.")
    return folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilmSet(Detector, sequences.Source):
    """The cameras, the detector and the seed of a studio.

    The arguments of `Detector`, and:

    Args:
        num_subjects: How many bodies there are.
        rig: `"h36m_like"` or `"ring"`.
        num_cameras: `V`, 2 or more; 4 with `"h36m_like"`.
        rig_jitter: Standard deviation of the cameras' places and aims, meters.
        seed: Not negative. A clip depends on the settings and its own name alone, not on what was
            read before it.

    Raises:
        ValueError: If an argument breaks its rule; names argument, rule and value.
    """

    num_subjects: configs.Positive = 5
    rig: Annotated[str, configs.one_of("h36m_like", "ring")] = "h36m_like"
    num_cameras: Annotated[int, configs.rule(lambda count: count >= 2, "be 2 or more")] = 4
    rig_jitter: configs.Weight = 0.1
    seed: configs.Count = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        num_cameras, of_rig = self.num_cameras, NUM_H36M_CAMERAS
        is_free = self.rig == "ring" or num_cameras == of_rig
        errors.require(is_free, "num_cameras", f"be {of_rig} with rig='h36m_like'", num_cameras)

    @functools.cached_property
    def camera(self) -> cameras.Camera:
        """The rig, the same for all clips, fields `[V, ...]`, NumPy arrays."""
        rng = sequences.seeded_generator(self.seed, "rig")
        if self.rig == "ring":
            return ring(self.num_cameras, self.rig_jitter, rng)
        return h36m_like(self.rig_jitter, rng)

    def film(
        self,
        name: str,
        pose_world: np.ndarray,
        rng: np.random.Generator,
        girth: float,
        **about: Any,
    ) -> sequences.MultiViewSequence:
        """Films a motion, `[T, J, 3]`, meters, world frame; `about` says who does what."""
        keypoints_2d, confidence = self.detect(pose_world, self.camera, rng, girth=girth)
        return sequences.MultiViewSequence(
            name=name,
            camera_names=tuple(f"camera_{index + 1}" for index in range(self.num_cameras)),
            camera=self.camera,
            keypoints_2d=keypoints_2d,
            confidence=confidence,
            pose_world=pose_world,
            **about,
        )
