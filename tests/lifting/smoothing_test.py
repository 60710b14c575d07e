import math
import re

import numpy as np
import pytest

from keras_mvlift.lifting import smoothing


def test_two_steps_worked_by_hand():
    # One frame is 1 s and 1 / (2 π) Hz a time constant of 1 s, so the weight is 1 / (1 + 1) = 0.5.
    # From 0 to 8: speed 8, filtered 4; cutoff (1 + 0.5 * 4) / (2 π), weight 3 / (3 + 1); 6.
    # From 6 to 8: speed 2, filtered 3; cutoff (1 + 0.5 * 3) / (2 π), weight 2.5 / 3.5; 6 + 10 / 7.
    hertz = 1 / (2 * math.pi)
    one_euro = smoothing.OneEuro(
        min_cutoff=hertz, speed_coefficient=0.5 * hertz, speed_cutoff=hertz
    )
    smoothed = one_euro.smooth(np.array([[0.0], [8.0], [8.0]]), 1.0)
    np.testing.assert_allclose(smoothed, [[0.0], [6.0], [6 + 10 / 7]])


def test_without_the_speed_it_is_a_low_pass_filter():
    one_euro = smoothing.OneEuro(min_cutoff=1 / (2 * math.pi), speed_coefficient=0.0)
    steps = one_euro.smooth(np.ones((5, 1)) * [[0], [1], [1], [1], [1]], 1.0)
    np.testing.assert_allclose(steps[:, 0], [0, 0.5, 0.75, 0.875, 0.9375])


def test_what_stands_still_is_steadied_and_what_is_fast_is_followed():
    noise = np.random.default_rng(0).normal(0, 0.02, (300, 3))
    one_euro = smoothing.OneEuro()
    still = one_euro.smooth(noise, 60.0)
    assert still[100:].std() < 0.5 * noise[100:].std()
    # At 5 m/s a filter of 1 Hz would stay 0.8 m behind.
    fast = np.linspace(0, 25, 300)[:, np.newaxis] * [1.0, 0, 0]
    behind = np.linalg.norm(fast - one_euro.smooth(fast, 60.0), axis=-1)[100:]
    assert behind.max() < 0.05


def test_a_turn_of_the_axes_turns_what_comes_out():
    points = np.random.default_rng(0).normal(size=(20, 4, 3))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    one_euro = smoothing.OneEuro()
    np.testing.assert_allclose(
        one_euro.smooth(points @ turn, 30.0), one_euro.smooth(points, 30.0) @ turn, atol=1e-12
    )


def test_points_are_smoothed_each_on_its_own():
    points = np.random.default_rng(0).normal(size=(20, 4, 3))
    one_euro = smoothing.OneEuro()
    alone = one_euro.smooth(points[:, 2], 30.0)
    np.testing.assert_allclose(one_euro.smooth(points, 30.0)[:, 2], alone)


def test_a_gap_stays_and_what_comes_back_starts_afresh():
    points = np.random.default_rng(0).normal(size=(20, 2, 3))
    points[8:11, 1] = np.nan
    one_euro = smoothing.OneEuro()
    smoothed = one_euro.smooth(points, 30.0)
    assert np.isnan(smoothed[8:11, 1]).all()
    assert np.isfinite(smoothed[:, 0]).all()
    np.testing.assert_allclose(smoothed[11:, 1], one_euro.smooth(points[11:, 1], 30.0))


def test_nothing_is_changed_in_place():
    points = np.random.default_rng(0).normal(size=(5, 3))
    before = points.copy()
    smoothing.OneEuro().smooth(points, 30.0)
    np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"min_cutoff": 0.0}, "`min_cutoff` must be above 0 hertz. Received: 0.0."),
        ({"speed_cutoff": math.inf}, "`speed_cutoff` must be above 0 hertz. Received: inf."),
        ({"speed_coefficient": -1.0}, "`speed_coefficient` must be at least 0. Received: -1.0."),
    ],
)
def test_settings_that_filter_nothing_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        smoothing.OneEuro(**settings)


def test_a_frame_rate_of_0_is_refused():
    with pytest.raises(ValueError, match=r"`frame_rate` must be above 0\. Received: 0"):
        smoothing.OneEuro().smooth(np.zeros((2, 3)), 0)


def test_short_gaps_are_straight_lines_of_low_confidence():
    frames = np.arange(12.0)
    keypoints = np.stack([3 * frames, 100 - frames], axis=-1)[np.newaxis, :, np.newaxis]
    confidence = np.full((1, 12, 1), 0.8)
    # Before the first, three between, four between, behind the last.
    confidence[0, [0, 2, 3, 4, 6, 7, 8, 9, 11]] = 0.0
    confidence[0, 5] = 0.4
    seen = np.where(confidence[..., np.newaxis] > 0, keypoints, 0.0)
    bridged, sure = smoothing.bridge(seen, confidence, 3)
    is_bridged = np.isin(frames, [2, 3, 4])
    np.testing.assert_allclose(bridged[0, is_bridged], keypoints[0, is_bridged])
    np.testing.assert_allclose(sure[0, is_bridged], 0.04)
    np.testing.assert_array_equal(bridged[0, ~is_bridged], seen[0, ~is_bridged])
    np.testing.assert_array_equal(sure[0, ~is_bridged], confidence[0, ~is_bridged])
    assert (smoothing.bridge(seen, confidence, 4)[1] > 0).sum() == 3 + 3 + 4
