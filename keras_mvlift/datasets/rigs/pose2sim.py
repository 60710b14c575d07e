"""Recordings laid out as Pose2Sim's: a calibration, detections per camera, maybe a reference.

<root>/calibration/Calib*.toml    Pose2Sim's calibration; or Qualisys's, *.qca.txt
<root>/pose/<camera>_json/*.json  OpenPose's detections, or such, one folder per camera
<root>/Config.toml                its settings, of which the frame rate is read; optional
<root>/opensim/<reference>.trc    3D reference, for evaluation only; optional

A trial of a session has its calibration one or two folders above, in any that has "calib" in its
name, and its settings beside that. Folders of 2023 are called calib-2d and pose-2d. Cameras are
those of the folders' names, as of `Calibration.called`, or else in the order of the folders.
"""

import dataclasses
import functools
import importlib.util
import itertools
import os
import pathlib
import re
from typing import Annotated

import numpy as np

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.datasets.rigs import (
    calibration_files,
    calibrations,
    detections,
    manifests,
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
class Pose2SimSource(recordings.RigSource):
    """One recording in Pose2Sim's layout, which stands for its manifest.

    Args:
        root: The recording's folder.
        calibration: A Pose2Sim TOML to use instead of the folder's, such as one that
            `keras-mvlift calibrate --refine` wrote: its path, from `root` if not absolute.
        skeleton: The detections' joint set, by its name in `skeletons`; empty for the one that
            has as many joints, of 25 `body_25b`.
        tells_apart: As of `RigSource`.
        name: The clip's name.
        subject: Who is seen.
        action: What they do.
        frame_rate: Frames per second; checked against the reference's, if there is one. 0 for
            that of `Config.toml`, or 60.
        max_score: What scores are divided by, where they are not in [0, 1].
        reference: The reference's path below `root`; empty for none.
    """

    name: str = "recording"
    subject: str = "person"
    action: str = "action"
    frame_rate: Annotated[float, lambda _, rate: rate == 0 or errors.frame_rate(rate)] = 0.0
    max_score: configs.Above0 = 1.0
    reference: str = ""

    def clips(self) -> list[str]:
        """Returns the one clip's name; what is broken is told where it is read."""
        return [self.name]

    def choices(self) -> list[str]:
        """Returns nothing: there is only one way to read the layout."""
        return []

    @functools.cached_property
    def manifest(self) -> manifests.Manifest:
        """What the layout stands for; its clip begins with the first frame of any camera."""
        root = pathlib.Path(self.root)
        file = os.fspath(self.calibration) or os.path.relpath(calibration_file(root), root)
        file_format = "pose2sim" if self.calibration or file.endswith(".toml") else "qualisys"
        calibration = manifests.CalibrationFile(file, file_format)
        found = manifests.DetectionFormat("openpose", self.skeleton, self.max_score)
        first = min(min(detections.numbered_files(folder).values()) for folder in self._folders)
        views = {
            _camera_name(folder): manifests.View(str(folder.relative_to(root)), first)
            for folder in self._folders
        }
        rate = self.frame_rate or _configured_rate(root)
        clip = manifests.Clip(
            *(self.name, self.subject, self.action, views),
            frame_rate=rate,
            reference=self.reference,
        )
        return manifests.Manifest(self._folders[0].parent, rate, calibration, found, (clip,))

    @functools.cached_property
    def rig(self) -> calibrations.Calibration:
        """The cameras in the order of their folders, called like these; meters, z up."""
        path, calibration = self._calibration()
        calibration_files.check_usable(path, calibration)
        names = tuple(map(_camera_name, self._folders))
        if set(names) == set(calibration.names):
            return calibration.select(names)
        where, received, count = self._folders[0].parent, ", ".join(names), len(calibration.names)
        rule = f"hold one folder per calibrated camera, {count}"
        errors.require_in(where, len(names) == count, "*_json", rule, received)
        # The order is believed where no name says otherwise.
        pairs = zip(names, calibration.names, strict=True)
        holds = all(name == own for name, own in pairs if name in calibration.names)
        rule = f"be called as the calibration's cameras, {', '.join(calibration.names)}"
        errors.require_in(where, holds, "*_json", rule, received)
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

    def _path(self, relative: str, field: str) -> pathlib.Path:
        # Whoever names the folder vouches for what is linked into it.
        return pathlib.Path(self.root) / relative

    def _stream(
        self, clip: manifests.Clip, name: str, seconds: np.ndarray | None, start: float
    ) -> detections.Stream:
        stream = super()._stream(clip, name, seconds, start)
        folder, is_seen = self._path(clip.views[name].path, "path"), stream.crowd.people[..., 2] > 0
        errors.require_in(folder, is_seen.any(), "people", "be there in a frame", "nobody in any")
        return stream

    def _joints(
        self, views: list[detections.Stream | None], chosen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        # Here joints are made first and freed from distortion then. The other order, which
        # `RigSource` takes, moves joints that are means by a quarter of a pixel at most.
        skeleton = skeletons.by_name(self.joint_set)
        bent, seen = detections.side_by_side(views, chosen, skeleton.num_joints)
        converter = skeletons.Converter(skeleton.joints)
        made = converter.keypoints(bent), converter.confidence(seen)
        return lenses.undistort_detections(*made, *self.rig.lens)


def _camera_name(folder: pathlib.Path) -> str:
    return folder.name.removesuffix("_json")


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
