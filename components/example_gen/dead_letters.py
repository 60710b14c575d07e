"""Clips that could not be used: why, and how many a run may lose."""

import json
import textwrap
from typing import TypedDict

from keras_mvlift.datasets import errors

DEAD_LETTERS = "dead_letters.json"
"""The list, beside `dataset.json`; where too many were lost, beside the artifact's folder."""

# Losses that an error tells of itself, and characters of each.
_NUM_TOLD, _LENGTH_TOLD = 5, 300


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
    told = [
        f"{loss['clip']}: {textwrap.shorten(loss['message'], _LENGTH_TOLD, placeholder=' ...')}"
        for loss in losses[:_NUM_TOLD]
    ]
    share = len(losses) / num_clips
    return (
        f"`max_lost_share` lets a run lose {max_lost_share:.1%} of its clips. "
        f"Received: {len(losses)} of {num_clips} lost, {share:.1%}; all are listed in {listed}; "
        f"the first: {' | '.join(told)}"
    )
