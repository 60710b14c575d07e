import dataclasses

import numpy as np
import pytest

from keras_mvlift.visualization import scene
from tests.visualization import pose_clips, sample_pages


def test_camera_axes_stand_upright_in_the_scene():
    # Right, down, away from the camera.
    track = pose_clips.track()
    seen = scene.points(pose_clips.clip(track, space="camera"))[0]
    np.testing.assert_array_equal(seen, track.pose[..., [0, 2, 1]] * [1, 1, -1])
    assert scene.axes("root") == [
        ("x", [1.0, 0.0, 0.0]),
        ("y", [0.0, 0.0, -1.0]),
        ("z", [0.0, 1.0, 0.0]),
    ]


@pytest.mark.parametrize("turn", [0.0, 0.5, -2.0])
def test_a_person_in_a_world_is_seen_from_the_front(turn):
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    clip = pose_clips.clip(pose_clips.track(pose=pose_clips.pose() @ rotation.T))
    # The person looks along -y, and who looks along y sees the face.
    np.testing.assert_allclose(scene.viewpoint(clip).azimuth, turn, atol=1e-9)


def test_the_bounds_hold_everybody():
    far = pose_clips.track("person 2", shift=(6.0, 0.0, 0.0))
    center, radius = scene.bounds(pose_clips.clip(pose_clips.track(), far))
    np.testing.assert_allclose(center[0], 3.0)
    assert 3.5 < radius < 4.5


def test_absent_people_have_bounds_too():
    absent = np.full((2, 17, 3), np.nan)
    fields = {"confidence": None, "keypoints_2d": None, "keypoint_confidence": None}
    clip = pose_clips.clip(pose_clips.track(pose=absent, **fields))
    center, radius = scene.bounds(clip)
    assert np.isfinite([*center, radius]).all()
    assert scene.viewpoint(clip) == (0.0, scene.ELEVATION)


OTHER = pose_clips.track("person 2", shift=(1.0, 0.0, 0.0))


def test_a_reference_stands_with_whom_it_judges_wherever_it_is_listed():
    model, other, reference = pose_clips.compared().tracks
    assert scene.slots((model, other, reference), [2, 2, None]) == [0, 1, 0]
    assert scene.slots((reference, model, other), [None, 0, 0]) == [0, 0, 1]


def test_only_several_people_around_their_pelvises_are_apart():
    people = pose_clips.clip(pose_clips.track(), OTHER, space="root")
    assert scene.are_apart(people)
    assert not scene.are_apart(dataclasses.replace(people, space="world"))
    assert not scene.are_apart(dataclasses.replace(pose_clips.compared(), space="root"))


def test_a_worlds_floor_is_at_zero_where_feet_reach_it_and_below_them_elsewhere():
    floor = scene.floor(pose_clips.clip())
    assert (floor.height == 0).all()
    assert not floor.is_estimated
    # Ankles are at 0.1 m, and 8 cm above the sole.
    raised = scene.floor(pose_clips.clip(pose_clips.track(shift=(0.0, 0.0, 2.0))))
    np.testing.assert_allclose(raised.height, 2.02)
    assert raised.is_estimated
    np.testing.assert_array_equal(raised.normal, [0.0, 0.0, 1.0])


def test_the_floor_below_people_who_walk_before_a_tilted_camera_is_tilted():
    floor = scene.floor(sample_pages.from_camera())
    wanted = [0.0, -np.sin(sample_pages.PITCH), np.cos(sample_pages.PITCH)]
    np.testing.assert_allclose(floor.normal, wanted, atol=0.02)
    # The camera is 1.5 m above the floor; ankles are at 0.1 m, and 8 cm above the sole.
    np.testing.assert_allclose(floor.height, 0.02 - sample_pages.TALL, atol=0.02)


