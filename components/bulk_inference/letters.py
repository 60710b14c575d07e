"""Dead letters: the records and files that could not be lifted, and why."""

import json
from typing import TypedDict

from components.bulk_inference import view_rows
from components.example_gen import dead_letters

NUM_TOLD = dead_letters.NUM_TOLD
"""Losses that an error tells of itself."""


class Letter(TypedDict):
    """What was lost, and why.

    Attributes:
        file: The file.
        record: The record's number in it, from 0; None if the whole file is lost.
        field: The field that breaks a rule.
        reason: The rule and what came instead.
    """

    file: str
    record: int | None
    field: str
    reason: str


def of(path: str, record: int | None, refusal: view_rows.Refusal) -> Letter:
    """Says of a record, or of a file, why it was lost."""
    field, rule, received = refusal
    return Letter(
        file=path, record=record, field=field, reason=f"must {rule}. Received: {received}"
    )


def line(letter: Letter) -> str:
    """Writes a letter as a line of JSON."""
    return f"{json.dumps(letter, sort_keys=True)}\n"


def are_too_many(num_lost: int, total: int, max_lost_share: float) -> bool:
    """Tells whether more than the allowed share was lost."""
    return num_lost > max_lost_share * total


def complaint(
    kind: str, num_lost: int, total: int, max_lost_share: float, first: list[Letter], listed: str
) -> str:
    """Says that too much was lost, and why the first was.

    Args:
        kind: What is counted, such as `"records"`.
        num_lost: How many of them were lost.
        total: How many there are.
        max_lost_share: The share that may be lost.
        first: Letters of some.
        listed: Where all are.
    """
    told = [dead_letters.shortened(_sentence(letter)) for letter in first[:NUM_TOLD]]
    return dead_letters.sentence(kind, num_lost, total, max_lost_share, told, listed)


def _sentence(letter: Letter) -> str:
    record = "" if letter["record"] is None else f", record {letter['record']}"
    return f"{letter['file']}{record}: `{letter['field']}` {letter['reason']}."
