import pytest

from keras_mvlift import configs
from keras_mvlift.experiments import methods, published, tables
from keras_mvlift.training import recipes

ROWS = [row for table in tables.TABLES.values() for row in table.rows]


def test_every_row_names_what_there_is():
    for row in ROWS:
        variant = row.variant
        assert variant.method in methods.METHODS
        assert variant.recipe in recipes.RECIPES
        assert variant.backbone in configs.BACKBONES
        assert variant.confidence_weighting in configs.CONFIDENCE_WEIGHTINGS
        assert variant.distance in configs.DISTANCES


def test_rows_of_a_table_have_names_and_variants_of_their_own():
    for table in tables.TABLES.values():
        assert len({row.name for row in table.rows}) == len(table.rows)
        assert len({row.variant for row in table.rows}) == len(table.rows)
        assert table.published is None or table.published in published.TABLES


def test_tables_share_the_cells_of_what_they_compare_with():
    def variant(table, name):
        return next(row.variant for row in tables.TABLES[table].rows if row.name == name)

    base = variant("peers", "solved root")
    assert variant("weighting", "source") == variant("lambda", "1") == variant("noise", "5") == base
    assert variant("frames", "100%") == variant("generalization", "solved root, same rig") == base
    assert variant("table2", "ResLinear") == variant("table1", "Trans Reproj+DA")


def test_a_row_with_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="recip"):
        tables.row("x", recip="paper")
