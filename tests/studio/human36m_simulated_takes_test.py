import numpy as np
import pytest

from keras_mvlift.datasets.human36m import protocol, rig
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import filming, human36m


def perform(subject, **options):
    given = {
        "num_takes": 2,
        "num_frames": 5,
        "num_distinct_takes": 30,
        "seed": 0,
        "detector": filming.Detector(),
        "shift_takes": False,
    }
    return [*human36m.perform_take(subject, **(given | options))]


@pytest.mark.parametrize("subject", rig.SUBJECTS)
def test_every_subject_performs_each_action_twice(subject):
    names = human36m.take_names(subject, 30)
    performed = [protocol.parse_take(name, "").action for name in names]
    assert sorted(performed) == sorted(2 * protocol.ACTIONS)
    assert len({protocol.action_label(name) for name in names}) == 30


def test_names_are_as_irregular_as_the_real_ones():
    names = {subject: human36m.take_names(subject, 30) for subject in rig.SUBJECTS}
    assert "TakingPhoto 1" in names["S1"]
    assert "Photo 1" in names["S5"]
    assert {"Directions 1", "Directions 2"} <= {*names["S5"]}
    assert {"Phoning 2", "Phoning 3"} <= {*names["S11"]}


def test_projections_are_those_of_the_subjects_own_cameras():
    (take, _) = perform("S8")
    camera = rig.camera("S8")
    moved = cameras.camera_from_world(
        take.pose_world, cameras.Camera(*(v[:, None] for v in camera))
    )
    ideal = cameras.project(moved, camera.intrinsics[:, None])
    # The lens bends an image by some pixels, and not by none.
    away = np.abs(take.exact_2d - ideal)
    assert 0.3 < away.max() < 40


def test_detections_are_near_the_projections_and_the_videos_longer():
    perfect = filming.Detector(noise_px=0, gross_error_rate=0, missing_rate=0, dropped_view_rate=0)
    (take, _) = perform("S1", detector=perfect)
    assert take.keypoints_2d.shape == (4, 5 + human36m.EXTRA_FRAMES, 17, 2)
    is_seen = take.confidence[:, :5] > 0
    assert is_seen.mean() > 0.9
    np.testing.assert_allclose(take.keypoints_2d[:, :5][is_seen], take.exact_2d[is_seen], atol=1e-3)
    assert [take.num_video_frames(camera) for camera in range(4)] == [6, 7, 8, 5]


def test_a_take_depends_on_seed_and_name_alone():
    first, second = perform("S1")
    np.testing.assert_array_equal(perform("S1", num_takes=1)[0].pose_world, first.pose_world)
    assert np.abs(perform("S1", seed=1)[0].pose_world - first.pose_world).max() > 0.01
    assert np.abs(second.pose_world - first.pose_world).max() > 0.01
    assert np.abs(perform("S5")[0].pose_world - first.pose_world).max() > 0.01


def test_takes_may_be_repeated_under_other_names():
    takes = perform("S1", num_takes=5, num_distinct_takes=2)
    assert len({take.name for take in takes}) == 5
    assert takes[4].pose_world is takes[0].pose_world
    assert takes[3].keypoints_2d is takes[1].keypoints_2d
    assert takes[1].pose_world is not takes[0].pose_world


def test_a_shifted_take_is_shifted_against_its_images():
    options = {"num_takes": 30, "num_frames": 2}
    right = {take.name: take for take in perform("S9", **options)}
    wrong = {take.name: take for take in perform("S9", **options, shift_takes=True)}
    moved = {
        name: wrong[name].pose_world - right[name].pose_world
        for name in right
        if np.abs(wrong[name].pose_world - right[name].pose_world).max() > 0
    }
    assert sorted(moved) == ["Greeting", "SittingDown 1", "Waiting 1"]
    np.testing.assert_allclose(moved["Greeting"], np.tile([0.2, 0, 0], (2, 17, 1)), atol=1e-12)
    np.testing.assert_array_equal(wrong["Greeting"].keypoints_2d, right["Greeting"].keypoints_2d)
    assert np.abs(wrong["Greeting"].exact_2d - right["Greeting"].exact_2d).max() > 10