def test_people_who_lean_as_lifted_tilt_the_floor_less_the_farther_they_go():
    lean = 0.2

    def tilt(reach):
        clip = sample_pages.from_camera()
        pose = clip.tracks[0].pose
        away = pose - pose[:, :1]
        x, y, z = np.moveaxis(away, -1, 0)
        # All lean away from the camera about their pelvises.
        turned = [x, np.cos(lean) * y + np.sin(lean) * z, np.cos(lean) * z - np.sin(lean) * y]
        middle = pose[:, :1].mean(axis=0)
        pose = middle + reach * (pose[:, :1] - middle) + np.stack(turned, axis=-1)
        track = dataclasses.replace(clip.tracks[0], pose=pose)
        normal = scene.floor(dataclasses.replace(clip, tracks=(track,))).normal
        upright = [0.0, -np.sin(sample_pages.PITCH), np.cos(sample_pages.PITCH)]
        return float(np.arccos(np.clip(normal @ upright, -1, 1)))

    still, near, far = tilt(0.0), tilt(1.0), tilt(4.0)
    np.testing.assert_allclose(still, lean, atol=0.05)
    assert far < 0.3 * lean < near < 0.8 * lean


def test_the_floor_rises_when_who_is_seen_around_the_pelvis_crouches():
    pose = pose_clips.pose(40) - pose_clips.STANDING[0]
    pose[20:, :, 2] *= 0.5
    axes = np.stack([pose[..., 0], -pose[..., 2], pose[..., 1]], axis=-1)
    fields = {"pose": axes, "keypoints_2d": None, "keypoint_confidence": None, "confidence": None}
    floor = scene.floor(pose_clips.clip(pose_clips.track(num_frames=40, **fields), space="root"))
    np.testing.assert_allclose(floor.height[[0, -1]], [-0.88, -0.48])
    assert (np.diff(floor.height) >= -1e-9).all()


@pytest.mark.parametrize("space", ["root", "camera", "world"])
def test_nobody_and_lying_people_have_a_floor_too(space):
    fields = {"keypoints_2d": None, "keypoint_confidence": None, "confidence": None}
    absent = pose_clips.track(pose=np.full((3, 17, 3), np.nan), num_frames=3, **fields)
    lying = pose_clips.track(pose=pose_clips.pose(3)[..., [2, 1, 0]], num_frames=3, **fields)
    for track in (absent, lying):
        floor = scene.floor(pose_clips.clip(track, space=space))
        assert np.isfinite(floor.height).all()
        np.testing.assert_allclose(np.linalg.norm(floor.normal), 1)
        along = scene.floor_directions(floor)
        np.testing.assert_allclose(along @ floor.normal, 0, atol=1e-12)
        np.testing.assert_allclose(along @ along.T, np.eye(2), atol=1e-12)


def test_the_camera_stands_where_lifting_noted_it():
    clip = sample_pages.from_camera()
    camera = scene.camera(clip)
    np.testing.assert_array_equal(camera.center, 0.0)
    # Right, down and forward in a scene of x right, y away, z up.
    np.testing.assert_array_equal(camera.axes, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    rotation, center = [[1, 0, 0], [0, 0, -1], [0, 1, 0]], [1.0, -4.0, 1.5]
    about = {"viewpoint": clip.about["viewpoint"] | {"rotation": rotation, "center": center}}
    camera = scene.camera(pose_clips.clip(about=about))
    np.testing.assert_array_equal(camera.center, center)
    np.testing.assert_array_equal(camera.axes, rotation)


def test_a_camera_without_a_place_is_not_shown():
    about = sample_pages.from_camera().about
    assert scene.camera(pose_clips.clip(about=about, space="root")) is None
    assert scene.camera(pose_clips.clip(about=about, space="world")) is None
    assert scene.camera(pose_clips.clip()) is None
    with pytest.raises(ValueError, match="`intrinsics` must be"):
        scene.camera(pose_clips.clip(about={"viewpoint": {"intrinsics": [1]}}))


def test_who_is_seen_poorly_is_doubted_and_left_out_of_films():
    brief = pose_clips.track("brief", 20)
    brief.pose[1:] = np.nan
    unsure = pose_clips.track("unsure", 20, confidence=np.full((20, 17), 0.2))
    tracks = (pose_clips.track("good", 20), brief, unsure, pose_clips.track("off", 20))
    clip = pose_clips.clip(*tracks, about={"reprojection_error": {"good": 0.02, "off": 0.3}})
    assert scene.doubts(clip) == [
        *("", "seen in 1 frame only", "mean confidence 0.20"),
        "30% of a body's size off its joints",
    ]
    assert [track.name for track in scene.without_doubtful(clip).tracks] == ["good"]
    assert scene.doubts(dataclasses.replace(clip, tracks=(unsure,))) == [""]
