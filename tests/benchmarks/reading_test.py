"""Training reads pairs several times as fast as a reader that parses them one by one."""

import pytest

from benchmarks import reading
from tests.benchmarks import quick_trials


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return {
        row["run"]: row for row in quick_trials.figures(reading, tmp_path_factory.mktemp("figures"))
    }


def test_batches_take_less_computing_than_single_pairs(rows):
    # Of the rates the ratio is 7 where nothing else runs; this one other work blurs less.
    assert rows[reading.ONE_BY_ONE]["computing"] > 2 * rows[reading.BATCHED]["computing"]


def test_both_read_the_same_number_of_pairs(rows):
    pairs = {name: row["pairs"] for name, row in rows.items()}
    assert pairs[reading.BATCHED] == pairs[reading.ONE_BY_ONE]
    rest = pairs["view_pairs.count"] - pairs[reading.BATCHED]
    assert 0 <= rest < reading.BATCH_SIZE
