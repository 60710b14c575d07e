import dataclasses

import numpy as np
import pytest

from benchmarks import studio_films, studio_motions
from keras_mvlift.geometry import triangulation

FILMING = studio_films.Filming(segment=60, stride=10)


@pytest.fixture(scope="module")
def motions():
    return studio_motions.made_up(0, 1)[:2]


@pytest.fixture(scope="module")
def film(motions):
    return studio_films.film(motions, FILMING)


def test_every_segment_has_a_rig_of_its_own(film):
    assert film.seen.confidence.shape == (60, 6, 17)
    centers = film.seen.camera.center
    assert len(np.unique(centers[:, 0], axis=0)) == 10
    np.testing.assert_array_equal(centers[:6], np.broadcast_to(centers[:1], (6, 6, 3)))
    assert {field.dtype for field in (*film.seen[:2], *film.seen.camera)} == {np.dtype(np.float32)}


def test_what_the_cameras_see_is_the_person(motions):
    exact = dataclasses.replace(FILMING, noise_px=0.0, missing_rate=0.0)
    film = studio_films.film(motions, exact)
    points, is_seen = triangulation.triangulate(*film.seen)
    error = np.linalg.norm(points - film.pose_world, axis=-1)[np.asarray(is_seen)]
    # Blunders remain.
    assert np.median(error) < 1e-3
    assert np.asarray(is_seen).mean() > 0.95


def test_cameras_are_high_and_low_near_and_far_and_have_all_kinds_of_lenses():
    rng = np.random.default_rng(0)
    aim = np.array([0.5, -0.5, 0.9])
    rig = studio_films.rig(aim, 500, rng)
    distance = np.linalg.norm(rig.center - aim, axis=-1)
    low, high = studio_films.DISTANCES
    assert low - 0.01 <= distance.min() < low + 0.5 < high - 0.5 < distance.max() <= high + 0.01
    elevation = np.degrees(np.arcsin((rig.center[:, 2] - aim[2]) / distance))
    assert elevation.min() < -5 < 60 < elevation.max()
    assert (rig.center[:, 2] > 0).all()
    focal = rig.intrinsics[:, 0, 0]
    assert studio_films.FOCAL_LENGTHS[0] <= focal.min() < 800 < 2000 < focal.max()
    ahead = rig.rotation @ (aim - rig.center)[..., np.newaxis]
    # The person is in the image.
    assert (np.abs(ahead[:, :2, 0] / ahead[:, 2:, 0]) * focal[:, np.newaxis] < 500).mean() > 0.95
    assert np.degrees(np.abs(rig.rotation[:, 0, 2])).max() > 5


def test_another_seed_is_another_film_and_another_take_another_body(motions, film):
    again = studio_films.film(motions, FILMING)
    np.testing.assert_array_equal(again.pose_world, film.pose_world)
    np.testing.assert_array_equal(again.seen.keypoints_2d, film.seen.keypoints_2d)
    other = studio_films.film(motions, dataclasses.replace(FILMING, seed=1))
    assert np.abs(other.seen.camera.center - film.seen.camera.center).max() > 0.5
    both = studio_films.film(motions, dataclasses.replace(FILMING, takes=2))
    thigh = np.linalg.norm(both.pose_world[:, 2] - both.pose_world[:, 1], axis=-1)
    assert len(np.unique(thigh.round(6))) == 2
    assert set(both.subject) == {"made-up S01"}
