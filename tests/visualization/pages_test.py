import json

import jinja2
import pytest

from keras_mvlift.visualization import pages


def test_no_text_in_data_can_end_its_script():
    text = pages.page_data({"name": "</script><b>&"})
    assert "<" not in text
    assert ">" not in text
    assert json.loads(text) == {"name": "</script><b>&"}


def test_numbers_that_are_not_finite_are_no_data():
    with pytest.raises(ValueError, match="JSON"):
        pages.page_data([float("nan")])


def test_a_value_that_the_template_needs_cannot_be_left_out():
    with pytest.raises(jinja2.UndefinedError):
        pages.fill("rig_report.html", title="Rigs")


def test_parts_come_as_they_are():
    assert "<" in pages.page_part("pose_viewer/marks.js")
    assert "&lt;" not in pages.page_part("pose_viewer/marks.js")
