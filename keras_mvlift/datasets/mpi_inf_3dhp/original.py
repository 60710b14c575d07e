"""The release's own folders, read clip by clip."""

import dataclasses
import pathlib

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import layouts, protocol, test_set, training_set


@dataclasses.dataclass(frozen=True, kw_only=True)
class OriginalFolders:
    """Folders `S1/Seq1` and `TS1`, as they are downloaded.

    Args:
        root: The folder they lie in.
        cameras: The numbers of the training cameras.
        first_frames: As of `protocol.first_frames`.
    """

    root: str
    cameras: tuple[int, ...]
    first_frames: str | int

    def training_clip(self, subject: str, sequence: str) -> layouts.Clip:
        """Reads a sequence of the training set; its reference is metric.

        Raises:
            RecordingError: If a file is missing or not as it must be.
        """
        folder = layouts.training_folder(self.root, subject, sequence)
        num_frames = protocol.first_frames(subject, sequence, self.first_frames)
        take = training_set.read(folder, self.cameras, num_frames)
        clip = sequences.MultiViewSequence(
            name=f"{subject}_{sequence}",
            subject=subject,
            action=sequence,
            frame_rate=protocol.TAKES[subject, sequence].frame_rate,
            camera_names=tuple(f"camera_{name}" for name in take.rig.names),
            camera=take.rig.camera,
            keypoints_2d=take.keypoints_2d,
            confidence=np.ones(take.keypoints_2d.shape[:-1]),
            pose_world=take.pose_world,
        )
        views = tuple(f"{subject}/{sequence}/{name}" for name in take.rig.names)
        return layouts.Clip(clip, np.arange(clip.num_frames), views)

    def test_clips(self, subject: str) -> list[str]:
        """Gives one clip an activity.

        Of a file that cannot be read, there is one clip of the subject's name, so that reading it
        tells why.
        """
        try:
            numbers = test_set.activities(self._test_annotation(subject))
        except errors.RecordingError:
            return [subject]
        return [f"{subject}_{protocol.ACTIVITIES[number]}" for number in numbers]

    def test_clip(self, subject: str, name: str) -> layouts.Clip:
        """Reads the valid frames of an activity; the reference is of universal size.

        Raises:
            RecordingError: If the file is missing or not as it must be.
        """
        path = self._test_annotation(subject)
        annotation = test_set.read(path)
        camera = test_set.fit_camera(path, annotation)
        action = name.removeprefix(f"{subject}_")
        numbers = [number for number, known in protocol.ACTIVITIES.items() if known == action]
        chosen = np.flatnonzero(np.isin(annotation.activity, numbers))
        if not len(chosen):
            shown = sorted({protocol.ACTIVITIES[int(number)] for number in annotation.activity})
            rule = f"show {name} in some valid frame"
            raise errors.RecordingError(path, "activity_annotation", rule, ", ".join(shown))
        keypoints_2d, universal_pose = (
            points[chosen] for points in (annotation.keypoints_2d, annotation.universal_pose)
        )
        clip = test_set.sequence(subject, action, camera, keypoints_2d, universal_pose)
        return layouts.Clip(clip, annotation.frame[chosen], (subject,))

    def _test_annotation(self, subject: str) -> pathlib.Path:
        return layouts.test_folder(self.root, subject) / test_set.ANNOTATION
