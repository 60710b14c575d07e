import time

import hypothesis
import numpy as np
import pytest
from scipy import optimize
from scipy.spatial import transform

from keras_mvlift.calibration import bundle_adjustment, observations, reports
from keras_mvlift.geometry import cameras
from tests.calibration import rooms


def shaken(camera, rng, shift=0.05, turn=0.02):
    """All cameras but the first, shifted and turned."""
    count = len(camera.center) - 1
    turns = transform.Rotation.from_rotvec(rng.normal(0.0, turn, (count, 3))).as_matrix()
    rotation, center = camera.rotation.copy(), camera.center.copy()
    rotation[1:] = turns @ rotation[1:]
    center[1:] += rng.normal(0.0, shift, (count, 3))
    return cameras.Camera(camera.intrinsics, rotation, center)


def distances(camera, target):
    """Meters and degrees between two rigs of any size and world."""
    moved = reports.align(camera, target, reach=4.5, with_scale=True)
    distance, angle = reports.differences(moved, target)
    return distance.max(), np.degrees(angle.max())


@hypothesis.settings(max_examples=4, deadline=None)
@hypothesis.given(
    seed=hypothesis.strategies.integers(0, 2**32 - 1),
    num_cameras=hypothesis.strategies.integers(3, 6),
)
def test_exact_detections_give_the_exact_rig(seed, num_cameras):
    camera, _, seen = rooms.room(num_cameras, num_points=120, seed=seed)
    start = shaken(camera, np.random.default_rng(seed))
    found = bundle_adjustment.adjust(start, seen)
    distance, angle = distances(found, camera)
    assert distance < 1e-6
    assert angle < 1e-5


def test_two_cameras_are_enough():
    camera, _, seen = rooms.room(6)
    camera, seen = rooms.one_rig(camera, (0, 1)), seen.views((0, 1))
    found = bundle_adjustment.adjust(shaken(camera, np.random.default_rng(0)), seen)
    assert distances(found, camera)[0] < 1e-6


def test_the_first_camera_stays():
    camera, _, seen = rooms.room(noise_px=2.0)
    found = bundle_adjustment.adjust(shaken(camera, np.random.default_rng(0)), seen)
    np.testing.assert_array_equal(found.rotation[0], camera.rotation[0])
    np.testing.assert_array_equal(found.center[0], camera.center[0])
    np.testing.assert_array_equal(found.intrinsics, camera.intrinsics)


def test_noise_is_averaged():
    camera, _, seen = rooms.room(num_points=1200, noise_px=3.0)
    start = shaken(camera, np.random.default_rng(0))
    found = bundle_adjustment.adjust(start, seen)
    distance, angle = distances(found, camera)
    assert distance < 0.01
    assert angle < 0.15
    before, after = (np.nanmedian(observations.errors_px(rig, seen)) for rig in (start, found))
    assert after < 4.0 < before


def test_a_fifth_of_gross_errors_does_no_harm():
    camera, _, seen = rooms.room(num_points=1200, noise_px=2.0)
    rng = np.random.default_rng(0)
    is_gross = rng.random(seen.weights.shape) < 0.2
    seen.keypoints_2d[is_gross] += rng.uniform(-300, 300, (np.count_nonzero(is_gross), 2))
    found = bundle_adjustment.adjust(shaken(camera, rng), seen)
    distance, angle = distances(found, camera)
    assert distance < 0.02
    assert angle < 0.3


def test_confidence_tells_whom_to_believe():
    camera, _, seen = rooms.room(num_points=240)
    rng = np.random.default_rng(0)
    unsure = rng.random(seen.weights.shape) < 0.4
    seen.keypoints_2d[unsure] += rng.normal(0.0, 20.0, (np.count_nonzero(unsure), 2))
    start = shaken(camera, rng)
    believing = bundle_adjustment.adjust(start, seen)
    doubting = bundle_adjustment.adjust(start, seen._replace(weights=np.where(unsure, 0.05, 1.0)))
    assert distances(doubting, camera)[0] < 0.5 * distances(believing, camera)[0]


def test_points_behind_or_on_one_line_with_their_cameras_are_not_used():
    camera, points, _ = rooms.room(num_cameras=2)
    points[0] = camera.center[0] - camera.rotation[0, 2]
    points[1] = 0.4 * camera.center[0] + 0.6 * camera.center[1]
    usable = bundle_adjustment.is_usable(camera, rooms.seen_by(camera, points))
    assert not usable[:2].any()
    assert usable[2:].mean() > 0.9


def test_too_few_points_are_refused():
    camera, _, seen = rooms.room(num_points=20)
    with pytest.raises(ValueError, match=r"`seen` must hold 50 points .* Received: 20"):
        bundle_adjustment.adjust(camera, seen)


def test_a_hundred_frames_take_seconds_of_one_core():
    camera, _, seen = rooms.room(num_points=1700, noise_px=3.0)
    start = time.process_time()
    bundle_adjustment.adjust(shaken(camera, np.random.default_rng(0)), seen)
    assert time.process_time() - start < 20.0


