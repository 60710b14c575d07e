import math
import re

import numpy as np
import pytest
from scipy import signal

from keras_mvlift import skeletons
from keras_mvlift.lifting import smoothing
from keras_mvlift.studio import synthetic


def streamed(one_euro, points, frame_rate):
    push = one_euro.stream(frame_rate)
    return np.array([push(frame) for frame in points])


def test_two_steps_worked_by_hand():
    # One frame is 1 s and 1 / (2 π) Hz a time constant of 1 s, so the weight is 1 / (1 + 1) = 0.5.
    # From 0 to 8: speed 8, filtered 4; cutoff (1 + 0.5 * 4) / (2 π), weight 3 / (3 + 1); 6.
    # From 6 to 8: speed 2, filtered 3; cutoff (1 + 0.5 * 3) / (2 π), weight 2.5 / 3.5; 6 + 10 / 7.
    hertz = 1 / (2 * math.pi)
    one_euro = smoothing.OneEuro(
        min_cutoff=hertz, speed_coefficient=0.5 * hertz, speed_cutoff=hertz
    )
    smoothed = streamed(one_euro, np.array([[0.0], [8.0], [8.0]]), 1.0)
    np.testing.assert_allclose(smoothed, [[0.0], [6.0], [6 + 10 / 7]])


def test_without_the_speed_it_is_a_low_pass_filter():
    one_euro = smoothing.OneEuro(min_cutoff=1 / (2 * math.pi), speed_coefficient=0.0)
    steps = streamed(one_euro, np.ones((5, 1)) * [[0], [1], [1], [1], [1]], 1.0)
    np.testing.assert_allclose(steps[:, 0], [0, 0.5, 0.75, 0.875, 0.9375])


def test_what_stands_still_is_steadied_and_what_is_fast_is_followed():
    noise = np.random.default_rng(0).normal(0, 0.02, (300, 3))
    one_euro = smoothing.OneEuro()
    still = streamed(one_euro, noise, 60.0)
    assert still[100:].std() < 0.5 * noise[100:].std()
    # At 5 m/s a filter of 1 Hz would stay 0.8 m behind.
    fast = np.linspace(0, 25, 300)[:, np.newaxis] * [1.0, 0, 0]
    behind = np.linalg.norm(fast - streamed(one_euro, fast, 60.0), axis=-1)[100:]
    assert behind.max() < 0.05


def test_points_are_smoothed_each_on_its_own_in_any_axes_and_not_in_place():
    points = np.random.default_rng(0).normal(size=(20, 4, 3))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    one_euro, before = smoothing.OneEuro(), points.copy()
    smoothed = streamed(one_euro, points, 30.0)
    np.testing.assert_array_equal(points, before)
    np.testing.assert_allclose(smoothed[:, 2], streamed(one_euro, points[:, 2], 30.0))
    turned = streamed(one_euro, points @ turn, 30.0)
    np.testing.assert_allclose(turned, smoothed @ turn, atol=1e-12)


def test_a_gap_stays_and_what_comes_back_starts_afresh():
    points = np.random.default_rng(0).normal(size=(20, 2, 3))
    points[8:11, 1] = np.nan
    one_euro = smoothing.OneEuro()
    smoothed = streamed(one_euro, points, 30.0)
    assert np.isnan(smoothed[8:11, 1]).all()
    assert np.isfinite(smoothed[:, 0]).all()
    np.testing.assert_allclose(smoothed[11:, 1], streamed(one_euro, points[11:, 1], 30.0))


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
    with pytest.raises(ValueError, match=r"`frame_rate` must be above 0 hertz\. Received: 0"):
        streamed(smoothing.OneEuro(), np.zeros((2, 3)), 0)


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


# The Butterworth filter, for files.


@pytest.mark.parametrize(("cutoff", "rate", "length"), [(4.0, 60.0, 200), (3.0, 25.0, 9)])
def test_butterworth_is_scipys_forwards_and_backwards(cutoff, rate, length):
    points = np.random.default_rng(0).normal(size=(length, 4, 3))
    numerator, denominator = signal.butter(2, cutoff, fs=rate)
    reach = min(length - 1, math.ceil(2 * rate / cutoff))
    expected = signal.filtfilt(numerator, denominator, points, axis=0, padlen=reach)
    found = smoothing.Butterworth(cutoff=cutoff).smooth(points, rate)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_butterworth_comes_with_no_delay_and_without_what_jitters():
    time = np.arange(300)[:, np.newaxis] / 60.0
    walk = np.sin(2 * np.pi * time)
    jitter = np.random.default_rng(0).normal(0, 0.05, walk.shape)
    found = smoothing.Butterworth().smooth(walk + jitter, 60.0)
    later = streamed(smoothing.OneEuro(), walk + jitter, 60.0)
    assert np.abs(found - walk).mean() < 0.5 * np.abs(jitter).mean()
    assert np.abs(found - walk).mean() < 0.5 * np.abs(later - walk).mean()


