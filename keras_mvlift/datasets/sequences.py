"""The one type between readers and everything else, and its instants."""

import abc
import dataclasses
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.geometry import arrays, cameras, triangulation

_NUM_JOINTS = skeletons.H36M_17.num_joints


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiViewSequence:
    """One person seen by synchronized, calibrated cameras, `H36M_17` joints, NumPy arrays.

    Readers settle here what files disagree on: the joint order, meters and seconds, a world with
    z up, lens distortion removed, no person in a frame as confidence 0 everywhere. Arrays are
    kept in double precision, whatever they come in.

    Attributes:
        name: Unique within its source, fit for a file name.
        subject: Who is seen.
        action: What they do.
        frame_rate: Frames per second.
        camera_names: `V` names.
        camera: Fields `[V, ...]`; intrinsics in pixels, rotation camera from world, center in
            meters in the world frame.
        keypoints_2d: `[V, T, J, 2]`, pixels, without lens distortion; 0 where not seen.
        confidence: `[V, T, J]`, in [0, 1]; 0 where not seen.
        pose_world: `[T, J, 3]`, meters, world frame, NaN where unknown; None without a reference.
            For evaluation only.
        distortion: `[V, 5]`, OpenCV's `(k1, k2, p1, p2, k3)` that the reader removed from the
            keypoints; None if it removed none.
        absent: Names of cameras that did not film this clip; their confidence is 0 throughout,
            which is no defect then.
        out_of_sync: Names of cameras that the reader left out, as they show other instants than
            the others do; they are not among `camera_names`.
        unsure_views: Views of an instant left out, as people could not be told apart there.
        unfollowed_people: How many more people were there than the reader followed.

    Raises:
        RecordingError: If a shape or value breaks these rules; names clip, field, rule and value.
    """

    name: str
    subject: str
    action: str
    frame_rate: float
    camera_names: tuple[str, ...]
    camera: cameras.Camera
    keypoints_2d: np.ndarray
    confidence: np.ndarray
    pose_world: np.ndarray | None = None
    distortion: np.ndarray | None = None
    absent: tuple[str, ...] = ()
    out_of_sync: tuple[str, ...] = ()
    unsure_views: int = 0
    unfollowed_people: int = 0

    def __post_init__(self) -> None:
        camera = cameras.Camera(*(np.asarray(value, np.float64) for value in self.camera))
        object.__setattr__(self, "camera", camera)
        for field in ("keypoints_2d", "confidence", "pose_world", "distortion"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, np.asarray(getattr(self, field), np.float64))
        num_views, num_frames, num_joints = len(self.camera_names), self.num_frames, _NUM_JOINTS
        expected = {
            "camera.intrinsics": (camera.intrinsics, (num_views, 3, 3)),
            "camera.rotation": (camera.rotation, (num_views, 3, 3)),
            "camera.center": (camera.center, (num_views, 3)),
            "keypoints_2d": (self.keypoints_2d, (num_views, num_frames, num_joints, 2)),
            "confidence": (self.confidence, (num_views, num_frames, num_joints)),
        }
        for field, (value, shape) in expected.items():
            self._require(value.shape == shape, field, f"have shape {shape}", value.shape)
            self._require(bool(np.isfinite(value).all()), field, "be finite", "NaN or infinity")
        is_rate = 0 < self.frame_rate <= errors.MAX_FRAME_RATE
        self._require(is_rate, "frame_rate", errors.FRAME_RATE_RULE, f"{self.frame_rate:g}")
        low, high = self.confidence.min(initial=0), self.confidence.max(initial=0)
        self._require(0 <= low and high <= 1, "confidence", "lie in [0, 1]", (low, high))
        is_rotation = bool(cameras.is_rotation(camera.rotation).all())
        self._require(is_rotation, "camera.rotation", "hold rotations", camera.rotation)
        optional = {"pose_world": (num_frames, num_joints, 3), "distortion": (num_views, 5)}
        for field, shape in optional.items():
            received = getattr(getattr(self, field), "shape", shape)
            self._require(received == shape, field, f"have shape {shape}", received)

    @property
    def num_frames(self) -> int:
        """The number of frames, `T`."""
        return self.keypoints_2d.shape[1]

    @property
    def num_views(self) -> int:
        """The number of cameras, `V`."""
        return len(self.camera_names)

    def frames(self, index: np.ndarray | slice) -> "MultiViewSequence":
        """Returns the sequence of the chosen frames."""
        return dataclasses.replace(
            self,
            keypoints_2d=self.keypoints_2d[:, index],
            confidence=self.confidence[:, index],
            pose_world=None if self.pose_world is None else self.pose_world[index],
        )

    def _require(self, holds: bool, field: str, rule: str, received: object) -> None:
        errors.require_in(f"Clip {self.name!r}", holds, field, rule, received)


class Source(abc.ABC):
    """A set of clips; what every reader is behind its own format."""

    @abc.abstractmethod
    def clips(self) -> list[str]:
        """Returns the clips' names, in an order that does not change."""

    @abc.abstractmethod
    def read(self, clip: str) -> MultiViewSequence:
        """Reads one clip; a `ValueError` if there is no such."""

    def __iter__(self) -> Iterator[MultiViewSequence]:
        """Reads all clips, one after the other."""
        return map(self.read, self.clips())


# Every view of every instant of a clip, as arrays: what pairs and test views are drawn from.


