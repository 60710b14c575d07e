import cv2
import hypothesis
import numpy as np
import pytest

from keras_mvlift.datasets.rigs import calibrations
from tests.datasets.rigs import rigs_of_cameras

STRONG = np.array([-0.3, 0.02, 1e-3, -1e-3, 0.0])


def points(seed=0, spread=0.45, num_cameras=3):
    """Draws ideal pixels `[V, T, K, 2]` of rays at most `spread` off the axis in x and y."""
    rng = np.random.default_rng(seed)
    rig = rigs_of_cameras.draw(seed, num_cameras)
    rays = rng.uniform(-spread, spread, (num_cameras, 4, 7, 2))
    focal = np.diagonal(rig.camera.intrinsics, axis1=-2, axis2=-1)[:, np.newaxis, np.newaxis, :2]
    return rig, rays * focal + rig.camera.intrinsics[:, np.newaxis, np.newaxis, :2, 2]


def bend(ideal, rig):
    """Distorts pixels as OpenCV does."""
    bent = np.empty_like(ideal)
    for view, intrinsics in enumerate(rig.camera.intrinsics):
        flat = ideal[view].reshape(-1, 2)
        rays = (flat - intrinsics[:2, 2]) / np.diag(intrinsics)[:2]
        rays = np.concatenate([rays, np.ones((len(rays), 1))], axis=-1)
        seen, _ = cv2.projectPoints(
            rays, np.zeros(3), np.zeros(3), intrinsics, rig.distortion[view]
        )
        bent[view] = seen.reshape(bent[view].shape)
    return bent


@hypothesis.settings(deadline=None, max_examples=20)
@hypothesis.given(seed=hypothesis.strategies.integers(0, 2**32 - 1))
def test_what_opencv_bends_is_straightened(seed):
    rig, ideal = points(seed)
    bent = bend(ideal, rig)
    np.testing.assert_allclose(calibrations.distort(ideal, rig), bent, atol=1e-9)
    straight, is_undone = calibrations.undistort(bent, rig)
    assert is_undone.all()
    np.testing.assert_allclose(straight, ideal, atol=1e-4)


def test_a_strong_lens_is_undone_where_iteration_alone_is_too_slow():
    rig, ideal = points(spread=0.6)
    rig = rig._replace(distortion=np.tile(STRONG, (3, 1)))
    bent = bend(ideal, rig)
    straight, is_undone = calibrations.undistort(bent, rig)
    assert is_undone.all()
    assert np.abs(bent - ideal).max() > 50
    np.testing.assert_allclose(straight, ideal, atol=1e-4)


def test_where_the_lens_bends_no_ray_to_nothing_is_seen():
    rig, ideal = points()
    rig = rig._replace(distortion=np.tile([-0.33, 0, 0, 0, 0.0], (3, 1)))
    # The image of r (1 - 0.33 r²) ends at r = 1, at two thirds.
    far = ideal.copy()
    far[0, 0, 0] = rig.camera.intrinsics[0, :2, 2] + [0.8 * rig.camera.intrinsics[0, 0, 0], 0]
    _, is_undone = calibrations.undistort(far, rig)
    assert np.argwhere(~is_undone).tolist() == [[0, 0, 0]]
    confidence = np.full(far.shape[:-1], 0.5)
    straight, sure = calibrations.straighten(far, confidence, rig)
    assert np.argwhere(sure == 0).tolist() == [[0, 0, 0]]
    assert straight[0, 0, 0].tolist() == [0, 0]


@pytest.mark.parametrize("tangential", [0.0, 1e-3])
def test_a_lens_ends_where_its_model_turns_back(tangential):
    # The image of r (1 - r²/3) grows to two thirds at r = 1, and further out crosses the axis.
    rig = rigs_of_cameras.draw(num_cameras=1)
    lens = [-1 / 3, 0, tangential, tangential, 0]
    rig = rig._replace(distortion=np.array([lens]))
    rng = np.random.default_rng(0)
    radius, angle = rng.uniform(0.0, 4.0, 2000), rng.uniform(0, 2 * np.pi, 2000)
    rays = radius[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    intrinsics = rig.camera.intrinsics[0]
    bent = rays * np.diag(intrinsics)[:2] + intrinsics[:2, 2]
    _, is_undone = calibrations.undistort(bent[np.newaxis, np.newaxis], rig)
    assert is_undone[0, 0, radius < 0.65].all()
    assert not is_undone[0, 0, radius > 0.69].any()


def test_what_was_not_seen_stays_zero():
    rig, ideal = points()
    confidence = np.full(ideal.shape[:-1], 0.5)
    confidence[1, 2, 3] = 0.0
    hidden = np.where(confidence[..., np.newaxis] > 0, bend(ideal, rig), 0.0)
    straight, sure = calibrations.straighten(hidden, confidence, rig)
    np.testing.assert_array_equal(sure, confidence)
    assert straight[1, 2, 3].tolist() == [0, 0]
    seen = confidence > 0
    np.testing.assert_allclose(straight[seen], ideal[seen], atol=1e-4)


@pytest.mark.parametrize("num_frames", [0, 1])
def test_a_rig_whose_place_is_unknown_has_lenses_all_the_same(num_frames):
    rig, ideal = points()
    unknown = rigs_of_cameras.without_extrinsics(rig)
    straight, _ = calibrations.undistort(bend(ideal, rig)[:, :num_frames], unknown)
    np.testing.assert_allclose(straight, ideal[:, :num_frames], atol=1e-4)
