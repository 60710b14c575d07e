import cv2
import numpy as np
import pytest

from keras_mvlift.datasets.rigs import calibrations
from tests.datasets.rigs import rigs_of_cameras


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


def straighten(bent, rig):
    return calibrations.straighten(bent, np.ones(bent.shape[:-1]), rig)


def test_what_opencv_bends_is_straightened():
    rig, ideal = points()
    straight, confidence = straighten(bend(ideal, rig), rig)
    assert confidence.all()
    np.testing.assert_allclose(straight, ideal, atol=1e-6)


def test_where_the_lens_bends_no_ray_to_nothing_is_seen():
    rig, ideal = points()
    rig = rig._replace(distortion=np.tile([-0.33, 0, 0, 0, 0.0], (3, 1)))
    # The image of r (1 - 0.33 r²) ends at r = 1, at two thirds.
    far = ideal.copy()
    far[0, 0, 0] = rig.camera.intrinsics[0, :2, 2] + [0.8 * rig.camera.intrinsics[0, 0, 0], 0]
    confidence = np.full(far.shape[:-1], 0.5)
    straight, sure = calibrations.straighten(far, confidence, rig)
    assert np.argwhere(sure == 0).tolist() == [[0, 0, 0]]
    assert straight[0, 0, 0].tolist() == [0, 0]


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
    straight, _ = straighten(bend(ideal, rig)[:, :num_frames], unknown)
    np.testing.assert_allclose(straight, ideal[:, :num_frames], atol=1e-4)
