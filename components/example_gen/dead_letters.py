"""Clips that could not be used: why, and how many a run may lose."""

import json
import textwrap
from typing import TypedDict

from keras_mvlift import errors

DEAD_LETTERS = "dead_letters.json"
"""The list, beside `dataset.json`; where too many were lost, beside the artifact's folder."""

NUM_TOLD = 5
"""Losses that an error tells of itself."""

# Characters of each of them.
_LENGTH_TOLD = 300


class UnusableError(ValueError):
    """A recording leaves too little to use."""


class Loss(TypedDict):
    """A lost clip.

    Attributes:
        clip: Its name in the source.
        file: The file, or what else the rule is about.
        field: The field in it that breaks the rule.
        reason: The rule and what came instead.
        message: The whole sentence.
    """

    clip: str
    file: str
    field: str
    reason: str
    message: str


def of(clip: str, error: errors.RecordingError) -> Loss:
    """Says of a clip why it was lost."""
    return Loss(
        clip=clip,
        file=str(error.path),
        field=error.field,
        reason=f"must {error.rule}. Received: {error.received}",
        message=str(error),
    )


def to_json(losses: list[Loss], num_clips: int) -> str:
    """Writes the list, sorted, with the counts."""
    counts = {"lost_clips": len(losses), "read_clips": num_clips - len(losses)}
    return json.dumps(counts | {"clips": losses}, indent=2, sort_keys=True)


def are_too_many(losses: list[Loss], num_clips: int, max_lost_share: float) -> bool:
    """Tells whether more than the allowed share of the clips was lost."""
    return len(losses) > max_lost_share * num_clips


def complaint(losses: list[Loss], num_clips: int, max_lost_share: float, listed: str) -> str:
    """Says that too many clips were lost, and why the first of them were.

    Args:
        losses: All of them.
        num_clips: Clips of the source.
        max_lost_share: The share that may be lost.
        listed: Where the whole list is.
    """
    told = [f"{loss['clip']}: {shortened(loss['message'])}" for loss in losses[:NUM_TOLD]]
    return sentence("clips", len(losses), num_clips, max_lost_share, told, listed)


def sentence(
    kind: str, num_lost: int, total: int, max_lost_share: float, told: list[str], listed: str
) -> str:
    """Says that too many were lost.

    Args:
        kind: What is counted, such as `"clips"`.
        num_lost: How many of them were lost.
        total: How many there are.
        max_lost_share: The share that may be lost.
        told: Why the first were.
        listed: Where all are.
    """
    return (
        f"`max_lost_share` lets a run lose {max_lost_share:.1%} of its {kind}. "
        f"Received: {num_lost} of {total} lost, {num_lost / total:.1%}; all are listed in "
        f"{listed}; the first: {' | '.join(told)}"
    )


def shortened(text: str) -> str:
    """Cuts what an error tells of one loss."""
    return textwrap.shorten(text, _LENGTH_TOLD, placeholder=" ...")
