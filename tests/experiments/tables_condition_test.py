from keras_mvlift.experiments import tables

TABLES = {table.name: table for table in tables.CONDITIONS}


def test_sweeps_are_named_after_what_they_set():
    for row in TABLES["cameras"].rows:
        assert row.variant.data.filming.num_cameras == int(row.name)
    for row in TABLES["noise"].rows:
        filming = row.variant.data.filming
        assert (5.0 if filming is None else filming.noise_px) == float(row.name)


def test_the_quick_profile_keeps_the_ends_of_sweeps():
    for name in ("cameras", "noise"):
        rows = TABLES[name].rows
        assert rows[0].is_quick
        assert rows[-1].is_quick


def test_extrinsics_are_recovered_where_the_row_says_so():
    for row in TABLES["extrinsics"].rows:
        assert row.variant.data.has_extrinsics == row.name.endswith("known")
