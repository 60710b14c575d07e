import dataclasses

import pytest

from keras_mvlift import configs
from keras_mvlift.experiments import (
    adversarial,
    methods,
    peers,
    profiles,
    published,
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
        assert table.published is None or table.published in published.TABLES


def test_every_table_has_two_quick_rows_or_more():
    for table in tables.TABLES.values():
        assert sum(row.is_quick for row in table.rows) >= 2


def variant(table, name):
    return next(row.variant for row in tables.TABLES[table].rows if row.name == name)


def test_tables_share_the_cells_of_what_they_compare_with():
    pairs, all_views = (
        variant("peers", name) for name in ("solved root, pairs", "solved root, all views")
    )
    assert variant("weighting", "source") == variant("lambda", "1") == pairs
    assert variant("noise", "5") == variant("frames", "100%") == all_views
    assert variant("generalization", "solved root, all views, same rig") == all_views
    assert variant("figure6", "paper, with pre-training") == variant("table1", "Trans Reproj")
    assert variant("table4", "Trans Reproj+DA") == variant("table1", "Trans Reproj+DA")


def test_each_switch_changes_the_first_row_by_its_options_alone():
    first, *others = tables.TABLES["switches"].rows
    for row in others:
        assert set(first.variant.options) < set(row.variant.options)
        assert dataclasses.replace(row.variant, options=first.variant.options) == first.variant


def test_the_tables_hold_what_they_promise():
    names = {name: [row.name for row in table.rows] for name, table in tables.TABLES.items()}
    assert names["table1"][:4] == ["Reproj", "Reproj+ADV", "Trans Reproj", "Trans Reproj+DA"]
    used = {dict(variant.options).get("labels") for variant in (row.variant for row in ROWS)}
    assert used - {None} <= set(peers.LABELINGS)
    assert variant("table1", "Reproj+ADV").method == "adversarial"


def test_options_of_methods_are_known_to_them():
    known = {
        "pseudo_labels": {"labels"},
        "semi_supervised": {"label_share", "label_weight"},
        "temporal": {"is_causal"},
        "triangulation": {"is_robust"},
        "adversarial": {f.name for f in dataclasses.fields(adversarial.AdversarialOptions)},
    }
    for row in ROWS:
        cell = variants.Cell(variant=row.variant, budget=BUDGET, seed=0)
        assert set(methods.method_options(cell)) <= known.get(row.variant.method, set())


def test_a_table_of_a_profile_is_run_by_that_alone_unless_it_is_named():
    assert tables.of_profile(profiles.LONG) == ["long"]
    everything = [name for name in tables.TABLES if name != "long"]
    for profile in (profiles.QUICK, profiles.MEDIUM, profiles.FULL):
        assert tables.of_profile(profile) == everything


def test_the_long_table_holds_what_long_runs_are_for():
    names = [row.name for row in tables.TABLES["long"].rows]
    assert names == [
        "Reproj",
        "Reproj+ADV",
        "Trans Reproj",
        "Trans Reproj+DA",
        "solved root",
        "solved root, all views and triangulated pose",
        "triangulated pose alone",
        "supervised (3D labels)",
        "Trans Reproj, TemporalDilated",
    ]
    assert all(row.is_quick for row in tables.TABLES["long"].rows)
    film = variant("long", "Trans Reproj, TemporalDilated")
    assert (film.recipe, film.method) == ("paper", "temporal")
    assert film.data == variants.DataSettings(has_frames_between=True)


def test_a_table_of_another_profile_is_not_known_to_a_report():
    assert "long" not in tables.known_to(profiles.QUICK)
    assert tables.known_to(profiles.LONG) == [*tables.TABLES]
