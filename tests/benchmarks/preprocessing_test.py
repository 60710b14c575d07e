"""ExampleGen writes the records of a release several times as fast as a builder of single ones."""

import pytest

from benchmarks import preprocessing
from tests.benchmarks import quick_trials

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return {
        row["run"]: row
        for row in quick_trials.figures(preprocessing, tmp_path_factory.mktemp("figures"))
    }


def test_records_are_written_at_three_times_the_rate(rows):
    assert rows[preprocessing.IN_BATCHES]["ratio"] >= 3
    assert rows[preprocessing.ONE_BY_ONE]["ratio"] == 1


def test_every_pair_of_the_release_is_written(rows):
    # 5 people who train, 2 takes, 1,875 frames, 6 pairs of 4 cameras; 2 more are tested on.
    row = rows[preprocessing.IN_BATCHES]
    assert (row["clips"], row["pairs"], row["test_views"]) == (14, 112_500, 30_000)


def test_memory_grows_by_less_than_the_records_take(rows):
    row = rows[preprocessing.IN_BATCHES]
    assert row["peak_gb"] - row["start_gb"] < 0.15 < 187_500 * 1100 / 1e9
