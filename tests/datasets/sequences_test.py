import dataclasses

import numpy as np
import pytest

from keras_mvlift.datasets import sequences
from keras_mvlift.geometry import cameras
from tests.datasets import clips

CLIP = clips.exact(2, 3)


FRAMES = np.array([5, 2, 9])


@pytest.fixture(scope="module")
def clip():
    return clips.exact(num_views=3, num_frames=12)


def test_a_clip_knows_its_numbers_of_views_and_frames_and_may_have_none():
    assert (CLIP.num_views, CLIP.num_frames) == (2, 3)
    assert dataclasses.replace(CLIP.frames(slice(0, 0)), pose_world=None).num_frames == 0


@pytest.mark.parametrize("index", [slice(1, None), np.array([2, 0]), np.array([], int)])
def test_chosen_frames_keep_everything_else(index):
    clip, chosen = CLIP, CLIP.frames(index)
    np.testing.assert_array_equal(chosen.keypoints_2d, clip.keypoints_2d[:, index])
    np.testing.assert_array_equal(chosen.confidence, clip.confidence[:, index])
    np.testing.assert_array_equal(chosen.pose_world, clip.pose_world[index])
    assert (chosen.name, chosen.camera_names) == (clip.name, clip.camera_names)
    np.testing.assert_array_equal(chosen.camera.center, clip.camera.center)
    assert dataclasses.replace(clip, pose_world=None).frames(index).pose_world is None


def test_arrays_of_any_kind_become_numpy_in_double_precision():
    names = ("keypoints_2d", "confidence", "pose_world")
    single = {name: getattr(CLIP, name).astype(np.float32) for name in names}
    camera = cameras.Camera(*(np.float32(value) for value in CLIP.camera))
    clip = dataclasses.replace(CLIP, **single, camera=camera)
    for value in (clip.keypoints_2d, clip.confidence, clip.pose_world, *clip.camera):
        assert isinstance(value, np.ndarray)
        assert value.dtype == np.float64


def changed(name, index, value):
    array = getattr(CLIP, name).copy()
    array[index] = value
    return {name: array}


def rotated(rotation):
    return {"camera": CLIP.camera._replace(rotation=rotation(CLIP.camera.rotation))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_rate": 1e9}, r"`frame_rate` must be above 0 and at most 1000 per second"),
        ({"frame_rate": 0.0}, r"`frame_rate` must be above 0"),
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
        dataclasses.replace(CLIP, **change)


def test_holes_in_the_reference_are_allowed():
    clip = dataclasses.replace(CLIP, **changed("pose_world", (1, 4), np.nan))
    assert np.isnan(clip.pose_world).sum() == 3


def test_same_seed_and_names_give_the_same_numbers_in_every_process():
    # The CRC-32 of b"clip" is 2904560743, that of b"a" 3904355907.
    expected = np.random.default_rng([7, 2904560743, 3904355907])
    drawn = sequences.seeded_generator(7, "clip", "a")
    np.testing.assert_array_equal(drawn.random(3), expected.random(3))


@pytest.mark.parametrize(
    "other", [(1, "clip", "a"), (0, "clip", "b"), (0, "a", "clip"), (0, "clip")]
)
def test_any_other_seed_or_name_gives_other_numbers(other):
    ours, theirs = sequences.seeded_generator(0, "clip", "a"), sequences.seeded_generator(*other)
    assert not np.array_equal(ours.random(4), theirs.random(4))


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r"`seed` must not be negative. Received: -1"):
        sequences.seeded_generator(-1)


def test_instants_are_the_chosen_frames_view_by_view(clip):
    seen = sequences.instants_of_sequence(clip, FRAMES)
    assert seen.camera_names == clip.camera_names
    np.testing.assert_array_equal(seen.frame, FRAMES)
    for instant, frame in enumerate(FRAMES):
        np.testing.assert_array_equal(seen.keypoints_2d[instant], clip.keypoints_2d[:, frame])
        np.testing.assert_array_equal(seen.confidence[instant], clip.confidence[:, frame])
        for field, expected in zip(seen.camera, clip.camera, strict=True):
            np.testing.assert_array_equal(field[instant], expected)


def test_no_frames_are_no_instants(clip):
    seen = sequences.instants_of_sequence(clip, FRAMES[:0])
    assert seen.keypoints_2d.shape == (0, 3, 17, 2)
    points, is_seen = sequences.triangulate(seen, 0.3)
    assert (points.shape, is_seen.shape) == ((0, 17, 3), (0, 17))


