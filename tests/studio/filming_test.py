import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import actions, filming, people

CAMERA = filming.h36m_like()
PERFECT = {"noise_px": 0.0, "gross_error_rate": 0.0, "missing_rate": 0.0, "dropped_view_rate": 0.0}


@pytest.fixture(scope="module")
def motion():
    person = people.draw_person(0, "S01")
    takes = [
        actions.perform(action, person, 300, 25.0, np.random.default_rng(0))
        for action in ("gesturing", "walking", "sitting", "boxing")
    ]
    return np.concatenate(takes)


def _detect(motion, camera=CAMERA, seed=0, **settings):
    detector = filming.Detector(**(PERFECT | settings))
    return detector.detect(motion, camera, np.random.default_rng(seed))


def _exact(motion, camera=CAMERA):
    return cameras.project_from_world(motion, cameras.expand(camera, -1))


def _error(motion, keypoints_2d, camera=CAMERA):
    return np.linalg.norm(keypoints_2d - _exact(motion, camera), axis=-1)


def test_a_perfect_detector_sees_every_joint_where_it_is(motion):
    keypoints_2d, confidence = _detect(motion)
    assert confidence.min() > 0
    np.testing.assert_allclose(keypoints_2d, _exact(motion), atol=1e-9)


def test_noise_has_about_the_asked_size_for_clear_joints(motion):
    keypoints_2d, confidence = _detect(motion, noise_px=4.0)
    clear = confidence > 0.9
    # Of a two-dimensional Gaussian of deviation 4 the median distance is 4 sqrt(2 ln 2) = 4.7.
    np.testing.assert_allclose(np.median(_error(motion, keypoints_2d)[clear]), 4.7, rtol=0.25)


def test_noise_rises_as_confidence_falls_and_its_tails_grow_heavier(motion):
    keypoints_2d, confidence = _detect(motion, noise_px=3.0)
    error = _error(motion, keypoints_2d)
    groups = [error[(confidence > low) & (confidence <= low + 0.25)] for low in (0.2, 0.5, 0.75)]
    medians = [np.median(group) for group in groups]
    assert medians[0] > 1.5 * medians[1] > 1.5 * medians[2]
    unsure, sure = (np.percentile(group, 99) / np.median(group) for group in (groups[0], groups[2]))
    assert unsure > 1.2 * sure


def _ring(num_cameras, radius):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filming, "RING_RADIUS", radius)
        return filming.ring(num_cameras)


def test_noise_grows_with_the_persons_size_in_the_image(motion):
    near, far = _ring(3, radius=3.0), _ring(3, radius=6.0)
    standing = motion[:100]
    errors = [
        np.median(_error(standing, _detect(standing, camera, noise_px=2.0)[0], camera))
        for camera in (near, far)
    ]
    np.testing.assert_allclose(errors[0] / errors[1], 2.0, rtol=0.25)


def test_occluded_joints_have_lower_confidence(motion):
    _, confidence = _detect(motion)
    hidden = filming.hidden_joints(cameras.camera_from_world(motion, cameras.expand(CAMERA, -1)))
    assert 0.05 < (hidden > 0.9).mean() < 0.4
    assert confidence[hidden > 0.9].mean() < confidence[hidden == 0].mean() - 0.4
    assert confidence[hidden > 0.9].min() > 0


def test_gross_errors_appear_at_about_the_asked_rate(motion):
    for rate in (0.02, 0.2):
        keypoints_2d, _ = _detect(motion, gross_error_rate=rate)
        wrong = _error(motion, keypoints_2d) > 1e-6
        np.testing.assert_allclose(wrong.mean(), rate, rtol=0.3)


def test_gross_errors_have_lowered_confidence_that_is_not_zero(motion):
    _, before = _detect(motion)
    keypoints_2d, after = _detect(motion, gross_error_rate=0.1)
    exact = _exact(motion)
    out = ((keypoints_2d == 0) & (exact != 0)).any(axis=-1)
    wrong = (_error(motion, keypoints_2d) > 1e-6) & ~out
    assert after[wrong].min() > 0
    assert after[wrong].mean() < 0.75 * before[wrong].mean()
    np.testing.assert_array_equal(after[~wrong & ~out], before[~wrong & ~out])


