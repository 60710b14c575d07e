"""What a rig's cameras saw, in the few frames that a check looks at, and what it finds."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets import sequences
from keras_mvlift.geometry import cameras

MIN_CONFIDENCE = 0.3
"""Detections below it count as not seen; our choice, that of the preparation."""

RUN_FRAMES = 500  # Frames taken from a clip in one piece, which the search for time offsets needs.

MAX_FRAMES = 2000
"""Frames looked at in all, unless told otherwise."""


class Views(NamedTuple):
    """Chosen views, one after the other, and who saw what."""

    camera: cameras.Camera  # Fields [P, ...].
    rays: np.ndarray  # [P, N, 2], at depth one.
    is_seen: np.ndarray  # [P, N].
    person_size: np.ndarray  # [P], at depth one.


# Compared by identity, so that what is computed of footage can be kept.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Footage:
    """Frames of one rig, in runs without gaps."""

    camera_names: tuple[str, ...]  # `V` names.
    camera: cameras.Camera  # NumPy arrays, fields [V, ...].
    keypoints_2d: np.ndarray  # [V, T, J, 2], pixels.
    confidence: np.ndarray  # [V, T, J], 0 where not seen or below `MIN_CONFIDENCE`.
    detector_confidence: np.ndarray  # [V, T, J], the same as the detector gave it.
    run: np.ndarray  # [T], the number of the run that a frame belongs to.
    frame: np.ndarray  # [T], its number in its clip.
    clips: tuple[str, ...]  # The clip of each run.
    frame_rate: float  # Frames per second.
    distortion: np.ndarray  # [V, 5], OpenCV's coefficients that the reader removed; zero for none.

    @property
    def num_views(self) -> int:
        """The number of cameras, `V`."""
        return len(self.camera_names)

    @property
    def num_frames(self) -> int:
        """The number of frames, `T`."""
        return len(self.run)

    @property
    def rays(self) -> np.ndarray:
        """The viewing rays of the keypoints, `[V, T, J, 2]`, at depth one."""
        return cameras.rays(self.keypoints_2d, self.camera.intrinsics[:, np.newaxis])

    @functools.cached_property
    def person_size(self) -> np.ndarray:
        """The person's size in each image, `[V]`, pixels: the diagonal of the joints' box."""
        diagonal = sequences.box_diagonals(self.keypoints_2d, self.confidence > 0)
        return np.array([np.median(view[view > 0]) if view.any() else 1.0 for view in diagonal])

    def views(self, camera: np.ndarray, image: np.ndarray | None = None) -> Views:
        """Takes views by number, `[P]`, with their own detections or those of other images."""
        image = camera if image is None else image
        chosen = cameras.Camera(*(field[camera] for field in self.camera))
        flat = self.keypoints_2d[image].reshape(len(image), -1, 2)
        return Views(
            chosen,
            cameras.rays(flat, chosen.intrinsics),
            self.confidence[image].reshape(len(image), -1) > 0,
            self.person_size[image] / chosen.intrinsics[:, 0, 0],
        )

    def named(self, is_in: np.ndarray) -> tuple[str, ...]:
        """Returns the names of the chosen cameras, `[V]` bool."""
        return tuple(np.array(self.camera_names)[is_in].tolist())

    def listed(self, is_in: np.ndarray) -> str:
        """Writes the names of the chosen cameras, `[V]` bool, as part of a sentence."""
        return listed(self.named(is_in), self.camera_names)

    def replace_camera(self, **fields: np.ndarray) -> "Footage":
        """Returns the footage with other intrinsics, rotations or centers."""
        return dataclasses.replace(self, camera=self.camera._replace(**fields))

    def replace_images(self, keypoints_2d: np.ndarray, confidence: np.ndarray) -> "Footage":
        """Returns the footage with other detections."""
        return dataclasses.replace(self, keypoints_2d=keypoints_2d, confidence=confidence)

    def mixed(self, other: "Footage", chosen: np.ndarray) -> "Footage":
        """Takes the chosen cameras, `[V]` bool, and what they saw, from other footage."""

        def pick(mine: np.ndarray, others: np.ndarray) -> np.ndarray:
            return np.where(chosen.reshape(-1, *(1,) * (mine.ndim - 1)), others, mine)

        return dataclasses.replace(
            self,
            camera=cameras.Camera(*map(pick, self.camera, other.camera)),
            keypoints_2d=pick(self.keypoints_2d, other.keypoints_2d),
            confidence=pick(self.confidence, other.confidence),
        )

    def shifted(self, offsets: np.ndarray) -> "Footage":
        """Moves each camera's frames ahead by its offset; what leaves its run is not seen.

        Frame t of camera v becomes its frame t + offsets[v], of `[V]` or frame by frame `[V, T]`.
        """
        offsets = np.asarray(offsets).reshape(self.num_views, -1)
        index = np.arange(self.num_frames) + offsets
        inside = (index >= 0) & (index < self.num_frames)
        index = np.clip(index, 0, self.num_frames - 1)
        inside &= self.run[index] == self.run
        views = np.arange(self.num_views)[:, np.newaxis]
        confidence = np.where(inside[..., np.newaxis], self.confidence[views, index], 0.0)
        keypoints_2d = self.keypoints_2d[views, index]
        return dataclasses.replace(self, keypoints_2d=keypoints_2d, confidence=confidence)

    def reordered(self, order: Sequence[int]) -> "Footage":
        """Returns what view `order[v]` saw to camera v."""
        index = list(order)
        return dataclasses.replace(
            self,
            keypoints_2d=self.keypoints_2d[index],
            confidence=self.confidence[index],
            detector_confidence=self.detector_confidence[index],
        )

    def without(self, left_out: np.ndarray) -> "Footage":
        """Takes no notice of the views `[V, T]` that are left out."""
        confidence = np.where(left_out[..., np.newaxis], 0.0, self.confidence)
        return dataclasses.replace(self, confidence=confidence)

    def thinned(self, max_frames: int) -> "Footage":
        """Takes no more than so many frames, evenly spread."""
        return self.frames(sequences.spread(self.num_frames, max_frames))

    def frames(self, index: np.ndarray) -> "Footage":
        """Takes frames by number."""
        return dataclasses.replace(
            self,
            keypoints_2d=self.keypoints_2d[:, index],
            confidence=self.confidence[:, index],
            detector_confidence=self.detector_confidence[:, index],
            run=self.run[index],
            frame=self.frame[index],
        )


def of_sequences(
    clips: Sequence[sequences.MultiViewSequence], max_frames: int = MAX_FRAMES
) -> Footage:
    """Takes runs of frames from clips of one rig, evenly spread, always the same ones.

    Whole runs are taken until there are `max_frames`.
    """
    first, length = clips[0], min(RUN_FRAMES, max_frames)
    # Of each clip the whole runs; a short clip is one run.
    runs = [
        (clip, start)
        for clip in clips
        for start in range(0, max(clip.num_frames - length, 0) + 1, length)
    ]
    typical = np.mean([min(clip.num_frames, length) for clip, _ in runs])
    chosen = sequences.spread(len(runs), max(1, int(max_frames // typical)))
    starts = [runs[index][1] for index in chosen]
    pieces = [clip.frames(slice(at, at + length)) for clip, at in (runs[i] for i in chosen)]
    numbers = [at + np.arange(each.num_frames) for at, each in zip(starts, pieces, strict=True)]
    confidence = np.concatenate([piece.confidence for piece in pieces], axis=1)
    distortion = first.distortion
    return Footage(
        camera_names=first.camera_names,
        camera=first.camera,
        keypoints_2d=np.concatenate([piece.keypoints_2d for piece in pieces], axis=1),
        confidence=np.where(confidence >= MIN_CONFIDENCE, confidence, 0.0),
        detector_confidence=confidence,
        run=np.repeat(np.arange(len(pieces)), [len(each) for each in numbers]),
        frame=np.concatenate(numbers),
        clips=tuple(piece.name for piece in pieces),
        frame_rate=first.frame_rate,
        distortion=np.zeros((first.num_views, 5)) if distortion is None else distortion,
    )


def rigs(clips: Sequence[sequences.MultiViewSequence]) -> list[list[sequences.MultiViewSequence]]:
    """Sorts clips by the rig that filmed them: same names, same calibration, same frame rate."""
    groups: dict[tuple[object, ...], list[sequences.MultiViewSequence]] = {}
    for clip in clips:
        calibration = b"".join(np.ascontiguousarray(field).tobytes() for field in clip.camera)
        groups.setdefault((clip.camera_names, clip.frame_rate, calibration), []).append(clip)
    return list(groups.values())


# What a check found, in plain words and figures.


ERROR, WARNING = "error", "warning"
"""An error must be mended before training; with a warning one may train, less well."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is off."""

    name: str  # The cause by name, such as `"rotation_transposed"`; docs/check_rig.md lists them.
    severity: str = WARNING  # `ERROR` or `WARNING`.
    cameras: tuple[str, ...]  # Names of the cameras that have it.
    sentence: str  # What is wrong, with the figures.
    remedy: str  # What to do about it.
    before: float  # The figure that gave it away.
    after: float | None = None  # The same once the cause is undone; None if nothing was undone.
    unit: str = ""  # Of both figures.
    # What else is known: `offsets` in frames and seconds by camera, `order`, `factor`.
    details: dict[str, object] = dataclasses.field(default_factory=dict)


def listed(names: tuple[str, ...], all_names: tuple[str, ...] = ()) -> str:
    """Writes cameras' names as part of a sentence."""
    if names == all_names:
        return "both cameras" if len(names) == 2 else f"all {len(names)} cameras"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
