import numpy as np
import pytest

from keras_mvlift.experiments import published


@pytest.mark.parametrize("part", published.TABLES["table1"], ids=["protocol 1", "protocol 2"])
def test_the_papers_averages_are_those_of_its_actions(part):
    for name, figures in part["rows"].items():
        assert np.mean(figures[:-1]) == pytest.approx(figures[-1], abs=0.05), name


def test_every_row_has_a_figure_or_a_gap_in_each_column():
    for parts in published.TABLES.values():
        for part in parts:
            assert {len(row) for row in part["rows"].values()} == {len(part["columns"])}


def test_the_paper_is_the_same_in_all_tables():
    protocols = [part["rows"]["Trans Reproj+DA"][-1] for part in published.TABLES["table1"]]
    assert protocols == list(published.TABLES["table2"][0]["rows"]["Ours"])
    assert protocols == list(published.TABLES["table3"][0]["rows"]["Li 2020 (the paper)"])