def test_gross_errors_swap_limbs_and_throw_joints_far(motion):
    keypoints_2d, confidence = _detect(motion, gross_error_rate=0.1)
    exact = _exact(motion)
    left, right = [4, 5, 6], [1, 2, 3]
    swapped = np.isclose(keypoints_2d[..., left, :], exact[..., right, :]).all(axis=(-1, -2))
    assert swapped.mean() > 0.02
    pelvis = _error(motion, keypoints_2d)[..., 0][confidence[..., 0] > 0]
    # The pelvis has no twin: it is right or far off, between 0.15 and 0.5 of a person's height.
    assert (pelvis[pelvis > 1e-6] > 30).all()
    assert 0.02 < (pelvis > 1e-6).mean() < 0.1


def test_missed_joints_appear_at_the_asked_rate_with_confidence_zero(motion):
    keypoints_2d, confidence = _detect(motion, missing_rate=0.1)
    np.testing.assert_allclose((confidence == 0).mean(), 0.1, rtol=0.1)
    assert (keypoints_2d[confidence == 0] == 0).all()
    assert (keypoints_2d[confidence > 0] != 0).all()


def test_dropped_views_lose_all_joints_for_a_while(motion):
    _, confidence = _detect(motion, dropped_view_rate=0.2)
    lost = (confidence == 0).mean(axis=-1)
    assert set(np.unique(lost)) == {0.0, 1.0}
    np.testing.assert_allclose(lost.mean(), 0.2, rtol=0.4)
    changes = np.abs(np.diff(lost, axis=1)).sum()
    assert changes < 0.1 * lost.size


def test_joints_out_of_the_image_or_behind_the_camera_are_not_seen(motion):
    motion = motion[:100]
    aside, behind = motion + np.array([0.0, 9.0, 0.0]), motion + 2 * filming.ring(1).center
    for moved in (aside, behind):
        keypoints_2d, confidence = _detect(moved, filming.ring(1), noise_px=3.0)
        assert (confidence == 0).all()
        assert (keypoints_2d == 0).all()


def test_what_is_right_behind_the_camera_is_not_seen():
    # On the optical axis, where a point at any depth would be in the middle of the image.
    camera = filming.ring(1)
    behind = camera.center[0] - 2.0 * camera.rotation[0, 2]
    keypoints_2d, confidence = _detect(np.tile(behind, (5, 17, 1)), camera)
    assert (confidence == 0).all()
    assert (keypoints_2d == 0).all()


def test_what_is_seen_lies_in_the_image(motion):
    camera = _ring(3, radius=2.2)
    keypoints_2d, confidence = _detect(motion, camera, noise_px=5.0, gross_error_rate=0.1)
    seen = confidence > 0
    assert 0.3 < seen.mean() < 0.98
    assert keypoints_2d.min() >= 0
    assert keypoints_2d[seen].max() < 1000
    narrow = filming.Detector().detect(
        motion, camera, np.random.default_rng(0), image_size=(500, 1000)
    )[0]
    assert narrow[..., 0].max() < 500 < narrow[..., 1].max()


