"""AIST++: dancers before nine cameras, as the official download unpacks.

<root>/keypoints2d/<sequence>.pkl   detections of all cameras, COCO's joints, pixels
<root>/keypoints3d/<sequence>.pkl   the same joints in space, centimeters; some sequences have none
<root>/cameras/mapping.txt          the setting of the cameras of each sequence
<root>/cameras/<setting>.json       nine cameras, centimeters, y up
<root>/splits/pose_*.txt            sequences to train on, to hold out and to test on; optional
<root>/ignore_list.txt              sequences to leave out; optional

A sequence is named by genre, situation, camera, dancer, music and choreography, such as
`gBR_sBM_cAll_d04_mBR0_ch01`.
"""

import dataclasses
import functools
import itertools
import pathlib
import re

import numpy as np

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import calibration_files, calibrations
from keras_mvlift.geometry import cameras, epipolar, lenses
from keras_mvlift.untrusted import files, reading

FRAME_RATE = 60.0
CAMERAS = tuple(f"c{number:02d}" for number in range(1, 10))
IMAGE_SIZE = (1920, 1080)
UNIT = errors.CENTIMETERS
UP = "y"
"""The axis of the files' world that points up."""

GENRES = {
    "gJS": "street_jazz",
    "gBR": "break",
    "gJB": "ballet_jazz",
    "gPO": "pop",
    "gLO": "lock",
    "gLH": "la_hip_hop",
    "gHO": "house",
    "gMH": "middle_hip_hop",
    "gWA": "waack",
    "gKR": "krump",
}
"""A sequence's genre to its clip's action; each genre has the next three of `SUBJECTS`."""

SUBJECTS = tuple(f"d{number:02d}" for number in range(1, 31))
TEST_SUBJECTS = SUBJECTS[2::3]
"""The dancers on whom the data set's authors test: one of each genre."""

MAX_CONFIDENCE = 1.2
"""Confidences may exceed 1 so far, as peaks of heat maps do, and are cut to it."""

# A joint so sure is compared across cameras, and an ear or nose so sure stands for the head.
_SURE = 0.5
# Of the distances of a pair of cameras. Higher than the median, as a late camera is off only while
# the dancer moves.
_PERCENTILE = 75.0
_MAX_CHECKED_FRAMES = 200
_MIN_CORRESPONDENCES = 50
# A camera out of sync is also this many times as far off as the sequence's typical camera.
_LEAST_RATIO = 2.0
_HELD_OUT_EVERY = 10  # One in so many training clips is held out where there is no official list.

