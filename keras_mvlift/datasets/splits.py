"""Which frames train, which test and which choose, so that neighbours do not leak."""

import dataclasses
from typing import NamedTuple

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets import sequences


class Frames(NamedTuple):
    """Frame indices of one clip, none of them in two parts.

    Attributes:
        train: `[T_train]`, for training.
        test: `[T_test]`, single views for evaluation.
        held_out: `[T_held_out]`, for what chooses: early stopping, tuning and the calibration of
            uncertainty; empty where the split holds nothing out.
    """

    train: np.ndarray
    test: np.ndarray
    held_out: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class _HoldingOut:
    """What all splits have in common: a part of its own for what chooses.

    Args:
        held_out_clips: Clips that neither train nor test.
        held_out_share: The share of each training clip that is held out, at its end. A clip too
            short to leave a frame to train on trains whole.
        gap: Frames between parts of a clip, used by none.

    Raises:
        ValueError: If the share does not lie in [0, 1), or the gap is negative.
    """

    held_out_clips: tuple[str, ...] = ()
    held_out_share: float = 0.0
    gap: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.held_out_share < 1 or self.gap < 0:
            raise ValueError(
                "`held_out_share` must lie in [0, 1) and `gap` be at least 0. "
                f"Received: {self.held_out_share} and {self.gap}."
            )

    @property
    def holds_out(self) -> bool:
        """Whether anything is held out."""
        return bool(self.held_out_clips or self.held_out_share)

    def _whole(self, sequence: sequences.MultiViewSequence, is_test: bool) -> Frames:
        """Gives a clip that is not held out to one side, but for the end of a training clip."""
        every, none = np.arange(sequence.num_frames), np.arange(0)
        if is_test:
            return Frames(none, every, none)
        return self._ended(sequence, Frames(every, none, none))

    def _held_out(self, sequence: sequences.MultiViewSequence) -> Frames:
        every, none = np.arange(sequence.num_frames), np.arange(0)
        return Frames(none, none, every)

    def _ended(self, sequence: sequences.MultiViewSequence, frames: Frames) -> Frames:
        """Holds out the end of what trains."""
        start = sequence.num_frames - int(np.ceil(self.held_out_share * sequence.num_frames))
        train = frames.train[frames.train < start - self.gap]
        held_out = frames.train[frames.train >= start]
        if not self.held_out_share or not len(train) or not len(held_out):
            return frames
        return Frames(train, frames.test, held_out)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BySubject(_HoldingOut):
    """Tests on people never seen in training.

    Args:
        test_subjects: The people to test on.
        held_out_subjects: People who neither train nor test.
        held_out_clips: Clips that neither train nor test.
        held_out_share: The share of each training clip that is held out, at its end.
        gap: Frames between parts of a clip, used by none.

    Raises:
        ValueError: If somebody is both to be tested on and held out.
    """

    test_subjects: tuple[str, ...]
    held_out_subjects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_apart("subjects", self.test_subjects, self.held_out_subjects)

    @property
    def holds_out(self) -> bool:
        """Whether anything is held out."""
        return bool(self.held_out_subjects) or super().holds_out

    def frames(self, sequence: sequences.MultiViewSequence) -> Frames:
        """Gives a clip whole to the part of its subject, but for the ends of training clips."""
        is_named = sequence.name in self.held_out_clips
        if is_named or sequence.subject in self.held_out_subjects:
            return self._held_out(sequence)
        return self._whole(sequence, sequence.subject in self.test_subjects)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByClip(_HoldingOut):
    """Tests on clips never seen in training, of people who may have been.

    Args:
        test_clips: The clips to test on.
        held_out_clips: Clips that neither train nor test.
        held_out_share: The share of each training clip that is held out, at its end.
        gap: Frames between parts of a clip, used by none.

    Raises:
        ValueError: If a clip is both to be tested on and held out.
    """

    test_clips: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_apart("clips", self.test_clips, self.held_out_clips)

    def frames(self, sequence: sequences.MultiViewSequence) -> Frames:
        """Gives a clip whole to its part, but for the ends of training clips."""
        if sequence.name in self.held_out_clips:
            return self._held_out(sequence)
        return self._whole(sequence, sequence.name in self.test_clips)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByBlocks(_HoldingOut):
    """Tests on whole blocks of frames of each clip, each in the middle of its share of the clip.

    Args:
        num_blocks: Blocks per clip.
        block_length: Frames per block.
        gap: Frames between a block and the nearest training frame, used by neither.
        held_out_clips: Clips that neither train nor test.
        held_out_share: The share of each clip that is held out, at its end.

    Raises:
        ValueError: If a number is negative, or there is no block.
    """

    num_blocks: int = 2
    block_length: int = 10

    def __post_init__(self) -> None:
        if self.num_blocks < 1 or self.block_length < 1 or self.gap < 0:
            raise ValueError(
                "`num_blocks` and `block_length` must be at least 1 and `gap` at least 0. "
                f"Received: {self}."
            )
        super().__post_init__()

    def frames(self, sequence: sequences.MultiViewSequence) -> Frames:
        """Splits the frames of a clip.

        Raises:
            RecordingError: If the clip is too short to leave a training frame between the blocks.
        """
        if sequence.name in self.held_out_clips:
            return self._held_out(sequence)
        share = sequence.num_frames / self.num_blocks
        if share <= self.block_length + 2 * self.gap:
            least = self.num_blocks * (self.block_length + 2 * self.gap)
            raise errors.RecordingError(
                f"Clip {sequence.name!r}",
                "frames",
                f"number more than {least} for {self}",
                sequence.num_frames,
            )
        starts = np.arange(self.num_blocks) * share + (share - self.block_length) / 2
        offset = np.arange(sequence.num_frames) - starts.astype(int)[:, np.newaxis]
        is_test = (offset >= 0) & (offset < self.block_length)
        is_near = (offset >= -self.gap) & (offset < self.block_length + self.gap)
        train, test = np.flatnonzero(~is_near.any(axis=0)), np.flatnonzero(is_test.any(axis=0))
        return self._ended(sequence, Frames(train, test, np.arange(0)))


SPLITS = {"subject": BySubject, "clip": ByClip, "blocks": ByBlocks}
Split = BySubject | ByClip | ByBlocks


def _require_apart(kind: str, tested: tuple[str, ...], held_out: tuple[str, ...]) -> None:
    if both := sorted({*tested} & {*held_out}):
        raise ValueError(
            f"`held_out_{kind}` must name none of `test_{kind}`. Received: {', '.join(both)}."
        )
