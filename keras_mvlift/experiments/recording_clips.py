"""Recordings as clips, of which only the frames that are used stay in memory."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from keras_mvlift import configs, sources
from keras_mvlift.datasets import preparation, sequences


@dataclasses.dataclass(frozen=True)
class GivenFrames:
    """A split that names the frames of each clip.

    Attributes:
        by_clip: Name of a clip to its frames.
    """

    by_clip: Mapping[str, preparation.Frames]

    def frames(self, sequence: sequences.MultiViewSequence) -> preparation.Frames:
        """Gives the frames of a clip."""
        return self.by_clip[sequence.name]


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Clips that were read.

    Attributes:
        clips: The clips.
        frames: Name of a clip to which frames of it train and which test.
        numbers: Name of a clip to the number of each of its frames in the recording.
    """

    clips: list[sequences.MultiViewSequence]
    frames: dict[str, preparation.Frames]
    numbers: dict[str, np.ndarray]

    def joined(self, other: "Recordings") -> "Recordings":
        """Gives the other's frames to train on, and these to test on, under names of their own."""
        near, far = other._side("train", ""), self._side("test", "elsewhere_")
        return Recordings(
            near.clips + far.clips, near.frames | far.frames, near.numbers | far.numbers
        )

    def _side(self, side: str, prefix: str) -> "Recordings":
        none = np.arange(0)
        frames = {
            name: _frames(**({"train": none, "test": none} | {side: getattr(given, side)}))
            for name, given in self.frames.items()
        }
        return Recordings(
            [
                dataclasses.replace(clip, name=prefix + clip.name)
                for clip in self.clips
                if len(getattr(frames[clip.name], side))
            ],
            {prefix + name: given for name, given in frames.items()},
            {prefix + name: number for name, number in self.numbers.items()},
        )


def read(config: configs.DataConfig, data_root: str, *, is_whole: bool = False) -> Recordings:
    """Reads recordings, clip by clip.

    Args:
        config: Source, split and strides.
        data_root: What the source reads.
        is_whole: Whether the frames that the strides leave out are kept.

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
            given = _frames(np.searchsorted(number, train), np.searchsorted(number, test))
        clips.append(clip if is_whole else clip.frames(number))
        frames[clip.name], numbers[clip.name] = given, number
    return Recordings(clips, frames, numbers)


def _frames(train: np.ndarray, test: np.ndarray) -> preparation.Frames:
    return preparation.Frames(train, test, held_out=train[:0])
