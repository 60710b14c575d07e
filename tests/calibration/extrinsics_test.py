"""The embedded recording, whose own calibration is off by some ten pixels."""

import dataclasses

import numpy as np
import pytest

from keras_mvlift import errors
from keras_mvlift.calibration import extrinsics, observations, reports
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.geometry import cameras
from tests import random_scenes, refusals
from tests.calibration import rooms


def known(clip, *pairs):
    """The true distances between cameras."""
    names, center = clip.camera_names, clip.camera.center
    return {(names[a], names[b]): float(np.linalg.norm(center[a] - center[b])) for a, b in pairs}


def blind(clips):
    """The clips with cameras of which nothing is known but the intrinsics."""
    num_views = clips[0].num_views
    camera = clips[0].camera._replace(
        rotation=np.tile(np.eye(3), (num_views, 1, 1)), center=np.zeros((num_views, 3))
    )
    return [dataclasses.replace(clip, camera=camera) for clip in clips]


def differences(found, clip):
    moved = reports.align(found.camera, clip.camera, reach=4.5, with_scale=False)
    distance, angle = reports.differences(moved, clip.camera)
    return distance.max(), np.degrees(angle.max())


@pytest.mark.parametrize(
    "rig",
    [{"rig": "ring", "num_cameras": 3}, {}, {"rig": "ring", "num_cameras": 8}],
    ids=["three", "four", "eight"],
)
def test_a_studios_rig_is_found_from_noisy_detections(rig):
    clips = rooms.clips(**rig)
    found = extrinsics.estimate(blind(clips), known(clips[0], (0, 1)), 60)
    distance, angle = differences(found, clips[0])
    assert distance < 0.06
    assert angle < 1.0
    assert found.report.all.after.median_px < found.report.all.before.median_px


def test_two_cameras_are_found_from_exact_detections():
    clips = rooms.exact_clips()
    pair = [
        dataclasses.replace(
            clip,
            camera=rooms.one_rig(clip.camera, (0, 3)),
            camera_names=("camera_1", "camera_4"),
            keypoints_2d=clip.keypoints_2d[[0, 3]],
            confidence=clip.confidence[[0, 3]],
        )
        for clip in clips
    ]
    found = extrinsics.estimate(blind(pair), known(pair[0], (0, 1)))
    distance, angle = differences(found, pair[0])
    assert distance < 1e-6
    assert angle < 1e-5


def test_a_fifth_of_gross_errors_does_no_harm():
    clips = rooms.clips(gross_error_rate=0.2)
    found = extrinsics.estimate(blind(clips), known(clips[0], (0, 1), (2, 3)))
    distance, angle = differences(found, clips[0])
    assert distance < 0.08
    assert angle < 1.0


def test_refining_brings_a_shaken_rig_back_into_its_own_world():
    clips = rooms.clips()
    camera = clips[0].camera
    shift = np.random.default_rng(0).normal(0.0, 0.05, camera.center.shape)
    shaken = camera._replace(center=camera.center + shift)
    found = extrinsics.refine([dataclasses.replace(clip, camera=shaken) for clip in clips])
    distance, angle = reports.differences(found.camera, camera)
    assert found.report.all.after.median_px < 0.7 * found.report.all.before.median_px
    assert differences(found, clips[0])[0] < 0.06
    # Where the world is only the shaken cameras tell.
    assert distance.max() < 0.15
    assert np.degrees(angle.max()) < 2.0
    spread = [np.linalg.norm(rig.center - rig.center.mean(axis=0)) for rig in (found[0], shaken)]
    assert spread[0] == pytest.approx(spread[1])


def test_a_camera_that_saw_nobody_is_named():
    (clip,) = rooms.exact_clips(actions=("walking",), num_frames=20)
    confidence = clip.confidence.copy()
    confidence[2] = 0.0
    unseen = dataclasses.replace(clip, confidence=confidence)
    refusals.refused(r"Camera 'camera_3'.*hold 50 joints", extrinsics.refine, [unseen])
    refusals.refused("Camera 'camera_3'", extrinsics.estimate, [unseen], known(clip, (0, 1)))


def test_a_distance_of_unknown_cameras_is_refused_before_the_work():
    (clip,) = rooms.exact_clips(actions=("walking",), num_frames=20)
    with pytest.raises(ValueError, match="Received: camera_1 and nobody"):
        extrinsics.estimate([clip], {("camera_1", "nobody"): 1.0})


# A few detections are off by hundreds of pixels, whatever the calibration.
GROSS_PERCENT = 0.4


@pytest.fixture(scope="module")
def clip():
    return next(iter(pose2sim.Pose2SimSource(root=pose2sim.demo_root(), tells_apart=False)))


@pytest.fixture(scope="module")
def refined(clip):
    return extrinsics.refine([clip])


def test_refining_halves_the_error(clip, refined):
    report = refined.report.all
    assert report.before.median_px == pytest.approx(14.4, rel=0.02)
    assert report.after.median_px < 1.1 * 7.37
    seen = observations.gather([clip])
    means = []
    for camera in (clip.camera, refined.camera):
        errors = observations.errors_px(camera, seen)
        errors = errors[np.isfinite(errors)]
        means.append(errors[errors < np.percentile(errors, 100 - GROSS_PERCENT)].mean())
    assert means[0] == pytest.approx(15.6, rel=0.02)
    assert means[1] < 1.1 * 8.95


