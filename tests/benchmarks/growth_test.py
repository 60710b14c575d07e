"""Four times the work takes about four times the time."""

import pathlib

import pytest

from benchmarks import growing, growth, measured
from tests.benchmarks import quick_trials


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return quick_trials.figures(growth, tmp_path_factory.mktemp("figures"))


def test_a_unit_takes_no_longer_where_there_are_four_times_as_many(rows):
    assert [row["size"] for row in rows] == [17, 68] * 2
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert second["units"] == 4 * first["units"]
        # Idle it is 1, and 4 were it to grow with the square; other work on the machine blurs that.
        assert second["time_ratio"] < 3
        expected = second["us_per_unit"] / first["us_per_unit"]
        assert second["time_ratio"] == pytest.approx(expected)


def test_of_several_turns_the_best_counts(tmp_path):
    costs = iter([(9.0, 50), (4.0, 80), (1.0, 70), (8.0, 60)])

    def call(function, folder, size):
        assert (function, folder) == (growing.step, tmp_path)
        seconds, added = next(costs)
        return measured.Measured(growing.Done(size, seconds, 2 * size), seconds, 100, 100 + added)

    work = growth.Work("width", "step", "MFLOP", growing.step, (1, 2))
    first, second = growth.run((work,), pathlib.Path(tmp_path), 2, call)
    assert (first["us_per_unit"], second["us_per_unit"]) == (1e6, 2e6)
    assert (first["time_ratio"], second["time_ratio"]) == (1, 2)
    # 50 bytes for 2 kept, and 60 for 4.
    assert (first["memory_ratio"], second["memory_ratio"]) == (1, 0.6)
    assert (first["added_gb"], second["added_gb"]) == (50e-9, 60e-9)
