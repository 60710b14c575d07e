import dataclasses

import numpy as np
import pytest

from keras_mvlift.calibration import reports
from keras_mvlift.experiments import data, variants
from tests.experiments import tiny_experiments


@pytest.fixture(scope="module")
def clips():
    return list(tiny_experiments.STUDIO.load(variants.DataSettings()).clips)


def degrees_apart(camera, other):
    _, angle = reports.differences(camera, other)
    return np.degrees(angle)


def test_a_rig_is_believed_as_it_is_unless_the_settings_say_otherwise(clips):
    (camera,) = data.believed(clips[:1], variants.DataSettings())
    assert camera is clips[0].camera


def test_a_wrong_rig_is_turned_camera_by_camera_by_so_many_degrees(clips):
    settings = variants.DataSettings(calibration_error=1.5)
    first, second = data.believed(clips[:2], settings)
    np.testing.assert_allclose(degrees_apart(first, clips[0].camera), 1.5, rtol=1e-6)
    np.testing.assert_array_equal(first.center, clips[0].camera.center)
    np.testing.assert_array_equal(first.rotation, second.rotation)
    # No turn of the whole rig undoes it.
    back = reports.align(first, clips[0].camera, reach=5.0, with_scale=True)
    assert degrees_apart(back, clips[0].camera).max() > 0.3


def test_an_unknown_rig_is_recovered_up_to_its_place_in_the_world(clips):
    moved = [
        dataclasses.replace(clip, camera=clip.camera._replace(center=clip.camera.center + 3.0))
        for clip in clips
    ]
    found = data.believed(moved, variants.DataSettings(has_extrinsics=False))
    assert all(camera is found[0] for camera in found)
    true = clips[0].camera
    distance = [np.linalg.norm(rig.center[0] - rig.center[1]) for rig in (found[0], true)]
    assert distance[0] == pytest.approx(distance[1], rel=1e-6)
    back = reports.align(found[0], true, reach=5.0, with_scale=False)
    assert degrees_apart(back, true).max() < 2.0


def test_rigs_are_recovered_one_by_one(clips, monkeypatch):
    asked = []
    monkeypatch.setattr(data, "recovered", lambda some: asked.append(len(some)) or some[0].camera)
    other = [dataclasses.replace(clips[0], camera=data.turned(clips[0].camera, 5.0))]
    data.believed([*clips[:3], *other], variants.DataSettings(has_extrinsics=False))
    assert asked == [3, 1]


def test_methods_without_labels_see_the_wrong_rig_and_labels_and_test_the_true_one(clips):
    data = tiny_experiments.data()
    wrong = tiny_experiments.data(calibration_error=2.0)
    assert np.abs(wrong.seen.camera.rotation - data.seen.camera.rotation).max() > 0.01
    np.testing.assert_array_equal(wrong.labeled.reference_pose, data.labeled.reference_pose)
    np.testing.assert_array_equal(wrong.test.view.camera.rotation, data.test.view.camera.rotation)
    assert wrong.rig_distance != data.rig_distance


def test_the_first_cameras_of_a_rig_see_what_they_saw(clips):
    lens = np.arange(20.0).reshape(4, 5)
    clip = dataclasses.replace(clips[0], distortion=lens, absent=("camera_4",))
    few = data.first_cameras(clip, 2)
    assert few.camera_names == clip.camera_names[:2]
    assert few.absent == ()
    for name in ("keypoints_2d", "confidence", "distortion"):
        np.testing.assert_array_equal(getattr(few, name), getattr(clip, name)[:2])
    np.testing.assert_array_equal(few.camera.center, clip.camera.center[:2])
    assert data.first_cameras(clip, 0) is clip
