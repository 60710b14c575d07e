from keras_mvlift.experiments import tables


def test_the_two_halves_of_figure_7_differ_by_the_rig_of_the_test_alone():
    rows = tables.GENERALIZATION.rows
    for same, other in zip(rows[::2], rows[1::2], strict=True):
        assert same.name.removesuffix("same rig") == other.name.removesuffix("other rig")
        assert (same.variant.data.test_filming, other.variant.data.filming) == (None, None)
        assert other.variant.data.test_filming.num_cameras == 6


def test_reprojection_without_the_other_view_is_lambda_zero():
    alone = {row.name for row in tables.TABLE_1.rows if not row.variant.transform_weight}
    assert alone == {"Reproj", "Reproj+ADV"}
