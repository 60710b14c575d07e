"""What all configs share: they go to JSON and back, and say which rule a field breaks."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, TypeVar

Config = TypeVar("Config", bound="Json")


class Json:
    """A dataclass that goes to JSON and back."""

    def to_json(self) -> str:
        """Writes the fields, sorted, so that equal configs give equal text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls: type[Config], text: str) -> Config:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: If a field is unknown or breaks its rule.
        """
        values = json.loads(text)
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if unknown:
            raise ValueError(f"`{cls.__name__}` has no such fields. Received: {sorted(unknown)}.")
        return cls(**{name: _freeze(value) for name, value in values.items()})


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Holds a field to a list of names.

    Raises:
        ValueError: If it is none of them.
    """
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(allowed)}. Received: {value!r}.")


def at_least(name: str, value: float, least: float) -> None:
    """Holds a field to a lower bound.

    Raises:
        ValueError: If it is less, or not a number.
    """
    if not value >= least:
        raise ValueError(f"`{name}` must be at least {least}. Received: {value}.")


def filter_widths(name: str, widths: Sequence[int]) -> None:
    """Holds a field to what the convolutions of a temporal backbone can be.

    Raises:
        ValueError: If it is not two or more odd numbers, above 1 or all 1.
    """
    is_list = isinstance(widths, tuple | list)
    is_odd = is_list and all(isinstance(size, int) and size > 0 and size % 2 for size in widths)
    if not is_odd or len(widths) < 2 or (1 in widths and max(widths) > 1):
        received = tuple(widths) if is_list else widths
        rule = "two or more odd numbers, above 1 or all 1"
        raise ValueError(f"`{name}` must be {rule}. Received: {received}.")


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
