"""The files of a simulated release, in each of the layouts in which Human3.6M goes around."""

import pathlib
import pickle
import zipfile
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pyarrow
import pyarrow.parquet

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import cdf, confidences, joints, original, rig, simulated_takes

DETECTIONS = "cpn_ft_h36m_dbb"
"""The name under which the archives have the simulated detector's output."""

UNLABELED_SUBJECT = "S2"
_UNLABELED_FRAMES = 4


class ReleaseFiles(Protocol):
    """Files that takes are added to."""

    def add(self, take: simulated_takes.SimulatedTake) -> None:
        """Writes a take, or keeps it for the end."""

    def close(self) -> None:
        """Writes what waited for the last take."""


class OriginalFiles:
    """The original release: CDF files of motion capture and of its projections."""

    def __init__(self, root: pathlib.Path):
        self._root = root

    def add(self, take: simulated_takes.SimulatedTake) -> None:
        """Writes five files."""
        path = original.pose_path(self._root, take.subject, take.name)
        keypoints = [
            original.keypoints_path(self._root, take.subject, take.name, name)
            for name in rig.CAMERAS
        ]
        for folder in (path.parent, keypoints[0].parent):
            folder.mkdir(parents=True, exist_ok=True)
        pose = errors.MILLIMETERS.from_meters(joints.to_raw(take.pose_world))
        cdf.write(path, pose.reshape(len(pose), -1))
        for path, view in zip(keypoints, joints.to_raw(take.exact_2d), strict=True):
            cdf.write(path, view.reshape(len(view), -1))

    def close(self) -> None:
        """Does nothing."""


class Archives:
    """VideoPose3D's archives, in memory until the last take."""

    def __init__(self, root: pathlib.Path):
        self._root = root
        self._poses: dict[str, Any] = {}
        self._exact: dict[str, Any] = {}
        self._detected: dict[str, Any] = {}

    def add(self, take: simulated_takes.SimulatedTake) -> None:
        """Keeps a take."""
        pose = joints.to_raw(take.pose_world).astype(np.float32)
        self._poses.setdefault(take.subject, {})[take.label] = pose
        exact = [*take.exact_2d.astype(np.float32)]
        self._exact.setdefault(take.subject, {})[take.label] = exact
        detected = [
            view[: take.num_video_frames(camera)].astype(np.float32)
            for camera, view in enumerate(take.keypoints_2d)
        ]
        self._detected.setdefault(take.subject, {})[take.label] = detected
        # The published detections cover subjects without poses, too.
        unlabeled = [view[:_UNLABELED_FRAMES] for view in detected]
        self._detected.setdefault(UNLABELED_SUBJECT, {}).setdefault(take.label, unlabeled)

    def close(self) -> None:
        """Writes three archives."""
        poses = np.array(self._poses, object)
        np.savez_compressed(self._root / "data_3d_h36m.npz", positions_3d=poses)
        symmetry = [[*skeletons.H36M_17.left], [*skeletons.H36M_17.right]]
        metadata = {"num_joints": skeletons.H36M_17.num_joints, "keypoints_symmetry": symmetry}
        self._save("gt", self._exact, metadata)
        self._save(DETECTIONS, self._detected, {"layout_name": "h36m", **metadata})

    def _save(self, name: str, positions: dict[str, Any], metadata: dict[str, Any]) -> None:
        path = self._root / f"data_2d_h36m_{name}.npz"
        arrays = {"positions_2d": positions, "metadata": metadata}
        np.savez_compressed(path, **{key: np.array(v, object) for key, v in arrays.items()})


class ConfidenceFiles:
    """Detections with confidences, as an archive without pickles and as a Parquet table."""

    def __init__(self, root: pathlib.Path):
        root.mkdir(parents=True, exist_ok=True)
        self._archive = zipfile.ZipFile(root / "detections.npz", "w", zipfile.ZIP_STORED)
        self._table = pyarrow.parquet.ParquetWriter(root / "detections.parquet", confidences.SCHEMA)

    def add(self, take: simulated_takes.SimulatedTake) -> None:
        """Writes a take."""
        for camera, name in enumerate(rig.CAMERAS):
            frames = slice(take.num_video_frames(camera))
            keypoints_2d = take.keypoints_2d[camera, frames].astype(np.float32)
            confidence = take.confidence[camera, frames].astype(np.float32)
            key = confidences.key(take.subject, take.label, name)
            for field, values in (("keypoints_2d", keypoints_2d), ("confidence", confidence)):
                with self._archive.open(f"{key}/{field}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, values, allow_pickle=False)
            rows = confidences.rows(take.subject, take.label, name, keypoints_2d, confidence)
            self._table.write_table(rows)

    def close(self) -> None:
        """Ends both files."""
        self._archive.close()
        self._table.close()


class CanonPoseFile:
    """CanonPose's pickle, in memory until the last take."""

    def __init__(self, root: pathlib.Path):
        self._path = root / "detections.pickle"
        self._subjects: list[int] = []
        self._poses: dict[str, list[np.ndarray]] = {name: [] for name in rig.CAMERAS}
        self._confidences: dict[str, list[np.ndarray]] = {name: [] for name in rig.CAMERAS}

    def add(self, take: simulated_takes.SimulatedTake) -> None:
        """Keeps a take."""
        num_frames = len(take.pose_world)
        self._subjects += [int(take.subject[1:])] * num_frames
        for camera, name in enumerate(rig.CAMERAS):
            seen = take.keypoints_2d[camera, :num_frames], take.confidence[camera, :num_frames]
            keypoints_2d, confidence = joints.to_hourglass(*seen)
            rows = keypoints_2d.swapaxes(-1, -2).reshape(num_frames, -1)
            self._poses[name].append(rows.astype(np.float32))
            self._confidences[name].append(confidence.astype(np.float32))

    def close(self) -> None:
        """Writes the file."""
        content = {
            "subjects": self._subjects,
            "poses_2d_pred": {name: np.concatenate(v) for name, v in self._poses.items()},
            "confidences": {name: np.concatenate(v) for name, v in self._confidences.items()},
        }
        self._path.write_bytes(pickle.dumps(content))


FORMATS: dict[str, Callable[[pathlib.Path], ReleaseFiles]] = {
    "cdf": OriginalFiles,
    "videopose3d": Archives,
    "confidence": ConfidenceFiles,
    "canonpose": CanonPoseFile,
}
"""The layouts by name."""