def test_butterworth_takes_each_stretch_on_its_own_and_leaves_gaps():
    points = np.random.default_rng(0).normal(size=(40, 2, 2, 3))
    points[10:14, 1] = np.nan
    points[15:17, 1, 0] = np.nan
    before = points.copy()
    smooth = smoothing.Butterworth().smooth
    found = smooth(points, 30.0)
    np.testing.assert_array_equal(points, before)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(points))
    np.testing.assert_allclose(found[:, 0], smooth(points[:, 0], 30.0))
    for frames in (slice(10), slice(14, 15), slice(17, None)):
        np.testing.assert_allclose(found[frames, 1, 0], smooth(points[frames, 1, 0], 30.0))
    # A frame alone stays as it is, and what stands still stands still.
    np.testing.assert_allclose(found[14, 1, 0], points[14, 1, 0])
    np.testing.assert_allclose(smooth(np.ones((9, 3)), 30.0), 1.0)


def test_butterworth_cuts_off_below_a_fifth_of_the_frame_rate():
    points = np.random.default_rng(0).normal(size=(40, 3))
    np.testing.assert_allclose(
        smoothing.Butterworth(cutoff=9.0).smooth(points, 10.0),
        smoothing.Butterworth(cutoff=2.0).smooth(points, 10.0),
    )
    with pytest.raises(ValueError, match=r"`cutoff` must be above 0 hertz\. Received: 0"):
        smoothing.Butterworth(cutoff=0)
    with pytest.raises(ValueError, match=r"`frame_rate` must be above 0 hertz\. Received: nan"):
        smoothing.Butterworth().smooth(points, math.nan)


JOINTS = skeletons.H36M_17.joints
LEGS, ARMS = (
    [[JOINTS.index(f"{side}_{end}") for end in ends] for side in ("left", "right")]
    for ends in smoothing.LIMBS.values()
)


def _walk(frame_rate):
    """People who walk past a camera, so that their legs cross, `[P, T, 17, 2]`, with noise."""
    studio = synthetic.Studio(
        num_subjects=1,
        num_clips=1,
        num_frames=3 * frame_rate,
        frame_rate=float(frame_rate),
        actions=("walking",),
        gross_error_rate=0.0,
    )
    clip = studio.read(studio.clips()[0])
    points, sure = clip.keypoints_2d[:2].astype(np.float64), clip.confidence[:2].astype(np.float64)
    return points, sure


def _swap(values, person, frames, sides):
    values[person, frames[:, np.newaxis], np.ravel(sides)] = values[
        person, frames[:, np.newaxis], np.ravel(sides[::-1])
    ]


@pytest.mark.parametrize("frame_rate", [25, 60])
def test_legs_that_cross_stay_as_they_are(frame_rate):
    points, confidence = _walk(frame_rate)
    mended, sure, was_swapped = smoothing.swap_back(points, confidence, JOINTS)
    assert not was_swapped.any()
    np.testing.assert_array_equal(mended, points)
    np.testing.assert_array_equal(sure, confidence)


def test_swapped_limbs_go_back_to_their_side():
    # Twice in the view in which sides lie apart.
    points, confidence = (values[[0, 0]] for values in _walk(60))
    seen, sure = points.copy(), confidence.copy()
    arms, legs = np.arange(40, 52), np.array([20, 21, 22, 25])
    for values in (seen, sure):
        _swap(values, 0, arms, ARMS)
        _swap(values, 1, legs, LEGS)
    mended, trust, was_swapped = smoothing.swap_back(seen, sure, JOINTS)
    assert np.flatnonzero(was_swapped[0]).tolist() == arms.tolist()
    assert np.flatnonzero(was_swapped[1]).tolist() == legs.tolist()
    np.testing.assert_array_equal(mended, points)
    np.testing.assert_array_equal(trust, confidence)


@pytest.mark.parametrize("num_frames", [0, 1, 2, 3])
def test_short_clips_and_unseen_people_have_no_swaps(num_frames):
    points = np.zeros((1, num_frames, 17, 2))
    confidence = np.zeros((1, num_frames, 17))
    assert not smoothing.swap_back(points, confidence, JOINTS)[2].any()
    assert not smoothing.swap_back(points, confidence + 1, ("nose",) * 17)[2].any()


def test_sides_that_lie_on_each_other_are_not_swapped_for_their_noise():
    points, confidence = _walk(60)
    still = np.broadcast_to(points[:, :1], points.shape).copy()
    for limb in (LEGS, ARMS):
        still[:, :, limb[1]] = still[:, :, limb[0]]
    noise = np.random.default_rng(0).normal(0.0, 6.0, still.shape)
    assert not smoothing.swap_back(still + noise, confidence, JOINTS)[2].any()


def test_what_is_swapped_for_seconds_stays_as_nothing_tells_which_is_right():
    points, confidence = _walk(60)
    _swap(points, 0, np.arange(40, 130), ARMS)
    assert not smoothing.swap_back(points, confidence, JOINTS)[2].any()
