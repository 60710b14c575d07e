"""The names of Human3.6M's actions and takes, made one.

Every subject performs each of the 15 actions twice. The files name a take by its action, for one
of the two with a number behind it ("Directions", "Directions 1"), but not by a rule: numbers differ
between subjects, and so does the spelling of three actions.
"""

import re
from typing import NamedTuple

from keras_mvlift import errors

ACTIONS = (
    "Directions",
    "Discussion",
    "Eating",
    "Greeting",
    "Phoning",
    "Photo",
    "Posing",
    "Purchases",
    "Sitting",
    "SittingDown",
    "Smoking",
    "Waiting",
    "WalkDog",
    "WalkTogether",
    "Walking",
)
"""The 15 actions, as the field's archives spell them."""

_OTHER_SPELLINGS = {
    "TakingPhoto": "Photo",
    "WalkingDog": "WalkDog",
    "WalkingTogether": "WalkTogether",
}
_NAME = re.compile(r"([A-Za-z]+)(?: (\d+))?")


class Take(NamedTuple):
    """One take of an action.

    Attributes:
        action: One of `ACTIONS`.
        number: The number behind the action's name, as digits; empty if there is none.
    """

    action: str
    number: str

    @property
    def label(self) -> str:
        """The take's name with its action in the one spelling, such as `"Photo 1"`."""
        return f"{self.action} {self.number}".rstrip()


def parse(name: str, path: object) -> Take:
    """Reads a take's name, whatever its spelling.

    Args:
        name: The action's name, with or without a number.
        path: The file it comes from, for the error.

    Raises:
        RecordingError: If it names none of the 15 actions.
    """
    match = _NAME.fullmatch(name)
    action = _OTHER_SPELLINGS.get(match[1], match[1]) if match else None
    if match is None or action not in ACTIONS:
        rule = f"be one of {', '.join(ACTIONS)}, with or without a number"
        raise errors.RecordingError(path, "action", rule, repr(name))
    return Take(action, match[2] or "")


def label(name: str) -> str:
    """Gives a take's name in the one spelling; of an unknown action, the name as it is."""
    try:
        return parse(name, "").label
    except errors.RecordingError:
        return name


def clip(subject: str, name: str) -> str:
    """Gives the name of a subject's take as a clip, such as `"S1_Photo_1"`.

    Unknown actions get a name too, so that the clip is listed and its reading says what is wrong.
    """
    return re.sub(r"[^A-Za-z0-9]+", "_", f"{subject} {label(name)}")


def order(name: str) -> tuple[str, int, str]:
    """Gives the key by which a subject's takes are sorted: the action, then the number."""
    first, _, last = label(name).partition(" ")
    return first, int(last) if last.isdecimal() else 0, last
