"""A 2D keypoint detector's output, imitated: noise, confidences, blunders and misses.

The numbers are ours. They give, in a room of Human3.6M's size, errors of the size and with the
tails that OpenPose and its kin show, and confidences that tell good joints from bad ones only
roughly, as theirs do.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import detector_bias, occlusion
from keras_mvlift.geometry import cameras, rigs

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detector:
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

    noise_px: float = 3.0
    gross_error_rate: float = 0.01
    missing_rate: float = 0.01
    dropped_view_rate: float = 0.005
    bias_px: float = 0.0

    def __post_init__(self) -> None:
        for name in ("noise_px", "bias_px"):
            size = getattr(self, name)
            if not 0 <= size < np.inf:
                raise ValueError(f"`{name}` must be a number, 0 or more. Received: {name}={size}.")
        for name in ("gross_error_rate", "missing_rate", "dropped_view_rate"):
            rate = getattr(self, name)
            if not 0 <= rate <= 1:
                raise ValueError(f"`{name}` must lie in [0, 1]. Received: {name}={rate}.")

    def detect(
        self,
        motion: np.ndarray,
        camera: cameras.Camera,
        rng: np.random.Generator,
        *,
        girth: float = 1.0,
        image_size: tuple[int, int] = rigs.IMAGE_SIZE,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Detects a person's joints in the images of a rig.

        Args:
            motion: `[T, J, 3]`, meters, world frame.
            camera: The rig, fields `[V, ...]`.
            rng: Random numbers.
            girth: How thick the body is, which decides what it hides.
            image_size: Width and height, pixels.

        Returns:
            Keypoints `[V, T, J, 2]`, pixels, and confidence `[V, T, J]` in [0, 1]. Both are 0
            where a joint is missed, behind the camera or out of the image.
        """
        points_camera = rigs.camera_from_world(motion, camera)
        exact = rigs.project(points_camera, camera)
        height_px = _height_px(points_camera, np.asarray(camera.intrinsics))
        confidence = _confidence(points_camera, girth, rng)
        keypoints_2d = exact + self._noise(confidence, height_px, rng)
        if self.bias_px:
            size = self.bias_px * height_px[..., np.newaxis] / REFERENCE_HEIGHT_PX
            keypoints_2d = keypoints_2d + size * detector_bias.offsets(points_camera)
        keypoints_2d, confidence = self._blunder(keypoints_2d, confidence, height_px, rng)
        seen = points_camera[..., 2] > cameras.MIN_DEPTH
        seen &= _inside(exact, image_size) & _inside(keypoints_2d, image_size)
        seen &= ~self._missed(seen.shape, rng)
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
        swapped, order = self._swaps(shape, rng)
        keypoints_2d = np.take_along_axis(keypoints_2d, order[..., np.newaxis], axis=-2)
        confidence = np.take_along_axis(confidence, order, axis=-1)
        thrown = _held(rng.random, shape, _BLUNDER_FRAMES) < self.gross_error_rate / 2
        keypoints_2d = keypoints_2d + _throws(height_px, shape, rng) * thrown[..., np.newaxis]
        lowered = confidence * rng.uniform(*_BLUNDER_CONFIDENCE, shape)
        wrong = np.maximum(lowered, _CONFIDENCE_LIMITS[0])
        return keypoints_2d, np.where(swapped | thrown, wrong, confidence)

    def _swaps(
        self, shape: tuple[int, ...], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gives which joints are swapped, `[V, T, J]`, and from which joint each one comes."""
        num_joints = shape[-1]
        twins = sum(len(left) + len(right) for left, right in _TWINS)
        rate = self.gross_error_rate / 2 * num_joints / twins
        order = np.tile(np.arange(num_joints), (*shape[:2], 1))
        for left, right in _TWINS:
            swap = _held(rng.random, (*shape[:2], 1), _BLUNDER_FRAMES) < rate
            order[..., left + right] = np.where(swap, right + left, left + right)
        return order != np.arange(num_joints), order

    def _missed(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        dropped = _held(rng.random, (*shape[:2], 1), _DROP_FRAMES) < self.dropped_view_rate
        return dropped | (rng.random(shape) < self.missing_rate)


def _height_px(points_camera: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Gives the height that a standing person would have in the image there, `[V, T, 1]`."""
    depth = np.maximum(points_camera[..., skeletons.ROOT, 2:], cameras.MIN_DEPTH)
    return intrinsics[:, np.newaxis, 1, 1:2] * PERSON_HEIGHT / depth


def _throws(height_px: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws how far off a joint is seen, `[V, T, J, 2]`, pixels."""
    angle = 2 * np.pi * _held(rng.random, shape, _BLUNDER_FRAMES)
    low, high = _BLUNDER_DISTANCE
    distance = height_px * (low + (high - low) * _held(rng.random, shape, _BLUNDER_FRAMES))
    return distance[..., np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _confidence(points_camera: np.ndarray, girth: float, rng: np.random.Generator) -> np.ndarray:
    hidden = occlusion.hidden(points_camera, girth)
    mean = _CLEAR_CONFIDENCE + (_HIDDEN_CONFIDENCE - _CLEAR_CONFIDENCE) * hidden
    return np.clip(mean + _CONFIDENCE_SPREAD * _drifting(hidden.shape, rng), *_CONFIDENCE_LIMITS)


def _inside(keypoints_2d: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    return ((keypoints_2d >= 0) & (keypoints_2d < image_size)).all(axis=-1)


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
