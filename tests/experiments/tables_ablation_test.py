import dataclasses

from keras_mvlift import configs
from keras_mvlift.experiments import tables, variants

TABLES = tables.TABLES


def test_no_switch_is_without_a_row():
    switches = {"least_depth", *configs._OF_ALL_VIEWS}
    shown = {
        name
        for table in (TABLES[name] for name in ("switches", "figure6", "peers"))
        for row in table.rows
        for name, _ in row.variant.options
    }
    assert switches <= shown


def test_the_ends_of_lambda_are_in_the_quick_profile():
    assert [row.name for row in TABLES["lambda"].rows if row.is_quick] == ["0", "1", "3"]


def test_rows_of_an_ablation_differ_in_nothing_else():
    for name, fields in (("lambda", {"transform_weight"}), ("norm", {"distance"})):
        first, *others = (row.variant for row in TABLES[name].rows)
        for variant in others:
            changed = {
                field.name
                for field in dataclasses.fields(variants.Variant)
                if getattr(first, field.name) != getattr(variant, field.name)
            }
            assert changed == fields
