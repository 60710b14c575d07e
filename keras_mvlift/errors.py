"""What is refused and how it is said: arguments, files of recordings, units."""

import contextlib
import csv
import difflib
import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt


class InputWarning(UserWarning):
    """What somebody brought is taken, but is hardly what was meant."""


def visible(text: str) -> str:
    """Returns a text in which characters that a terminal would obey are spelled out."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


# Complex numbers, times and texts, which NumPy would turn into some number.
_NO_NUMBERS = "cmMSU"


class _RuleError(ValueError):
    """A rule that is broken, in one sentence."""

    field: str
    rule: str
    received: object

    def __init__(self, start: str, *parts: object):
        *_, field, rule, received = self._parts = parts
        end = "" if str(received).endswith("?") else "."
        super().__init__(visible(f"{start}`{field}` must {rule}. Received: {received}{end}"))
        self.field, self.rule, self.received = str(field), str(rule), received

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Rebuilds the error from its parts, so that it crosses process borders."""
        return type(self), self._parts


class ArgumentError(_RuleError):
    """An argument breaks a rule.

    Args:
        field: The argument, or the field of it.
        rule: What it must be or do.
        received: What came instead.
    """

    def __init__(self, field: str, rule: str, received: object):
        super().__init__("", field, rule, received)


class RecordingError(_RuleError):
    """A file of a recording breaks a rule; the one error that readers raise.

    Args:
        path: The file or folder.
        field: The field in it that breaks the rule.
        rule: What the field must be or do.
        received: What came instead.
    """

    def __init__(self, path: object, field: str, rule: str, received: object):
        super().__init__(f"{path}: ", path, field, rule, received)
        self.path = path


