import numpy as np
import pytest

from keras_mvlift.studio import people


def _clock(num_frames=3000, seed=0):
    return people.Clock(num_frames, 25.0, np.random.default_rng(seed))


def test_seconds_follow_the_frame_rate():
    np.testing.assert_allclose(_clock(3).seconds, [0.0, 0.04, 0.08])


def test_keyframes_stay_in_their_range_use_it_and_jump_nowhere():
    curve = _clock().keyframes(-10, 30, hold=1.0)
    assert curve.min() >= -10
    assert curve.max() <= 30
    assert np.ptp(curve) > 30
    # The cubic's steepest slope, 1.5, over 0.6 of a second, crosses 40 in 0.4 seconds.
    assert np.abs(np.diff(curve)).max() <= 40 * 1.5 / 0.6 / 25 + 1e-9


def test_keyframes_rest_between_moves():
    curve = _clock().keyframes(0, 1, hold=2.0)
    assert np.mean(np.abs(np.diff(curve)) < 1e-12) > 0.3


def test_drift_has_the_asked_size_and_no_direction():
    curves_drawn = np.stack([_clock(seed=seed).drift(3.0) for seed in range(30)])
    np.testing.assert_allclose(np.sqrt(np.mean(curves_drawn**2)), 3.0, rtol=0.15)
    assert abs(curves_drawn.mean()) < 0.3


def test_phase_advances_with_the_asked_frequency():
    clock = _clock()
    phase = clock.phase(1.0, 2.0)
    turns = (phase[-1] - phase[0]) / (2 * np.pi) / clock.seconds[-1]
    assert 0.95 < turns < 2.05


def test_sides_come_in_both_orders():
    orders = {_clock(1, seed).sides() for seed in range(20)}
    assert orders == {("left", "right"), ("right", "left")}


@pytest.mark.parametrize(("share", "value"), [(-1, 0), (0, 0), (0.5, 0.5), (0.25, 0.15625), (2, 1)])
def test_smooth_step_golden(share, value):
    # At a quarter: 3 / 16 - 2 / 64 = 0.15625.
    assert people.smooth_step(np.array(share)) == value


def test_pulse_is_one_at_phase_zero_and_zero_half_a_turn_away():
    np.testing.assert_allclose(people.pulse(np.array([0, np.pi, 2 * np.pi])), [1, 0, 1], atol=1e-12)
    assert people.pulse(np.array(1.0), 4) < people.pulse(np.array(1.0), 1)
