"""Recordings laid out as Pose2Sim's: a calibration, detections per camera, maybe a reference.

<root>/calibration/*.qca.txt      Qualisys calibration, cameras in the order of the folders
<root>/pose/<camera>_json/*.json  OpenPose detections, one folder per camera
<root>/opensim/<reference>.trc    3D reference, for evaluation only; optional
"""

import dataclasses
import importlib.util
import pathlib
import re
from collections.abc import Iterator

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import errors, openpose, qualisys, sequences, trc
from keras_mvlift.geometry import cameras, distortion


def demo_root() -> str:
    """Finds the demo recording inside the installed `pose2sim` package, without importing it.

    Raises:
        FileNotFoundError: If the package is not installed.
    """
    found = importlib.util.find_spec("Pose2Sim")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(
            "The demo recording comes with the package pose2sim==0.4.15: `make setup` installs it."
        )
    return str(pathlib.Path(found.submodule_search_locations[0]) / "Demo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pose2SimSource:
    """One recording in Pose2Sim's layout.

    Args:
        root: The recording's folder.
        name: The clip's name.
        subject: Who is seen.
        action: What they do.
        frame_rate: Frames per second; checked against the reference's, if there is one.
        skeleton: The detections' joint set, `"body_25b"` or `"body_25"`.
        reference: The reference's path below `root`; empty for none.
    """

    root: str
    name: str = "recording"
    subject: str = "person"
    action: str = "action"
    frame_rate: float = 60.0
    skeleton: str = "body_25b"
    reference: str = ""

    def clips(self) -> list[str]:
        """Gives the one clip's name."""
        return [self.name]

    def __iter__(self) -> Iterator[sequences.MultiViewSequence]:
        """Reads the one clip."""
        yield self.read(self.name)

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Reads the recording.

        Raises:
            RecordingError: If a file or folder is missing or not as stated above.
        """
        root = pathlib.Path(self.root)
        calibration = qualisys.read(_only(root / "calibration", "*.qca.txt"))
        folders = _camera_folders(root / "pose", len(calibration.names))
        views = [openpose.read_folder(folder) for folder in folders]
        first, last = _frame_range(views, folders)
        detections = np.stack(
            [self._detections(*pair, first, last) for pair in zip(views, folders, strict=True)]
        )
        confidence = np.clip(detections[..., 2], 0.0, 1.0)
        undistorted = _undistort(detections[..., :2], calibration)
        return sequences.MultiViewSequence(
            name=clip,
            subject=self.subject,
            action=self.action,
            frame_rate=self.frame_rate,
            camera_names=tuple(folder.name.removesuffix("_json") for folder in folders),
            camera=calibration.camera,
            keypoints_2d=np.where(confidence[..., np.newaxis] > 0, undistorted, 0.0),
            confidence=confidence,
            pose_world=self._reference(root, last + 1 - first),
            distortion=calibration.distortion,
        )

    def _detections(
        self, frames: dict[int, np.ndarray], folder: pathlib.Path, first: int, last: int
    ) -> np.ndarray:
        """Gives `[T, 17, 3]`, x, y and confidence, zero where nobody was seen."""
        num_joints = next(len(person) for person in frames.values() if len(person))
        joints = openpose.joint_names(num_joints, self.skeleton, folder)
        raw = np.zeros((last + 1 - first, num_joints, 3))
        for number, person in frames.items():
            if len(person) not in (0, num_joints):
                rule = f"have {num_joints} joints in every frame"
                raise errors.RecordingError(folder, f"frame {number}", rule, len(person))
            # Stays zero where nobody was seen.
            raw[number - first, : len(person)] = person
        converter = skeletons.Converter(joints)
        confidence = converter.confidence(raw[..., 2])[..., np.newaxis]
        return np.concatenate([converter.keypoints(raw[..., :2]), confidence], axis=-1)

    def _reference(self, root: pathlib.Path, num_frames: int) -> np.ndarray | None:
        if not self.reference:
            return None
        path = root / self.reference
        if not path.is_file():
            raise errors.RecordingError(path, "reference", "be a file", "nothing there")
        markers = trc.read(path)
        if len(markers.points_world) != num_frames or markers.frame_rate != self.frame_rate:
            rule = f"have {num_frames} frames at {self.frame_rate} Hz, as the detections"
            received = f"{len(markers.points_world)} at {markers.frame_rate} Hz"
            raise errors.RecordingError(path, "frames", rule, received)
        try:
            converter = skeletons.Converter(markers.names)
        except ValueError as error:
            rule = "allow to build the joints of h36m_17"
            raise errors.RecordingError(path, "markers", rule, ", ".join(markers.names)) from error
        return converter.keypoints(markers.points_world)


def _only(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "no such file"
        raise errors.RecordingError(folder, pattern, "match exactly one file", names)
    return found[0]


def _camera_folders(pose: pathlib.Path, num_cameras: int) -> list[pathlib.Path]:
    # Numbers in the names count as numbers, so that cam10 follows cam9.
    def natural(path: pathlib.Path) -> list[tuple[int, str]]:
        parts = re.findall(r"(\d+)|(\D+)", path.name)
        return [(int(digits or 0), text) for digits, text in parts]

    folders = sorted((path for path in pose.glob("*_json") if path.is_dir()), key=natural)
    if len(folders) != num_cameras:
        rule = f"hold one folder per calibrated camera, {num_cameras}"
        names = ", ".join(folder.name for folder in folders) or "none"
        raise errors.RecordingError(pose, "*_json", rule, names)
    return folders


def _frame_range(
    views: list[dict[int, np.ndarray]], folders: list[pathlib.Path]
) -> tuple[int, int]:
    for frames, folder in zip(views, folders, strict=True):
        if not any(map(len, frames.values())):
            raise errors.RecordingError(folder, "people", "be there in a frame", "nobody in any")
    numbers = [number for frames in views for number in frames]
    return min(numbers), max(numbers)


def _undistort(keypoints_2d: np.ndarray, calibration: qualisys.Calibration) -> np.ndarray:
    intrinsics = calibration.camera.intrinsics[:, np.newaxis]
    rays = cameras.rays(keypoints_2d, intrinsics)
    ideal = distortion.undistort(rays, calibration.distortion[:, np.newaxis]).numpy()
    focal = np.diagonal(intrinsics, axis1=-2, axis2=-1)[..., np.newaxis, :2]
    return ideal * focal + intrinsics[..., np.newaxis, :2, 2]
