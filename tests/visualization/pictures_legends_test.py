import pytest
from matplotlib import figure

from keras_mvlift.visualization import pictures


def _names(has_reference):
    drawn = figure.Figure(figsize=(9, 3))
    pictures.draw_legend(drawn, has_reference)
    (legend,) = drawn.legends
    return [text.get_text() for text in legend.get_texts()]


def test_sides_and_confidences_have_a_key():
    assert _names(False) == ["left", "right", "middle", "confidence 0.2, 0.6, 1"]


@pytest.mark.parametrize("has_reference", [True, False])
def test_the_reference_has_a_key_only_where_one_is_drawn(has_reference):
    assert ("reference pose" in _names(has_reference)) == has_reference
