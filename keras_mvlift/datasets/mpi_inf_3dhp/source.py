"""MPI-INF-3DHP as a source of clips: `S1_Seq1` to train on, `TS1_exercising` to test on."""

import dataclasses
import functools
import itertools
import pathlib
from typing import Annotated, Any

import numpy as np

from keras_mvlift import configs, errors
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.mpi_inf_3dhp import protocol, release
from keras_mvlift.datasets.mpi_inf_3dhp import rig as mpi_inf_3dhp_rig
from keras_mvlift.datasets.rigs import detections
from keras_mvlift.untrusted import files, reading

_TRAINING_REFERENCES = {
    "original": "annot3, metric, checked against annot2 and the calibration",
    "p_stmo": "none, as the archives' poses are of universal size",
}
_TEST_REFERENCES = {
    "original": "univ_annot3; intrinsics fitted to annot3 and annot2; a clip for each activity",
    "p_stmo": "univ_annot3; the release's intrinsics; one clip for all activities",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MPIINF3DHPSource(configs.Checked, sequences.Source):
    """The training and the test set, in either form.

    Reading raises a `RecordingError` if a file is missing or not as it must be, and so does listing
    if the folder holds neither form, or both and `layout` is `"auto"`.

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

    root: files.AnyPath
    layout: Annotated[str, configs.one_of("auto", *protocol.LAYOUTS)] = "auto"
    camera_set: Annotated[str, configs.one_of(*protocol.CAMERA_SETS)] = "chest"
    subjects: tuple[str, ...] = protocol.SUBJECTS
    test_subjects: tuple[str, ...] = protocol.TEST_SUBJECTS
    first_frames: str | int = "table"
    training_stride: configs.Positive = 1
    detections: str = ""
    calibration: str = "camera.calibration"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (
            ("subjects", protocol.SUBJECTS),
            ("test_subjects", protocol.TEST_SUBJECTS),
        ):
            if getattr(self, name) != ():
                errors.require_some_of(name, getattr(self, name), known)
        first = self.first_frames
        is_choice = first in ("table", "all") or (type(first) is int and first > 0)
        errors.require(is_choice, "first_frames", "be 'table', 'all' or a positive number", first)

    def clips(self) -> list[str]:
        """Returns the clips' names: the training set's, then the test set's."""
        return list(self._castings)

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Reads a clip; a `ValueError` if there is no such."""
        errors.require(clip in self._castings, "clip", "be one of `clips()`", repr(clip))
        subject = self._castings[clip]
        if subject in protocol.TEST_SUBJECTS:
            found = self._reader.test_clip(subject, clip)
        else:
            whole = self._reader.training_clip(subject, clip.removeprefix(f"{subject}_"))
            found = whole.every(self.training_stride)
        if not self.detections:
            return found.sequence
        return release.replace_detections(pathlib.Path(self.root) / self.detections, found)

    def choices(self) -> list[str]:
        """Says what of the protocol is chosen, a line each."""
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
    def _reader(self) -> "release.OriginalFolders | Archives":
        cameras = protocol.CAMERA_SETS[self.camera_set]
        options: dict[str, Any] = {"cameras": cameras, "first_frames": self.first_frames}
        if self._layout == "original":
            return release.OriginalFolders(root=self.root, **options)
        return Archives(root=self.root, calibration=self.calibration, **options)

    @functools.cached_property
    def _castings(self) -> dict[str, str]:
        # First of all, as a folder that holds nothing has no clips.
        reader = self._reader
        takes = itertools.product(self.subjects, protocol.SEQUENCES)
        castings = {f"{subject}_{sequence}": subject for subject, sequence in takes}
        for subject in self.test_subjects:
            castings |= dict.fromkeys(reader.test_clips(subject), subject)
        return castings


# The archives that P-STMO and its followers train on hold the annotated 2D joints, and 3D poses of
# the universal skeleton, which do not project onto them; neither calibration nor metric poses. The
# rig comes from a `camera.calibration` of the release, which is the same for all subjects and
# sequences. Training clips have no reference: what the exact joints triangulate is the metric pose.

# Focal lengths and principal point, pixels: the release's focal length indoors, the rest as
# fitted to the original test set to a pixel or two.
_INDOORS = (1499.2, 1499.2, 1017.0, 1043.0)
_OUTDOORS = (1684.0, 1672.0, 940.0, 560.0)
TEST_LENSES = dict(zip(protocol.TEST_SUBJECTS, (*[_INDOORS] * 4, *[_OUTDOORS] * 2), strict=True))
"""The test cameras' lenses by subject, which the archives do not tell."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Archives:
    """The two archives and a calibration below a root; as `release.OriginalFolders`.

    Each clip reads its archive anew and whole; that is how it is pickled.
    """

    root: files.AnyPath
    cameras: tuple[int, ...]  # The archives have those of `"vnect"`.
    first_frames: str | int
    calibration: str  # Its path from the root.

    def training_clip(self, subject: str, sequence: str) -> protocol.Clip:
        """Reads a sequence of the training set, without reference."""
        rig_path = pathlib.Path(self.root) / self.calibration
        rig = mpi_inf_3dhp_rig.read_calibration(rig_path, self.cameras)
        path = pathlib.Path(self.root) / protocol.TRAINING_ARCHIVE
        field = f"{subject} {sequence}"
        views, frame_rate = _take(path, field, _entry(path, field))
        wanted = protocol.first_frames(subject, sequence, self.first_frames)
        points = [_points(path, f"{field}/{name}", views, name) for name in rig.names]
        variables = list(zip(*points, strict=True))
        keypoints_2d, pose = release.first_of_all(path, field, variables, wanted)
        mpi_inf_3dhp_rig.require_equal_poses(rig_path, rig.names, pose, rig.camera)
        mpi_inf_3dhp_rig.require_meeting_rays(rig_path, rig.names, keypoints_2d, rig.camera)
        return release.training_clip(subject, sequence, rig, frame_rate, keypoints_2d)

    def test_clips(self, subject: str) -> list[str]:
        """Returns the subject's one clip; the archives do not tell activities."""
        return [subject]

    def test_clip(self, subject: str, name: str) -> protocol.Clip:
        """Reads the valid frames of a test clip."""
        path = pathlib.Path(self.root) / protocol.TEST_ARCHIVE
        entry = _entry(path, subject)
        keypoints_2d, pose = _points(path, "data", {subject: entry}, subject, is_finite=False)
        shape = (len(keypoints_2d),)
        valid = files.checked_array(path, f"{subject}/valid", entry.get("valid"), shape)
        frame = release.valid_frames(path, f"{subject}/valid", valid)
        keypoints_2d, pose = keypoints_2d[frame], pose[frame]
        for field, value in (("data_2d", keypoints_2d), ("data_3d", pose)):
            files.require_finite(path, f"{subject}/{field}", value)
        sequences.require_human_size(path, f"{subject}/data_3d", pose, errors.MILLIMETERS.name)
        seen = np.ones((1, *keypoints_2d.shape[:-1]))
        detections.require_pixels(path, keypoints_2d[np.newaxis], seen)
        fx, fy, cx, cy = TEST_LENSES[subject]
        camera = release.test_camera(np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]))
        clip = release.test_sequence(subject, "", camera, keypoints_2d, pose)
        return protocol.Clip(clip, frame, (subject,))