def test_one_distance_finds_the_rig_that_refining_finds(clip, refined):
    center = refined.camera.center
    distance = {("cam1", "cam2"): float(np.linalg.norm(center[0] - center[1]))}
    found = extrinsics.estimate([clip], distance)
    assert found.report.all.after.median_px == pytest.approx(
        refined.report.all.after.median_px, rel=0.01
    )
    moved = reports.align(found.camera, refined.camera, reach=4.0, with_scale=False)
    centers, turns = reports.differences(moved, refined.camera)
    assert centers.max() < 0.01
    assert np.degrees(turns.max()) < 0.1


NAMES = ("a", "b", "c")
RIG = cameras.Camera(
    np.tile(np.eye(3), (3, 1, 1)),
    np.tile(np.eye(3), (3, 1, 1)),
    np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 10.0]]),
)


def test_one_distance_golden():
    # a and b are 5 apart, and should be 2.5 m.
    factor = extrinsics.scale_from_distances(RIG, NAMES, {("b", "a"): 2.5})
    assert factor == pytest.approx(0.5)


def test_several_distances_are_fitted_by_least_squares():
    # (5 * 5 + 10 * 12) / (5^2 + 10^2).
    known = {("a", "b"): 5.0, ("a", "c"): 12.0}
    assert extrinsics.scale_from_distances(RIG, NAMES, known) == pytest.approx(145 / 125)


def test_distances_that_contradict_each_other_are_refused():
    # Together they make it (5 * 5 + 10 * 20) / 125 * 5 = 9 m.
    rule = "fit the other distances .* Received: 5 m of a and b, which is 1.8 times as far or near"
    known = {("a", "b"): 5.0, ("a", "c"): 20.0}
    with pytest.raises(errors.ArgumentError, match=rule):
        extrinsics.scale_from_distances(RIG, NAMES, known)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({}, "one distance or more"),
        ({("a", "d"): 1.0}, r"cameras a, b, c\. Received: a and d"),
        ({("a", "a"): 1.0}, r"Received: a and a"),
        ({("a", "b"): 0.0}, r"0.05 to 200.0 meters\. Received: 0.0 of a and b"),
        ({("a", "b"): np.nan}, r"to 200.0 meters\. Received: nan"),
    ],
)
def test_other_distances_are_refused(known, message):
    with pytest.raises(ValueError, match=message):
        extrinsics.check_distances(NAMES, known)


def test_cameras_in_one_place_tell_no_scale():
    rig = RIG._replace(center=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="cameras apart"):
        extrinsics.scale_from_distances(rig, NAMES, {("a", "b"): 1.0})


def placed(clips, seen=None):
    seen = observations.gather(clips) if seen is None else seen
    camera, names = clips[0].camera, clips[0].camera_names
    found = extrinsics.place_cameras(seen, camera.intrinsics, names)
    moved = reports.align(found, camera, reach=4.5, with_scale=True)
    return reports.differences(moved, camera)


@pytest.mark.parametrize("num_cameras", [3, 5])
def test_exact_detections_place_every_camera(num_cameras):
    clips = rooms.exact_clips(rig="ring", num_cameras=num_cameras)
    distance, angle = placed(clips)
    assert distance.max() < 1e-5
    assert angle.max() < 1e-5


def test_a_camera_that_shares_points_with_one_other_only_is_refused():
    clips = rooms.exact_clips(rig="ring", num_cameras=3)
    seen = observations.gather(clips)
    # The first two share the first half, the last two the second.
    half = len(seen.frame) // 2
    seen.weights[2, :half] = 0.0
    seen.weights[0, half:] = 0.0
    refusals.refused(r"Cameras 'camera_\d'.*share 20 joints", placed, clips, seen)


def test_of_two_cameras_the_reason_is_told_as_it_is():
    clips = rooms.exact_clips(rig="ring", num_cameras=2, num_frames=2)
    refusals.refused(r"Cameras 'camera_1' and 'camera_2'.*see 50", placed, clips)


CLIPS = rooms.exact_clips(num_frames=40)
SEEN = observations.gather(CLIPS)
POINTS = np.concatenate([clip.pose_world for clip in CLIPS])[SEEN.frame, SEEN.joint]


def upright(points=POINTS):
    """The rig after its world was lost, and found again."""
    camera = CLIPS[0].camera
    turn = random_scenes.rotation(np.random.default_rng(0))
    lost = cameras.Camera(camera.intrinsics, camera.rotation @ turn.T, camera.center @ turn.T + 7.0)
    return extrinsics.upright_world(lost, points @ turn.T + 7.0, SEEN)


def test_z_is_up_and_the_floor_at_zero():
    found, true = upright(), CLIPS[0].camera
    up = true.rotation[0].T @ found.rotation[0, :, 2]
    assert np.degrees(np.arccos(up[2])) < 3.0
    # People lean as they walk, which tilts the world by some centimeters over a few meters.
    assert abs(np.mean(found.center[:, 2] - true.center[:, 2])) < 0.05


def test_people_are_over_the_origin_and_x_is_to_the_right():
    found = upright()
    right = found.rotation[0, 0]
    assert right[0] > 0.99
    in_view = POINTS.mean(axis=0) - CLIPS[0].camera.center[0]
    over = found.center[0] + found.rotation[0].T @ CLIPS[0].camera.rotation[0] @ in_view
    np.testing.assert_allclose(over[:2], 0.0, atol=1e-9)


def test_people_who_lie_or_are_not_seen_whole_are_refused():
    # Half of the time on the head.
    upended = np.where((SEEN.frame % 2)[:, np.newaxis], POINTS, POINTS * [1, 1, -1])
    refusals.refused("show people who stand or walk", upright, upended)
    unseen = np.where((SEEN.frame > 3)[:, np.newaxis], np.nan, POINTS)
    refusals.refused("show ankles and shoulders in 5 frames", upright, unseen)