_NAME = re.compile(r"(g[A-Z]{2})_s[A-Z]{2}_cAll_(d\d{2})_m[A-Z]{2}\d_ch\d{2}")
_JOINTS = skeletons.COCO_17.joints
_EARS = [_JOINTS.index("left_ear"), _JOINTS.index("right_ear")]
_NOSE = _JOINTS.index("nose")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AISTPPSource(configs.Checked, sequences.Source):
    """AIST++'s sequences, one clip each.

    The files' conventions and the reader's choices are described in docs/aistpp.md. Reading raises
    a `RecordingError` if a file is missing, damaged, or says what cannot be, and listing if there
    are no sequences of the dancers asked for.

    Args:
        root: The folder.
        cameras: Those to use, of `CAMERAS`.
        subjects: Dancers whose sequences are read, such as `"d04"`; all, if empty.
        max_residual_px: How far a camera's joints may lie from the epipolar lines of the others',
            pixels; a camera beyond is out of sync, and left out of that clip. 0 leaves out none.

    Raises:
        ValueError: If an argument breaks its rule.
    """

    root: files.AnyPath
    cameras: tuple[str, ...] = CAMERAS
    subjects: tuple[str, ...] = ()
    max_residual_px: configs.Weight = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.require_some_of("cameras", self.cameras, CAMERAS)
        are_named = all(re.fullmatch(r"d\d{2}", subject) for subject in self.subjects)
        errors.require(are_named, "subjects", "name dancers such as d04", self.subjects)

    def clips(self) -> list[str]:
        """Returns the clips' names, sorted: all sequences but those on the ignore list."""
        return list(self._clips)

    def read(self, clip: str) -> sequences.MultiViewSequence:
        """Reads a sequence without cameras out of sync; a `ValueError` if there is no such."""
        errors.require(clip in self._clips, "clip", "be one of `clips()`", repr(clip))
        path = self._path("keypoints2d", clip)
        genre, subject = _parse(path, clip)
        rig = self._rig(clip)
        straight, confidence = lenses.undistort_detections(*_detections(path), *rig.lens)
        late = self._out_of_sync(straight, confidence, rig)
        used = [name for name in self.cameras if name not in late]
        received = f"{', '.join(late)} out of sync"
        errors.require_in(path, used, "cameras", "name one that is in sync", received)
        index = [CAMERAS.index(name) for name in used]
        keypoints_2d, confidence = to_h36m(straight[index], confidence[index])
        chosen = rig.select(used)
        return sequences.MultiViewSequence(
            name=clip,
            subject=subject,
            action=GENRES[genre],
            frame_rate=FRAME_RATE,
            camera_names=chosen.names,
            camera=chosen.camera,
            keypoints_2d=keypoints_2d,
            confidence=confidence,
            pose_world=_reference(self._path("keypoints3d", clip), keypoints_2d.shape[1]),
            distortion=chosen.distortion,
            out_of_sync=tuple(name for name in self.cameras if name in late),
        )

    def splits(self) -> dict[str, list[str]]:
        """Chooses who tests and what is held out, as arguments of `preparation.BySubject`.

        The official lists say so where they are there. Without, the dancers of `TEST_SUBJECTS`
        test, and one in ten of the others' clips is held out.

        Raises:
            RecordingError: If a list cannot be read, or a dancer is to train and to test.
        """
        folder = pathlib.Path(self.root) / "splits"
        paths = {kind: folder / f"pose_{kind}.txt" for kind in ("train", "val", "test")}
        lists = {kind: _names(path) for kind, path in paths.items() if path.is_file()}
        dancers = {kind: {_parse(paths[kind], name)[1] for name in lists[kind]} for kind in lists}
        tested = dancers.get("test", {*TEST_SUBJECTS})
        both = tested & (dancers.get("train", set()) | dancers.get("val", set()))
        rule, received = "name dancers that the other lists do not", ", ".join(sorted(both))
        errors.require_in(paths["test"], not both, "dancers", rule, received)
        others = [clip for clip in self._clips if _dancer(clip) not in tested]
        every_tenth = others[_HELD_OUT_EVERY // 2 :: _HELD_OUT_EVERY]
        held_out = sorted({*others} & {*lists["val"]}) if "val" in lists else every_tenth
        return {"test_subjects": sorted(tested), "held_out_clips": held_out}

    def choices(self) -> list[str]:
        """Says in sentences what was chosen, by the settings or by what the folder has."""
        without = [clip for clip in self._clips if not self._path("keypoints3d", clip).is_file()]
        limit = f"{self.max_residual_px:g} pixels from the others' epipolar lines"
        rule = f"beyond {limit}, and left out" if self.max_residual_px else "not looked for"
        return [
            f"Sequences: {len(self._clips)}, at {FRAME_RATE:g} frames per second; on the ignore "
            f"list: {', '.join(sorted(self._ignored)) or 'none'}.",
            f"Dancers: {', '.join(self.subjects) or 'all'}. Cameras: {', '.join(self.cameras)}.",
            f"Cameras out of sync: {rule}.",
            f"Poses: keypoints3d_optim, of nominal scale; sequences without: {len(without)}.",
        ]

    @functools.cached_property
    def _ignored(self) -> frozenset[str]:
        path = pathlib.Path(self.root) / "ignore_list.txt"
        return frozenset(_names(path)) if path.is_file() else frozenset()

    @functools.cached_property
    def _clips(self) -> dict[str, None]:
        folder = pathlib.Path(self.root) / "keypoints2d"
        names = sorted(path.stem for path in folder.glob("*.pkl"))
        asked = [name for name in names if not self.subjects or _dancer(name) in self.subjects]
        clips = {name: None for name in asked if name not in self._ignored}
        rule = f"hold sequences of {', '.join(self.subjects) or 'dancers'}, such as gBR_...pkl"
        received = f"{len(names)} files, {len(asked)} of them asked for"
        errors.require_in(folder, clips, "keypoints2d", rule, received)
        return clips

    @functools.cached_property
    def _settings(self) -> dict[str, str]:
        path = self._mapping
        lines = files.read_text(path, "file").splitlines()
        rows = [line.split() for line in lines]
        for number, (row, line) in enumerate(zip(rows, lines, strict=True), 1):
            rule = "hold a sequence and its setting"
            errors.require_in(path, len(row) in (0, 2), f"line {number}", rule, repr(line))
        return dict(row for row in rows if row)

    @property
    def _mapping(self) -> pathlib.Path:
        return pathlib.Path(self.root) / "cameras" / "mapping.txt"

    def _path(self, folder: str, clip: str) -> pathlib.Path:
        return pathlib.Path(self.root) / folder / f"{clip}.pkl"

    def _rig(self, clip: str) -> calibrations.Calibration:
        errors.require_in(self._mapping, clip in self._settings, clip, "have a line", "none")
        setting = f"{self._settings[clip]}.json"
        return read_cameras(files.inside(self._mapping.parent, setting, self._mapping, clip))

    def _out_of_sync(
        self, keypoints_2d: np.ndarray, confidence: np.ndarray, rig: calibrations.Calibration
    ) -> list[str]:
        if not self.max_residual_px:
            return []
        residual = epipolar_residuals(keypoints_2d, confidence, rig.camera)
        known = residual[np.isfinite(residual)]
        typical = float(np.median(known)) if len(known) else 0.0
        least = max(self.max_residual_px, _LEAST_RATIO * typical)
        return [CAMERAS[index] for index in np.flatnonzero(residual > least)]


def read_cameras(path: pathlib.Path) -> calibrations.Calibration:
    """Reads a setting of the cameras of `CAMERAS`, in this order: meters, z up.

    Raises:
        RecordingError: If the file is no list of these cameras.
    """
    content = files.read_json(path, "cameras")
    kind, is_list = type(content).__name__, isinstance(content, list)
    errors.require_in(path, is_list, "cameras", "be a list of cameras", kind)
    entries = [
        calibration_files.from_table(path, str(index), entry) for index, entry in enumerate(content)
    ]
    rig = calibrations.build(path, entries, UNIT)
    for name in CAMERAS:
        is_there = name in rig.names
        errors.require_in(path, is_there, "name", f"name a camera {name}", list(rig.names))
    rule = "be there for every camera"
    errors.require_in(path, rig.has_extrinsics, "rotation", rule, "not for all")
    rig = rig.select(CAMERAS)
    return rig._replace(camera=calibrations.turn_camera(rig.camera, UP))


def to_h36m(keypoints_2d: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turns COCO's joints, `[..., 17, 2]`, pixels, and confidence `[..., 17]`, into `H36M_17`'s.

    The head is the ears' middle. Where the camera is sure of one ear alone, that ear is the head,
    and where it is sure of neither but of the nose, the nose; each with its own confidence. Both
    are 0 where not seen.
    """
    is_sure = confidence >= _SURE
    index = np.broadcast_to(np.arange(len(_JOINTS)), confidence.shape).copy()
    for ear, other in (_EARS, _EARS[::-1]):
        known = [ear, other, _NOSE]
        index[..., ear] = np.select([is_sure[..., joint] for joint in known], known, ear)
    keypoints_2d = np.take_along_axis(keypoints_2d, index[..., np.newaxis], axis=-2)
    confidence = np.take_along_axis(confidence, index, axis=-1)
    converter = skeletons.Converter(_JOINTS)
    confidence = converter.confidence(confidence)
    is_seen = confidence[..., np.newaxis] > 0
    return np.where(is_seen, converter.keypoints(keypoints_2d), 0.0), confidence


def epipolar_residuals(
    keypoints_2d: np.ndarray, confidence: np.ndarray, camera: cameras.Camera
) -> np.ndarray:
    """Measures how far each camera's joints lie from the epipolar lines of the others'.

    Of keypoints `[V, T, K, 2]`, pixels, without lens distortion, and cameras, fields `[V, ...]`, it
    is for each pair of cameras the upper quartile of the symmetric distances of the joints that
    both are sure of, and for each camera the median over its pairs, which one other camera that is
    off cannot change: `[V]`, pixels; NaN for a camera with too little in common with every other.
    """
    num_views, num_frames = confidence.shape[:2]
    frame = sequences.spread(num_frames, _MAX_CHECKED_FRAMES)
    points = keypoints_2d[:, frame].reshape(num_views, -1, 2)
    is_sure = confidence[:, frame].reshape(num_views, -1) >= _SURE
    pairs = np.full((num_views, num_views), np.nan)
    for source, target in itertools.combinations(range(num_views), 2):
        both = is_sure[source] & is_sure[target]
        if np.count_nonzero(both) >= _MIN_CORRESPONDENCES:
            both_cameras = (
                cameras.Camera(*(field[view] for field in camera)) for view in (source, target)
            )
            matrix = epipolar.fundamental_from_cameras(*both_cameras)
            seen = points[source, both], points[target, both]
            distance = epipolar.symmetric_distance(matrix, *seen)
            pairs[source, target] = pairs[target, source] = np.percentile(distance, _PERCENTILE)
    return np.array([np.nan if np.isnan(row).all() else np.nanmedian(row) for row in pairs])


def _names(path: pathlib.Path) -> list[str]:
    return files.read_text(path, "file").split()


def _parse(path: pathlib.Path, name: str) -> tuple[str, str]:
    found = _NAME.fullmatch(name)
    genre, dancer = found.groups() if found else ("", "")
    rule = f"be like gBR_sBM_cAll_d04_mBR0_ch01, of a genre of {', '.join(GENRES)}"
    errors.require_in(path, genre in GENRES, "sequence", rule, repr(name))
    return genre, dancer


def _dancer(name: str) -> str:
    """Returns the dancer of a sequence; empty if the name is not one's."""
    found = _NAME.fullmatch(name)
    return found[2] if found else ""


def _detections(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads what the cameras saw: `[9, T, 17, 2]`, the video's pixels, and confidence; 0 if not."""
    seen = _array(path, "keypoints2d", (len(CAMERAS), None, len(_JOINTS), 3))
    keypoints_2d, confidence = seen[..., :2], seen[..., 2]
    is_seen = np.isfinite(seen).all(axis=-1) & (confidence > 0)
    errors.require_in(path, is_seen.any(), "keypoints2d", "show somebody", "nobody in any frame")
    most, rule = confidence[is_seen].max(), f"hold confidences of at most {MAX_CONFIDENCE}"
    errors.require_in(path, most <= MAX_CONFIDENCE, "keypoints2d", rule, f"{most:.6g}")
    middle = np.median(keypoints_2d[is_seen], axis=0)
    spread = np.ptp(keypoints_2d[is_seen], axis=0).max()
    are_pixels = ((middle > 1) & (middle < IMAGE_SIZE)).all() and spread < 10 * max(IMAGE_SIZE)
    rule = f"be in pixels of images of {IMAGE_SIZE[0]} x {IMAGE_SIZE[1]}"
    received = f"joints around {middle.round(3).tolist()}, {spread:.6g} apart"
    errors.require_in(path, are_pixels, "keypoints2d", rule, received)
    return (
        np.where(is_seen[..., np.newaxis], keypoints_2d, 0.0),
        np.where(is_seen, np.minimum(confidence, 1.0), 0.0),
    )


def _reference(path: pathlib.Path, num_frames: int) -> np.ndarray | None:
    """Reads the poses, `[T, 17, 3]`, meters, z up, NaN in frames with a hole; None without file."""
    if not path.is_file():
        return None
    field = "keypoints3d_optim"
    points = UNIT.to_meters(_array(path, field, (num_frames, len(_JOINTS), 3)))
    pose = skeletons.Converter(_JOINTS).keypoints(calibrations.turn_points(points, UP))
    is_whole = np.isfinite(points).all(axis=(1, 2))
    sequences.require_human_size(path, field, pose[is_whole], UNIT.name)
    return np.where(is_whole[:, np.newaxis, np.newaxis], pose, np.nan)


def _array(path: pathlib.Path, field: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Reads an array of a pickle in double precision; None in `shape` stands for any length."""
    content = reading.pickled(path)
    is_dict = isinstance(content, dict)
    received = ", ".join(map(str, content)) if is_dict else type(content)
    errors.require_in(path, is_dict and field in content, field, "be in the file", received)
    values = files.checked_array(path, field, content[field], shape)
    errors.require_in(path, not np.isinf(values).any(), field, "be finite or NaN", "infinity")
    return values
