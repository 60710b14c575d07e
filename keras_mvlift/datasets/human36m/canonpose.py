"""CanonPose's pickle of detections with confidences: 16 joints, four cameras, no poses.

    subjects             N numbers: who is seen
    poses_2d_pred        camera -> [N, 32], pixels: the x of all joints, then the y of all joints
    confidences          camera -> [N, 16]

Frames of a subject follow each other; which take they are of is not in the file, so that a subject
is one clip.
"""

import pathlib
from typing import Any

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import unpickling
from keras_mvlift.datasets.human36m import checks, file_cache, joints, rig

TAKE = "All"
"""What a subject's only clip is called."""

_NUM_JOINTS = joints.HOURGLASS_16.num_joints


class Detections:
    """The detections of a pickle; it comes whole into memory, once per process."""

    is_projected = False

    def __init__(self, path: pathlib.Path):
        self._path = path

    def __str__(self) -> str:
        return f"{self._path.name}, CanonPose's detections with confidences; for training only"

    def subjects(self) -> list[str]:
        """Gives the subjects of which there are detections."""
        return sorted(f"S{number}" for number in np.unique(self._numbers()))

    def takes(self, subject: str) -> list[str]:
        """Gives the one clip of a subject."""
        if subject not in self.subjects():
            rule = "name every subject asked for"
            received = f"{', '.join(self.subjects())} without {subject}"
            raise errors.RecordingError(self._path, "subjects", rule, received)
        return [TAKE]

    def read(self, subject: str, label: str) -> list[checks.Detections]:
        """Reads what the four cameras saw of a subject; nobody has a nose.

        Raises:
            RecordingError: If the file is not of the form described above.
        """
        numbers = self._numbers()
        index = np.flatnonzero(numbers == int(subject[1:]))
        if label != TAKE or not len(index):
            rule = f"be {TAKE!r} of a subject of the file"
            raise errors.RecordingError(self._path, "clip", rule, f"{subject} {label}")
        return [self._view(camera, index, len(numbers)) for camera in rig.CAMERAS]

    def _view(self, camera: str, index: np.ndarray, num_frames: int) -> checks.Detections:
        fields = (("poses_2d_pred", 2 * _NUM_JOINTS), ("confidences", _NUM_JOINTS))
        rows, confidence = (
            self._array(field, camera, width, num_frames)[index] for field, width in fields
        )
        keypoints_2d = rows.reshape(len(rows), 2, _NUM_JOINTS).swapaxes(-1, -2)
        field = f"poses_2d_pred {camera}"
        return checks.detections(
            self._path, field, *joints.from_hourglass(keypoints_2d, confidence)
        )

    def _array(self, field: str, camera: str, width: int, num_frames: int) -> np.ndarray:
        views = self._content().get(field)
        if not isinstance(views, dict) or camera not in views:
            raise errors.RecordingError(self._path, f"{field} {camera}", "be there", "no such key")
        values = checks.array(self._path, f"{field} {camera}", views[camera], (width,))
        if len(values) != num_frames:
            rule = f"have a row for each of the {num_frames} subjects"
            raise errors.RecordingError(self._path, f"{field} {camera}", rule, len(values))
        return values

    def _numbers(self) -> np.ndarray:
        with errors.parsing(self._path, "subjects", "be a list of numbers"):
            numbers = np.asarray(self._content()["subjects"])
        if numbers.ndim != 1 or not len(numbers) or numbers.dtype.kind not in "iu":
            received = f"{numbers.dtype} of shape {numbers.shape}"
            raise errors.RecordingError(self._path, "subjects", "be a list of numbers", received)
        return numbers

    def _content(self) -> dict[str, Any]:
        content = load(self._path)
        if not isinstance(content, dict):
            rule = "be a dictionary"
            raise errors.RecordingError(self._path, "file", rule, type(content).__name__)
        return content


@file_cache.PerVersion
def load(path: pathlib.Path) -> Any:
    """Reads a pickle whole; it stays in memory until the file changes."""
    return unpickling.read(path)
