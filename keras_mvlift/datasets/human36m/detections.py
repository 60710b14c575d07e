"""Detections with confidences, in layouts of this library's own: an archive, or a table.

`.npz`: plain arrays, nothing pickled, under the keys

    <subject>/<take>/<camera>/keypoints_2d   [T, 17, 2] floats, pixels
    <subject>/<take>/<camera>/confidence     [T, 17] floats in [0, 1]

`.parquet`: one row per frame and camera, with the columns `SCHEMA`; rows in any order, though a
clip is found faster where its rows are together.

Joints are those of `skeletons.H36M_17`; pixels are those of the video, lens distortion included.
"""

import pathlib
import re
from typing import Any

import numpy as np
import pyarrow

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import protocol, rig
from keras_mvlift.untrusted import files, reading

_NUM_JOINTS = skeletons.H36M_17.num_joints
SCHEMA = pyarrow.schema(
    {
        "subject": pyarrow.string(),
        "take": pyarrow.string(),
        "camera": pyarrow.string(),
        "frame": pyarrow.int32(),
        "keypoints_2d": pyarrow.list_(pyarrow.float32()),
        "confidence": pyarrow.list_(pyarrow.float32()),
    }
)
"""The table's columns; `keypoints_2d` has 34 values, x and y by turns, `confidence` 17."""

_TEXTS, _ARRAYS = ("subject", "take", "camera"), ("keypoints_2d", "confidence")
_KEY = re.compile(r"(S\d+)/([^/]+)/(\d+)/(keypoints_2d|confidence)")


def key(subject: str, label: str, camera: str) -> str:
    """Returns what an archive's keys for one camera's view of a take begin with."""
    return f"{subject}/{label}/{camera}"


def rows(
    subject: str, label: str, camera: str, keypoints_2d: np.ndarray, confidence: np.ndarray
) -> pyarrow.Table:
    """Lays out a view of a take, `[T, J, 2]`, pixels, and `[T, J]`, as rows of the table."""
    num_frames = len(keypoints_2d)
    columns = [
        *([value] * num_frames for value in (subject, label, camera)),
        np.arange(num_frames, dtype=np.int32),
        [*keypoints_2d.reshape(num_frames, -1)],
        [*confidence.reshape(num_frames, -1)],
    ]
    return pyarrow.table(columns, schema=SCHEMA)


class _File(rig.DetectionReader):
    """What both layouts share: who is in the file, and in which takes."""

    def __str__(self) -> str:
        return f"{self._path.name}, with confidences"

    def subjects(self) -> list[str]:
        return sorted({subject for subject, _ in self._index()})

    def takes(self, subject: str) -> list[str]:
        return sorted(take for owner, take in self._index() if owner == subject)

    def _index(self) -> frozenset[tuple[str, str]]:
        raise NotImplementedError


class Archive(_File):
    """Detections in an `.npz` archive; of it, a clip's arrays alone are read."""

    def _index(self) -> frozenset[tuple[str, str]]:
        matches = [_KEY.fullmatch(name) for name in archive_names(self._path)]
        return frozenset((match[1], match[2]) for match in matches if match)

    def _views(self, subject: str, name: str) -> list[rig.Detections]:
        prefixes = [key(subject, name, camera) for camera in rig.CAMERAS]
        names = [f"{prefix}/{field}" for prefix in prefixes for field in _ARRAYS]
        found = reading.npz(self._path, names)
        return [
            rig.check_detections(self._path, prefix, *(found[f"{prefix}/{x}"] for x in _ARRAYS))
            for prefix in prefixes
        ]


class Table(_File):
    """Detections in a Parquet file; of it, the row groups that hold the clip are read."""

    def _index(self) -> frozenset[tuple[str, str]]:
        return table_takes(self._path)

    def _views(self, subject: str, name: str) -> list[rig.Detections]:
        found = reading.parquet_rows(self._path, subject, name)
        of_first = key(subject, name, rig.CAMERAS[0])
        for field, width in zip(_ARRAYS, (2 * _NUM_JOINTS, _NUM_JOINTS), strict=True):
            lengths, values = found[f"{field}_length"], found[field]
            fits = (lengths == width).all() and len(values) == width * len(lengths)
            if not fits:
                rule, received = (
                    f"have {width} values in every row",
                    f"{lengths.min()} to {lengths.max()}",
                )
                raise errors.RecordingError(self._path, f"{of_first} {field}", rule, received)
            found[field] = values.reshape(-1, width)
        return [self._view(found, camera, key(subject, name, camera)) for camera in rig.CAMERAS]

    def _view(self, found: dict[str, Any], camera: str, field: str) -> rig.Detections:
        own = np.flatnonzero(np.array(found["camera"]) == camera)
        own = own[np.argsort(found["frame"][own], kind="stable")]
        rule = f"have 1 to {protocol.MAX_FRAMES} rows"
        errors.require_in(self._path, 1 <= len(own) <= protocol.MAX_FRAMES, field, rule, len(own))
        is_whole = np.array_equal(found["frame"][own], np.arange(len(own)))
        rule = "have each frame from 0 on once"
        errors.require_in(self._path, is_whole, f"{field} frame", rule, f"{len(own)} rows")
        keypoints_2d = found["keypoints_2d"][own].reshape(len(own), _NUM_JOINTS, 2)
        return rig.check_detections(self._path, field, keypoints_2d, found["confidence"][own])


@files.PerVersion
def archive_names(path: pathlib.Path) -> frozenset[str]:
    """Returns an archive's keys; known until the file changes."""
    return frozenset(reading.npz_names(path))


@files.PerVersion
def table_takes(path: pathlib.Path) -> frozenset[tuple[str, str]]:
    """Checks a table's columns and gives its subjects and takes; known until the file changes."""
    takes = reading.parquet_takes(path, SCHEMA.names, _ARRAYS, _TEXTS)
    return frozenset((subject, take) for subject, take in takes)
