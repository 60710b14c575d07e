import json

import numpy as np
import pytest
from scipy.spatial import transform

from keras_mvlift.calibration import reports
from keras_mvlift.geometry import cameras
from tests import random_scenes
from tests.calibration import rooms


def compared():
    camera, _, seen = rooms.room(2, num_points=24)
    shift = np.array([[0.3, 0.4, 0.0], [0.0, 0.0, 0.0]])
    shifted = camera._replace(center=camera.center + shift)
    seen.weights[:, 0] = 0.0
    return reports.compare(("a", "b"), shifted, camera, seen, 1)


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
    report = reports.compare(("a", "b"), turned, camera, seen, 100)
    assert [camera.turned_degrees for camera in report.cameras] == pytest.approx([0.0, 90.0])


def test_the_report_is_json():
    report = compared()
    read = json.loads(report.to_json())
    assert read["cameras"][0]["before"]["median_px"] == report.cameras[0].before.median_px
    assert read["all"]["name"] == "all"


def elsewhere(camera, rng, scale=1.0):
    """The same rig in another world."""
    turn = random_scenes.rotation(rng)
    shift = rng.normal(0.0, 3.0, 3)
    return cameras.Camera(
        camera.intrinsics, camera.rotation @ turn.T, scale * camera.center @ turn.T + shift
    )


@pytest.mark.parametrize("num_cameras", [2, 3, 8])
@pytest.mark.parametrize("scale", [1.0, 3.5])
def test_a_rig_is_laid_onto_itself_from_anywhere(num_cameras, scale):
    camera, _, _ = rooms.room(num_cameras)
    moved = elsewhere(camera, np.random.default_rng(0), scale)
    found = reports.align(moved, camera, reach=4.0, with_scale=True)
    for value, expected in zip(found, camera, strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-9)


def test_without_scale_the_size_stays():
    camera, _, _ = rooms.room(3)
    moved = elsewhere(camera, np.random.default_rng(0), 2.0)
    found = reports.align(moved, camera, reach=4.0, with_scale=False)
    spread = [np.linalg.norm(rig.center - rig.center.mean(axis=0)) for rig in (found, camera)]
    np.testing.assert_allclose(spread[0], 2 * spread[1])


def test_differences_golden():
    camera, _, _ = rooms.room(2)
    turn = transform.Rotation.from_rotvec([[0.0, 0.0, 0.0], [0.0, 0.3, 0.4]]).as_matrix()
    shift = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    other = cameras.Camera(camera.intrinsics, turn @ camera.rotation, camera.center + shift)
    distance, angle = reports.differences(camera, other)
    np.testing.assert_allclose(distance, [5.0, 0.0])
    np.testing.assert_allclose(angle, [0.0, 0.5])
