import pytest

from keras_mvlift import configs
from keras_mvlift.experiments import (
    methods,
    profiles,
    results,
    tables,
    variants,
)
from keras_mvlift.training import multi_view_lifter

ROWS = [row for table in tables.TABLES.values() for row in table.rows]
BUDGET = variants.Budget()


def test_every_row_names_what_there_is():
    for row in ROWS:
        variant = row.variant
        assert variant.method in methods.METHODS
        assert variant.recipe in multi_view_lifter.RECIPES
        assert variant.backbone in configs.BACKBONES


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_settings_of_every_row_are_allowed_together(row):
    methods.finetune_config(variants.Cell(variant=row.variant, budget=BUDGET, seed=0))


def test_rows_of_a_table_have_names_and_variants_of_their_own():
    for table in tables.TABLES.values():
        assert len({row.name for row in table.rows}) == len(table.rows)
        assert len({row.variant for row in table.rows}) == len(table.rows)
        assert table.published is None or table.published in results.PUBLISHED


def variant(table, name):
    return next(row.variant for row in tables.TABLES[table].rows if row.name == name)


def test_tables_share_the_cells_of_what_they_compare_with():
    pairs, all_views = (
        variant("peers", name) for name in ("solved root, pairs", "solved root, all views")
    )
    assert variant("table1", "solved root") == pairs
    assert variant("generalization", "solved root, all views, same rig") == all_views
    assert variant("figure6", "paper, with pre-training") == variant("table1", "Trans Reproj")
    assert variant("table4", "Trans Reproj+DA") == variant("table1", "Trans Reproj+DA")


def test_options_of_methods_are_known_to_them():
    known = {
        "temporal": {"is_causal"},
        "adversarial": {"critic_weight", "num_critic_steps"},
    }
    for row in ROWS:
        cell = variants.Cell(variant=row.variant, budget=BUDGET, seed=0)
        assert set(methods.method_options(cell)) <= known.get(row.variant.method, set())


def test_a_table_of_a_profile_is_run_by_that_alone_unless_it_is_named():
    assert tables.of_profile(profiles.LONG) == ["long"]
    everything = [name for name in tables.TABLES if name != "long"]
    for profile in (profiles.QUICK, profiles.MEDIUM, profiles.FULL):
        assert tables.of_profile(profile) == everything


def test_a_table_of_another_profile_is_not_known_to_a_report():
    assert "long" not in tables.known_to(profiles.QUICK)
    assert tables.known_to(profiles.LONG) == [*tables.TABLES]


def test_no_switch_is_without_a_row():
    switches = {"least_depth", *configs._OF_ALL_VIEWS}
    shown = {
        name
        for table in (tables.TABLES[name] for name in ("figure6", "peers"))
        for row in table.rows
        for name, _ in row.variant.options
    }
    assert switches <= shown


def test_reprojection_without_the_other_view_is_lambda_zero():
    alone = {
        row.name for row in tables.TABLE_1.rows if ("transform_weight", 0.0) in row.variant.options
    }
    assert alone == {"Reproj", "Reproj+ADV"}


def test_a_setting_of_the_stage_is_an_option_of_the_variant():
    row = tables.row("x", least_depth=0.2, transform_weight=3.0, options=(("is_causal", True),))
    chosen = (("is_causal", True), ("least_depth", 0.2), ("transform_weight", 3.0))
    assert row.variant.options == chosen


def test_what_differs_makes_another_cell_and_what_does_not_none():
    paper = tables.row("x", recipe="paper").variant
    assert tables.row("y", recipe="paper", is_pretrained=True).variant == paper
    assert tables.row("y", recipe="paper", is_pretrained=False).variant != paper


def test_a_row_with_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="recip"):
        tables.row("x", recip="paper")