class Instants(NamedTuple):
    """The views of `T` instants."""

    frame: np.ndarray  # [T], frame numbers within the clip.
    camera_names: tuple[str, ...]  # `V` names.
    keypoints_2d: np.ndarray  # [T, V, J, 2], pixels.
    confidence: np.ndarray  # [T, V, J], 0 where not seen.
    camera: cameras.Camera  # Fields [T, V, ...]; a virtual camera may move from instant to instant.

    def is_used(self, min_joints: int) -> np.ndarray:
        """Tells which views `[T, V]` show enough joints."""
        return np.count_nonzero(self.confidence > 0, axis=-1) >= min_joints

    def select(self, index: np.ndarray) -> "Instants":
        """Returns the chosen instants."""
        camera = cameras.Camera(*(value[index] for value in self.camera))
        return self._replace(
            frame=self.frame[index],
            keypoints_2d=self.keypoints_2d[index],
            confidence=self.confidence[index],
            camera=camera,
        )


def instants_of_sequence(sequence: MultiViewSequence, frame: np.ndarray) -> Instants:
    """Takes the chosen frames of a clip."""
    camera = cameras.Camera(
        *(np.broadcast_to(value, (len(frame), *value.shape)) for value in sequence.camera)
    )
    keypoints_2d = sequence.keypoints_2d[:, frame].swapaxes(0, 1)
    confidence = sequence.confidence[:, frame].swapaxes(0, 1)
    return Instants(frame, sequence.camera_names, keypoints_2d, confidence, camera)


def triangulate(instants: Instants, min_confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangulates every joint from all real cameras' views that are at least so sure of it.

    Returns:
        `[T, J, 3]`, meters, world frame, and `[T, J]`, whether two or more views saw the joint.
    """
    weights = np.where(instants.confidence >= min_confidence, instants.confidence, 0.0)
    return triangulation.triangulate(instants.keypoints_2d, weights, instants.camera)


def concatenate_views(first: Instants, second: Instants) -> Instants:
    """Puts the views of the same instants side by side."""
    camera = cameras.Camera(
        *(np.concatenate(pair, axis=1) for pair in zip(first.camera, second.camera, strict=True))
    )
    return Instants(
        first.frame,
        first.camera_names + second.camera_names,
        np.concatenate([first.keypoints_2d, second.keypoints_2d], axis=1),
        np.concatenate([first.confidence, second.confidence], axis=1),
        camera,
    )


def to_view(seen: Instants, num_views: int = 0) -> views.View:
    """Returns all views of each instant as one batch, single precision, fields `[T, V, ...]`.

    Up to `num_views` they are filled up with such as see nothing.
    """
    missing = max(num_views - len(seen.camera_names), 0)

    def filled(values: np.ndarray, filling: np.ndarray) -> np.ndarray:
        values = np.asarray(values, np.float32)
        shape = (len(values), missing, *values.shape[2:])
        return np.concatenate([values, np.broadcast_to(filling.astype(np.float32), shape)], axis=1)

    zero, identity = np.zeros(()), np.eye(3)
    camera = cameras.Camera(
        filled(seen.camera.intrinsics, identity),
        filled(seen.camera.rotation, identity),
        filled(seen.camera.center, zero),
    )
    return views.View(filled(seen.keypoints_2d, zero), filled(seen.confidence, zero), camera)


def box_diagonals(keypoints_2d: arrays.Array, is_seen: arrays.Array) -> arrays.Array:
    """Returns the diagonals `[...]` of the boxes around joints `[..., K, 2]`; 0 for no joint."""
    xp, seen = arrays.namespace(keypoints_2d), is_seen[..., np.newaxis]
    high = xp.max(xp.where(seen, keypoints_2d, -np.inf), axis=-2)
    low = xp.min(xp.where(seen, keypoints_2d, np.inf), axis=-2)
    return xp.linalg.norm(xp.maximum(high - low, 0.0), axis=-1)


def spread(count: int, wanted: int) -> np.ndarray:
    """Returns indices of `wanted` of `count` things, evenly spread; of all, if they are fewer."""
    return np.linspace(0, count - 1, min(count, wanted)).round().astype(int)


# Random generators that depend on names, not on the order in which they are asked for.


def seeded_generator(seed: int, *names: str) -> np.random.Generator:
    """Makes the random generator that belongs to a seed, not negative, and a path of names.

    Names, such as of a subject or a clip, are hashed by CRC-32, which is the same in every process,
    unlike `hash`.

    Raises:
        ValueError: If `seed` is negative.
    """
    errors.require(seed >= 0, "seed", "not be negative", seed)
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


# What references must be: of people, in the unit that their release has, and of its detections.

_THORAX = skeletons.H36M_17.joints.index("thorax")
# From a child to a data set's tallest, and no factor of ten lies within; meters.
_TORSO_LENGTHS = (0.2, 1.0)


def require_human_size(path: object, field: str, pose: np.ndarray, unit: str) -> None:
    """Refuses poses `[T, 17, 3]`, NaN where unknown, read in another unit than the file has.

    Raises:
        RecordingError: If a torso, in meters, is as long as no person's.
    """
    torso = np.linalg.norm(pose[:, _THORAX] - pose[:, skeletons.ROOT], axis=-1)
    torso = torso[np.isfinite(torso)]
    if len(torso) and not _TORSO_LENGTHS[0] <= np.median(torso) <= _TORSO_LENGTHS[1]:
        rule = f"be in {unit}, of people of human size"
        received = f"a torso of {float(np.median(torso)):.6g} m"
        raise errors.RecordingError(path, field, rule, received)
