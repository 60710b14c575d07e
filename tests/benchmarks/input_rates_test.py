"""What feeds a training step gives batches faster than the step takes them."""

import pytest

from benchmarks import input_rates
from tests.benchmarks import quick_trials


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return quick_trials.figures(input_rates, tmp_path_factory.mktemp("figures"))


def test_pairs_that_are_kept_outrun_the_step(figures):
    rows = {row["input"]: row for row in figures["rows"]}
    assert set(rows) == set(input_rates.INPUTS[input_rates.PAPER])
    for name in (input_rates.KEPT, input_rates.LOOKED_UP):
        # Idle it is 40, with an epoch that is over as soon as it began.
        assert rows[name]["ratio"] > 1
    for row in rows.values():
        expected = row["input_pairs_per_s"] / row["step_pairs_per_s"]
        assert row["ratio"] == pytest.approx(expected)


def test_a_pair_takes_less_memory_than_its_two_views(figures):
    kept = figures["kept"]
    # Four views of six pairs, but for those who were not seen, and 8 bytes to say which two.
    assert 0.66 < kept["views"] / kept["pairs"] < 0.68
    expected = kept["views"] * kept["bytes_per_view"] / kept["pairs"] + 8
    assert kept["bytes_per_pair"] == pytest.approx(expected)
