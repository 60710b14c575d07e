"""Which frames train and which test, so that neighbours do not leak."""

import dataclasses
from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets import errors, sequences


class Frames(NamedTuple):
    """Frame indices of one clip.

    Attributes:
        train: `[T_train]`, for training.
        test: `[T_test]`, single views for evaluation.
        held_out: `[T_held_out]`, pairs for the loss on what is not trained on; mostly the same as
            `test`.
    """

    train: np.ndarray
    test: np.ndarray
    held_out: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class BySubject:
    """Tests on people never seen in training.

    Args:
        test_subjects: The people to test on.
        held_out_clips: Clips that neither train nor test, for the loss on what is not trained on.
            Without any, the test clips are held out.
    """

    test_subjects: tuple[str, ...]
    held_out_clips: tuple[str, ...] = ()

    def frames(self, sequence: sequences.MultiViewSequence) -> Frames:
        """Gives a clip whole to the side of its subject."""
        every, none = np.arange(sequence.num_frames), np.arange(0)
        if sequence.name in self.held_out_clips:
            return Frames(train=none, test=none, held_out=every)
        frames = _whole(sequence, sequence.subject in self.test_subjects)
        return frames._replace(held_out=none) if self.held_out_clips else frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByClip:
    """Tests on clips never seen in training, of people who may have been."""

    test_clips: tuple[str, ...]

    def frames(self, sequence: sequences.MultiViewSequence) -> Frames:
        """Gives a clip whole to its side."""
        return _whole(sequence, sequence.name in self.test_clips)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByBlocks:
    """Tests on whole blocks of frames of each clip, each in the middle of its share of the clip.

    Args:
        num_blocks: Blocks per clip.
        block_length: Frames per block.
        gap: Frames between a block and the nearest training frame, used by neither.

    Raises:
        ValueError: If a number is negative, or there is no block.
    """

    num_blocks: int = 2
    block_length: int = 10
    gap: int = 5

    def __post_init__(self) -> None:
        if self.num_blocks < 1 or self.block_length < 1 or self.gap < 0:
            raise ValueError(
                "`num_blocks` and `block_length` must be at least 1 and `gap` at least 0. "
                f"Received: {self}."
            )

    def frames(self, sequence: sequences.MultiViewSequence) -> Frames:
        """Splits the frames of a clip.

        Raises:
            RecordingError: If the clip is too short to leave a training frame between the blocks.
        """
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
        test = np.flatnonzero(is_test.any(axis=0))
        return Frames(train=np.flatnonzero(~is_near.any(axis=0)), test=test, held_out=test)


SPLITS = {"subject": BySubject, "clip": ByClip, "blocks": ByBlocks}
Split = BySubject | ByClip | ByBlocks


def _whole(sequence: sequences.MultiViewSequence, is_test: bool) -> Frames:
    every, none = np.arange(sequence.num_frames), np.arange(0)
    train, test = (none, every) if is_test else (every, none)
    return Frames(train, test, held_out=test)
