import json

import numpy as np
import pytest

from keras_mvlift.calibration import observations, reports
from tests.calibration import rooms


def compared():
    camera, _, seen = rooms.room(2, num_points=24)
    shift = np.array([[0.3, 0.4, 0.0], [0.0, 0.0, 0.0]])
    shifted = camera._replace(center=camera.center + shift)
    seen.weights[:, 0] = 0.0
    choice = observations.Choice(max_frames=1)
    return reports.compare(("a", "b"), shifted, camera, seen, choice)


def test_cameras_are_told_apart_and_summed():
    report = compared()
    assert [camera.name for camera in (*report.cameras, report.all)] == ["a", "b", "all"]
    assert [camera.moved_m for camera in report.cameras] == pytest.approx([0.5, 0.0])
    assert report.all.moved_m == pytest.approx(0.5 / np.sqrt(2))
    assert report.all.after.num_detections == 46
    assert (report.num_frames, report.num_frames_used) == (2, 1)
    assert report.all.before.mean_px > 5.0 > 0.1 > report.all.after.mean_px


def test_a_turn_is_told_in_degrees():
    camera, _, seen = rooms.room(2, num_points=24)
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turned = camera._replace(rotation=np.stack([camera.rotation[0], quarter @ camera.rotation[1]]))
    report = reports.compare(("a", "b"), turned, camera, seen, observations.Choice())
    assert [camera.turned_degrees for camera in report.cameras] == pytest.approx([0.0, 90.0])


def test_the_report_is_json():
    report = compared()
    read = json.loads(report.to_json())
    assert read["cameras"][0]["before"]["median_px"] == report.cameras[0].before.median_px
    assert read["all"]["name"] == "all"
