"""Which recording is the newest span, by TFX's `{SPAN}` and `{VERSION}` in a path."""

import pathlib
import re
from typing import NamedTuple

from keras_mvlift import errors

SPAN, VERSION = "span", "version"
"""Custom properties of an `Examples` artifact, of TFX's names."""

_SPEC = re.compile(r"\{(SPAN|VERSION)(?::(\d+))?\}")


class Span(NamedTuple):
    """A recording that has its number.

    Attributes:
        number: Of the span: the greater, the newer.
        version: Of the span's recordings, the greater of which stands for it; 0 where the path
            tells none.
        path: What the source reads.
    """

    number: int
    version: int
    path: str


def are_in(data_root: str) -> bool:
    """Tells whether a path stands for spans, such as `"films/{SPAN}"`."""
    return "{SPAN" in data_root


def newest(data_root: str) -> Span:
    """Finds the newest version of the newest span.

    Args:
        data_root: A path with `{SPAN}` and maybe `{VERSION}`; `{SPAN:5}` stands for 5 digits.

    Raises:
        RecordingError: If there is none, or the path holds the two in another way.
    """
    names = [match[1] for match in _SPEC.finditer(data_root)]
    if sorted(names) not in (["SPAN"], ["SPAN", "VERSION"]):
        rule = "hold {SPAN} once, and {VERSION} once at most"
        raise errors.RecordingError(data_root, "data_root", rule, ", ".join(names) or "neither")
    path = pathlib.Path(data_root)
    pattern = re.compile(_SPEC.sub(_digits, _escaped(path.as_posix())))
    anchor, parts = path.anchor or ".", path.relative_to(path.anchor).parts
    found = pathlib.Path(anchor).glob("/".join(_SPEC.sub("*", part) for part in parts))
    spans = [
        Span(int(match["SPAN"]), int(match.groupdict().get("VERSION", 0)), match[0])
        for match in (pattern.fullmatch(one.as_posix()) for one in found)
        if match
    ]
    if not spans:
        raise errors.RecordingError(data_root, "data_root", "match a span at least", "none")
    return max(spans)


def _escaped(path: str) -> str:
    """Escapes all but the places of numbers."""
    texts, last = [], 0
    for match in _SPEC.finditer(path):
        texts += [re.escape(path[last : match.start()]), match[0]]
        last = match.end()
    return "".join([*texts, re.escape(path[last:])])


def _digits(match: re.Match[str]) -> str:
    many = f"{{{match[2]}}}" if match[2] else "+"
    return rf"(?P<{match[1]}>\d{many})"