def test_points_and_cameras_end_where_a_solver_ends():
    camera, points, seen = rooms.room(num_cameras=3, num_points=12, noise_px=6.0)
    start = shaken(camera, np.random.default_rng(0))
    found, placed = bundle_adjustment.minimize(start, points, seen, SCALE)

    def shortened(moves):
        turns = transform.Rotation.from_rotvec(moves[:6].reshape(2, 3)).as_matrix()
        rotation, center = start.rotation.copy(), start.center.copy()
        rotation[1:], center[1:] = turns @ rotation[1:], center[1:] + moves[6:12].reshape(2, 3)
        moved = cameras.Camera(start.intrinsics, rotation, center)
        left = bundle_adjustment.residuals(moved, points + moves[12:].reshape(-1, 3), seen)
        squared = np.sum(np.square(left), axis=-1, keepdims=True)
        # Vectors whose squares are the loss.
        return (left * np.sqrt(2 / (np.sqrt(1 + squared / SCALE**2) + 1))).ravel()

    solution = optimize.least_squares(shortened, np.zeros(12 + 3 * len(points)))
    least = bundle_adjustment.loss(bundle_adjustment.residuals(found, placed, seen), SCALE)
    assert least <= 2 * solution.cost * (1 + 1e-4)


SCALE = 3.0


def scene():
    camera, points, seen = rooms.room(num_cameras=3, num_points=24, noise_px=4.0)
    weights = np.random.default_rng(1).uniform(0.4, 1.0, seen.weights.shape)
    weights[0, 3] = 0.0
    return camera, points, seen._replace(weights=weights)


def test_the_residual_golden():
    # 1 px right and 2 px down of what was seen, at half confidence.
    camera, points, seen = rooms.room(num_cameras=2, num_points=1)
    seen = seen._replace(keypoints_2d=seen.keypoints_2d - [1.0, 2.0], weights=np.full((2, 1), 0.5))
    found = bundle_adjustment.residuals(camera, points, seen)
    np.testing.assert_allclose(found, [[[0.5, 1.0]]] * 2, rtol=1e-6)


def test_the_loss_golden():
    # |r| = sqrt(3) * scale: 2 * 4 * (sqrt(1 + 3) - 1) = 8.
    np.testing.assert_allclose(bundle_adjustment.loss(np.array([[np.sqrt(12.0), 0.0]]), 2.0), 8.0)


def test_what_was_not_seen_has_no_residual_and_pulls_nothing():
    camera, points, seen = scene()
    for value in bundle_adjustment.linearize(camera, points, seen, SCALE):
        np.testing.assert_array_equal(value[0, 3], np.zeros_like(value[0, 3]))
        assert np.abs(value[1, 3]).max() > 0


def test_slopes_are_those_of_small_steps():
    camera, points, seen = scene()
    now = bundle_adjustment.linearize(camera, points, seen, SCALE)
    by_point = 2 * np.einsum("vnki,vnk->vni", now.by_point, now.residuals).sum(axis=0)
    by_camera = 2 * np.einsum("vnkp,vnk->vp", now.by_camera, now.residuals)

    def slope(moved):
        ahead, behind = (bundle_adjustment.residuals(*moved(s * 1e-6), seen) for s in (1, -1))
        losses = (bundle_adjustment.loss(left, SCALE) for left in (ahead, behind))
        return np.subtract(*losses) / 2e-6

    for axis in range(3):
        step = np.eye(3)[axis]

        def turned(size, step=step):
            turn = transform.Rotation.from_rotvec(size * step).as_matrix()
            rotation = camera.rotation.copy()
            rotation[1] = turn @ rotation[1]
            return camera._replace(rotation=rotation), points

        def shifted(size, step=step):
            center = camera.center.copy()
            center[1] += size * step
            return camera._replace(center=center), points

        def pushed(size, step=step):
            return camera, points + size * step * (np.arange(24) == 5)[:, np.newaxis]

        np.testing.assert_allclose(by_camera[1, axis], slope(turned), rtol=1e-3, atol=1e-1)
        np.testing.assert_allclose(by_camera[1, 3 + axis], slope(shifted), rtol=1e-3, atol=1e-1)
        np.testing.assert_allclose(by_point[5, axis], slope(pushed), rtol=1e-3, atol=1e-1)


def test_squares_bend_across_and_along_a_residual_as_the_loss_does():
    # 1.5 px across of what was seen: w = 1 / sqrt(1 + 0.25); half the loss bends by w across the
    # residual and by w³ along it.
    camera, points, seen = rooms.room(num_cameras=2, num_points=1)
    exact = bundle_adjustment.linearize(camera, points, seen, SCALE).by_point[0, 0]
    seen = seen._replace(keypoints_2d=seen.keypoints_2d - [1.5, 0.0])
    found = bundle_adjustment.linearize(camera, points, seen, SCALE).by_point[0, 0]
    weight = 1 / np.sqrt(1.25)
    np.testing.assert_allclose(found[0], weight**1.5 * exact[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], weight**0.5 * exact[1], rtol=1e-6)


def test_a_point_behind_a_camera_gives_finite_numbers():
    camera, points, seen = scene()
    points[0] = camera.center[0] - 2.0 * camera.rotation[0, 2]
    now = bundle_adjustment.linearize(camera, points, seen, SCALE)
    assert all(np.isfinite(value).all() for value in now)
