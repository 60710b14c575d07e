from components import artifacts


def test_types_have_names_of_their_own():
    kinds = (artifacts.Baselines, artifacts.HeldOutScores, artifacts.Report)
    names = {kind.TYPE_NAME for kind in kinds}
    assert names == {"MVLiftBaselines", "MVLiftHeldOutScores", "MVLiftReport"}


def test_artifacts_can_be_made_where_tfx_makes_them():
    report = artifacts.Report()
    report.uri = "somewhere"
    assert report.mlmd_artifact.uri == "somewhere"
    assert report.type_name == "MVLiftReport"
