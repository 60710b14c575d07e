"""The one type between readers and everything else."""

import dataclasses

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.geometry import cameras


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

    def __post_init__(self) -> None:
        camera = cameras.Camera(*(np.asarray(value, np.float64) for value in self.camera))
        object.__setattr__(self, "camera", camera)
        for field in ("keypoints_2d", "confidence", "pose_world", "distortion"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, np.asarray(getattr(self, field), np.float64))
        num_views, num_joints = len(self.camera_names), skeletons.H36M_17.num_joints
        num_frames = self.num_frames
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
        low, high = self.confidence.min(initial=0), self.confidence.max(initial=0)
        self._require(0 <= low and high <= 1, "confidence", "lie in [0, 1]", (low, high))
        gram = camera.rotation @ camera.rotation.swapaxes(-1, -2)
        is_proper = np.linalg.det(camera.rotation) > 0
        is_rotation = np.allclose(gram, np.eye(3), atol=1e-4) and is_proper.all()
        self._require(bool(is_rotation), "camera.rotation", "hold rotations", camera.rotation)
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
        """Gives the sequence of the chosen frames."""
        return dataclasses.replace(
            self,
            keypoints_2d=self.keypoints_2d[:, index],
            confidence=self.confidence[:, index],
            pose_world=None if self.pose_world is None else self.pose_world[index],
        )

    def _require(self, holds: bool, field: str, rule: str, received: object) -> None:
        if not holds:
            raise errors.RecordingError(f"Clip {self.name!r}", field, rule, received)