def numbers(field: str, value: Any, dtype: npt.DTypeLike) -> np.ndarray:
    """Turns what a user gave into an array, of any shape.

    Raises:
        ArgumentError: If it holds anything but real numbers, masked ones among them, or lists of
            different lengths.
    """
    rule = "be an array of numbers"
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        masked = np.ma.getmaskarray(value)
        received = f"{masked.sum()} of {masked.size} masked, {first(masked)}"
        raise ArgumentError(field, f"{rule}; fill what is masked, say with NaN", received)
    try:
        array = np.asarray(value)
        if value is not None and array.dtype.kind not in _NO_NUMBERS:
            # What does not fit is infinite, and found where it may not be.
            with np.errstate(over="ignore"):
                return array.astype(dtype, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(field, rule, str(error).rstrip(".")) from error
    received = "nothing" if value is None else f"an array of {array.dtype}"
    if value is not None and array.size:
        received += f", {array.flat[0].item()!r} first"
    raise ArgumentError(field, rule, received)


def first(is_wrong: np.ndarray) -> str:
    """Says where the first of the wrong values is, of which there is one."""
    return f"the first at {np.argwhere(is_wrong)[0].tolist()}"


def number(field: str, value: Any) -> float:
    """Returns what a user gave as a number; raises an `ArgumentError` if it is none."""
    try:
        return float(numbers(field, value, np.float64))
    except (ArgumentError, TypeError) as error:
        given = value.tolist() if isinstance(value, np.ndarray) else value
        raise ArgumentError(field, "be a number", repr(given)) from error


def whole_number(field: str, value: Any, least: int, most: int) -> int:
    """Returns what a user gave as a whole number in a range, or raises an `ArgumentError`."""
    given = number(field, value)
    holds = least <= given <= most and not given % 1
    require(holds, field, f"be a whole number from {least} to {most}", f"{given:g}")
    return int(given)


MAX_FRAME_RATE = 1000
FRAME_RATE_RULE = f"be above 0 and at most {MAX_FRAME_RATE} per second"
"""Of cameras that people are filmed by."""


def frame_rate(value: Any) -> float:
    """Turns what a user gave into frames per second, or raises an `ArgumentError`."""
    rate = number("frame_rate", value)
    require(0 < rate <= MAX_FRAME_RATE, "frame_rate", FRAME_RATE_RULE, f"{rate:g}")
    return rate


def require(holds: bool, field: str, rule: str, received: object) -> None:
    """Raises an `ArgumentError` unless an argument keeps a rule."""
    if not holds:
        raise ArgumentError(field, rule, received)


def require_in(path: object, holds: object, field: str, rule: str, received: object) -> None:
    """Raises a `RecordingError` unless a field of a file keeps a rule."""
    if not holds:
        raise RecordingError(path, field, rule, received)


def require_some_of(field: str, chosen: Collection[str], known: Collection[str]) -> None:
    """Raises an `ArgumentError` unless names are chosen, each once, of those that are known."""
    holds = {*chosen} <= {*known} and 0 < len(chosen) == len({*chosen})
    require(holds, field, f"name some of {', '.join(known)}, each once", chosen)


def require_type(field: str, value: Any, kind: type, rule: str) -> None:
    """Raises an `ArgumentError` unless a value is of a type."""
    require(isinstance(value, kind), field, rule, type(value).__name__)


def require_known(field: str, name: str, known: Iterable[str]) -> None:
    """Raises an `ArgumentError`, which tells the nearest name, unless a name is known."""
    names = tuple(known)
    if name not in names:
        received = f"{name!r}{nearest(name, names)}"
        raise ArgumentError(field, f"be one of {', '.join(names)}", received)


def nearest(name: object, known: Iterable[str]) -> str:
    """Returns `"; did you mean ...?"`, or nothing where no name that is known is near."""
    lower = {str(each).lower(): each for each in known}
    found = difflib.get_close_matches(str(name).lower(), lower, n=1)
    return f"; did you mean {lower[found[0]]}?" if found else ""


@contextlib.contextmanager
def told_by(path: object, fields: Collection[str]) -> Iterator[None]:
    """Names the file in what is refused of fields that it told: a `RecordingError` then."""
    try:
        yield
    except ArgumentError as error:
        if error.field not in fields:
            raise
        raise RecordingError(path, error.field, error.rule, error.received) from error


@contextlib.contextmanager
def parsing(path: object, field: str, rule: str) -> Iterator[None]:
    """Turns whatever a parser raises into a `RecordingError` about the file it was given.

    Parsers of other people's formats fail in every way there is when bytes are damaged. Only the
    call of the parser belongs inside.

    Args:
        path: The file that is parsed.
        field: The part of it that is parsed.
        rule: What that part must be.

    Raises:
        RecordingError: In place of any error raised inside; of an `ArgumentError` it keeps field,
            rule and what came.
    """
    try:
        yield
    except RecordingError:
        raise
    except ArgumentError as error:
        raise RecordingError(path, error.field, error.rule, error.received) from error
    except Exception as error:
        raise RecordingError(path, field, rule, met(error)) from error


# What Python, NumPy and decoders of JSON, YAML and TOML say, in words of the file.
_WORDS = (
    (r"could not convert string to float: (.*)", r"\1"),
    (r"setting an array element with a sequence.*|.*inhomogeneous.*", "lists of other lengths"),
    (r".*have the same shape.*", "lists of other lengths"),
    (r"cannot reshape array of size (\d+) .*", r"\1 numbers"),
    (r".*not enough values to unpack.*|zip\(\) argument.*", "too few"),
    (r"too many values to unpack.*", "too many"),
    (r"(\d+ scores for .*)", r"\1"),
    (r".* unexpected keyword argument ('.*')", r"\1, which it does not have"),
    (r".* missing \d+ required .*?: ('.*)", r"no \1"),
    (r"unexpected end of data", "a quote that is not closed"),
    # A value of another type than the file's.
    (r".*object (is not|has no|of type|cannot be).*", "something else there"),
    (r".*(unhashable|indices must be|argument must be|not iterable).*", "something else there"),
    (r"Expecting property name.*|Illegal trail.*", "no name in double quotes or a comma too many"),
    (r"Expecting value|Invalid value", "no value or text without quotes"),
    (r"Expect(?:ing|ed) '(.)'.*", r"no `\1`"),
    (r"Cannot (overwrite|declare|mutate).*", "a name twice"),
    (r"Extra data|Expected newline.*", "something behind the end"),
    (r"(Unterminated string|found unexpected end of stream).*", "a quote that is not closed"),
    (r"Invalid control character.*", "a line that ends within quotes"),
    (r"Invalid \\.*", "a backslash that stands for nothing"),
    (r"expected ',' or '(.)'.*", r"no `,` or `\1`"),
    (r"expected <block end>.*", "an indent unlike that of the lines above"),
    (r"could not find expected ':'", "a name without `:`"),
    (r"mapping values are not allowed.*", "a `:` too many or an indent"),
    (r"found character '\\t'.*", "a tab in place of spaces"),
    (r"found character ('.*') that cannot.*", r"\1 outside of quotes"),
    (r"(?:expected|did not find expected) .*", "something else there"),
)
_TOML_PLACE = re.compile(r"(?P<said>.*) \(at (the )?(?P<place>.*)\)")


_PLAIN = (ValueError, TypeError, AttributeError, csv.Error)


def met(error: Exception) -> str:
    """Says what a parser met."""
    if isinstance(error, json.JSONDecodeError):
        return f"{_worded(error.msg)} in line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"other bytes, the first after {error.start}"
    if isinstance(error, RecursionError):
        return "too many levels"
    if said := getattr(error, "strerror", None):
        # The system's, and FFmpeg's.
        return str(said)
    if (mark := getattr(error, "problem_mark", None)) is not None:
        # YAML's, which shows the lines around it, too.
        return f"{_worded(getattr(error, 'problem', ''))} in line {mark.line + 1}"
    if isinstance(error, KeyError) and error.args:
        return f"no `{error.args[0]}`"
    if isinstance(error, IndexError):
        return "too few lines or values"
    text = " ".join(str(error).split()).rstrip(".")
    if type(error).__name__ == "TOMLDecodeError" and (found := _TOML_PLACE.fullmatch(text)):
        return f"{_worded(found['said'])} in {found['place']}".replace("in end", "at the end")
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return _worded(text, named) if type(error) in _PLAIN else named


def _worded(said: str, otherwise: str = "") -> str:
    for pattern, words in _WORDS:
        if re.fullmatch(pattern, said):
            return re.sub(pattern, words, said, count=1)
    return otherwise or said


# Units other than meters, met where files are read and where metrics are reported.

Number = TypeVar("Number", float, np.ndarray)


class Unit(NamedTuple):
    """A unit of length."""

    name: str  # Its symbol.
    meters: float  # How many meters it is long.

    def to_meters(self, value: Number) -> Number:
        """Converts a length in this unit, a number or an array, to meters."""
        return value * self.meters

    def from_meters(self, value: Number) -> Number:
        """Converts a length in meters, a number or an array, to this unit."""
        return value / self.meters


METERS = Unit("m", 1.0)
CENTIMETERS = Unit("cm", 1e-2)
MILLIMETERS = Unit("mm", 1e-3)

UNITS = {unit.name: unit for unit in (METERS, CENTIMETERS, MILLIMETERS)}
