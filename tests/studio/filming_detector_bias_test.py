import numpy as np

from keras_mvlift.geometry import cameras, rigs
from keras_mvlift.studio import actions, filming, people


def seen(num_frames=200):
    person = people.draw_person(0, "S01")
    motion = actions.perform("walking", person, num_frames, 25.0, np.random.default_rng(0))
    return cameras.camera_from_world(motion, cameras.expand(rigs.ring(12), -1))


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


def test_hips_right_above_each_other_have_an_offset():
    flat = np.zeros((1, 1, 17, 3))
    assert np.isfinite(filming.offsets(flat)).all()
