import pytest

from keras_mvlift.experiments import tables


def test_a_setting_of_the_stage_is_an_option_of_the_variant():
    row = tables.row("x", least_depth=0.2, transform_weight=3.0, options=(("labels", "plain"),))
    assert row.variant.options == (("labels", "plain"), ("least_depth", 0.2))
    assert row.variant.transform_weight == 3.0


def test_what_is_the_default_anyway_makes_no_other_cell():
    plain = tables.row("x").variant
    defaults = {"views": "pair", "least_depth": 0.5, "network_input": "rays"}
    assert tables.row("y", **defaults, is_pretrained=False).variant == plain
    paper = tables.row("x", recipe="paper").variant
    assert tables.row("y", recipe="paper", is_pretrained=True).variant == paper
    assert tables.row("y", recipe="paper", is_pretrained=False).variant != paper


def test_a_row_with_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="recip"):
        tables.row("x", recip="paper")


def test_a_row_of_the_full_profile_alone_says_so():
    assert not tables.row("x", is_quick=False).is_quick
    assert tables.row("x").is_quick


def test_data_are_filmed_as_asked():
    assert tables.filmed(rig="ring", num_cameras=3).filming.num_cameras == 3
