"""Units other than meters, met where files are read and where metrics are reported."""

from typing import NamedTuple, TypeVar

import numpy as np

Number = TypeVar("Number", float, np.ndarray)


class Unit(NamedTuple):
    """A unit of length.

    Attributes:
        name: Its symbol.
        meters: How many meters it is long.
    """

    name: str
    meters: float

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
