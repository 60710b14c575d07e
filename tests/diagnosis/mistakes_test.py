import dataclasses

import numpy as np
import pytest

from keras_mvlift.diagnosis import mistakes, verdicts
from tests.diagnosis import planted

ALL = (*mistakes.CALIBRATION_MISTAKES, *mistakes.IMAGE_MISTAKES)


def test_each_says_what_is_wrong_and_what_to_do():
    for mistake in ALL:
        assert isinstance(mistake, mistakes.Mistake)
        # A clause, put into "In cam1 ..."; a sentence.
        assert mistake.cause[0].islower(), mistake.name
        assert mistake.cause[-1] != ".", mistake.name
        assert mistake.remedy[0].isupper(), mistake.name
        assert mistake.remedy[-1] == ".", mistake.name


NAMES = [mistake.name for mistake in mistakes.CALIBRATION_MISTAKES]
IMAGE_NAMES = list(dict.fromkeys(mistake.name for mistake in mistakes.IMAGE_MISTAKES))


@pytest.mark.parametrize("name", NAMES)
def test_undoing_a_planted_mistake_gives_the_camera_back(name):
    clean = planted.footage()
    undone = planted.CALIBRATION[name].undo(planted.spoil(clean, name))
    for field, expected in zip(undone.camera, clean.camera, strict=True):
        np.testing.assert_allclose(field, expected, atol=1e-9)


def test_a_mistake_of_every_kind_is_planted():
    assert set(NAMES) == set(planted.CAMERA_SPOILERS)


@pytest.mark.parametrize("name", [*NAMES, *IMAGE_NAMES])
@pytest.mark.parametrize(("num_views", "views"), [(4, None), (3, [2])])
def test_it_is_found_by_name_in_one_camera_and_in_all(name, num_views, views):
    clean = planted.footage(num_views, seed=len(name) % 3)
    (finding,) = verdicts.reach(planted.spoil(clean, name, views)).found
    assert (finding.name, finding.cameras) == (name, planted.names_of(clean, views))


@pytest.mark.parametrize("name", IMAGE_NAMES)
def test_undoing_a_planted_mistake_gives_the_rays_back(name):
    clean = planted.footage(rig_jitter=0.0)
    tried = [mistake for mistake in mistakes.IMAGE_MISTAKES if mistake.name == name]
    spoiled = planted.spoil(clean, name)
    seen = clean.confidence > 0
    off = [np.abs(mistake.undo(spoiled).rays - clean.rays)[seen].max() for mistake in tried]
    assert min(off) < 1e-9
    assert np.abs(spoiled.rays - clean.rays)[seen].max() > 0.01


def test_sides_swapped_in_half_of_the_cameras_are_told_from_the_other_half():
    clean = planted.footage()
    for views in ([0, 1], [2, 3]):
        (finding,) = verdicts.reach(planted.spoil(clean, "sides_swapped", views)).found
        assert finding.cameras == planted.names_of(clean, views)


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


@pytest.mark.parametrize(
    ("num_views", "order"),
    [
        *((2, [1, 0]), (3, [1, 0, 2]), (4, [3, 1, 2, 0]), (4, [2, 0, 1, 3])),
        *((8, [1, 0, 2, 3, 4, 5, 6, 7]), (8, np.random.default_rng(0).permutation(8).tolist())),
        (12, [0, *range(9, 12), *range(1, 9)]),
    ],
)
def test_the_right_order_is_found(num_views, order):
    spoiled = planted.footage(num_views, seed=1).reordered(order)
    found, residual = mistakes.best_order(spoiled)
    assert [order[view] for view in found] == list(range(num_views))
    assert residual < verdicts.AGREEMENT


@pytest.mark.parametrize("num_views", [2, 4, 8])
def test_cameras_out_of_order_are_found_by_name(num_views):
    clean = planted.footage(num_views, seed=1)
    order = [1, 0, *range(2, num_views)]
    (finding,) = verdicts.reach(clean.reordered(order)).found
    assert finding.name == "cameras_out_of_order"
    assert finding.cameras == clean.camera_names[:2]
    first, second = clean.camera_names[:2]
    assert finding.details["order"][first] == second
