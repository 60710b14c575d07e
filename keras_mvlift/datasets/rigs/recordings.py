"""Recordings of anyone's own rig, described by a manifest."""

import dataclasses
import functools
import pathlib
import warnings
from typing import Annotated

import numpy as np

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import association, calibrations, clocks, manifests, trc
from keras_mvlift.datasets.rigs import calibration_files as calibration_formats
from keras_mvlift.datasets.rigs import detections as detection_formats
from keras_mvlift.geometry import lenses
from keras_mvlift.untrusted import files, reading

# What the cameras saw of a clip, its length, and who is who in it.
_Film = tuple[list[detection_formats.Stream | None], int, association.Association]


def _known_set(field: str, name: str) -> None:
    errors.require_known(field, name or skeletons.H36M_17.name, skeletons.SKELETONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RigSource(configs.Checked, sequences.Source):
    """The clips of a manifest.

    Reading and listing raise a `RecordingError` if the manifest, the calibration or one of the
    clip's files is broken, or it is not known where the cameras stand.

    Args:
        root: The manifest, or the folder that holds it as `rig.yaml`.
        calibration: A calibration in Pose2Sim's TOML, meters and z up, that stands in for the
            manifest's, as `keras-mvlift calibrate` writes it; a path from the manifest's folder.
        skeleton: The name of a joint set that stands in for the manifest's.
        tells_apart: Whether people are told apart across views, by the calibration. If not, each
            image's surest person is read of clips of one: what the calibration itself is to be
            checked against.

    Example:
        >>> source = RigSource(root="lab")
        >>> source.clips(), source.test_clips()
        (['anna_yoga', 'ben_yoga'], ['ben_yoga'])
    """

    root: files.AnyPath
    calibration: files.AnyPath = ""
    skeleton: Annotated[str, _known_set] = ""
    tells_apart: bool = True

    def clips(self) -> list[str]:
        """Returns the clips' names, in the manifest's order; one of each person, as `ball_2`."""
        self._check_rig()
        return [name for clip in self.manifest.clips for name in clip.names]

    def test_clips(self) -> list[str]:
        """Returns the names of the clips that the manifest keeps for testing."""
        return [name for clip in self.manifest.clips if clip.test for name in clip.names]

    def choices(self) -> list[str]:
        """Says how the recordings are read, a line each."""
        described, detections = self.manifest.calibration, self.manifest.detections.format
        calibration = f"{described.file} ({described.format}, {described.up} up)"
        return [
            f"cameras: {', '.join(self.rig.names)}",
            f"calibration: {self.calibration or calibration}",
            f"detections: {detections}, {self.joint_set}",
            f"test clips: {', '.join(self.test_clips()) or 'none'}",
        ]

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Reads a clip, looking at no other's files; a `ValueError` if there is no such."""
        self._check_rig()
        entry = self._clip(clip)
        views, num_frames, found = self._people(entry)
        number = entry.names.index(clip)
        where, rule = f"{self.manifest.path}: clip {entry.name!r}", "be seen by two cameras"
        received = f"{found.num_found}, where `people` is {entry.people}"
        errors.require_in(where, (found.person[number] >= 0).any(), "people", rule, received)
        keypoints_2d, confidence = self._joints(views, found.person[number])
        is_alone = entry.people == 1
        return sequences.MultiViewSequence(
            name=clip,
            subject=entry.subject if is_alone else f"{entry.subject}_{number + 1}",
            action=entry.action,
            frame_rate=entry.frame_rate,
            camera_names=self.rig.names,
            camera=self.rig.camera,
            keypoints_2d=keypoints_2d,
            confidence=confidence,
            pose_world=self._reference(entry, num_frames),
            distortion=self.rig.distortion,
            absent=tuple(name for name in self.rig.names if name not in entry.views),
            # Of the clip, not of the person: told once.
            unsure_views=0 if number else found.num_unsure,
            unfollowed_people=0 if number else max(found.num_found - entry.people, 0),
        )

    def detections(self, clip: str) -> tuple[np.ndarray, np.ndarray]:
        """Reads who is most surely seen in each image; where the cameras stand need not be known.

        Returns:
            Keypoints `[V, T, 17, 2]`, pixels, without lens distortion, and confidence `[V, T, 17]`;
            both are 0 where a joint was not seen.
        """
        views, num_frames = self._views(self._clip(clip))
        return self._joints(views, detection_formats.most_surely_seen(views, num_frames))

    def _views(self, entry: manifests.Clip) -> tuple[list[detection_formats.Stream | None], int]:
        """Reads what the cameras saw of a clip, and how many frames it has."""
        views = self._streams(entry)
        positions = [view.positions for view in views if view is not None]
        num_frames = entry.num_frames or clocks.length(positions)
        where = f"{self.manifest.path}: clip {entry.name!r}"
        clocks.check_length(where, num_frames)
        skeleton = skeletons.by_name(self.joint_set)
        shape = (len(views), num_frames, skeleton.num_joints, 2)
        told = sum(view.crowd.people[..., :2].size for view in views if view is not None)
        files.check_span(where, "frames", shape, told)
        chosen = detection_formats.most_surely_seen(views, num_frames)
        laid = detection_formats.side_by_side(views, chosen, skeleton.num_joints)
        errors.require_in(where, laid[1].any(), "people", "be there in a frame", "nobody in any")
        detection_formats.require_pixels(where, *laid)
        detection_formats.require_own(where, *laid)
        images = zip(self.rig.names, self.rig.image_sizes, *laid, strict=True)
        for name, (width, height), points, seen in images:
            size = (width, height)
            if all(size) and detection_formats.is_swapped(points, seen, size):
                fit = f"{where}: camera {name}: joints fit an image of {height:.0f} x {width:.0f}"
                fit += ", and the calibration's has these swapped: is it turned?"
                warnings.warn(fit, errors.InputWarning, stacklevel=2)
        return views, num_frames

    def _people(self, entry: manifests.Clip) -> _Film:
        """Tells people apart; once for all of a clip, who are read one after the other."""
        if entry.name not in self._last:
            self._last.clear()
            views, num_frames = self._views(entry)
            found = association.surest(views, num_frames)
            if self.tells_apart or entry.people > 1:
                people, rate = entry.people, entry.frame_rate
                found = association.choose(views, num_frames, self.rig, people, rate)
            self._last[entry.name] = views, num_frames, found
        film = self._last[entry.name]
        if entry.people == 1:
            self._last.clear()
        return film

    @functools.cached_property
    def _last(self) -> dict[str, _Film]:
        """The clip of several people that was read last, by its name."""
        return {}

    def _joints(
        self, views: list[detection_formats.Stream | None], chosen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        skeleton = skeletons.by_name(self.joint_set)
        bent, seen = detection_formats.side_by_side(views, chosen, skeleton.num_joints)
        straight, seen = lenses.undistort_detections(bent, seen, *self.rig.lens)
        converter = skeletons.Converter(skeleton.joints)
        confidence = converter.confidence(seen)
        is_seen = confidence[..., np.newaxis] > 0
        return np.where(is_seen, converter.keypoints(straight), 0.0), confidence

    @functools.cached_property
    def manifest(self) -> manifests.Manifest:
        """The manifest."""
        return manifests.read(pathlib.Path(self.root))

    @property
    def joint_set(self) -> str:
        """The name of the detections' joint set."""
        return self.skeleton or self.manifest.detections.skeleton

    @functools.cached_property
    def rig(self) -> calibrations.Calibration:
        """The cameras that are used, meters, z up; where they stand may be unknown."""
        _, calibration = self._calibration()
        names = self.manifest.cameras or calibration.names
        if not set(names) <= set(calibration.names):
            rule = f"name some of the calibration's: {', '.join(calibration.names)}"
            raise errors.RecordingError(self.manifest.path, "cameras", rule, ", ".join(names))
        return calibration.select(names)

    def _calibration(self) -> tuple[pathlib.Path, calibrations.Calibration]:
        """Reads the calibration that is chosen, or else the manifest's; returns its path, too.

        Its cameras are called as the manifest has them.
        """
        described = self.manifest.calibration
        told = described.format, described.unit, described.up
        if self.calibration:
            path, told = self.manifest.path.parent / self.calibration, ("pose2sim", "", "z")
        else:
            path = self._path(described.file, "calibration.file")
        views = (name for clip in self.manifest.clips for name in clip.views)
        names = dict.fromkeys([*self.manifest.cameras, *views])
        return path, calibration_formats.read(path, *told).called(path, names)

    def _check_rig(self) -> None:
        path = self.manifest.path.parent / (self.calibration or self.manifest.calibration.file)
        calibration_formats.check_usable(path, self.rig)

    def _clip(self, name: str) -> manifests.Clip:
        for entry in self.manifest.clips:
            if name in (entry.name, *entry.names):
                return entry
        raise ValueError(f"`clip` must be one of `clips()`. Received: clip={name!r}.")

    def _path(self, relative: str, field: str) -> pathlib.Path:
        return files.inside(self.manifest.path.parent, relative, self.manifest.path, field)

    def _streams(self, clip: manifests.Clip) -> list[detection_formats.Stream | None]:
        field = f"clips.{clip.name}.views"
        rule = f"name some of the cameras {', '.join(self.rig.names)}"
        for name in clip.views:
            errors.require_in(self.manifest.path, name in self.rig.names, field, rule, name)
        stamps = {}
        for name, view in clip.views.items():
            if view.timestamps:
                where = self._path(view.timestamps, f"{field}.{name}.timestamps")
                stamps[name] = clocks.read_times(where)
                clocks.check_rate(where, stamps[name], clip.frame_rate)
        start = self._start(clip, stamps) if stamps else 0.0
        return [
            self._stream(clip, name, stamps.get(name), start) if name in clip.views else None
            for name in self.rig.names
        ]

    def _stream(
        self, clip: manifests.Clip, name: str, seconds: np.ndarray | None, start: float
    ) -> detection_formats.Stream:
        view = clip.views[name]
        detections = self.manifest.detections
        path = self._path(view.path, f"clips.{clip.name}.views.{name}.path")
        skeleton = skeletons.by_name(self.joint_set)
        frames = detection_formats.READERS[detections.format](path)
        crowd = detection_formats.follow(frames, skeleton, detections.max_score)
        index = crowd.numbers - view.first_frame
        positions = index.astype(np.float64)
        if seconds is not None:
            positions = clocks.positions_by_time(index, seconds, start, clip.frame_rate)
        return detection_formats.Stream(crowd, positions)

    def _start(self, clip: manifests.Clip, stamps: dict[str, np.ndarray]) -> float:
        """Returns the time of the clip's frame 0: as told, or when the first camera started."""
        if clip.start is not None:
            return clip.start
        if len(stamps) < len(clip.views):
            rule = "be there, as only some of the clip's views have time stamps"
            field = f"clips.{clip.name}.start"
            raise errors.RecordingError(self.manifest.path, field, rule, "nothing")
        return float(min(seconds[0] for seconds in stamps.values()))

    def _reference(self, clip: manifests.Clip, num_frames: int) -> np.ndarray | None:
        if not clip.reference:
            return None
        path = self._path(clip.reference, f"clips.{clip.name}.reference")
        pose = read_reference(path, num_frames, clip.frame_rate)
        return calibrations.turn_points(pose, self.manifest.calibration.up)


# The 3D poses that some recordings come with; for evaluation only.


def read_reference(path: pathlib.Path, num_frames: int, frame_rate: float) -> np.ndarray:
    """Reads the reference, for evaluation only, of a clip of so many frames, and so many a second.

    It is OpenSim's `*.trc`, or `pose_world` `[T, 17, 3]`, meters, in an `.npz` file, which says
    nothing of the rate.

    Returns:
        `[T, 17, 3]`, meters, in the file's world (of a `*.trc`, turned z up); NaN where unknown.

    Raises:
        RecordingError: If the file is missing, or of other joints, frames or rate.
    """
    errors.require_in(path, path.is_file(), "reference", "be a file", "nothing there")
    if path.suffix == ".npz":
        content, shape = reading.npz(path, ("pose_world",)), (num_frames, 17, 3)
        pose = files.checked_array(path, "pose_world", content["pose_world"], shape)
        errors.require_in(
            path, not np.isinf(pose).any(), "pose_world", "be finite or NaN", "infinity"
        )
        return pose
    markers = trc.read(path)
    if len(markers.points) != num_frames or markers.frame_rate != frame_rate:
        rule = f"have {num_frames} frames at {frame_rate} Hz, as the detections"
        received = f"{len(markers.points)} at {markers.frame_rate} Hz"
        raise errors.RecordingError(path, "frames", rule, received)
    try:
        converter = skeletons.Converter(markers.names)
    except ValueError as error:
        rule = "allow to build the joints of h36m_17"
        raise errors.RecordingError(path, "markers", rule, ", ".join(markers.names)) from error
    return converter.keypoints(markers.points)
