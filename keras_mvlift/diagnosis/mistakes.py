"""Mistakes that a camera's calibration or images can have, each with what undoes it.

A mistake is tried by undoing it: if the cameras then agree, it was there. Undoing works on all
cameras at once; which of them had the mistake is found by mixing (`suspects`).
"""

from collections.abc import Callable
from typing import NamedTuple

from keras_mvlift.diagnosis import footage as footages

Undo = Callable[[footages.Footage], footages.Footage]


class Mistake(NamedTuple):
    """A mistake by name.

    Attributes:
        name: As reports and tests call it.
        cause: What was done wrong, a clause.
        remedy: What to do about it, a sentence.
        undo: Corrects all cameras.
    """

    name: str
    cause: str
    remedy: str
    undo: Undo
