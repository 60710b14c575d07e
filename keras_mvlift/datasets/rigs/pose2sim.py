"""Recordings laid out as Pose2Sim's: a calibration, detections per camera, maybe a reference.

<root>/calibration/Calib*.toml    Pose2Sim's calibration; or Qualisys's, *.qca.txt
<root>/pose/<camera>_json/*.json  OpenPose's detections, or such, one folder per camera
<root>/Config.toml                its settings, of which the frame rate is read; optional
<root>/opensim/<reference>.trc    3D reference, for evaluation only; optional

A trial of a session has its calibration one or two folders above, in any that has "calib" in its
name, and its settings beside that. Folders of 2023 are called calib-2d and pose-2d. Cameras are
those of the folders' names, or else in the order of the folders.
"""

import dataclasses
import functools
import importlib.util
import itertools
import pathlib
import re
from collections.abc import Iterator

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import (
    association,
    calibration_files,
    calibrations,
    clocks,
    detections,
    recordings,
)
from keras_mvlift.geometry import lenses

DEFAULT_FRAME_RATE = 60.0
FOLDERS = ("calibration", "pose", "calib-2d", "pose-2d")
"""Of the layout, today and in 2023."""


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
        frame_rate: Frames per second; checked against the reference's, if there is one. 0 for
            that of `Config.toml`, or 60.
        skeleton: The detections' joint set, by its name in `skeletons`; empty for the one that
            has as many joints, of 25 `body_25b`.
        max_score: What scores are divided by, where they are not in [0, 1].
        reference: The reference's path below `root`; empty for none.
        calibration: A Pose2Sim TOML to use instead of the folder's, such as one that
            `keras-mvlift calibrate --refine` wrote: its path, from `root` if not absolute.
        tells_apart: Whether people are told apart across views, by the calibration. If not, each
            image's surest person is read: what the calibration itself is to be checked against.
    """

    root: str
    name: str = "recording"
    subject: str = "person"
    action: str = "action"
    frame_rate: float = 0.0
    skeleton: str = ""
    max_score: float = 1.0
    reference: str = ""
    calibration: str = ""
    tells_apart: bool = True

    def clips(self) -> list[str]:
        """Returns the one clip's name."""
        return [self.name]

    def __iter__(self) -> Iterator[sequences.MultiViewSequence]:
        """Reads the one clip."""
        yield self.read(self.name)

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Reads the recording; a `RecordingError` if a file is missing or not as stated above."""
        calibration, skeleton = self.rig, skeletons.by_name(self.joint_set)
        views = self._streams(skeleton)
        num_frames = clocks.length([view.positions for view in views])
        clocks.check_length(self._folders[0].parent, num_frames)
        frame_rate = self.frame_rate or _configured_rate(pathlib.Path(self.root))
        found = association.surest(views, num_frames)
        if self.tells_apart:
            found = association.choose(views, num_frames, calibration, 1, frame_rate)
        keypoints_2d, raw_confidence = detections.side_by_side(
            views, found.person[0], skeleton.num_joints
        )
        detections.require_pixels(self._folders[0].parent, keypoints_2d, raw_confidence)
        detections.require_own(self._folders[0].parent, keypoints_2d, raw_confidence)
        # Here joints are made first and freed from distortion then. The other order, which
        # `RigSource` takes, moves joints that are means by a quarter of a pixel at most.
        converter = skeletons.Converter(skeleton.joints)
        confidence = converter.confidence(raw_confidence)
        bent = converter.keypoints(keypoints_2d)
        straight, confidence = lenses.undistort_detections(bent, confidence, *calibration.lens)
        pose_world = None
        if self.reference:
            path = pathlib.Path(self.root) / self.reference
            pose_world = recordings.read_reference(path, num_frames, frame_rate)
        return sequences.MultiViewSequence(
            name=clip,
            subject=self.subject,
            action=self.action,
            frame_rate=frame_rate,
            camera_names=calibration.names,
            camera=calibration.camera,
            keypoints_2d=straight,
            confidence=confidence,
            pose_world=pose_world,
            distortion=calibration.distortion,
            unsure_views=found.num_unsure,
            unfollowed_people=max(found.num_found - 1, 0),
        )

    @functools.cached_property
    def rig(self) -> calibrations.Calibration:
        """The cameras in the order of their folders, called like these; meters, z up."""
        root = pathlib.Path(self.root)
        path = root / self.calibration if self.calibration else calibration_file(root)
        is_toml = self.calibration or path.suffix == ".toml"
        calibration = calibration_files.read(path, "pose2sim" if is_toml else "qualisys")
        calibration_files.check_usable(path, calibration)
        names = tuple(each.name.removesuffix("_json") for each in self._folders)
        if set(names) == set(calibration.names):
            return calibration.select(names)
        if len(names) != len(calibration.names):
            rule = f"hold one folder per calibrated camera, {len(calibration.names)}"
            where, received = self._folders[0].parent, ", ".join(names)
            raise errors.RecordingError(where, "*_json", rule, received)
        return calibration._replace(names=names)

    @functools.cached_property
    def joint_set(self) -> str:
        """The name of the detections' joint set."""
        if self.skeleton:
            return self.skeleton
        crowd = (frame for folder in self._folders for frame in detections.openpose_frames(folder))
        person = next((frame.people[0] for frame in crowd if frame.people), ())
        count = len(person) // 3
        # Of the sets with 25 joints it is the one that Pose2Sim has always taken.
        known = {each.num_joints: name for name, each in skeletons.SKELETONS.items()}
        rule = f"be told, one of {', '.join(skeletons.SKELETONS)}"
        errors.require_in(self.root, count in known, "skeleton", rule, f"people of {count} joints")
        return known[count]

    @functools.cached_property
    def _folders(self) -> list[pathlib.Path]:
        # Numbers in the names count as numbers, so that cam10 follows cam9.
        def natural(path: pathlib.Path) -> list[tuple[int, str]]:
            parts = re.findall(r"(\d+)|(\D+)", path.name)
            return [(int(digits or 0), text) for digits, text in parts]

        pose = _folder(pathlib.Path(self.root), "pose", "pose-2d")
        found = sorted((path for path in pose.glob("*_json") if path.is_dir()), key=natural)
        errors.require_in(pose, found, "*_json", "hold one folder per camera", "none")
        return found

    def _streams(self, skeleton: skeletons.Skeleton) -> list[detections.Stream]:
        """Reads everybody whom the cameras saw, from the first frame of any on."""
        crowds = [
            detections.follow(detections.openpose_frames(folder), skeleton, self.max_score)
            for folder in self._folders
        ]
        for crowd, folder in zip(crowds, self._folders, strict=True):
            if not crowd.people[..., 2].any():
                rule = "be there in a frame"
                raise errors.RecordingError(folder, "people", rule, "nobody in any")
        first = int(min(crowd.numbers[0] for crowd in crowds))
        return [
            detections.Stream(crowd, (crowd.numbers - first).astype(np.float64)) for crowd in crowds
        ]