def test_a_view_is_used_if_it_shows_enough_joints(clip):
    clip = clips.hide(clip, np.s_[1, 2, :10])
    seen = sequences.instants_of_sequence(clip, FRAMES)
    assert seen.is_used(7).all()
    expected = np.ones((3, 3), bool)
    expected[1, 1] = False
    np.testing.assert_array_equal(seen.is_used(8), expected)


def test_selected_instants_keep_their_frames_and_cameras(clip):
    seen = sequences.instants_of_sequence(clip, FRAMES)
    cameras_apart = seen.camera._replace(center=seen.camera.center + FRAMES[:, None, None])
    chosen = seen._replace(camera=cameras_apart).select(np.array([2, 0]))
    assert chosen.frame.tolist() == [9, 5]
    np.testing.assert_array_equal(chosen.keypoints_2d, seen.keypoints_2d[[2, 0]])
    np.testing.assert_array_equal(chosen.confidence, seen.confidence[[2, 0]])
    np.testing.assert_array_equal(chosen.camera.center, cameras_apart.center[[2, 0]])


def test_exact_keypoints_triangulate_to_the_true_pose(clip):
    points, is_seen = sequences.triangulate(sequences.instants_of_sequence(clip, FRAMES), 0.3)
    np.testing.assert_allclose(points, clip.pose_world[FRAMES], atol=1e-5)
    assert is_seen.all()


def test_detections_below_the_threshold_are_left_out_of_triangulation(clip):
    confidence, keypoints_2d = clip.confidence.copy(), clip.keypoints_2d.copy()
    confidence[0, 2, 4], keypoints_2d[0, 2, 4] = 0.29, 0.0
    confidence[:2, 2, 6] = 0.29
    spoiled = dataclasses.replace(clip, confidence=confidence, keypoints_2d=keypoints_2d)
    points, is_seen = sequences.triangulate(sequences.instants_of_sequence(spoiled, FRAMES), 0.3)
    np.testing.assert_allclose(points[1, 4], clip.pose_world[2, 4], atol=1e-5)
    assert np.argwhere(~is_seen).tolist() == [[1, 6]]
    points, is_seen = sequences.triangulate(sequences.instants_of_sequence(spoiled, FRAMES), 0.29)
    assert np.linalg.norm(points[1, 4] - clip.pose_world[2, 4]) > 0.01
    assert is_seen.all()


def test_views_side_by_side_keep_their_order(clip):
    first = sequences.instants_of_sequence(clip, FRAMES)
    second = first._replace(
        camera_names=("a", "b", "c"),
        keypoints_2d=first.keypoints_2d + 1,
        confidence=first.confidence / 2,
    )
    both = sequences.concatenate_views(first, second)
    assert both.camera_names == (*clip.camera_names, "a", "b", "c")
    np.testing.assert_array_equal(both.frame, FRAMES)
    np.testing.assert_array_equal(both.keypoints_2d[:, :3], first.keypoints_2d)
    np.testing.assert_array_equal(both.keypoints_2d[:, 3:], second.keypoints_2d)
    np.testing.assert_array_equal(both.confidence[:, 3:], second.confidence)
    for field, expected in zip(both.camera, first.camera, strict=True):
        np.testing.assert_array_equal(field, np.concatenate([expected, expected], axis=1))


def test_a_batch_of_all_views_may_be_filled_up_with_views_that_see_nothing():
    clip = clips.exact(num_views=3, num_frames=5)
    seen = sequences.instants_of_sequence(clip, np.array([4, 1]))
    view = sequences.to_view(seen, num_views=5)
    assert {value.dtype for value in (*view[:2], *view.camera)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(view.keypoints_2d[:, :3], seen.keypoints_2d, rtol=1e-6)
    np.testing.assert_allclose(view.camera.center[:, :3], seen.camera.center, rtol=1e-6)
    assert view.confidence.shape == (2, 5, 17)
    assert not view.confidence[:, 3:].any()
    assert not view.keypoints_2d[:, 3:].any()
    for matrix in (view.camera.intrinsics, view.camera.rotation):
        np.testing.assert_array_equal(matrix[:, 3:], np.broadcast_to(np.eye(3), (2, 2, 3, 3)))
    assert sequences.to_view(seen).confidence.shape == (2, 3, 17)


@pytest.mark.parametrize(("count", "wanted"), [(3, 5), (10, 4), (1, 1), (7, 1)])
def test_things_are_chosen_evenly_and_once(count, wanted):
    chosen = sequences.spread(count, wanted)
    assert len(set(chosen)) == min(count, wanted)
    assert chosen[0] == 0
    assert chosen.max() < count
