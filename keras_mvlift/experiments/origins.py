"""The data at hand: made-up people, recorded motions, or recordings by real cameras."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from keras_mvlift import configs, sources
from keras_mvlift.datasets import preparation, sequences
from keras_mvlift.experiments import motion_clips, recording_clips, variants
from keras_mvlift.studio import synthetic

# The studio's clips have so many times the frames where those between are wanted.
_STUDIO_STEP = 5


class NotApplicableError(ValueError):
    """A variant asks for what these data cannot give, such as other cameras than there were."""


@dataclasses.dataclass(frozen=True)
class Clips:
    """What an origin gives.

    Attributes:
        clips: Training and test clips.
        split: Tells which frames of them train and which test.
        config: Strides and thresholds.
        numbers: Name of a clip to its frames' numbers in the recording, where frames were left
            out; None where frames are counted as they are.
    """

    clips: Sequence[sequences.MultiViewSequence]
    split: preparation.Split
    config: configs.DataConfig
    numbers: Mapping[str, np.ndarray] | None = None


class Origin(Protocol):
    """Gives clips, as a variant wants them."""

    def describe(self) -> dict[str, Any]:
        """Says what the data are, as JSON; equal data are described alike."""

    def load(self, settings: variants.DataSettings) -> Clips:
        """Makes or reads the clips.

        Raises:
            NotApplicableError: If these data cannot be had that way.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudioOrigin:
    """People made up by rule; the last ones are tested on.

    Attributes:
        num_subjects: People in all.
        num_test_subjects: Those of them that no cell trains on.
        num_frames: Per clip; each person has a clip of each action.
        frame_rate: Frames per second.
        seed: Of bodies, motions and detections.
    """

    num_subjects: int = 12
    num_test_subjects: int = 2
    num_frames: int = 60
    frame_rate: float = 10.0
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        """Says what the data are."""
        return {"source": "studio", **dataclasses.asdict(self)} | {
            "filming": dataclasses.asdict(variants.Filming())
        }

    def load(self, settings: variants.DataSettings) -> Clips:
        """Films the people."""
        step = _STUDIO_STEP if settings.has_frames_between else 1
        train, test = (self._studio(filming, step) for filming in _filmings(settings))
        names = train.clips()
        subjects = sorted({name.split("_")[0] for name in names})
        test_subjects = tuple(subjects[-self.num_test_subjects :])
        clips = [
            (test if name.split("_")[0] in test_subjects else train).read(name) for name in names
        ]
        return _made_up(clips, test_subjects, step, step)

    def _studio(self, filming: variants.Filming, step: int) -> synthetic.Studio:
        return synthetic.Studio(
            num_subjects=self.num_subjects,
            num_frames=step * self.num_frames,
            frame_rate=step * self.frame_rate,
            seed=self.seed,
            **dataclasses.asdict(filming),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MotionOrigin:
    """Recorded motions, filmed; each subject's on a body of their own.

    Attributes:
        paths: `.npz` files, as `motion_files` describes them.
        frame_rate: Frames per second of the motions.
        max_train_frames: Training frames in all; every so-many-eth is taken. 0 for all.
        max_test_frames: The same for the test people.
        seed: Of bodies, places in the room and detections.
    """

    paths: tuple[str, ...]
    frame_rate: float = 60.0
    max_train_frames: int = 0
    max_test_frames: int = 0
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        """Says what the data are; files are told apart by what they hold, not by their place."""
        files = [
            {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in map(pathlib.Path, self.paths)
        ]
        return {"source": "motions", **dataclasses.asdict(self), "paths": files} | {
            "filming": dataclasses.asdict(variants.Filming())
        }

    def load(self, settings: variants.DataSettings) -> Clips:
        """Films the motions."""
        found = motion_clips.read(self.paths)
        test_subjects = motion_clips.test_subjects(found)
        filmings = dict(zip((False, True), _filmings(settings), strict=True))
        limits = {False: self.max_train_frames, True: self.max_test_frames}
        clips: list[sequences.MultiViewSequence] = []
        strides = []
        for is_test, filming in filmings.items():
            group = [clip for clip in found if (clip.subject in test_subjects) == is_test]
            stride = motion_clips.stride(group, limits[is_test])
            step = 1 if settings.has_frames_between else stride
            strides.append(stride // step)
            studio = motion_clips.studio(dataclasses.asdict(filming), self.seed)
            clips += [motion_clips.film(clip, studio, step, self.frame_rate) for clip in group]
        return _made_up(clips, test_subjects, *strides)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingOrigin:
    """Recordings of real cameras.

    Attributes:
        config: Source, split, strides.
        data_root: What the source reads.
        test_config: Of other recordings, by other cameras, for the cells that are tested elsewhere;
            None for none.
        test_data_root: What their source reads.
    """

    config: configs.DataConfig
    data_root: str
    test_config: configs.DataConfig | None = None
    test_data_root: str = ""

    def describe(self) -> dict[str, Any]:
        """Says what the data are.

        Raises:
            ValueError: If the config names no source that there is.
            RecordingError: If the folder holds nothing that the source reads.
        """
        about = _described(self.config, self.data_root)
        if self.test_config:
            about["tested_elsewhere"] = _described(self.test_config, self.test_data_root)
        return about

    def load(self, settings: variants.DataSettings) -> Clips:
        """Reads the clips.

        Raises:
            NotApplicableError: If the cell wants them filmed in another way.
        """
        if settings.filming or (settings.test_filming and not self.test_config):
            raise NotApplicableError("Recordings cannot be filmed again.")
        if settings.has_frames_between:
            if settings.test_filming:
                raise NotApplicableError("Two recordings have strides of their own.")
            whole = recording_clips.read(self.config, self.data_root, is_whole=True)
            return _recorded(whole, self.config)
        found = self._far.joined(self._near) if settings.test_filming else self._near
        return _recorded(found, dataclasses.replace(self.config, stride=1, test_stride=1))

    @functools.cached_property
    def _near(self) -> recording_clips.Recordings:
        return recording_clips.read(self.config, self.data_root)

    @functools.cached_property
    def _far(self) -> recording_clips.Recordings:
        return recording_clips.read(self.test_config or self.config, self.test_data_root)


def _described(config: configs.DataConfig, data_root: str) -> dict[str, Any]:
    # What is wrong with the folder, or with the choice of its files, is said when clips are listed.
    names = sources.open_source(config, data_root).clips()
    about = json.loads(config.to_json())
    return {**about, "files": sources.fingerprint(data_root), "num_clips": len(names)}


def _recorded(found: recording_clips.Recordings, config: configs.DataConfig) -> Clips:
    split = recording_clips.GivenFrames(found.frames)
    return Clips(found.clips, split, config, found.numbers)  # type: ignore[arg-type]


def _filmings(settings: variants.DataSettings) -> tuple[variants.Filming, variants.Filming]:
    train = settings.filming or variants.Filming()
    return train, settings.test_filming or train


def _made_up(
    clips: Sequence[sequences.MultiViewSequence],
    test_subjects: tuple[str, ...],
    stride: int,
    test_stride: int,
) -> Clips:
    config = configs.DataConfig(source="studio", stride=stride, test_stride=test_stride)
    return Clips(clips, preparation.BySubject(test_subjects=test_subjects), config)