def test_the_same_dice_give_the_same_detections(motion):
    first, again, other = (_detect(motion, seed=seed, noise_px=3.0) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise_px": -1.0}, "`noise_px` must be a number, 0 or more. Received: -1.0"),
        ({"noise_px": float("nan")}, "`noise_px`.*Received: nan"),
        ({"gross_error_rate": 1.5}, r"`gross_error_rate` must lie in \[0, 1\]. Received.*1.5"),
        ({"missing_rate": -0.1}, r"`missing_rate` must lie in \[0, 1\]. Received.*-0.1"),
        ({"dropped_view_rate": 2}, r"`dropped_view_rate` must lie in \[0, 1\]. Received.*2"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        filming.Detector(**settings)


def test_a_bias_is_the_same_in_every_take_and_grows_with_bias_px(motion):
    small, large = (
        _detect(motion, bias_px=bias, seed=seed)[0] - _exact(motion)
        for bias, seed in ((2.0, 0), (6.0, 1))
    )
    np.testing.assert_allclose(large, 3 * small, atol=1e-6)
    assert 1.0 < small.std() < 4.0


def test_a_bias_is_proportional_to_the_persons_height_in_the_image(motion):
    near, far = _ring(3, radius=4.0), _ring(3, radius=8.0)
    bias = [
        _detect(motion[:100], camera, bias_px=3.0)[0] - _exact(motion[:100], camera)
        for camera in (near, far)
    ]
    sizes = [np.abs(part).mean() for part in bias]
    np.testing.assert_allclose(sizes[0] / sizes[1], 2.0, rtol=0.05)


def test_a_person_400_pixels_tall_has_the_asked_bias(motion):
    # 1.7 m are 400 pixels where a meter is 400 / 1.7 of them.
    camera = filming.ring(1)
    depth = camera.intrinsics[0, 1, 1] * 1.7 / 400.0
    standing = cameras.camera_from_world(motion[:1], cameras.expand(camera, -1))
    points_camera = standing - standing[..., :1, :] + np.array([0.0, 0.0, depth])
    placed = points_camera[0] @ camera.rotation[0] + camera.center[0]
    bias = _detect(placed, camera, bias_px=3.0)[0] - _exact(placed, camera)
    np.testing.assert_allclose(bias, 3.0 * filming.offsets(points_camera), atol=1e-6)


def seen(num_frames=200):
    person = people.draw_person(0, "S01")
    motion = actions.perform("walking", person, num_frames, 25.0, np.random.default_rng(0))
    return cameras.camera_from_world(motion, cameras.expand(filming.ring(12), -1))


def test_what_is_seen_from_the_same_side_is_off_alike_wherever_it_is():
    points_camera = seen()
    moved = points_camera + np.array([0.3, -0.2, 1.0])
    np.testing.assert_allclose(filming.offsets(moved), filming.offsets(points_camera), atol=1e-9)


def test_front_and_back_are_off_differently():
    points_camera = seen(1)
    turned = points_camera * [-1, 1, -1]
    difference = filming.offsets(turned) - filming.offsets(points_camera)
    assert np.abs(difference).mean() > 0.3


def test_offsets_have_the_asked_spread_over_joints_and_directions():
    offset = filming.offsets(seen())
    assert offset.shape == (12, 200, 17, 2)
    assert 0.75 < offset.std() < 1.25
    # It stays when one averages over frames and views: no noise.
    assert np.abs(offset.mean(axis=(0, 1))).max() > 0.5


JOINT = {joint: index for index, joint in enumerate(skeletons.H36M_17.joints)}
# Camera axes (right, down, forward) of a camera that a person facing the world's x looks into.
CAMERA_FROM_WORLD = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])


def _seen(heading=0.0, distance=5.0, **degrees):
    angles = {name: np.radians([angle]) for name, angle in degrees.items()}
    body = people.draw_person(0, "S01").bone_lengths
    pose = people.pose_of_angles(angles, np.array([heading]), body)[0]
    return pose @ CAMERA_FROM_WORLD.T + [0.0, 0.0, distance]


def _hidden(points_camera, girth=1.0):
    return dict(zip(JOINT, filming.hidden_joints(points_camera, girth), strict=True))


SPREAD = {"left_shoulder_abduction": 30.0, "right_shoulder_abduction": 30.0}


def test_a_hand_in_front_of_the_belly_is_seen_and_behind_it_is_not():
    bent = {"left_elbow_flexion": 90.0, "left_shoulder_rotation": 60.0, "left_shoulder_flexion": 20}
    assert _hidden(_seen(**bent))["left_wrist"] == 0
    assert _hidden(_seen(heading=np.pi, **bent))["left_wrist"] > 0.9


def test_only_what_lies_behind_the_surface_is_hidden():
    # The trunk is 0.1 m thick on either side of the spine, and the edge 0.04 m soft.
    points = _seen(**SPREAD)
    for behind, expected in ((0.05, 0.0), (0.12, 0.5), (0.2, 1.0)):
        points[JOINT["left_wrist"]] = points[JOINT["spine"]] + [0.0, 0.0, behind]
        np.testing.assert_allclose(_hidden(points)["left_wrist"], expected, atol=0.25)


def test_the_far_side_is_hidden_in_profile_and_the_near_side_is_not():
    # Turned to the camera's right, the person shows the camera the right side.
    hidden = _hidden(_seen(heading=np.pi / 2, left_knee_flexion=5))
    assert hidden["left_shoulder"] > 0.9
    assert hidden["left_knee"] > 0.9
    assert hidden["left_elbow"] > 0.9
    for joint in ("right_shoulder", "right_knee", "right_elbow", "right_wrist", "right_ankle"):
        assert hidden[joint] == 0, joint


