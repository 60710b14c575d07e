import numpy as np
import pytest

from keras_mvlift.calibration import relative_pose
from keras_mvlift.geometry import epipolar
from tests.calibration import rooms


def scene(outliers=0.0, noise_px=1.0):
    """Two views of 300 points, and which of them were seen elsewhere."""
    _, _, seen = rooms.room(6, num_points=300, noise_px=noise_px)
    rng = np.random.default_rng(1)
    points = seen.keypoints_2d[:2].copy()
    is_wrong = rng.random(300) < outliers
    points[1, is_wrong] = rng.uniform(0, 1000, (np.count_nonzero(is_wrong), 2))
    return points, is_wrong


@pytest.mark.parametrize("outliers", [0.0, 0.2, 0.5])
def test_wrong_correspondences_are_told_from_right_ones(outliers):
    points, is_wrong = scene(outliers)
    found = relative_pose.fit(*points, np.ones(300), threshold_px=5.0)
    # A wrong point may lie on its line by chance.
    assert found.is_inlier[~is_wrong].mean() > 0.98
    assert found.is_inlier[is_wrong].mean() < 0.1 if outliers else not is_wrong.any()
    clean, _ = scene(0.0, noise_px=0.0)
    assert np.abs(epipolar.sampson_distance(found.fundamental, *clean)).mean() < 0.5


def test_the_score_counts_how_well_right_points_agree_and_wrong_ones_not_at_all():
    points, is_wrong = scene(0.3)
    weights = np.random.default_rng(2).uniform(0.5, 1.5, 300)
    found = relative_pose.fit(*points, weights, threshold_px=5.0)
    # 1 - (d / 5)² of each, and 0 from 5 pixels on.
    distance = epipolar.sampson_distance(found.fundamental, *points)
    agreement = np.where(np.abs(distance) < 5.0, 1.0 - np.square(distance / 5.0), 0.0)
    assert found.score == pytest.approx(agreement @ weights, rel=1e-9)
    assert found.score < 0.98 * weights[found.is_inlier].sum()
    assert np.abs(distance[is_wrong]).max() > 50.0


def test_the_same_seed_gives_the_same_matrix():
    points, _ = scene(0.3)
    fits = [relative_pose.fit(*points, np.ones(300), threshold_px=5.0, seed=7) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].fundamental, fits[1].fundamental)
    assert fits[0].score == fits[1].score


def test_points_of_little_weight_count_little():
    # Half of the points agree on another view, at a hundredth of the weight.
    points, _ = scene()
    other = points[1].copy()
    other[::2] = np.roll(other[::2] * [1.0, -1.0] + [0.0, 1000.0], 0, axis=0)
    weights = np.where(np.arange(300) % 2, 1.0, 0.01)
    found = relative_pose.fit(points[0], other, weights, threshold_px=5.0)
    assert found.is_inlier[1::2].mean() > 0.98
    assert found.is_inlier[::2].mean() < 0.2
    assert found.score == pytest.approx(150, rel=0.2)


def test_samples_are_drawn_by_weight_each_point_once():
    weights = np.r_[np.zeros(5), np.ones(50), np.full(50, 4.0)]
    samples = relative_pose._draw(np.random.default_rng(0), weights)
    assert samples.shape == (256, 8)
    assert samples.min() >= 5
    assert all(len(set(sample)) == 8 for sample in samples.tolist())
    # Four times as likely, a little less as each is drawn once only.
    ratio = np.count_nonzero(samples >= 55) / np.count_nonzero(samples < 55)
    assert 3.0 < ratio < 4.5


def test_points_without_weight_are_no_inliers():
    points, _ = scene()
    weights = np.ones(300)
    weights[5] = 0.0
    found = relative_pose.fit(*points, weights, threshold_px=5.0)
    assert not found.is_inlier[5]
    assert found.is_inlier[6]


def test_fewer_than_eight_are_refused():
    points, _ = scene()
    weights = np.r_[np.ones(7), np.zeros(293)]
    with pytest.raises(ValueError, match=r"8 correspondences or more. Received: 7"):
        relative_pose.fit(*points, weights, threshold_px=5.0)
