import numpy as np
import pytest

from keras_mvlift.geometry import cameras, rigs


def _rng(seed=0):
    return np.random.default_rng(seed)


def test_h36m_like_cameras_stand_around_the_room_at_head_height():
    camera = rigs.h36m_like()
    away = np.linalg.norm(camera.center[:, :2], axis=-1)
    assert camera.center.shape == (4, 3)
    assert (away > 4.0).all()
    assert (away < 5.6).all()
    assert (np.abs(camera.center[:, 2] - 1.55) < 0.1).all()
    # One in each corner.
    assert len({tuple(corner) for corner in np.sign(camera.center[:, :2])}) == 4


def test_a_ring_has_any_number_of_cameras_at_the_asked_radius_and_height():
    for num_cameras in (1, 2, 7):
        camera = rigs.ring(num_cameras, radius=3.0, height=2.0)
        np.testing.assert_allclose(np.linalg.norm(camera.center[:, :2], axis=-1), 3.0)
        np.testing.assert_allclose(camera.center[:, 2], 2.0)
        assert camera.rotation.shape == (num_cameras, 3, 3)
    angles = np.sort(np.arctan2(camera.center[:, 1], camera.center[:, 0]))
    np.testing.assert_allclose(np.diff(angles), 2 * np.pi / 7)


@pytest.mark.parametrize("camera", [rigs.h36m_like(), rigs.ring(5)], ids=["h36m_like", "ring"])
def test_the_rooms_middle_is_in_the_images_middle_and_up_is_up(camera):
    points = np.array([[[0.0, 0.0, 0.95], [0.0, 0.0, 1.9], [0.0, 0.0, 0.0]]])
    seen = cameras.project_from_world(points, cameras.expand(camera, -1))
    middle, head, feet = np.moveaxis(seen[:, 0], 1, 0)
    np.testing.assert_allclose(middle, 500.0, atol=1e-6)
    assert (head[:, 1] < 400).all()
    assert (feet[:, 1] > 600).all()
    np.testing.assert_allclose(head[:, 0], 500.0, atol=1e-6)


def test_rotations_are_rotations():
    camera = rigs.ring(6, jitter=0.2, rng=_rng())
    gram = camera.rotation @ camera.rotation.swapaxes(-1, -2)
    np.testing.assert_allclose(gram, np.tile(np.eye(3), (6, 1, 1)), atol=1e-9)
    assert (np.linalg.det(camera.rotation) > 0).all()


def test_jitter_moves_cameras_and_lenses_by_its_dice():
    still = rigs.h36m_like()
    first, again, other = (rigs.h36m_like(0.1, _rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.rotation, again.rotation)
    assert 0.01 < np.abs(first.center - still.center).mean() < 0.3
    assert not np.allclose(first.center, other.center)
    assert not np.allclose(first.intrinsics, other.intrinsics)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rigs.ring(0), "`num_cameras` must be positive. Received: num_cameras=0"),
        (lambda: rigs.ring(3, radius=-1.0), "`radius` must be positive. Received: radius=-1.0"),
        (lambda: rigs.h36m_like(-0.1, _rng()), "`jitter` must not be negative.*jitter=-0.1"),
        (lambda: rigs.h36m_like(0.1), "`jitter`.*needs `rng`.*jitter=0.1, rng=None"),
    ],
)
def test_a_rig_that_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