def test_a_forearm_does_not_hide_its_own_elbow():
    pointing = {"left_shoulder_abduction": 85.0, "left_elbow_flexion": 90.0}
    assert _hidden(_seen(**pointing))["left_elbow"] == 0
    # From behind, the upper arm's end hides the wrist.
    assert _hidden(_seen(heading=np.pi, **pointing))["left_wrist"] > 0.9


def test_a_thicker_body_hides_more():
    points = np.stack([_seen(heading=angle) for angle in np.linspace(0, 2 * np.pi, 60)])
    assert (
        filming.hidden_joints(points, 1.3).mean() > 1.03 * filming.hidden_joints(points, 0.8).mean()
    )


def test_hidden_is_a_finite_share_even_around_the_camera():
    points = np.stack([_seen(distance=distance) for distance in (-1.0, 0.0, 0.05, 0.5)])
    hidden = filming.hidden_joints(points)
    assert np.isfinite(hidden).all()
    assert hidden.min() >= 0
    assert hidden.max() <= 1


def _rng(seed=0):
    return np.random.default_rng(seed)


def test_h36m_like_cameras_stand_around_the_room_at_head_height():
    camera = filming.h36m_like()
    away = np.linalg.norm(camera.center[:, :2], axis=-1)
    assert camera.center.shape == (4, 3)
    assert (away > 4.0).all()
    assert (away < 5.6).all()
    assert (np.abs(camera.center[:, 2] - 1.55) < 0.1).all()
    # One in each corner.
    assert len({tuple(corner) for corner in np.sign(camera.center[:, :2])}) == 4


def test_a_ring_has_any_number_of_cameras_on_a_circle():
    for num_cameras in (1, 2, 7):
        camera = filming.ring(num_cameras)
        np.testing.assert_allclose(np.linalg.norm(camera.center[:, :2], axis=-1), 4.5)
        np.testing.assert_allclose(camera.center[:, 2], 1.5)
        assert camera.rotation.shape == (num_cameras, 3, 3)
    angles = np.sort(np.arctan2(camera.center[:, 1], camera.center[:, 0]))
    np.testing.assert_allclose(np.diff(angles), 2 * np.pi / 7)


@pytest.mark.parametrize(
    "camera", [filming.h36m_like(), filming.ring(5)], ids=["h36m_like", "ring"]
)
def test_the_rooms_middle_is_in_the_images_middle_and_up_is_up(camera):
    points = np.array([[[0.0, 0.0, 0.95], [0.0, 0.0, 1.9], [0.0, 0.0, 0.0]]])
    seen = cameras.project_from_world(points, cameras.expand(camera, -1))
    middle, head, feet = np.moveaxis(seen[:, 0], 1, 0)
    np.testing.assert_allclose(middle, 500.0, atol=1e-6)
    assert (head[:, 1] < 400).all()
    assert (feet[:, 1] > 600).all()
    np.testing.assert_allclose(head[:, 0], 500.0, atol=1e-6)


def test_rotations_are_rotations():
    camera = filming.ring(6, jitter=0.2, rng=_rng())
    gram = camera.rotation @ camera.rotation.swapaxes(-1, -2)
    np.testing.assert_allclose(gram, np.tile(np.eye(3), (6, 1, 1)), atol=1e-9)
    assert (np.linalg.det(camera.rotation) > 0).all()


def test_jitter_moves_cameras_and_lenses_by_its_dice():
    still = filming.h36m_like()
    first, again, other = (filming.h36m_like(0.1, _rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.rotation, again.rotation)
    assert 0.01 < np.abs(first.center - still.center).mean() < 0.3
    assert not np.allclose(first.center, other.center)
    assert not np.allclose(first.intrinsics, other.intrinsics)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: filming.ring(0), "`num_cameras` must be positive. Received: 0"),
        (lambda: filming.h36m_like(-0.1, _rng()), "`jitter` must be 0, or above it with `rng`."),
        (lambda: filming.h36m_like(0.1), "`jitter`.*with `rng`. Received: 0.1"),
    ],
)
def test_a_rig_that_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
