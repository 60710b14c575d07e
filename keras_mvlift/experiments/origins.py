"""The data at hand: made-up people, recorded motions, or recordings by real cameras."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any, Protocol

from keras_mvlift import configs
from keras_mvlift.datasets import sequences, sources, splits, synthetic
from keras_mvlift.experiments import motion_clips, variants


class NotApplicableError(ValueError):
    """A variant asks for what these data cannot give, such as other cameras than there were."""


@dataclasses.dataclass(frozen=True)
class Clips:
    """What an origin gives.

    Attributes:
        clips: Training and test clips.
        split: Tells which frames of them train and which test.
        config: Strides and thresholds.
    """

    clips: Sequence[sequences.MultiViewSequence]
    split: splits.Split
    config: configs.DataConfig


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
        train, test = _filmings(settings)
        names = self._studio(train).clips()
        subjects = sorted({name.split("_")[0] for name in names})
        test_subjects = tuple(subjects[-self.num_test_subjects :])
        clips = [
            self._studio(test if name.split("_")[0] in test_subjects else train).read(name)
            for name in names
        ]
        return _made_up(clips, test_subjects)

    def _studio(self, filming: variants.Filming) -> synthetic.Studio:
        return synthetic.Studio(
            num_subjects=self.num_subjects,
            num_frames=self.num_frames,
            frame_rate=self.frame_rate,
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
        for is_test, filming in filmings.items():
            group = [clip for clip in found if (clip.subject in test_subjects) == is_test]
            stride = motion_clips.stride(group, limits[is_test])
            studio = motion_clips.studio(dataclasses.asdict(filming), self.seed)
            clips += [motion_clips.film(clip, studio, stride, self.frame_rate) for clip in group]
        return _made_up(clips, test_subjects)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingOrigin:
    """Recordings of real cameras.

    Attributes:
        config: Source, split, strides.
        data_root: What the source reads.
    """

    config: configs.DataConfig
    data_root: str

    def describe(self) -> dict[str, Any]:
        """Says what the data are."""
        about = json.loads(self.config.to_json())
        return {**about, "files": sources.fingerprint(self.data_root)}

    def load(self, settings: variants.DataSettings) -> Clips:
        """Reads the clips.

        Raises:
            NotApplicableError: If the cell wants them filmed in another way.
        """
        if settings.filming or settings.test_filming:
            raise NotApplicableError("Recordings cannot be filmed again.")
        clips = list(sources.open_source(self.config, self.data_root))
        return Clips(clips, sources.open_split(self.config), self.config)


def _filmings(settings: variants.DataSettings) -> tuple[variants.Filming, variants.Filming]:
    train = settings.filming or variants.Filming()
    return train, settings.test_filming or train


def _made_up(clips: Sequence[sequences.MultiViewSequence], test_subjects: tuple[str, ...]) -> Clips:
    config = configs.DataConfig(source="studio")
    return Clips(clips, splits.BySubject(test_subjects=test_subjects), config)
