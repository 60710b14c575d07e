import dataclasses

import numpy as np
import pytest

from keras_mvlift.diagnosis import mistakes, verdicts
from tests.diagnosis import planted

LONG = {"num_clips": 3, "num_frames": 400}
WIDE_LENS = 3 * planted.LENS


def with_lens(clean):
    lenses = np.tile(planted.LENS, (clean.num_views, 1))
    return dataclasses.replace(clean, distortion=lenses)


def test_undoing_the_correction_gives_the_keypoints_back():
    clean = planted.footage()
    undone = mistakes.undo_lens(planted.removed_twice(clean))
    seen = clean.confidence > 0
    np.testing.assert_allclose(undone.keypoints_2d[seen], clean.keypoints_2d[seen], atol=1e-3)


@pytest.mark.parametrize(("num_views", "seed"), [(3, 1), (4, 0), (4, 1)])
def test_the_share_is_one_if_removed_twice_and_none_if_removed_once(num_views, seed):
    clean = planted.footage(num_views, seed, **LONG)
    once = mistakes.lens_shares(with_lens(clean))
    twice = mistakes.lens_shares(planted.removed_twice(clean))
    assert (np.abs(once.share) < mistakes.MAX_DEVIATION).all()
    assert (np.abs(twice.share - 1) < mistakes.MAX_DEVIATION).all()
    assert (np.abs(twice.share - once.share - 1) < 0.2).all()


def test_a_lens_that_bends_nothing_tells_nothing():
    estimate = mistakes.lens_shares(planted.footage())
    assert np.isinf(estimate.uncertainty).all()
    assert not mistakes.removed_twice(estimate).any()


@pytest.mark.parametrize(
    ("share", "uncertainty", "expected"),
    [
        ([1.1, 0.9, 0.8], [0.1, 0.1, 0.3], [1, 1, 1]),
        ([1.1, 0.1, 0.3], [0.1, 0.1, 0.3], [1, 0, 0]),
        ([1.1, 3.0, 1.0], [0.1, 0.1, 0.1], [0, 0, 0]),
        ([1.0, 0.9, 1.1], [0.3, 0.3, 0.3], [0, 0, 0]),
    ],
)
def test_cameras_are_named_only_on_evidence(share, uncertainty, expected):
    estimate = mistakes.LensShares(np.array(share), np.array(uncertainty))
    assert mistakes.removed_twice(estimate).tolist() == [bool(one) for one in expected]


@pytest.mark.parametrize("views", [None, [1]])
def test_distortion_removed_twice_is_found_by_name(views):
    clean = with_lens(planted.footage(seed=0, **LONG))
    spoiled = planted.in_views(clean, planted.removed_twice(clean), views)
    (finding,) = verdicts.reach(spoiled).found
    assert finding.name == "distortion_removed_twice"
    assert finding.cameras == planted.names_of(clean, views)
    assert finding.before == pytest.approx(1.0, abs=0.3)
    assert abs(finding.after) < 0.3


def test_a_wide_lens_shows_with_two_cameras():
    clean = planted.footage(num_views=2, seed=1, **LONG)
    (finding,) = verdicts.reach(planted.removed_twice(clean, WIDE_LENS)).found
    assert (finding.name, finding.cameras) == ("distortion_removed_twice", clean.camera_names)


def test_distortion_removed_once_is_no_finding():
    assert verdicts.reach(with_lens(planted.footage(seed=1, **LONG))).found == []
