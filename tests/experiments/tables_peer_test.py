import dataclasses

from keras_mvlift.experiments import tables


def test_each_condition_is_put_to_the_same_methods():
    by_condition = {}
    for row in tables.ROBUSTNESS.rows:
        method, condition = row.name.split("; ")
        by_condition.setdefault(condition, {})[method] = row.variant
    first, *others = by_condition.values()
    assert len(others) == 8
    for compared in others:
        assert list(compared) == list(first)
        assert len({variant.data for variant in compared.values()}) == 1


def test_a_wrong_calibration_is_of_training_alone():
    wrong = [row.variant.data for row in tables.ROBUSTNESS.rows if "off by 1°" in row.name]
    assert {(data.calibration_error, data.test_filming) for data in wrong} == {(1.0, None)}


def test_the_triangulated_pose_alone_is_the_default_without_reprojection():
    for table in (tables.PEERS, tables.TABLE_1):
        found = {row.name: row.variant for row in table.rows}
        alone = found["triangulated pose alone"]
        both = found["solved root, all views and triangulated pose"]
        assert set(alone.options) - set(both.options) == {("reprojection_weight", 0.0)}
        assert dataclasses.replace(alone, options=both.options) == both


def test_centered_and_mirrored_changes_nothing_else():
    found = {row.name: row.variant for row in tables.PEERS.rows}
    plain = found["solved root, all views and triangulated pose"]
    centered = found["solved root, all views and triangulated pose, centered and mirrored"]
    assert {*centered.options} - {*plain.options} == {
        ("flip_augmentation", True),
        ("network_input", "centered"),
    }
    assert dataclasses.replace(centered, options=plain.options) == plain
