"""MPI-INF-3DHP as a source of clips: `S1_Seq1` to train on, `TS1_exercising` to test on."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator

from keras_mvlift import errors
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import p_stmo, protocol, release

_TRAINING_REFERENCES = {
    "original": "annot3, metric, checked against annot2 and the calibration",
    "p_stmo": "none, as the archives' poses are of universal size",
}
_TEST_REFERENCES = {
    "original": "univ_annot3; intrinsics fitted to annot3 and annot2; a clip for each activity",
    "p_stmo": "univ_annot3; the release's intrinsics; one clip for all activities",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MPIINF3DHPSource:
    """The training and the test set, in either form.

    Args:
        root: The folder of the release, or of P-STMO's archives.
        layout: `"original"`, `"p_stmo"`, or `"auto"` for the one that is there.
        camera_set: A name of `protocol.CAMERA_SETS`.
        subjects: Who of the training set is read; none, if empty.
        test_subjects: Who of the test set is read; none, if empty.
        first_frames: How much of a training sequence is read: `"table"` for the frames that the
            release's videos have, `"all"` for all that are annotated, or a number.
        training_stride: Every how manieth of these frames is taken. The test set keeps all of its
            valid frames, on which the field's figures are means.
        detections: An `.npz` file from `root`, described in `detections`; empty for the annotated
            2D joints, which are exact.
        calibration: P-STMO's archives only: the calibration's path from `root`.

    Raises:
        ValueError: If an argument breaks its rule; names argument, rule and value.

    Example:
        >>> source = MPIINF3DHPSource(root="mpi_inf_3dhp", subjects=("S1",))
        >>> source.clips()[:3]
        ['S1_Seq1', 'S1_Seq2', 'TS1_standing_walking']
    """

    root: str
    layout: str = "auto"
    camera_set: str = "chest"
    subjects: tuple[str, ...] = protocol.SUBJECTS
    test_subjects: tuple[str, ...] = protocol.TEST_SUBJECTS
    first_frames: str | int = "table"
    training_stride: int = 1
    detections: str = ""
    calibration: str = "camera.calibration"

    def __post_init__(self) -> None:
        errors.require_known("layout", self.layout, ("auto", *protocol.LAYOUTS))
        errors.require_known("camera_set", self.camera_set, protocol.CAMERA_SETS)
        for name, everyone in (
            ("subjects", protocol.SUBJECTS),
            ("test_subjects", protocol.TEST_SUBJECTS),
        ):
            chosen = getattr(self, name)
            is_known = isinstance(chosen, tuple) and set(chosen) <= set(everyone)
            is_known = is_known and len(set(chosen)) == len(chosen)
            errors.require(is_known, name, f"name some of {', '.join(everyone)}, each once", chosen)
        first, stride = self.first_frames, self.training_stride
        is_choice = first in ("table", "all") or (type(first) is int and first > 0)
        errors.require(is_choice, "first_frames", "be 'table', 'all' or a positive number", first)
        is_stride = type(stride) is int and stride > 0
        errors.require(is_stride, "training_stride", "be a positive number", stride)

    def clips(self) -> list[str]:
        """Returns the clips' names: the training set's, then the test set's.

        Raises:
            RecordingError: If the folder holds neither form, or both and `layout` is `"auto"`.
        """
        return list(self._castings)

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Reads a clip.

        Raises:
            ValueError: If there is no such clip.
            RecordingError: If a file is missing or not as it must be.
        """
        if clip not in self._castings:
            raise ValueError(f"`clip` must be one of `clips()`. Received: clip={clip!r}.")
        subject = self._castings[clip]
        if subject in protocol.TEST_SUBJECTS:
            found = self._reader.test_clip(subject, clip)
        else:
            whole = self._reader.training_clip(subject, clip.removeprefix(f"{subject}_"))
            found = whole.every(self.training_stride)
        if not self.detections:
            return found.sequence
        return release.replace_detections(pathlib.Path(self.root) / self.detections, found)

    def __iter__(self) -> Iterator[sequences.MultiViewSequence]:
        """Reads all clips, one after the other."""
        return (self.read(clip) for clip in self.clips())

    def choices(self) -> list[str]:
        """Says what of the protocol is chosen, a line each.

        Raises:
            RecordingError: If the folder holds neither form, or both and `layout` is `"auto"`.
        """
        numbers = ", ".join(map(str, protocol.CAMERA_SETS[self.camera_set]))
        frames = {"table": "the frames of the release's table", "all": "all annotated frames"}
        number = f"the first {self.first_frames} frames"
        return [
            f"layout: {self._layout}",
            f"training cameras: {self.camera_set} ({numbers})",
            f"training clips: {', '.join(self.subjects) or 'none'}, Seq1 and Seq2, "
            f"{frames.get(str(self.first_frames), number)}, one of each {self.training_stride}",
            f"2D joints: {self.detections or 'annotated, which are exact, confidence 1'}",
            f"reference of training clips: {_TRAINING_REFERENCES[self._layout]}",
            f"test clips: {', '.join(self.test_subjects) or 'none'}, valid frames only",
            f"reference of test clips: {_TEST_REFERENCES[self._layout]}",
        ]

    @functools.cached_property
    def _layout(self) -> str:
        return protocol.find(self.root) if self.layout == "auto" else self.layout

    @functools.cached_property
    def _reader(self) -> protocol.Layout:
        cameras = protocol.CAMERA_SETS[self.camera_set]
        if self._layout == "original":
            return release.OriginalFolders(
                root=self.root, cameras=cameras, first_frames=self.first_frames
            )
        return p_stmo.Archives(
            root=self.root,
            cameras=cameras,
            first_frames=self.first_frames,
            calibration=self.calibration,
        )

    @functools.cached_property
    def _castings(self) -> dict[str, str]:
        """Returns the subject of each clip."""
        # First of all, as a folder that holds nothing has no clips.
        reader = self._reader
        takes = [
            (subject, sequence) for subject in self.subjects for sequence in protocol.SEQUENCES
        ]
        castings = {f"{subject}_{sequence}": subject for subject, sequence in takes}
        for subject in self.test_subjects:
            castings |= dict.fromkeys(reader.test_clips(subject), subject)
        return castings
