import pytest

from components import checks
from components.example_gen import component as example_gen
from pipeline import mvlift


def nodes(holds_out):
    examples = example_gen.RecordingExampleGen("{}", "", "")
    return {node.id: node for node in mvlift.check_nodes(examples, holds_out)}


@pytest.fixture(scope="module")
def made():
    return nodes(holds_out=True)


def test_both_kinds_of_records_are_checked_against_their_schemas(made):
    for kind, name in ((checks.PAIRS, "Pairs"), (checks.TEST_VIEWS, "TestViews")):
        assert made[f"Schema.{name}"].exec_properties["text"] == checks.read(kind)
        given = made[f"ExampleValidator.{name}"].inputs
        assert given["schema"].producer_component_id == f"Schema.{name}"
        assert given["statistics"].producer_component_id == f"StatisticsGen.{name}"
        gate = made[f"DataGate.{name}"].inputs["anomalies"]
        assert gate.producer_component_id == f"ExampleValidator.{name}"


def test_instants_are_not_looked_at_twice(made):
    for name in ("StatisticsGen.Pairs", "ExampleValidator.Pairs"):
        excluded = made[name].exec_properties["exclude_splits"]
        assert excluded == '["train_instants", "eval_instants"]'


def test_a_split_without_records_is_not_looked_at():
    for name in ("StatisticsGen.Pairs", "ExampleValidator.Pairs"):
        excluded = nodes(holds_out=False)[name].exec_properties["exclude_splits"]
        assert excluded == '["train_instants", "eval_instants", "eval"]'
