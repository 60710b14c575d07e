"""Human3.6M as a source of clips, whatever its files."""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Callable
from typing import Annotated

import numpy as np

from keras_mvlift import configs, errors
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.human36m import detections, protocol, release, rig
from keras_mvlift.geometry import lenses
from keras_mvlift.untrusted import files

FRAME_RATE = 50.0

# Which of the layouts, in which Human3.6M goes around, a folder has, and readers of them.

AUTO, NONE = "auto", "none"
POSES = (AUTO, "cdf", "videopose3d", NONE)

PoseReader = release.CDFPoses | release.ArchivePoses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Human36MSource(configs.Checked, sequences.Source):
    """Human3.6M's takes, one clip each, seen by the four cameras of its laboratory.

    The layouts of files are described in docs/human36m.md. Reading raises a `RecordingError` if a
    file is missing, damaged, or says what cannot be, and listing if the folder lacks poses or
    detections of a subject, has a take twice, or a subject's cameras are not known.

    Args:
        root: The folder.
        poses: `"cdf"` for the original release's poses, `"videopose3d"` for those of
            `data_3d_h36m.npz`, `"none"` for none, or `"auto"` for the first of these there is.
        detections: Which 2D keypoints: `"D2_Positions"`; what the name of one of VideoPose3D's
            archives ends in, such as `"cpn_ft_h36m_dbb"` or `"gt"`; a file below `root`, as
            `.npz` or `.parquet` of this library's layout or CanonPose's `.pickle`; or `"auto"`
            where the folder has one kind alone.
        train_subjects: Subjects to train on; both lists together are read.
        test_subjects: Subjects to test on.
        drop: Takes to leave out, such as `"S11 Directions"`.
        shifted_takes: What to do about S9's takes whose motion capture is shifted: `"keep"` them,
            as papers on lifting do, `"drop"` them, or `"correct"` them by 200 mm.
        remove_distortion: Whether the lenses' distortion is removed from the keypoints.
        max_extra_frames: By how many frames detections may outlast the poses, or without poses
            the shortest camera's; these are cut.

    Raises:
        ValueError: If an argument breaks its rule.
    """

    root: files.AnyPath
    poses: Annotated[str, configs.one_of(*POSES)] = AUTO
    detections: str = AUTO
    train_subjects: tuple[str, ...] = protocol.TRAIN_SUBJECTS
    test_subjects: tuple[str, ...] = protocol.TEST_SUBJECTS
    drop: tuple[str, ...] = protocol.DROPPED_TAKES
    shifted_takes: Annotated[str, configs.one_of(*protocol.SHIFTED_TAKES_CHOICES)] = "keep"
    remove_distortion: bool = True
    max_extra_frames: configs.Count = 250

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("train_subjects", "test_subjects"):
            subjects = getattr(self, field)
            are_named = all(re.fullmatch(r"S\d+", subject) for subject in subjects)
            errors.require(are_named, field, "name subjects such as S1", subjects)
        num_subjects = len(self.train_subjects) + len(self.test_subjects)
        is_disjoint = len({*self.train_subjects, *self.test_subjects}) == num_subjects
        rule = "name none twice or for both uses"
        errors.require(is_disjoint, "test_subjects", rule, self.test_subjects)
        for name in self.drop:
            protocol.take(name)

    def clips(self) -> list[str]:
        """Returns the clips' names, sorted by subject, action and number."""
        return list(self._takes)

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Reads a take; a `ValueError` if there is no such."""
        errors.require(clip in self._takes, "clip", "be one of `clips()`", repr(clip))
        subject, name = self._takes[clip]
        action = label = release.CANONPOSE_TAKE
        if name != release.CANONPOSE_TAKE:
            action, label = protocol.parse_take(name, pathlib.Path(self.root) / subject)
        pose_world = None if self._poses is None else self._poses.read(subject, name)
        is_shifted = f"{subject} {protocol.action_label(name)}" in protocol.SHIFTED_TAKES
        if pose_world is not None and is_shifted and self.shifted_takes == "correct":
            pose_world = pose_world - protocol.SHIFT
        views = self._detections.read(subject, label)
        num_frames = self._num_frames(views, pose_world)
        keypoints_2d = np.stack([view.keypoints_2d[:num_frames] for view in views])
        confidence = np.stack([view.confidence[:num_frames] for view in views])
        camera = rig.camera(subject)
        if self.remove_distortion:
            lens = camera.intrinsics[:, np.newaxis], *rig.opencv_lens(rig.DISTORTION[:, np.newaxis])
            keypoints_2d, confidence = lenses.undistort_detections(keypoints_2d, confidence, *lens)
        if pose_world is not None:
            rig.require_agreement(
                f"{self.root}: {clip}", pose_world, keypoints_2d, confidence, camera
            )
        return sequences.MultiViewSequence(
            name=clip,
            subject=subject,
            action=action,
            frame_rate=FRAME_RATE,
            camera_names=rig.CAMERAS,
            camera=camera,
            keypoints_2d=keypoints_2d,
            confidence=confidence,
            pose_world=pose_world,
            distortion=rig.DISTORTION if self.remove_distortion else None,
        )

    def choices(self) -> list[str]:
        """Says in sentences what was chosen, by the settings or by what the folder has."""
        asked = self.train_subjects + self.test_subjects
        skipped = sorted({*self._detections.subjects()} - {*asked}, key=_subject_number)
        lens = "removed, in the release's own form" if self.remove_distortion else "left in"
        return [
            f"Poses: {self._poses or 'none; tested is against what the cameras triangulate'}.",
            f"Detections: {self._detections}.",
            f"Subjects: {', '.join(self.train_subjects) or 'none'} for training, "
            f"{', '.join(self.test_subjects) or 'none'} for testing; "
            f"with detections but left out: {', '.join(skipped) or 'none'}.",
            f"Takes: {len(self._takes)}, at {FRAME_RATE:g} frames per second; "
            f"dropped: {', '.join(self.drop) or 'none'}.",
            f"Shifted takes ({', '.join(protocol.SHIFTED_TAKES)}): {self.shifted_takes}.",
            f"Lens distortion: {lens}.",
            f"Detections may outlast poses by {self.max_extra_frames} frames, which are cut.",
        ]

    @functools.cached_property
    def _poses(self) -> PoseReader | None:
        is_takeless = isinstance(self._detections, release.CanonPoseDetections)
        kind = NONE if is_takeless and self.poses == AUTO else self.poses
        return pose_reader(pathlib.Path(self.root), kind)

    @functools.cached_property
    def _detections(self) -> rig.DetectionReader:
        return detection_reader(pathlib.Path(self.root), self.detections)

    @functools.cached_property
    def _takes(self) -> dict[str, tuple[str, str]]:
        """Returns subject and take, as the files name it, of each clip."""
        self._check_folder()
        asked = sorted(self.train_subjects + self.test_subjects, key=_subject_number)
        left_out = {protocol.take(name) for name in self.drop}
        if self.shifted_takes == "drop":
            left_out |= {*protocol.SHIFTED_TAKES}
        takes: dict[str, tuple[str, str]] = {}
        for subject in asked:
            reader = self._poses or self._detections
            for name in sorted(reader.takes(subject), key=protocol.take_order):
                clip = protocol.clip_name(subject, name)
                received = f"{takes.get(clip, ('', ''))[1]!r} and {name!r}"
                rule = "be there in one spelling"
                errors.require_in(self.root, clip not in takes, f"{subject} takes", rule, received)
                if f"{subject} {protocol.action_label(name)}" not in left_out:
                    takes[clip] = subject, name
        return takes

    def _check_folder(self) -> None:
        root = pathlib.Path(self.root)
        errors.require_in(root, root.is_dir(), "root", "be a folder", "nothing there")
        rule = f"be one of {', '.join(rig.SUBJECTS)}, whose cameras' places are known"
        for subject in self.train_subjects + self.test_subjects:
            errors.require_in(root, subject in rig.SUBJECTS, "subject", rule, subject)
        absent = {*self.train_subjects, *self.test_subjects} - {*self._detections.subjects()}
        rule = "cover all subjects that are asked for"
        received = f"{self._detections}, without {', '.join(sorted(absent))}"
        errors.require_in(root, not absent, "detections", rule, received)
        is_takeless = isinstance(self._detections, release.CanonPoseDetections)
        holds = not is_takeless or (self._poses is None and not self.test_subjects)
        rule = "be () and `poses` 'none' or 'auto', with CanonPose's detections"
        received = f"{self.test_subjects} and {self.poses!r}"
        errors.require_in(root, holds, "test_subjects", rule, received)
        holds = self.shifted_takes != "correct" or not self._detections.is_projected
        rule = "not be 'correct' with projections of the shifted poses"
        errors.require_in(root, holds, "shifted_takes", rule, str(self._detections))

    def _num_frames(self, views: list[rig.Detections], pose_world: np.ndarray | None) -> int:
        lengths = [len(view.keypoints_2d) for view in views]
        num_frames, other = min(lengths), "another camera"
        if pose_world is not None:
            num_frames, other = len(pose_world), "the poses"
        most = num_frames + (0 if self._detections.is_projected else self.max_extra_frames)
        rule = f"have {num_frames} to {most} frames, as {other}"
        for view, length in zip(views, lengths, strict=True):
            holds = num_frames <= length <= most
            errors.require_in(view.path, holds, view.field, rule, length)
        return num_frames


def _subject_number(subject: str) -> tuple[int, str]:
    digits = subject[1:]
    return int(digits) if digits.isdecimal() else 0, subject


PROJECTIONS = "D2_Positions"  # What the exact projections of the original release are called.

_BY_SUFFIX: dict[str, Callable[[pathlib.Path], rig.DetectionReader]] = {
    ".npz": detections.Archive,
    ".parquet": detections.Table,
    ".pickle": release.CanonPoseDetections,
    ".pkl": release.CanonPoseDetections,
}


def pose_reader(root: pathlib.Path, kind: str) -> PoseReader | None:
    """Opens the poses of a folder, of a kind of `POSES`: of `"auto"` the original release's first.

    Returns:
        A reader, that says in words what it reads; None without poses.
    """
    has_original = bool(release.cdf_subjects(root))
    has_archive = release.archive_pose_path(root).is_file()
    if kind == "cdf" or (kind == AUTO and has_original):
        return release.CDFPoses(root)
    if kind == "videopose3d" or (kind == AUTO and has_archive):
        return release.ArchivePoses(root)
    return None


def detection_reader(root: pathlib.Path, name: str) -> rig.DetectionReader:
    """Opens the detections of a folder, whose names `Human36MSource` states.

    Raises:
        RecordingError: If a file is outside of the folder, or `"auto"` has no or several choices.
    """
    if name == AUTO:
        found = detection_names(root)
        rule = "be named, unless the folder has one kind of detections"
        received = f"{AUTO!r} with {', '.join(found) or 'none'}"
        errors.require_in(root, len(found) == 1, "detections", rule, received)
        (name,) = found
    if name == PROJECTIONS:
        return release.CDFProjections(root)
    reader = _BY_SUFFIX.get(pathlib.PurePosixPath(name).suffix)
    if reader:
        return reader(files.inside(root, name, root, "detections"))
    path = release.archive_keypoints_path(root, name)
    files.inside(root, path.name if path.parent == root else name, root, "detections")
    return release.ArchiveDetections(root, name)


def detection_names(root: pathlib.Path) -> list[str]:
    """Returns the names of all detections that a folder has, as `detection_reader` takes them."""
    projections = [PROJECTIONS] if release.CDFProjections(root).subjects() else []
    archives = release.detector_names(root)
    paths = [release.archive_keypoints_path(root, name) for name in archives]
    known = {release.archive_pose_path(root), *paths}
    paths = sorted(path for path in root.glob("*") if path.suffix in _BY_SUFFIX)
    return projections + archives + [path.name for path in paths if path not in known]
