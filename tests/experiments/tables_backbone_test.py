from keras_mvlift.experiments import tables


def test_all_backbones_are_trained_on_the_same_film():
    settings = {row.variant.data for row in tables.TABLE_2.rows}
    assert len(settings) == 1
    assert settings.pop().has_frames_between


def test_only_the_temporal_backbone_sees_windows():
    for row in tables.TABLE_2.rows:
        is_temporal = row.variant.backbone == "temporal_dilated"
        assert (row.variant.method == "temporal") == is_temporal == ("Temporal" in row.name)


def test_table_4_runs_no_cell_that_other_tables_have_not():
    others = [table for table in tables.TABLES.values() if table is not tables.TABLE_4]
    known = {row.variant for table in others for row in table.rows}
    assert {row.variant for row in tables.TABLE_4.rows} <= known
    assert tables.TABLE_4.has_joint_shares
