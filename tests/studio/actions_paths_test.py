import numpy as np
import pytest

from keras_mvlift.studio import actions, people

SEEDS = range(25)


def _clock(seed):
    return people.Clock(250, 25.0, np.random.default_rng(seed))


@pytest.mark.parametrize("path", [actions.standing, actions.round_walk])
def test_nobody_leaves_the_room(path):
    feet = np.stack([path(_clock(seed)).feet for seed in SEEDS])
    farthest = np.linalg.norm(feet, axis=-1).max()
    assert 0.5 < farthest <= actions.ROOM_RADIUS + 1e-9


def test_who_stands_stays_and_keeps_facing_about_one_way():
    for seed in SEEDS:
        path = actions.standing(_clock(seed))
        assert path.distance[-1] == 0
        assert path.heading.std() < np.radians(30)


def test_people_face_all_ways():
    headings = np.array([actions.standing(_clock(seed)).heading[0] for seed in range(100)])
    assert np.abs(np.exp(1j * headings).mean()) < 0.25


def test_who_walks_faces_ahead_at_a_walking_pace_without_sudden_turns():
    for seed in SEEDS:
        path = actions.round_walk(_clock(seed))
        step = np.gradient(path.feet, axis=0)
        speed = np.linalg.norm(step, axis=-1) * 25
        ahead = np.stack([np.cos(path.heading), np.sin(path.heading)], axis=-1)
        cosine = (step * ahead).sum(-1) * 25 / speed
        assert cosine[1:-1].min() > 0.99
        assert 0.2 < speed[1:-1].min()
        assert speed.max() < 2.0
        assert np.abs(np.diff(path.heading)).max() < 0.5


def test_people_walk_both_ways_around():
    turns = [
        np.ptp(p.heading) * np.sign(p.heading[-1] - p.heading[0])
        for p in map(actions.round_walk, map(_clock, SEEDS))
    ]
    assert min(turns) < 0 < max(turns)


def test_spots_fill_the_disc_evenly():
    rng = np.random.default_rng(0)
    away = np.linalg.norm([actions.random_spot(rng, 2.0) for _ in range(2000)], axis=-1)
    assert away.max() <= 2.0
    # Half of the disc's area lies within 1 / sqrt(2) of its radius.
    np.testing.assert_allclose(np.median(away), 2.0 / np.sqrt(2), rtol=0.03)


def test_distance_golden():
    # Three meters east, then four meters north.
    path = actions.Path(np.zeros(3), np.array([[0, 0], [3, 0], [3, 4]]), np.zeros(3))
    np.testing.assert_allclose(path.distance, [0, 3, 7])