def _entry(path: pathlib.Path, key: str) -> Any:
    found = reading.npz(path, ("data",))["data"]
    kind, rule = type(found).__name__, "be a pickled dictionary"
    errors.require_in(path, isinstance(found, dict), "data", rule, kind)
    received = ", ".join(map(str, found)) or "none"
    errors.require_in(path, key in found, "data", f"have a key {key!r}", received[:200])
    return found[key]


def _take(path: pathlib.Path, field: str, entry: Any) -> tuple[dict[Any, Any], float]:
    is_pair = isinstance(entry, list | tuple | np.ndarray) and len(entry) == 2
    rule = "be a list of views by camera and a frame rate"
    holds = is_pair and isinstance(entry[0], dict)
    errors.require_in(path, holds, field, rule, type(entry).__name__)
    views, frame_rate = entry
    is_number = isinstance(frame_rate, int | float | np.number)
    is_rate = is_number and 0 < frame_rate <= errors.MAX_FRAME_RATE
    rule = f"have a frame rate of at most {errors.MAX_FRAME_RATE} per second"
    errors.require_in(path, is_rate, field, rule, repr(frame_rate))
    return views, float(frame_rate)


def _points(
    path: pathlib.Path, field: str, views: dict[Any, Any], name: str, *, is_finite: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a view's joints of `H36M_17`: `[T, 17, 2]`, pixels, and `[T, 17, 3]`, meters."""
    view: Any = views.get(name)
    received = ", ".join(map(str, views)) or "none"
    is_view = isinstance(view, dict)
    errors.require_in(path, is_view, field, "be a view of the archive", received[:200])
    num_joints = len(protocol.TEST_17)
    image = files.checked_array(
        path, f"{field}/data_2d", view.get("data_2d"), (None, num_joints, 2)
    )
    shape = (len(image), num_joints, 3)
    space = files.checked_array(path, f"{field}/data_3d", view.get("data_3d"), shape)
    if is_finite:
        files.require_finite(path, f"{field}/data_2d", image)
        files.require_finite(path, f"{field}/data_3d", space)
    chosen = protocol.H36M_FROM_TEST
    return image[:, chosen], errors.MILLIMETERS.to_meters(space[:, chosen])
