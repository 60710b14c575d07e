import xml.etree.ElementTree

import numpy as np
import pytest

from keras_mvlift.diagnosis import report
from keras_mvlift.visualization import rig_report
from tests.diagnosis import planted

PLOTS = [
    rig_report.joint_errors,
    rig_report.pair_errors,
    rig_report.errors_over_time,
    rig_report.confidences,
    rig_report.top_view,
    rig_report.time_curves,
]


@pytest.fixture(scope="module")
def shown():
    footage = planted.footage(num_views=3)
    return footage, report.measure(footage)


@pytest.mark.parametrize("draw", PLOTS)
def test_a_plot_is_svg_and_the_same_each_time(draw, shown):
    drawn = draw(*shown, "0")
    assert xml.etree.ElementTree.fromstring(drawn).tag.endswith("svg")
    assert draw(*shown, "0") == drawn


@pytest.mark.parametrize("draw", PLOTS)
def test_what_is_not_known_is_left_out(draw, shown):
    footage, measured = shown
    unknown = measured._replace(
        error=np.full_like(measured.error, np.nan),
        pair_error=np.full_like(measured.pair_error, np.nan),
        path=np.full_like(measured.path, np.nan),
        offsets=measured.offsets._replace(curve=np.full_like(measured.offsets.curve, np.nan)),
    )
    assert draw(footage, unknown, "0").startswith("<svg")


@pytest.mark.parametrize("draw", PLOTS[:1] + PLOTS[2:3] + PLOTS[4:])
def test_other_measures_look_different(draw, shown):
    footage, measured = shown
    spoiled = planted.late(planted.spoil(footage, "translation_for_center", [0]), [0, 9, 0])
    assert draw(spoiled, report.measure(spoiled), "0") != draw(footage, measured, "0")
