import json
import pathlib
import re

import jsonschema
import pytest

from keras_mvlift.metrics import pose_error

DOCS = pathlib.Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "results.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_results_of_any_run_keep_the_schema(results, failed):
    VALIDATOR.validate(results)
    VALIDATOR.validate(failed)


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_no_key_may_lack(results, key):
    del results[key]
    with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required property"):
        VALIDATOR.validate(results)


@pytest.mark.parametrize(
    "change",
    [
        {"reasons": ["mpjpe_mm 91.2 is not at most 80."]},
        {"blessed": False, "reasons": [], "model": None},
        {"blessed": False, "reasons": ["mpjpe_mm 91.2 is not at most 80."]},
    ],
)
def test_blessing_reasons_and_model_must_agree(results, change):
    assert not VALIDATOR.is_valid(results | change)


def test_a_figure_under_another_name_is_refused(results):
    results["per_camera"]["cam1"]["mpjpe"] = 0.05
    assert not VALIDATOR.is_valid(results)


def test_the_figures_are_those_that_the_metrics_give():
    figures = SCHEMA["$defs"]["figures"]
    assert tuple(figures["required"]) == pose_error.FIGURE_NAMES
    assert set(figures["properties"]) == {*pose_error.FIGURE_NAMES, "num_examples", "coverage"}


def test_the_page_names_every_key():
    named = set(re.findall(r"`([\w.]+)`", (DOCS / "results.md").read_text()))
    named |= {name.split(".")[0] for name in named}
    assert {*SCHEMA["properties"], *SCHEMA["$defs"]["figures"]["properties"]} <= named