def calibration_file(root: pathlib.Path) -> pathlib.Path:
    """Finds the calibration of a recording, or else of its session, one or two folders above.

    Raises:
        RecordingError: If there is none, or several in a folder.
    """
    folder = _folder(root, FOLDERS[0], FOLDERS[2])
    found = _calibrations(root)
    received = ", ".join(path.name for path in found) or "no such file"
    rule = "match exactly one file, here or in a session's folder above"
    errors.require_in(folder, len(found) == 1, "*.qca.txt or Calib*.toml", rule, received)
    return found[0]


def session_files(root: pathlib.Path) -> list[pathlib.Path]:
    """Lists the calibrations and settings of a recording, in its folder or above."""
    settings = (folder / "Config.toml" for folder in _with_session(root))
    return [*_calibrations(root), *(path for path in settings if path.is_file())]


def _calibrations(root: pathlib.Path) -> list[pathlib.Path]:
    """Lists those of the nearest folder that has any."""
    own = _folder(root, FOLDERS[0], FOLDERS[2])
    # Pose2Sim, too, takes any folder of a session that is called so.
    above = (sorted(each.glob("*[Cc]alib*")) for each in _with_session(root)[1:])
    for folder in (own, *itertools.chain.from_iterable(above)):
        if found := sorted(folder.glob("*.qca.txt")) or sorted(folder.glob("Calib*.toml")):
            return found
    return []


def _with_session(root: pathlib.Path) -> list[pathlib.Path]:
    """Returns a trial's folder, and those that its participant or session may be."""
    return [root, *root.resolve().parents[:2]]


def _folder(root: pathlib.Path, *names: str) -> pathlib.Path:
    """Returns the first of the folders that is there; the first of all, if none is."""
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])


def _configured_rate(root: pathlib.Path) -> float:
    """Returns the frame rate of the nearest `Config.toml` that tells one; 60 without, or "auto"."""
    for path in (folder / "Config.toml" for folder in _with_session(root)):
        settings = calibration_files.read_tables(path) if path.is_file() else {}
        rate = settings.get("project", {}).get("frame_rate")
        if isinstance(rate, int | float) and rate > 0:
            is_rate = rate <= errors.MAX_FRAME_RATE
            errors.require_in(path, is_rate, "project/frame_rate", errors.FRAME_RATE_RULE, rate)
            return float(rate)
    return DEFAULT_FRAME_RATE
