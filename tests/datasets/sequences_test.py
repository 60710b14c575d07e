import dataclasses

import numpy as np
import pytest

from keras_mvlift.datasets import sequences
from keras_mvlift.geometry import cameras
from tests import random_scenes


def fields(num_views=2, num_frames=3):
    rng = np.random.default_rng(0)
    return {
        "name": "clip",
        "subject": "S1",
        "action": "walking",
        "frame_rate": 50.0,
        "camera_names": tuple(f"camera_{view}" for view in range(num_views)),
        "camera": random_scenes.camera(rng, num_views),
        "keypoints_2d": rng.uniform(0, 1000, (num_views, num_frames, 17, 2)),
        "confidence": rng.uniform(0, 1, (num_views, num_frames, 17)),
        "pose_world": random_scenes.points(rng, num_frames, 17),
    }


def test_a_clip_knows_its_numbers_of_views_and_frames():
    clip = sequences.MultiViewSequence(**fields(num_views=4, num_frames=7))
    assert (clip.num_views, clip.num_frames) == (4, 7)


def test_a_clip_without_frames_or_reference_is_a_clip():
    empty = sequences.MultiViewSequence(**(fields(num_frames=0) | {"pose_world": None}))
    assert empty.num_frames == 0
    assert empty.pose_world is None


@pytest.mark.parametrize("index", [slice(1, None), np.array([2, 0]), np.array([], int)])
def test_chosen_frames_keep_everything_else(index):
    clip = sequences.MultiViewSequence(**fields())
    chosen = clip.frames(index)
    np.testing.assert_array_equal(chosen.keypoints_2d, clip.keypoints_2d[:, index])
    np.testing.assert_array_equal(chosen.confidence, clip.confidence[:, index])
    np.testing.assert_array_equal(chosen.pose_world, clip.pose_world[index])
    assert (chosen.name, chosen.camera_names) == (clip.name, clip.camera_names)
    np.testing.assert_array_equal(chosen.camera.center, clip.camera.center)
    assert dataclasses.replace(clip, pose_world=None).frames(index).pose_world is None


def test_arrays_of_any_kind_become_numpy_in_double_precision():
    given = fields()
    single = {
        name: given[name].astype(np.float32)
        for name in ("keypoints_2d", "confidence", "pose_world")
    }
    camera = cameras.Camera(*(np.float32(value) for value in given["camera"]))
    clip = sequences.MultiViewSequence(**(given | single | {"camera": camera}))
    for value in (clip.keypoints_2d, clip.confidence, clip.pose_world, *clip.camera):
        assert isinstance(value, np.ndarray)
        assert value.dtype == np.float64


def changed(name, index, value):
    given = fields()
    array = given[name].copy()
    array[index] = value
    return {name: array}


def rotated(rotation):
    camera = fields()["camera"]
    return {"camera": camera._replace(rotation=rotation(camera.rotation))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera_names": ("one",)}, r"`camera.intrinsics` must have shape \(1, 3, 3\)"),
        ({"keypoints_2d": np.zeros((2, 3, 16, 2))}, r"`keypoints_2d` must.*\(2, 3, 17, 2\)"),
        ({"keypoints_2d": np.zeros((2, 3, 17, 3))}, r"Received: \(2, 3, 17, 3\)"),
        ({"confidence": np.zeros((2, 4, 17))}, r"`confidence` must have shape \(2, 3, 17\)"),
        ({"distortion": np.zeros((3, 5))}, r"`distortion` must have shape \(2, 5\)"),
        ({"pose_world": np.zeros((4, 17, 3))}, r"`pose_world` must have shape \(3, 17, 3\)"),
        (changed("keypoints_2d", (0, 1, 2), np.nan), "`keypoints_2d` must be finite.*NaN"),
        (changed("confidence", (0, 1, 2), np.inf), "`confidence` must be finite"),
        (changed("confidence", (0, 1, 2), 1.5), r"`confidence` must lie in \[0, 1\].*1.5"),
        (changed("confidence", (0, 1, 2), -0.5), r"`confidence` must lie in \[0, 1\].*-0.5"),
        (rotated(lambda rotation: 1.01 * rotation), "`camera.rotation` must hold rotations"),
        (rotated(lambda rotation: -rotation), "`camera.rotation` must hold rotations"),
        (rotated(lambda rotation: rotation[:, :2]), r"`camera.rotation` must have shape"),
        (rotated(lambda rotation: rotation * np.nan), "`camera.rotation` must be finite"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_clip_and_field(change, message):
    with pytest.raises(ValueError, match=f"Clip 'clip': .*{message}"):
        sequences.MultiViewSequence(**(fields() | change))


def test_holes_in_the_reference_are_allowed():
    clip = sequences.MultiViewSequence(**(fields() | changed("pose_world", (1, 4), np.nan)))
    assert np.isnan(clip.pose_world).sum() == 3
