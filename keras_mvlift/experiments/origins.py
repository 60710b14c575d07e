"""The data at hand: made-up people, recorded motions, or recordings by real cameras."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import configs, errors, sources
from keras_mvlift.datasets import preparation, sequences
from keras_mvlift.experiments import variants
from keras_mvlift.studio import actions, synthetic

# The studio's clips have so many times the frames where those between are wanted.
_STUDIO_STEP = 5


class NotApplicableError(ValueError):
    """A variant asks for what these data cannot give, such as other cameras than there were."""


@dataclasses.dataclass(frozen=True)
class Clips:
    """Training and test clips, which of their frames are which, and strides and thresholds."""

    clips: Sequence[sequences.MultiViewSequence]
    split: preparation.Split
    config: configs.DataConfig
    # By clip the frames' numbers in the recording, where frames were left out.
    numbers: Mapping[str, np.ndarray] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudioOrigin:
    """People made up by rule; the last `num_test_subjects` are tested on.

    Each person has a clip of `num_frames` of each action, at `frame_rate` per second.
    """

    num_subjects: int = 12
    num_test_subjects: int = 2
    num_frames: int = 60
    frame_rate: float = 10.0
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        """Says what the data are, as JSON; equal data are described alike."""
        return _about_filming("studio", self)

    def load(self, settings: variants.DataSettings) -> Clips:
        """Films the people."""
        step = _STUDIO_STEP if settings.has_frames_between else 1
        train, test = (
            synthetic.Studio(
                num_subjects=self.num_subjects,
                num_frames=step * self.num_frames,
                frame_rate=step * self.frame_rate,
                seed=self.seed,
                **dataclasses.asdict(filming),
            )
            for filming in _filmings(settings)
        )
        names = train.clips()
        subjects = sorted({name.split("_")[0] for name in names})
        test_subjects = tuple(subjects[-self.num_test_subjects :])
        clips = [
            (test if name.split("_")[0] in test_subjects else train).read(name) for name in names
        ]
        return _made_up(clips, test_subjects, step, step)


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
        return _about_filming("motions", self) | {"paths": files}

    def load(self, settings: variants.DataSettings) -> Clips:
        """Films the motions."""
        found = read_motions(self.paths)
        test_subjects = pseudo_test_subjects(found)
        limits = (self.max_train_frames, self.max_test_frames)
        clips: list[sequences.MultiViewSequence] = []
        strides = []
        for is_test, filming, limit in zip((False, True), _filmings(settings), limits, strict=True):
            group = [clip for clip in found if (clip.subject in test_subjects) == is_test]
            # Every so-many-eth frame, for at most so many; 0 for all.
            total = sum(len(motion.positions) for motion in group)
            stride = max(-(-total // limit), 1) if limit else 1
            step = 1 if settings.has_frames_between else stride
            strides.append(stride // step)
            studio = synthetic.Studio(seed=self.seed, **dataclasses.asdict(filming))
            clips += [
                synthetic.from_motion(
                    studio,
                    motion.name,
                    motion.subject,
                    motion.positions[::step],
                    sequences.seeded_generator(self.seed, "clip", motion.name),
                    action=motion.action,
                    frame_rate=self.frame_rate / step,
                )
                for motion in group
            ]
        return _made_up(clips, test_subjects, *strides)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingOrigin:
    """Recordings of real cameras, and maybe those of others, for cells tested elsewhere."""

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
        """Reads the clips; a NotApplicableError if the cell wants them filmed in another way."""
        if settings.filming or (settings.test_filming and not self.test_config):
            raise NotApplicableError("Recordings cannot be filmed again.")
        if not settings.has_frames_between:
            return joined(self._near, self._far) if settings.test_filming else self._near
        if settings.test_filming:
            raise NotApplicableError("Two recordings have strides of their own.")
        return read_recordings(self.config, self.data_root, is_whole=True)

    @functools.cached_property
    def _near(self) -> Clips:
        return read_recordings(self.config, self.data_root)

    @functools.cached_property
    def _far(self) -> Clips:
        return read_recordings(self.test_config or self.config, self.test_data_root)


def _described(config: configs.DataConfig, data_root: str) -> dict[str, Any]:
    # What is wrong with the folder, or with the choice of its files, is said when clips are listed.
    names = sources.open_source(config, data_root).clips()
    about = json.loads(config.to_json())
    return {**about, "files": sources.fingerprint(data_root), "num_clips": len(names)}


Origin = StudioOrigin | MotionOrigin | RecordingOrigin


def _about_filming(source: str, origin: Origin) -> dict[str, Any]:
    filming = dataclasses.asdict(variants.Filming())
    return {"source": source, **dataclasses.asdict(origin), "filming": filming}


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


# Where names tell of one person only, clips are dealt out to so many bodies.
NUM_PSEUDO_SUBJECTS = 8
# One of so many people is tested on.
_TEST_EVERY = 4
ANY_ACTION = "any"


class Motion(NamedTuple):
    """A motion and who moves.

    `action` is `ANY_ACTION` where the name does not tell; positions are `[T, J, 3]`, meters, z up.
    """

    name: str
    subject: str
    action: str
    positions: np.ndarray


def read_motions(paths: Sequence[str]) -> list[Motion]:
    """Reads all motions of some files.

    A name such as `35_walk_02` is of subject 35, who walks; `35_02` does not tell the action.

    Raises:
        RecordingError: If a file does not hold motions.
        ValueError: If two files name a clip alike.
    """
    places = [(name, path) for path in paths for name in actions.names(path)]
    names = [name for name, _ in places]
    twice = sorted({name for name in names if names.count(name) > 1})
    errors.require(not twice, "paths", "name each clip once", f"twice {twice[:5]}")
    firsts = {name.split("_")[0] for name in names}

    def dealt(name: str) -> int:
        return sequences.seeded_generator(0, "subject", name).integers(NUM_PSEUDO_SUBJECTS)

    return [
        Motion(
            name,
            name.split("_")[0] if len(firsts) > 1 else f"P{dealt(name) + 1:02d}",
            "_".join(name.split("_")[1:-1]) or ANY_ACTION,
            actions.read(path, name),
        )
        for name, path in places
    ]


def pseudo_test_subjects(motions: Sequence[Motion]) -> tuple[str, ...]:
    """Returns the people to test on: every fourth, the last one included; there must be two."""
    subjects = sorted({motion.subject for motion in motions})
    errors.require(len(subjects) >= 2, "motions", "be of two subjects or more", subjects)
    return tuple(sorted(subjects[::-1][::_TEST_EVERY]))


@dataclasses.dataclass(frozen=True)
class GivenFrames:
    """A split that names the frames of each clip."""

    by_clip: Mapping[str, preparation.Frames]

    def frames(self, sequence: sequences.MultiViewSequence) -> preparation.Frames:
        """Returns the frames of a clip."""
        return self.by_clip[sequence.name]


def read_recordings(config: configs.DataConfig, data_root: str, *, is_whole: bool = False) -> Clips:
    """Reads recordings, clip by clip; `is_whole` keeps the frames that the strides leave out.

    Raises:
        ValueError: If the config names no source or split that there is.
        RecordingError: If a clip cannot be read.
    """
    split = sources.open_split(config)
    clips, frames, numbers = [], {}, {}
    for clip in sources.open_source(config, data_root):
        given = split.frames(clip)
        number = np.arange(clip.num_frames)
        if not is_whole:
            train = given.train[given.train % config.stride == 0]
            test = given.test[given.test % config.test_stride == 0]
            number = np.union1d(train, test).astype(int)
            given = preparation.Frames(
                np.searchsorted(number, train), np.searchsorted(number, test), train[:0]
            )
        clips.append(clip if is_whole else clip.frames(number))
        frames[clip.name], numbers[clip.name] = given, number
    if not is_whole:
        config = dataclasses.replace(config, stride=1, test_stride=1)
    return Clips(clips, GivenFrames(frames), config, numbers)  # type: ignore[arg-type]


def joined(trained: Clips, tested: Clips) -> Clips:
    """Returns the ones' training frames and the others' test frames, whose names begin anew."""
    clips, frames, numbers = [], {}, {}
    for side, prefix, found in (("train", "", trained), ("test", "elsewhere_", tested)):
        for clip in found.clips:
            chosen = getattr(found.split.frames(clip), side)
            if len(chosen):
                name, none = prefix + clip.name, chosen[:0]
                clips.append(dataclasses.replace(clip, name=name))
                frames[name] = preparation.Frames(none, none, none)._replace(**{side: chosen})
                numbers[name] = (found.numbers or {})[clip.name]
    split: Any = GivenFrames(frames)
    return Clips(clips, split, trained.config, numbers)
