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

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import (
    calibration_files,
    calibrations,
    clocks,
    detections,
    recordings,
)
from keras_mvlift.geometry import lenses


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
        skeleton: The detections' joint set, by its name in `skeletons`.
        reference: The reference's path below `root`; empty for none.
        calibration: A Pose2Sim TOML to use instead of the Qualisys file, such as one that
            `keras-mvlift calibrate --refine` wrote: its path, from `root` if not absolute.
    """

    root: str
    name: str = "recording"
    subject: str = "person"
    action: str = "action"
    frame_rate: float = 60.0
    skeleton: str = "body_25b"
    reference: str = ""
    calibration: str = ""

    def clips(self) -> list[str]:
        """Returns the one clip's name."""
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
        calibration = self._calibration(root)
        folders = _camera_folders(root / "pose", len(calibration.names))
        skeleton = self._skeleton(root)
        views = [detections.read_openpose(folder, skeleton) for folder in folders]
        keypoints_2d, raw_confidence = _side_by_side(views, folders)
        # Here joints are made first and freed from distortion then. The other order, which
        # `RigSource` takes, moves joints that are means by a quarter of a pixel at most.
        converter = skeletons.Converter(skeleton.joints)
        confidence = converter.confidence(raw_confidence)
        bent = converter.keypoints(keypoints_2d)
        straight, confidence = lenses.undistort_detections(bent, confidence, *calibration.lens)
        return sequences.MultiViewSequence(
            name=clip,
            subject=self.subject,
            action=self.action,
            frame_rate=self.frame_rate,
            camera_names=tuple(folder.name.removesuffix("_json") for folder in folders),
            camera=calibration.camera,
            keypoints_2d=straight,
            confidence=confidence,
            pose_world=self._reference(root, keypoints_2d.shape[1]),
            distortion=calibration.distortion,
        )

    def _calibration(self, root: pathlib.Path) -> calibrations.Calibration:
        if not self.calibration:
            return calibration_files.read_qualisys(_only(root / "calibration", "*.qca.txt"))
        path = root / self.calibration
        calibration = calibration_files.read_toml(path)
        calibration_files.check_usable(path, calibration)
        return calibration

    def _skeleton(self, root: pathlib.Path) -> skeletons.Skeleton:
        if self.skeleton not in skeletons.SKELETONS:
            rule = f"be one of {', '.join(skeletons.SKELETONS)}"
            raise errors.RecordingError(root, "skeleton", rule, self.skeleton)
        return skeletons.SKELETONS[self.skeleton]

    def _reference(self, root: pathlib.Path, num_frames: int) -> np.ndarray | None:
        if not self.reference:
            return None
        return recordings.read_reference(root / self.reference, num_frames, self.frame_rate)


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


def _side_by_side(
    views: list[detections.Track], folders: list[pathlib.Path]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns keypoints `[V, T, K, 2]` and confidence `[V, T, K]` from the first frame on."""
    for view, folder in zip(views, folders, strict=True):
        if not (view.confidence > 0).any():
            raise errors.RecordingError(folder, "people", "be there in a frame", "nobody in any")
    first = int(min(view.frames[0] for view in views))
    positions = [clocks.positions_by_number(view.frames, first) for view in views]
    num_frames = clocks.length(positions)
    clocks.check_length(folders[0].parent, num_frames)
    joined = [detections.Stream(*pair) for pair in zip(views, positions, strict=True)]
    return detections.side_by_side(joined, num_frames, views[0].confidence.shape[1])
